"""A small convolution on a network's last map that was trained on boxes: where such things are.

It is no explanation: the class's score has no part in it, and it would point at a dog that the
network takes for a cat for the wrong reasons. Choe et al. (arXiv 2001.07437) found that as few as
five boxes a class make a better localizer than any class activation map; a checkpoint can hold one
beside its head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from camcli.errors import CamcliError
from camcli.printable import counted

LOCALIZER = ("localizer.mean", "localizer.weight", "localizer.bias")
"""Its tensors in a checkpoint."""
SIDES = (1, 3)
"""Cells a side of its kernel."""


@dataclass(frozen=True, slots=True, eq=False)
class Localizer:
    """Whether each cell of a map is inside of a box: p = σ(w * (A - mean) + b).

    Attributes:
        mean: of each channel where it was trained, (K,): what lies beyond the map's edges is that.
        weight: (1, K, n, n), n one of `SIDES`.
        bias: (1,).
        layer: of the network, whose map A is.
        offset: q, taken off the probabilities: chosen so that the part above 20% of the maximum
            of p - q is where boxes of photographs were that had no part in the training.
        learnt: SHA-256 in hex of the files of the photographs that it learnt from.
        facts: what is known of the training: counts, strengths, what it reached.
    """

    mean: Tensor
    weight: Tensor
    bias: Tensor
    layer: str
    offset: float = 0.5
    learnt: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """K."""
        return self.weight.shape[1]

    def logits(self, A: Tensor) -> Tensor:
        """Log-odds (B, h, w) that a cell of the maps A (B, K, h, w) is inside of a box."""
        mean, weight, bias = (t.to(A) for t in (self.mean, self.weight, self.bias))
        side = weight.shape[2] // 2
        return functional.conv2d(A - mean[:, None, None], weight, bias, padding=side)[:, 0]

    def __call__(self, A: Tensor) -> Tensor:
        """M = p - q (B, h, w) of maps A (B, K, h, w); nowhere above 0 where nothing is found."""
        return self.logits(A).sigmoid() - self.offset

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps as tensors."""
        return dict(zip(LOCALIZER, (self.mean, self.weight, self.bias), strict=True))

    def told(self) -> str:
        """What taught it, and how good it was, as far as its checkpoint says."""
        boxes, photographs = (self.facts.get(name) for name in ("boxes", "photographs"))
        reached = self.facts.get("box_iou")
        words = "Holds a localizer: --method trained-on-boxes shows where things like those are"
        if type(boxes) is int and type(photographs) is int:
            words += (
                f" that {counted(boxes, 'box', 'boxes')} of {counted(photographs, 'photograph')} "
                "taught it"
            )
        if type(reached) is float and isfinite(reached):
            words += f" (mean IoU {reached:.2f} on those left out)"
        return words

    def settings(self) -> dict[str, Any]:
        """What a checkpoint keeps in its description."""
        return {
            "layer": self.layer,
            "offset": self.offset,
            "learnt": list(self.learnt),
            **self.facts,
        }


def read_localizer(tensors: Mapping[str, Tensor], settings: Any, path: Path) -> Localizer:
    """A checkpoint's localizer.

    Args:
        tensors: of the checkpoint, by name.
        settings: what its description says under ``localizer``.
        path: of the checkpoint.

    Raises:
        CamcliError: something is missing, or has not the shape that it must have.
    """
    damaged = f"{path} is damaged: its localizer"
    if not isinstance(settings, dict):
        raise CamcliError(f"{damaged} has no description.")
    if missing := [name for name in LOCALIZER if name not in tensors]:
        raise CamcliError(f"{damaged} lacks the tensor '{missing[0]}'.")
    mean, weight, bias = (tensors[name] for name in LOCALIZER)
    shaped = weight.ndim == 4 and weight.shape[0] == 1 and weight.shape[2] == weight.shape[3]
    fits = shaped and mean.shape == weight.shape[1:2] and bias.shape == (1,)
    floats = all(t.is_floating_point() for t in (mean, weight, bias))
    if not (fits and floats and weight.shape[2] in SIDES):
        raise CamcliError(
            f"{damaged} is {tuple(weight.shape)} with {tuple(mean.shape)} and {tuple(bias.shape)}, "
            "and should be (1, K, 1, 1) or (1, K, 3, 3) with (K,) and (1,)."
        )
    facts = dict(settings)
    offset, learnt = facts.pop("offset", None), facts.pop("learnt", [])
    if type(offset) not in (int, float) or not isfinite(offset) or not 0 <= offset < 1:
        raise CamcliError(f"{damaged} has a wrong 'offset'.")
    layer = facts.pop("layer", None)
    if not (isinstance(layer, str) and layer):
        raise CamcliError(f"{damaged} has a wrong 'layer'.")
    if not (isinstance(learnt, list) and all(isinstance(each, str) for each in learnt)):
        raise CamcliError(f"{damaged} has a wrong 'learnt'.")
    return Localizer(mean, weight, bias, layer, float(offset), tuple(learnt), facts)
