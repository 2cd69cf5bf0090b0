"""Which network, and how it looks at photographs: the settings that all commands have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.data.decode.fit import FITS, Fit
from camcli.errors import UsageError
from camcli.files import expanded
from camcli.jobs.against import check_against, compared_with, elsewhere
from camcli.models import spec
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.classes.names_file import read_class_names
from camcli.models.classes.thresholds import check_threshold
from camcli.models.loading.sources import AskedModel, check_asked
from camcli.models.spec import AskedOutput
from camcli.models.weights.formats import check_checkpoint, inside
from camcli.settings import Settings
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Where a job says what a person should know."""


@dataclass(frozen=True, slots=True)
class ModelJob(Settings):
    """A classifier that is to be loaded; the arguments of `load_classifier`, which has the details.

    Attributes:
        model: ``efficientnet_lite0``, a torchvision name, ``timm:NAME``, ``module:factory`` or
            ``FILE.py:FACTORY``.
        checkpoint: a file of ``camcli train``; it replaces `model`, `weights` and `classes`.
        weights: a file, a set's name, or ``random``; None for the model's own.
        weights_key: which of several sets of weights in that file.
        classes: class names, or a file of them, for weights of one's own.
        fit: how a photograph is fitted to the input; None for the weights' own way.
        input_size: side of the input in pixels; None for the weights' own.
        output: what the network returns; ``auto`` finds out.
        threshold: probability above which a label is predicted, or from which on the second of two
            classes is: a number, or a CSV file with ``class,threshold``; None for one half.
        native_predictions: with `input_size`: predictions from a second pass at the weights' own.
        layer: whose maps are explained, one name or several with commas between.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network.
        preprocess: how the network wants its pixels, in words; None for its own way.
        trust_pickle: whether code that a file names may run.
        against: photographs, a folder say: how different a photograph is from these is predicted
            and explained, in place of classes; None for the network's own outputs.
    """

    model: str = spec.BUNDLED
    checkpoint: str | Path | None = None
    weights: str | Path | None = None
    weights_key: str | None = None
    classes: str | Path | Sequence[str] | None = None
    fit: Fit | None = None
    input_size: int | None = None
    output: AskedOutput = "auto"
    threshold: float | str | Path | None = None
    native_predictions: bool = False
    layer: str = spec.LAST
    device: str = "auto"
    offline: bool = False
    preprocess: str | None = None
    trust_pickle: bool = False
    against: str | Path | Sequence[str | Path] | None = None

    @property
    def called(self) -> str:
        """The network in the user's words."""
        return str(self.checkpoint or self.model)

    @property
    def is_bundled(self) -> bool:
        """Whether it is the network that camcli brings, with its own weights."""
        plain = self.checkpoint is None and self.weights in (None, "bundled")
        return plain and self.model == spec.BUNDLED

    @property
    def known_classes(self) -> tuple[str, ...] | None:
        """Its classes, where they are known before it is loaded: ImageNet's; else None."""
        own = (
            ":" in self.model
            or spec.is_own_code(self.model)
            or spec.is_path(self.model)
            or self.checkpoint is not None
            or self.classes is not None
            or self.against is not None
        )
        usual = self.weights in (None, "random", "bundled")
        if own or not (usual or str(self.weights).startswith("IMAGENET1K")):
            return None
        return imagenet_classes()

    def check(self) -> None:
        """Refuse, without torch, what cannot be a classifier whatever is in its files.

        Raises:
            UsageError: settings that contradict each other, a name that nothing has, a number out
                of range, a file that is not there, or class names that cannot be read.
            CamcliError: a file that holds no weights.
        """
        self.settled()._check()

    def settled(self) -> ModelJob:
        """The same with a checkpoint as `checkpoint` that was given as the `model`."""
        if self.checkpoint is None and spec.is_checkpoint_name(self.model):
            return replace(self, model=spec.BUNDLED, checkpoint=expanded(self.model))
        return self

    def _check(self) -> None:
        named = self.model != spec.BUNDLED and not spec.is_own_code(self.model)
        if self.checkpoint is not None and (self.weights or self.classes or named):
            raise UsageError(
                "--checkpoint is a whole classifier: leave --model, --weights and --classes out."
            )
        spec.check_device(self.device)
        spec.check_input_size(self.input_size)
        spec.check_output(self.output)
        check_threshold(self.threshold)
        if self.fit is not None and self.fit not in FITS:
            raise UsageError(f"Unknown --fit {self.fit!r}. Choose one of {', '.join(FITS)}.")
        spec.layer_names(self.layer)
        if self.checkpoint is None:
            check_asked(self._asked())
            weights = None if self.weights is None else str(self.weights)
            spec.check_weights(weights, self.model, self.trust_pickle)
        else:
            _check_checkpoint(Path(self.checkpoint))
        if self.preprocess is not None:
            # They import numpy, which most mistakes can be told without.
            from camcli.data.decode.preprocess_words import check_words

            check_words(self.preprocess, fit=self.fit, input_size=self.input_size)
        spec.check_together(
            model=self.model, checkpoint=self.checkpoint, weights=self.weights,
            weights_key=self.weights_key, output=self.output, input_size=self.input_size,
            native_predictions=self.native_predictions, preprocess=self.preprocess,
        )  # fmt: skip
        names = self.classes
        if isinstance(names, str | Path) and (not Path(names).exists() or Path(names).is_dir()):
            raise UsageError(f"There is no file of class names {names}.")
        read_class_names(names)
        if self.against is not None:
            check_against(
                self.against, self.layer, output=self.output, threshold=self.threshold,
                native_predictions=self.native_predictions,
            )  # fmt: skip

    def _asked(self) -> AskedModel:
        """What is asked of the source, as far as it may be wrong by itself."""
        return AskedModel(
            self.model, self.weights, self.weights_key, offline=self.offline,
            input_size=self.input_size, preprocess=self.preprocess,
            output=spec.check_output(self.output), trust_pickle=self.trust_pickle,
        )  # fmt: skip

    def load(self, *, say: Say = log.info, warn: Say = log.warning) -> Classifier:
        """The classifier, checked and loaded.

        Args:
            say: told what was found out or assumed about the network.
            warn: told what makes its answers worthless.

        Raises:
            UsageError: as `check` does, or another layer than the network has.
            UnavailableError: the weights are not on this machine.
            CamcliError: the network cannot be cut.
        """
        self.check()
        from camcli.models.load import load_classifier

        own = [each.name for each in fields(self) if each.name != "against"]
        classifier = load_classifier(**{name: getattr(self, name) for name in own})
        for note in classifier.provenance.notes:
            say(note)
        if classifier.preprocess.grey:
            pre = classifier.preprocess
            three = len(set(pre.mean[:3])) > 1 or len(set(pre.std[:3])) > 1
            say(
                "The network takes one channel: it sees the luminance of the photographs"
                + (", normalised by the mean of three channels' means and deviations: say your "
                   "own, --preprocess 'mean=... std=...'." if three else ".")
            )  # fmt: skip
        if classifier.output.told and self.against is None:
            say(classifier.output.told)
        if classifier.provenance.source == "random":
            warn(
                "these weights are RANDOM: predictions and heatmaps mean nothing. "
                "Fine for a smoke test, not for looking at."
            )
        if self.against is not None:
            classifier = compared_with(classifier, self.against, say=say, warn=warn)
        return classifier

    def chosen_layer(self, classifier: Classifier) -> str | None:
        """Where the maps of one's own network come from, and how to choose; None for others."""
        name = classifier.provenance.name
        if self.layer != spec.LAST or not (spec.is_own_code(name) or spec.is_path(name)):
            return None
        return (
            f"The maps are those of {classifier.layer!r}, the last ones before the logits of "
            f"{name}: --layer takes others, and 'camcli layers {name}' lists them."
        )

    def elsewhere(self) -> ModelJob:
        """The same for another process, in another folder, or another machine."""
        weights, classes = self.weights, self.classes
        return replace(
            self,
            model=spec.anywhere(self.model),
            checkpoint=self.checkpoint and Path(self.checkpoint).absolute(),
            weights=Path(weights).absolute() if weights and Path(weights).is_file() else weights,
            classes=Path(classes).absolute() if isinstance(classes, str | Path) else classes,
            preprocess=_anywhere(self.preprocess),
            threshold=_absolute(self.threshold),
            against=None if self.against is None else elsewhere(self.against),
            # There cuda:1 is another machine's, or the only one that a worker is shown.
            device="auto" if self.device.startswith("cuda") else self.device,
        )

    def on(self, device: str) -> ModelJob:
        """The same for another process of this machine, on a device of its own."""
        return replace(self.elsewhere(), device=device)


def _absolute(threshold: float | str | Path | None) -> float | str | Path | None:
    """The same for another folder, where it is a file."""
    if isinstance(threshold, str | Path) and Path(threshold).is_file():
        return Path(threshold).absolute()
    return threshold


def loaded(network: ModelJob | Classifier, listener: Listener) -> Classifier:
    """A network that may be loaded already."""
    if isinstance(network, ModelJob):
        return network.load(say=listener.say, warn=listener.warn)
    return network


def _anywhere(preprocess: str | None) -> str | None:
    """What is said of the preprocessing, for another folder: a file's name is made absolute."""
    there = preprocess is not None and len(preprocess) < 1000 and Path(preprocess).exists()
    return str(Path(preprocess).absolute()) if preprocess and there else preprocess


def _check_checkpoint(path: Path) -> None:
    if not path.exists() or path.is_dir():
        raise UsageError(
            f"There is no checkpoint {path}; 'camcli train' writes one." + inside(path)
        )
    check_checkpoint(path)
