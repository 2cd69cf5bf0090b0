"""What ``camcli evaluate`` compares: networks and methods, from the words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.jobs.model import ModelJob

if TYPE_CHECKING:
    from camcli.cam.map_options import MapOptions
    from camcli.data.decode.fit import Fit
    from camcli.evaluate.comparison.randomised import Copies
    from camcli.models.classifier import Classifier
    from camcli.models.spec import AskedOutput


def split_names(text: str, option: str) -> list[str]:
    """``a,b,c`` as names.

    Raises:
        UsageError: one is empty or occurs twice.
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"{option} takes different names with commas between, not {text!r}.")
    return names


def find_methods(
    text: str, smooth: str | None, converge: float | None, asked: bool = True
) -> dict[str, MapOptions]:
    """The methods in the user's order, behind ``random``.

    Args:
        text: names with commas between.
        smooth: how all of them are smoothed.
        converge: where those that mask channels stop.
        asked: whether `converge` must be of use to one of them.

    Raises:
        UsageError: an unknown method, one that is named twice, or none that could stop.
    """
    from camcli.cam.map_options import MASKED, make_map_options
    from camcli.cam.method_facts import find_facts

    hows = {}
    for name in split_names(text, "--methods"):
        stop = converge if find_facts(name).name in MASKED else None
        how = make_map_options(name, smooth=smooth, converge=stop)
        if how.method.name in hows:
            raise UsageError(f"--methods names {how.method.name} twice.")
        hows[how.method.name] = how
    if asked and converge is not None and not hows.keys() & set(MASKED):
        raise UsageError(f"--converge is for {', '.join(MASKED)}; --methods names none of them.")
    return {"random": make_map_options("random"), **hows}


@dataclass(frozen=True, slots=True)
class Subject:
    """One network of the table, and how it is loaded.

    Attributes:
        name: as the user wrote it.
        checkpoint: its file, if it is a checkpoint.
        weights: of a named network; None for its own.
        classes: names of its outputs, for weights of one's own.
        device: where it runs.
        offline: never touch the network.
        fit: of photographs to its input; None for its own.
        input_size: side of its input; None for its own.
        layer: whose maps are explained.
        weights_key: which of several sets in the file of `weights`.
        output: what it returns, or ``auto``; for networks that are no checkpoints.
    """

    name: str
    checkpoint: Path | None
    weights: str | None
    classes: Path | None
    device: str
    offline: bool
    fit: Fit | None
    input_size: int | None
    layer: str
    weights_key: str | None = None
    output: AskedOutput = "auto"

    @property
    def has_imagenet_classes(self) -> bool:
        """Whether its classes are known to be ImageNet's before it is loaded."""
        from camcli.models.spec import is_own_code

        own = self.checkpoint or self.weights or self.classes
        return not own and not self.name.startswith("timm:") and not is_own_code(self.name)

    def check(self) -> None:
        """Refuse, without torch, what cannot be loaded; see `ModelJob.check`.

        Raises:
            UsageError: it is a name that nothing has, a number out of range, or a missing file.
        """
        self._job(None, None).check()

    def load(self, *, layer: str | None = None, checkpoint: Path | None = None) -> Classifier:
        """Open it, or another checkpoint, cut at its layer or at another one."""
        from camcli.cli.load_model import load

        return load(self._job(layer, checkpoint))

    def _job(self, layer: str | None, checkpoint: Path | None) -> ModelJob:
        file = checkpoint or self.checkpoint
        common = ModelJob(
            weights=self.weights, fit=self.fit, input_size=self.input_size, device=self.device,
            layer=layer or self.layer, offline=self.offline,
        )  # fmt: skip
        if file:
            return replace(common, checkpoint=file)
        return replace(
            common, model=self.name, classes=self.classes, weights_key=self.weights_key,
            output=self.output,
        )  # fmt: skip

    def copies(self) -> Copies:
        """Copies that know less and less, for the sanity check."""
        from camcli.evaluate.comparison.randomised import copies_of_checkpoint, copies_of_model

        if self.checkpoint:
            return copies_of_checkpoint(
                self.checkpoint, lambda path: self.load(checkpoint=path)
            )  # fmt: skip
        return copies_of_model(
            self.name, weights=self.weights, classes=self.classes, offline=self.offline,
            fit=self.fit, input_size=self.input_size, device=self.device, layer=self.layer,
            weights_key=self.weights_key,
            output=self.output,
        )  # fmt: skip


def find_subjects(models: str, weights: Sequence[str], **options: Any) -> list[Subject]:
    """The networks of ``--models``.

    Args:
        models: names and checkpoints, with commas between.
        weights: for the named networks, in order; or none.
        options: the other fields of `Subject`.

    Raises:
        UsageError: a checkpoint that is not there, or another number of weights than networks.
    """
    names = split_names(models, "--models")
    files = {name: _checkpoint(name) for name in names}
    named = [name for name in names if files[name] is None]
    if weights and len(weights) != len(named):
        raise UsageError(
            f"--weights is given {len(weights)} times, and --models names {len(named)} networks "
            "that are no checkpoints: give it once for each of them, in order."
        )
    if options.get("weights_key") and not weights:
        raise UsageError("--weights-key chooses one of several sets in a file: add --weights FILE.")
    own = dict(zip(named, weights, strict=False))
    subjects = [Subject(name, files[name], own.get(name), **options) for name in names]
    for subject in subjects:
        subject.check()
    return subjects


def _checkpoint(name: str) -> Path | None:
    """A model's name as a file, if it is one."""
    file = Path(name)
    if file.suffix in (".safetensors", ".pt", ".pth"):
        if not file.is_file():
            raise UsageError(f"There is no checkpoint {name}.")
        return file
    return None
