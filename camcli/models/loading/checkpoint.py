"""A trained classifier as one safetensors file: backbone, head, classes, preprocess, provenance.

Self-contained: opening one never touches the network, and never runs code that is in the file.

Layout: tensors ``backbone.<name in the architecture>``, ``head.weight`` (C, K), ``head.bias``
(C,); the header's ``camcli`` entry holds the rest as JSON. An ensemble of M networks (format 2) has
``backbone.0.<name>`` to ``backbone.<M-1>.<name>`` and a head on their maps side by side, (C, M·K).
Where the head is given other statistics than the mean of the last map (format 4), the header's
``pooling`` says which, and K is how many numbers these are. A head that asks its nearest training
images (format 4, too) is tensors ``nearest.<name>`` in place of ``head.<name>``, and settings
under ``nearest``. A localizer that was trained on boxes (`camcli.models.localizer`, format 5) is
tensors ``localizer.<name>`` and settings under ``localizer``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_file, why
from camcli.models.cutting.types import Head, LinearHead
from camcli.models.loading.box_calibration import TABLE, Calibration, read_records
from camcli.models.loading.ensemble import block_head, split_head
from camcli.models.loading.nearest import (
    NEAREST,
    nearest_head,
    nearest_settings,
    nearest_tensors,
)
from camcli.models.localizer import Localizer, read_localizer
from camcli.models.pooling.nearest import NearestHead
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import OutputKind
from camcli.models.weights.finite import check_finite
from camcli.models.weights.formats import check_checkpoint, inside
from camcli.models.weights.mismatch import shape_of
from camcli.printable import counted

FORMAT = 5
"""The newest that is read and written: with a localizer. Heads that are not on the mean, not
linear, or of values, are written as 4, and labels are
still written as 3, an ensemble's classes as 2 and others as 1: what an older camcli would take for
something else in silence is not for it to read."""
LEARNT: tuple[OutputKind, ...] = ("softmax", "sigmoid", "none")
"""What a trained head's outputs can be."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        architecture: the backbone, as `camcli.models.loading.zoo.build_model` names it.
        classes: the C class names.
        preprocess: from RGB pixels to the backbone's input.
        backbone: the architecture's tensors up to the cut; with several members, each member's
            behind its number.
        weight: of the head, (C, K), or (C, M·K) for M members. K is the number of channels of the
            last map, or of the numbers that the pooling gives.
        bias: of the head, (C,).
        nearest: the head where it is no linear one; `weight` is (C, 0) then.
        config: the training's settings.
        metrics: what it reached.
        versions: of the libraries that trained it.
        members: M, the networks whose logits are averaged.
        output: what the logits are, one of `LEARNT`.
        thresholds: of ``sigmoid`` the probability above which each label is predicted; None for
            one half.
        pooling: which statistics of which layers the head is given.
        temperature: what the logits were divided by; that is in `weight` and `bias` already.
        boxes: from which shares of their maxima on maps are inside their boxes.
        localizer: where things are on the last map, as boxes taught it; None for none.
    """

    architecture: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    backbone: Mapping[str, Tensor]
    weight: Tensor
    bias: Tensor
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    members: int = 1
    output: OutputKind = "softmax"
    thresholds: tuple[float, ...] | None = None
    pooling: Pooling = field(default_factory=Pooling)
    temperature: float = 1.0
    nearest: NearestHead | None = None
    boxes: tuple[Calibration, ...] = ()
    localizer: Localizer | None = None

    def heads(self) -> list[Head]:
        """The head of each member."""
        if self.nearest is not None:
            return [self.nearest]
        return list(split_head(LinearHead(self.weight.float(), self.bias.float()), self.members))

    def networks(self) -> list[Mapping[str, Tensor]]:
        """The tensors of each member, by their names in the architecture."""
        if self.members == 1:
            return [self.backbone]
        each: list[dict[str, Tensor]] = [{} for _ in range(self.members)]
        for name, tensor in self.backbone.items():
            number, _, own = name.partition(".")
            each[int(number)][own] = tensor
        return list(each)


def join_checkpoints(parts: Sequence[Checkpoint], **changes: Any) -> Checkpoint:
    """Networks of one architecture as one checkpoint, whose logits are the mean of theirs.

    Args:
        parts: single networks with the same classes and preprocessing.
        changes: fields that are not the first part's, such as ``metrics``.
    """
    head = block_head([LinearHead(part.weight, part.bias) for part in parts])
    backbone = {f"{i}.{n}": t for i, part in enumerate(parts) for n, t in part.backbone.items()}
    return replace(
        parts[0], backbone=backbone, weight=head.weight, bias=head.bias, members=len(parts),
        **changes,
    )  # fmt: skip


def with_temperature(checkpoint: Checkpoint, temperature: float) -> Checkpoint:
    """The same with its logits divided by a number above 0: how sure it is, no decision."""
    nearest = checkpoint.nearest
    if nearest is not None:
        nearest = copy(nearest)
        nearest.temperature *= temperature
    return replace(
        checkpoint, weight=checkpoint.weight / temperature, bias=checkpoint.bias / temperature,
        temperature=checkpoint.temperature * temperature, nearest=nearest,
    )  # fmt: skip


def without_temperature(checkpoint: Checkpoint) -> Checkpoint:
    """The same with the logits that it learnt."""
    plain = with_temperature(checkpoint, 1 / checkpoint.temperature)
    return replace(plain, temperature=1.0)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file is either whole or not there.

    Raises:
        CamcliError: it cannot be written.
    """
    tensors = {f"backbone.{name}": t for name, t in checkpoint.backbone.items()}
    if checkpoint.nearest is None:
        tensors |= {"head.weight": checkpoint.weight, "head.bias": checkpoint.bias}
    else:
        tensors |= nearest_tensors(checkpoint.nearest)
    if checkpoint.localizer is not None:
        tensors |= checkpoint.localizer.tensors()
    # Contiguous copies: safetensors refuses shared and strided memory.
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    header = {
        "format": _format_of(checkpoint),
        "architecture": checkpoint.architecture,
        "classes": list(checkpoint.classes),
        "preprocess": checkpoint.preprocess.to_dict(),
        "config": dict(checkpoint.config),
        "metrics": dict(checkpoint.metrics),
        "versions": dict(checkpoint.versions),
    }
    if checkpoint.members > 1:
        header["members"] = checkpoint.members
    if not checkpoint.pooling.plain:
        header["pooling"] = str(checkpoint.pooling)
    if checkpoint.nearest is not None:
        header["nearest"] = checkpoint.nearest.settings()
    if checkpoint.localizer is not None:
        header["localizer"] = checkpoint.localizer.settings()
    if checkpoint.temperature != 1:
        header["temperature"] = checkpoint.temperature
    if checkpoint.boxes:
        header[TABLE] = [each.record() for each in checkpoint.boxes]
    if checkpoint.output != "softmax":
        header["output"] = checkpoint.output
        if checkpoint.thresholds is not None:
            header["thresholds"] = list(checkpoint.thresholds)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            save_file(tensors, part, metadata={"camcli": json.dumps(header)})
    except OSError as error:
        raise CamcliError(f"Cannot write the checkpoint {path}: {why(error)}.") from error
    except SafetensorError as error:
        # "Error while serializing: I/O error: No space left on device (os error 28)"
        told = re.fullmatch(r".*I/O error: (.*?) \(os error \d+\)", str(error))
        reason = told[1] if told else str(error)
        raise CamcliError(f"Cannot write the checkpoint {path}: {reason}.") from error


