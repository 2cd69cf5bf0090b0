"""A head that asks its nearest training images, in a file, which is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camcli.errors import CamcliError
from camcli.models.pooling.nearest import NearestHead

_OWN = ("features", "targets", "scale")
NEAREST = tuple(f"nearest.{name}" for name in _OWN)
"""Its tensors in a file."""


def nearest_tensors(head: NearestHead) -> dict[str, Tensor]:
    """What of it is written: features in 16 bits, as they were rounded to before."""
    tensors = {f"nearest.{name}": getattr(head, name) for name in _OWN}
    return tensors | {"nearest.features": head.features.half()}


def nearest_settings(value: Any, path: Path) -> dict[str, Any]:
    """The settings that a description has.

    Raises:
        CamcliError: they are none.
    """
    if isinstance(value, dict) and set(value) == {"k", "sharpness", "temperature"}:
        k, *positive = value["k"], value["sharpness"], value["temperature"]
        if type(k) is int and k > 0 and all(type(v) is float and 0 < v < 1e6 for v in positive):
            return value
    raise CamcliError(f"{path} is damaged: its description has a wrong 'nearest'.")


def nearest_head(
    tensors: Mapping[str, Tensor], settings: dict[str, Any], classes: int, output: str, path: Path
) -> NearestHead:
    """The head, from tensors that are finite.

    Raises:
        CamcliError: they do not fit together.
    """
    features, targets, scale = (tensors[name] for name in NEAREST)
    several = output == "sigmoid"
    fits = (
        features.ndim == 2
        and min(features.shape) > 0
        and scale.shape == features.shape[1:]
        and all(t.is_floating_point() for t in (features, scale))
        and targets.shape == (len(features), *([classes] if several else []))
        and (targets.is_floating_point() if several else targets.dtype == torch.int64)
        and bool((targets >= 0).all())
        and bool((targets <= 1 if several else targets < classes).all())
    )
    if not fits:
        raise CamcliError(
            f"{path} is damaged: its head asks {tuple(features.shape)} images and their classes "
            f"{tuple(targets.shape)}, which do not fit together."
        )
    return NearestHead.of_units(features, targets, classes, scale, settings)
