"""A trained classifier as one safetensors file: backbone, head, classes, preprocess, provenance.

Self-contained: opening one never touches the network, and never runs code that is in the file.

Layout: tensors ``backbone.<name in the architecture>``, ``head.weight`` (C, K), ``head.bias``
(C,); the header's ``camcli`` entry holds the rest as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from camcli.data.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_file

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        architecture: the backbone, as `camcli.models.zoo.build_model` names it.
        classes: the C class names.
        preprocess: from RGB pixels to the backbone's input.
        backbone: the architecture's tensors up to the cut.
        weight: of the head, (C, K).
        bias: of the head, (C,).
        config: the training's settings.
        metrics: what it reached.
        versions: of the libraries that trained it.
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


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file is either whole or not there.

    Raises:
        CamcliError: it cannot be written.
    """
    tensors = {f"backbone.{name}": t for name, t in checkpoint.backbone.items()}
    tensors |= {"head.weight": checkpoint.weight, "head.bias": checkpoint.bias}
    # Contiguous copies: safetensors refuses shared and strided memory.
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    header = {
        "format": FORMAT,
        "architecture": checkpoint.architecture,
        "classes": list(checkpoint.classes),
        "preprocess": checkpoint.preprocess.to_dict(),
        "config": dict(checkpoint.config),
        "metrics": dict(checkpoint.metrics),
        "versions": dict(checkpoint.versions),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            save_file(tensors, part, metadata={"camcli": json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise CamcliError(f"Cannot write the checkpoint {path}: {error}.") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UsageError: no such file, or not a checkpoint of camcli.
        CamcliError: corrupt, truncated, or from a newer camcli.
    """
    if not path.is_file():
        raise UsageError(f"There is no checkpoint {path}; 'camcli train' writes one.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("camcli", "null"))
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError) as error:
        raise CamcliError(
            f"{path} is not a whole safetensors file ({error}); copy it again, or train anew."
        ) from error
    if not isinstance(header, dict):
        raise UsageError(
            f"{path} is a safetensors file, but not a checkpoint of camcli; give plain weights "
            "with --weights FILE and --model NAME."
        )
    if header.get("format") != FORMAT:
        raise CamcliError(
            f"{path} has checkpoint format {header.get('format')}; this camcli reads {FORMAT}. "
            "Update camcli."
        )
    try:
        return Checkpoint(
            architecture=str(header["architecture"]),
            classes=tuple(map(str, header["classes"])),
            preprocess=Preprocess.from_dict(header["preprocess"]),
            backbone={
                n.removeprefix("backbone."): t
                for n, t in tensors.items()
                if n.startswith("backbone.")
            },
            weight=tensors["head.weight"],
            bias=tensors["head.bias"],
            config=header.get("config", {}),
            metrics=header.get("metrics", {}),
            versions=header.get("versions", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CamcliError(f"{path} is damaged: its description lacks {error}.") from error