def _format_of(checkpoint: Checkpoint) -> int:
    """The oldest format that holds it."""
    if checkpoint.localizer is not None:
        return 5
    if (
        checkpoint.nearest is not None
        or not checkpoint.pooling.plain
        or checkpoint.output == "none"
    ):
        return 4
    return 3 if checkpoint.output != "softmax" else min(checkpoint.members, 2)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UsageError: no such file, or not a checkpoint of camcli.
        CamcliError: corrupt, truncated, with NaN in its weights, or from a newer camcli.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no checkpoint {path}; 'camcli train' writes one." + inside(path)
        )
    check_checkpoint(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("camcli", "null"))
            names = list(file.keys())
            # The description is a few kilobytes: what is wrong there is told before the rest.
            described = _described(header, path, names)
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise CamcliError(
            f"{path} is not a whole safetensors file ({error}); copy it again, or train anew."
        ) from error
    return _with_tensors(described, tensors, path)


def _described(header: Any, path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The fields of a `Checkpoint` that are not tensors, each of the right type.

    Raises:
        UsageError: there is no description: not a checkpoint of camcli.
        CamcliError: one is missing or wrong.
    """
    if not isinstance(header, dict):
        raise UsageError(
            f"{path} is a safetensors file, but not a checkpoint of camcli: give plain weights as "
            f"--model {path}, or with --weights {path} where --model NAME says what they are."
        )
    version = header.get("format")
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise CamcliError(
            f"{path} has checkpoint format {str(version)[:40]}; this camcli reads up to "
            f"{FORMAT}. Update camcli."
        )

    def field_of(name: str, kind: type, default: Any = None) -> Any:
        value = header.get(name, default)
        if type(value) is not kind:
            what = "lacks" if value is None else "has a wrong"
            raise CamcliError(f"{path} is damaged: its description {what} '{name}'.")
        return value

    classes = field_of("classes", list)
    named = all(isinstance(name, str) and name for name in classes)
    if not (classes and named and len(set(classes)) == len(classes)):
        raise CamcliError(f"{path} is damaged: its description has a wrong 'classes'.")
    members = field_of("members", int, 1)
    numbers = {name.split(".")[1] for name in names if name.startswith("backbone.")}
    # Each member has tensors of its own, so there are no more members than names.
    if members < 1 or (members > 1 and numbers != {str(n) for n in range(min(members, 10_000))}):
        raise CamcliError(
            f"{path} is damaged: its tensors are not those of {str(members)[:40]} networks."
        )
    nearest = nearest_settings(header["nearest"], path) if "nearest" in header else None
    if nearest is not None and members > 1:
        raise CamcliError(f"{path} is damaged: its {members} networks have one head.")
    for name in ("head.weight", "head.bias") if nearest is None else NEAREST:
        if name not in names:
            raise CamcliError(f"{path} is damaged: its tensors lack '{name}'.")
    output = field_of("output", str, "softmax")
    if output not in LEARNT:
        raise CamcliError(f"{path} is damaged: its description has a wrong 'output'.")
    thresholds = field_of("thresholds", list, [])
    probable = all(type(each) in (int, float) and 0 < each < 1 for each in thresholds)
    if thresholds and not (probable and len(thresholds) == len(classes)):
        raise CamcliError(f"{path} is damaged: its description has wrong 'thresholds'.")
    temperature = field_of("temperature", float, 1.0)
    if not 0 < temperature < float("inf"):
        raise CamcliError(f"{path} is damaged: its description has a wrong 'temperature'.")
    try:
        boxes = read_records(header.get(TABLE))
    except ValueError as error:
        raise CamcliError(f"{path} is damaged: {error}.") from error
    try:
        pooling = Pooling.read(field_of("pooling", str, "mean"))
    except UsageError as error:
        raise CamcliError(f"{path} is damaged: its description has a wrong 'pooling'.") from error
    preprocess = field_of("preprocess", dict)
    try:
        read = Preprocess.from_dict(preprocess)
    except (KeyError, TypeError, ValueError) as error:
        raise CamcliError(
            f"{path} is damaged: its description has a wrong 'preprocess' ({error})."
        ) from error
    architecture = field_of("architecture", str)
    if not architecture:
        raise CamcliError(f"{path} is damaged: its description lacks 'architecture'.")
    return {
        "architecture": architecture,
        "classes": tuple(classes),
        "preprocess": read,
        "members": members,
        "output": output,
        "thresholds": tuple(map(float, thresholds)) or None,
        "pooling": pooling,
        "temperature": temperature,
        "nearest": nearest,
        "boxes": boxes,
        "localizer": header.get("localizer"),
        **{name: field_of(name, dict, {}) for name in ("config", "metrics", "versions")},
    }


def _with_tensors(described: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Checkpoint:
    """The checkpoint, once its head has the shape that the description says."""
    classes, members = len(described["classes"]), described["members"]
    check_finite(tensors, str(path))
    if described["localizer"] is not None:
        described["localizer"] = read_localizer(tensors, described["localizer"], path)
    backbone = {
        n.removeprefix("backbone."): t for n, t in tensors.items() if n.startswith("backbone.")
    }
    if settings := described.pop("nearest"):
        head = nearest_head(tensors, settings, classes, described["output"], path)
        none = torch.zeros(classes, 0)
        return Checkpoint(
            **described, backbone=backbone, weight=none, bias=torch.zeros(classes), nearest=head
        )
    weight, bias = tensors["head.weight"], tensors["head.bias"]
    if (
        weight.ndim != 2
        or weight.shape[0] != classes
        or bias.shape != (classes,)
        or weight.shape[1] % members
        or not weight.is_floating_point()
        or not bias.is_floating_point()
    ):
        raise CamcliError(
            f"{path} is damaged: it names {counted(classes, 'class', 'classes')}, and its head is "
            f"{shape_of(weight)} with {shape_of(bias)}."
        )
    return Checkpoint(**described, backbone=backbone, weight=weight, bias=bias)
