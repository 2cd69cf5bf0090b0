"""What a network is, as it lies on the disk: what ``camcli inspect`` is asked, and how it looks."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import CamcliError, UnavailableError
from camcli.files import expanded
from camcli.jobs.model import ModelJob
from camcli.models import spec
from camcli.models.loading.sources import source_of
from camcli.settings import Settings

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

_FEW = 6
"""Names that are listed of many."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found out.

    Attributes:
        model: as the user named it.
        form: what it is, in a sentence's end.
        holds: of a file with tensors: what each set in it is called, and how many it has.
        classes: the names of the classes; empty where it cannot be loaded.
        output: what it returns; see `camcli.models.spec.OutputKind`.
        preprocess: from RGB pixels to its input, as plain values.
        looks: the same in words.
        layer: where its maps come from.
        map_shape: (channels, height, width) there.
        linear: whether all that follows is global average pooling and one linear layer.
        methods: the CAM methods that it can be explained with.
        refused: the others, each with the reason.
        notes: what was recognised and assumed.
        error: why it cannot be loaded, and what to do; None where it can.
        command: what explains a folder of photographs with it.
    """

    model: str
    form: str
    holds: tuple[tuple[str, int], ...] = ()
    classes: tuple[str, ...] = ()
    output: str = ""
    preprocess: dict[str, Any] = field(default_factory=dict)
    looks: str = ""
    layer: str = ""
    map_shape: tuple[int, int, int] | None = None
    linear: bool = False
    methods: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class InspectJob(Settings):
    """A network that is to be looked at; the settings are those of `ModelJob`.

    Attributes:
        model: a file, a folder, or a name as ``--model`` takes it.
        weights: a file with the network's weights, for a name and for code of one's own.
        weights_key: which of several sets of weights in the file.
        classes: class names, or a file of them.
        input_size: side of the input in pixels; None for its own.
        preprocess: how it wants its pixels, in words; None for its own way.
        trust_pickle: whether code that the file names may run.
        output: what it returns; ``auto`` finds out.
        offline: never touch the network.
    """

    model: str
    weights: str | Path | None = None
    weights_key: str | None = None
    classes: str | Path | Sequence[str] | None = None
    input_size: int | None = None
    preprocess: str | None = None
    trust_pickle: bool = False
    output: spec.AskedOutput = "auto"
    offline: bool = False

    @property
    def network(self) -> ModelJob:
        """The network as every other verb takes it."""
        return ModelJob(
            self.model, weights=self.weights, weights_key=self.weights_key, classes=self.classes,
            input_size=self.input_size, preprocess=self.preprocess, device="cpu",
            trust_pickle=self.trust_pickle, output=self.output, offline=self.offline,
        )  # fmt: skip

    def form(self) -> str:
        """What it is, without torch, for the end of a sentence.

        Raises:
            UsageError: there is no such file, folder or name.
            CamcliError: the file is damaged, or nothing that is known.
        """
        if spec.is_checkpoint_name(self.model):
            return "a checkpoint of 'camcli train'"
        if not spec.is_path(self.model):
            self.network.check()
            source = source_of(self.model)
            return f"a network by its name ({source.name})"
        from camcli.models.forms.registry import form_of, path_of

        return form_of(path_of(self.model)).told

    def run(self) -> Inspected:
        """Look at it: what it is, and whether and how it can be explained.

        A network that cannot be loaded is no exception here: `Inspected.error` says why.

        Raises:
            UsageError: there is no such file, folder or name.
            CamcliError: the file is damaged, or nothing that is known.
            UnavailableError: what is to be looked at is not on this machine.
        """
        form = self.form()
        holds = self._holds()
        try:
            self.network.check()
            classifier = self.network.load(say=lambda note: None, warn=lambda note: None)
        except UnavailableError:
            raise
        except CamcliError as error:
            return Inspected(self.model, form, holds, error=str(error))
        return self._loaded(form, holds, classifier)

    def _holds(self) -> tuple[tuple[str, int], ...]:
        """The sets of tensors in a file, largest first; none where it holds no plain tensors."""
        if not spec.is_path(self.model) or spec.is_checkpoint_name(self.model):
            return ()
        from camcli.models.forms.registry import path_of
        from camcli.models.weights.files import read_candidates

        path = path_of(self.model)
        if not path.is_file():
            return ()
        try:
            found, _ = read_candidates(path)
        except CamcliError:
            return ()
        # An optimizer has as many sets as the network has tensors: of many, their sum is told.
        tops = Counter(each.key.partition(".")[0] for each in found.each)
        sets: dict[str, int] = {}
        for each in found.each:
            top = each.key.partition(".")[0]
            key = (top if tops[top] > _FEW else each.key) or "at its top"
            sets[key] = sets.get(key, 0) + len(each.tensors)
        # Whole networks first: an optimizer may have more tensors than they, in many sets.
        return tuple(sorted(sets.items(), key=lambda pair: (tops[pair[0]] > _FEW, -pair[1]))[:_FEW])

    def _of_its_head(self) -> str:
        """What the head of a checkpoint is, where it is not linear on the mean of the last map."""
        if not spec.is_checkpoint_name(self.model):
            return ""
        from camcli.models.loading.checkpoint import load_checkpoint

        saved = load_checkpoint(expanded(self.model))
        said = []
        if not saved.pooling.plain:
            said.append(
                f"its head is given {saved.pooling} of each channel, of which the maps are exact"
            )
        if saved.nearest is not None:
            k, N = saved.nearest.k, len(saved.nearest.features)
            said.append(f"it asks the {k} nearest of {N} training images; maps are by autograd")
        if saved.temperature != 1:
            said.append(f"its logits are divided by {saved.temperature:.3g}, their temperature")
        text = "; ".join(said)
        return text[:1].upper() + text[1:]

    def _loaded(
        self, form: str, holds: tuple[tuple[str, int], ...], classifier: Classifier
    ) -> Inspected:
        import torch

        from camcli.cam.explainer import why_no_attention_of
        from camcli.cam.method_facts import FACTS
        from camcli.data.decode.preprocess_words import described
        from camcli.models.cutting.types import has_gradients

        seen = classifier.look(
            torch.zeros(1, 3, *classifier.preprocess.shape[1:], dtype=torch.uint8)
        )
        part = seen.parts[-1]
        gradients = classifier.cut is None or classifier.cut.gradients
        inattentive = why_no_attention_of(classifier) if gradients else None
        reasons = {
            name: facts.why_not(
                linear=part.head is not None, gradients=gradients,
                after=has_gradients(classifier.tail), inattentive=inattentive,
            )
            for name, facts in FACTS.items()
        }  # fmt: skip
        boxes = None if classifier.localizer is None else classifier.localizer.told()
        told = (*classifier.provenance.notes, self._of_its_head(), classifier.output.told, boxes)
        told += tuple(each.told() for each in classifier.boxes)
        _, height, width = part.A.shape[1:]
        return Inspected(
            self.model, form, holds, classifier.classes, classifier.output.kind,
            classifier.preprocess.to_dict(), described(classifier.preprocess), part.layer,
            (part.A.shape[1], height, width), part.head is not None,
            tuple(name for name, why in reasons.items() if why is None),
            tuple((name, why) for name, why in reasons.items() if why is not None),
            tuple(note for note in told if note), command=self._command(),
        )  # fmt: skip

    def _command(self) -> str:
        """What a user types to explain a folder with it."""
        said: list[str] = ["camcli", "batch", "photos", "--model", self.model]
        for option, value in (
            ("--weights", self.weights), ("--weights-key", self.weights_key),
            ("--classes", self.classes),
            ("--input-size", self.input_size), ("--preprocess", self.preprocess),
        ):  # fmt: skip
            if isinstance(value, str | int | Path):
                said += [option, str(value)]
        if self.trust_pickle:
            said.append("--trust-pickle")
        if self.output != "auto":
            said += ["--output", self.output]
        return shlex.join(said)
