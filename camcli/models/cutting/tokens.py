"""Maps as networks hold them: channels first, channels last, or a transformer's tokens.

A camcli map is always A (B, K, h, w). What a network calls by another shape is turned into that at
the cut, and back in the tail. Prefix tokens (the class token, registers, DeiT's distillation
token) have no place in a map: they stay with the tail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from camcli.errors import CamcliError

Kind = Literal["maps", "last", "tokens"]
Grid = tuple[int, int]
# More prefix tokens than any network known: one class token, one to distil, a few registers.
MOST_PREFIX = 16


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """How a tensor holds maps.

    Attributes:
        kind: (B, K, h, w), (B, h, w, K), or (B, P + h·w, K) with a few prefix tokens P.
        shape: of the map, (K, h, w), for the trial's images.
        prefix: P.
    """

    kind: Kind
    shape: tuple[int, int, int]
    prefix: int = 0


def possible_layouts(shape: tuple[int, ...], image: Grid) -> list[TensorLayout]:
    """How a tensor may hold maps, as far as its shape tells; the likeliest first.

    Args:
        shape: of the tensor.
        image: (height, width) of the images that it was made from; maps have their proportions.
    """
    if len(shape) == 4:
        sides = shape[1:]
        found = []
        if fits((sides[1], sides[2]), image):
            found.append(TensorLayout("maps", (sides[0], sides[1], sides[2])))
        if fits((sides[0], sides[1]), image):
            found.append(TensorLayout("last", (sides[2], sides[0], sides[1])))
        return found
    if len(shape) != 3:
        return []
    _, N, K = shape
    grids = []
    for h in range(2, math.isqrt(N * max(image) // min(image)) + 2):
        wide = h * image[1] / image[0]
        for w in {math.floor(wide), math.ceil(wide)}:
            if w > 1 and 0 <= N - h * w <= MOST_PREFIX and fits((h, w), image):
                grids.append((h, w))
    return [
        TensorLayout("tokens", (K, h, w), N - h * w)
        for h, w in sorted(grids, key=lambda grid: -grid[0] * grid[1])
    ]


def layout_of(
    shape: tuple[int, ...], image: Grid, grids: Iterable[Grid] | None = None
) -> TensorLayout | None:
    """How a tensor holds maps, if it does, by its shape.

    Args:
        shape: of the tensor.
        image: (height, width) of the images that it was made from; maps have their proportions.
        grids: those that tokens may lie on, (h, w); None where that is not known, and the number
            of tokens must do.
    """
    known = None if grids is None else set(grids)
    for held in possible_layouts(shape, image):
        if held.kind != "tokens" or known is None or held.shape[1:] in known:
            return held
    return None


def fits(grid: Grid, image: Grid) -> bool:
    """Whether a grid has the proportions of an image, but for rounding where that is no square."""
    (h, w), (H, W) = grid, image
    if H == W:
        return h == w > 1
    return min(h, w) > 1 and abs(h * W - w * H) <= max(H, W)


def to_maps(value: Tensor, layout: TensorLayout) -> tuple[Tensor, ...]:
    """The maps (B, K, h, w), and for tokens with a prefix also that (B, P, K).

    Raises:
        CamcliError: tokens whose places are not known, because the images were not square.
    """
    if layout.kind == "maps":
        return (value,)
    if layout.kind == "last":
        return (value.permute(0, 3, 1, 2),)
    B, N, K = value.shape
    (_, h, w), prefix = layout.shape, layout.prefix
    if N - prefix != h * w:  # images of another size
        h = w = math.isqrt(max(0, N - prefix))
    if N - prefix != h * w:
        raise CamcliError(
            f"This layer's {N} tokens do not lie on a square grid: give square images "
            "(--fit crop or --fit squash)."
        )
    maps = value[:, prefix:].transpose(1, 2).reshape(B, K, h, w)
    return (maps, value[:, :prefix]) if prefix else (maps,)


def from_maps(A: Tensor, layout: TensorLayout, prefix: Tensor | None = None) -> Tensor:
    """The inverse of `to_maps`."""
    if layout.kind == "maps":
        return A
    if layout.kind == "last":
        return A.permute(0, 2, 3, 1)
    tokens = A.flatten(2).transpose(1, 2)
    return tokens if prefix is None else torch.cat([prefix, tokens], 1)
