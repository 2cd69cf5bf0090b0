"""What building a classifier gives, and the steps that every kind of classifier shares."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.files import expanded
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.outputs import label_names
from camcli.models.spec import OutputKind
from camcli.models.weights.formats import inside
from camcli.models.weights.mismatch import listed
from camcli.models.weights.state_dict import Match

WeightsSource = Literal["bundled", "torchvision", "timm", "user", "random", "checkpoint"]
IMAGENET = 1000


@dataclass(frozen=True)
class Provenance:
    """Which model and which weights made a result.

    Attributes:
        name: the model as the user named it.
        weights: ``bundled``, ``random``, ``factory`` (what a user's own factory loaded itself), or
            the weight file: its name for torchvision's and timm's, its path for the user's.
        sha256: of the weight file in hex, or None without a file.
        source: who made the weights.
        versions: of the libraries that build the model.
        key: which of several sets in the file the user asked for, or None.
        notes: what a user should be told of how the weights were read, a line each.
        beside: other files that the weights are in, with their SHA-256.
    """

    name: str
    weights: str
    sha256: str | None
    source: WeightsSource
    versions: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)
    beside: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``run.json``; key, other files and notes only where there are some."""
        plain: dict[str, Any] = {
            "name": self.name, "weights": self.weights, "sha256": self.sha256,
        }  # fmt: skip
        asked = {"key": self.key} if self.key else {}
        beside = {"beside": dict(self.beside)} if self.beside else {}
        said = {"notes": list(self.notes)} if self.notes else {}
        plain = {**plain, **asked, **beside, "source": self.source, **said}
        return {**plain, "versions": dict(self.versions)}


@dataclass
class BuiltModel:
    """A classifier ready to be cut.

    Attributes:
        module: (B, 3, size, size) -> logits (B, C); in eval mode, without gradients, on the CPU.
        classes: the C class names.
        preprocess: from RGB pixels to the module's input.
        provenance: which weights these are.
        output: what its outputs are, where the weights say; None to find out.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess
    provenance: Provenance
    output: OutputKind | None = None


def provenance(
    name: str, weights: str, sha256: str | None, source: WeightsSource, key: str | None = None,
    notes: Iterable[str] = (),
) -> Provenance:  # fmt: skip
    """A `Provenance` with the versions of the installed libraries; notes may be empty."""
    libraries = ("torch", "torchvision", "timm")
    versions = {library: metadata.version(library) for library in libraries}
    said = tuple(note for note in notes if note)
    return Provenance(name, weights, sha256, source, versions, key, said)


def name_outputs(classes: tuple[str, ...] | None, outputs: int, model: str) -> tuple[str, ...]:
    """The names of a model's outputs: the user's, ImageNet's for 1000, else numbers from 0.

    A network with one output has two classes.

    Raises:
        UsageError: the user's names do not count up to the outputs.
    """
    two = label_names(classes, outputs, model)
    if two is not None:
        return two
    if classes is not None:
        if len(classes) != outputs:
            raise UsageError(
                f"{len(classes)} class names were given ({listed(classes)}) and {model} has "
                f"{outputs} outputs: name every output, in the order of the logits."
            )
        return classes
    if outputs == IMAGENET:
        return imagenet_classes()
    return tuple(str(index) for index in range(outputs))


def weight_path(weights: str | Path, model: str, named: Iterable[str] = ()) -> Path:
    """The file that ``--weights`` names.

    Raises:
        UsageError: there is none; the message lists what else `model` takes.
    """
    path = expanded(weights)
    if path.is_file():
        return path
    others = " or ".join([*named, "random"])
    raise UsageError(
        f"There is no weight file {path}; besides a file, {model} takes {others}." + inside(path)
    )


def fill(module: nn.Module, found: Match, origin: str) -> None:
    """Load tensors that `camcli.models.weights.state_dict.match` found to be the network's.

    Raises:
        UsageError: torch cannot take them.
    """
    # Modules that have changed their layout ask which one this is (torchvision's MNASNet refuses
    # to go on without): `match` found the names and shapes of the module as it is now.
    own = module.state_dict()
    state = OrderedDict(found.state)
    state._metadata = own._metadata  # type: ignore[attr-defined]
    try:
        module.load_state_dict(state, strict=False)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise UsageError(f"The weights in {origin} cannot be loaded: {reason(error)}.") from error


def wake_zero_layers(module: nn.Module) -> None:
    """Give linear layers that start at zero small random weights.

    An untrained ViT's head is all zeros: every map and every logit would be, too.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.02)


def reason(error: BaseException) -> str:
    """The first line of an exception, for the middle of a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    if lines and "TorchScript interpreter" in lines[0]:
        # Its own traceback comes first, and what went wrong last.
        return lines[-1].partition(": ")[2].rstrip(".") or lines[-1]
    return lines[0].rstrip(".") if lines else type(error).__name__
