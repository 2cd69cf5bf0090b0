"""What building a classifier gives, and the steps that every kind of classifier shares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from camcli.data.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.files import read_regular
from camcli.models.imagenet import imagenet_classes

Source = Literal["bundled", "torchvision", "timm", "user", "random", "checkpoint"]
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
    """

    name: str
    weights: str
    sha256: str | None
    source: Source
    versions: dict[str, str] = field(default_factory=dict)


@dataclass
class BuiltModel:
    """A classifier ready to be cut.

    Attributes:
        module: (B, 3, size, size) -> logits (B, C); in eval mode, without gradients, on the CPU.
        classes: the C class names.
        preprocess: from RGB pixels to the module's input.
        provenance: which weights these are.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess
    provenance: Provenance


def provenance(name: str, weights: str, sha256: str | None, source: Source) -> Provenance:
    """A `Provenance` with the versions of the installed libraries."""
    libraries = ("torch", "torchvision", "timm")
    versions = {library: metadata.version(library) for library in libraries}
    return Provenance(name, weights, sha256, source, versions)


def read_classes(classes: str | Path | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names as given, or from a file with one a line or a JSON list.

    Raises:
        UsageError: the file cannot be read, or a name is empty or occurs twice.
    """
    if classes is None:
        return None
    origin = "the class names"
    if isinstance(classes, (str, Path)):
        origin = str(classes)
        try:
            text = read_regular(classes).decode("utf-8-sig")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The class names in {origin} cannot be read ({reason(error)}): it should be a "
                "UTF-8 text file with one name a line, or a JSON list."
            ) from error
        classes = _parse_classes(text, origin)
    names = tuple(str(name).strip() for name in classes)
    if not names or "" in names:
        raise UsageError(f"In {origin} there are no names, or one of them is empty.")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"In {origin} '{name}' occurs twice: results could not tell which.")
        seen.add(name)
    return names


def _parse_classes(text: str, origin: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [line for line in text.split("\n") if line.strip()]
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is not a JSON list of class names: {reason(error)}.") from error
    if not all(isinstance(value, str) for value in values):
        raise UsageError(f"In {origin} every class name of the JSON list must be a string.")
    return values


def name_outputs(classes: tuple[str, ...] | None, outputs: int, model: str) -> tuple[str, ...]:
    """The names of a model's outputs: the user's, ImageNet's for 1000, else numbers from 0.

    Raises:
        UsageError: the user's names do not count up to the outputs.
    """
    if classes is not None:
        if len(classes) != outputs:
            raise UsageError(
                f"{len(classes)} class names were given and {model} has {outputs} outputs: name "
                "every output, in the order of the logits."
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
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    others = " or ".join([*named, "random"])
    raise UsageError(f"There is no weight file {path}; besides a file, {model} takes {others}.")


def rows(state: Mapping[str, Tensor], name: str, default: int) -> int:
    """How many outputs a state dict's head has: the rows of the tensor `name`, if it is there."""
    return state[name].shape[0] if name in state and state[name].ndim else default


def fill(module: nn.Module, state: Mapping[str, Tensor], path: Path, model: str) -> None:
    """Load a state dict; every tensor must have its place, and every place its tensor.

    Raises:
        UsageError: names or shapes differ; the message names the first few.
    """
    own = module.state_dict()
    # Old checkpoints lack these counters, which inference never reads.
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    surplus = [k for k in state if k not in own]
    wrong = [
        f"{k} is {_shape(state[k])} and should be {_shape(own[k])}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    problems = [
        f"{len(found)} {what}: {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}"
        for what, found in (("missing", missing), ("unknown", surplus), ("of another shape", wrong))
        if found
    ]
    if problems:
        raise UsageError(f"{path} does not fit {model}. Tensors {'; '.join(problems)}.")
    module.load_state_dict(dict(state), strict=False)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


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
    return lines[0].rstrip(".") if lines else type(error).__name__


def outputs_of(module: nn.Module, size: int, model: str) -> int:
    """C, from one forward pass of a black picture: a user's own module does not say.

    Raises:
        CamcliError: the pass fails, or what it returns is not logits (1, C).
    """
    module.eval()
    try:
        with torch.inference_mode():
            logits = module(torch.zeros(1, 3, size, size))
    except Exception as error:
        raise CamcliError(
            f"{model} fails on a picture of 3x{size}x{size}: {type(error).__name__}: "
            f"{reason(error)}."
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != 1:
        got = f"shape {_shape(logits)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise CamcliError(f"{model} should return logits of shape 1xC for one picture, not {got}.")
    return logits.shape[1]
