"""Maps as networks hold them: channels first, channels last, or a transformer's tokens.

A camcli map is always A (B, K, h, w). What a network calls by another shape is turned into that at
the cut, and back in the tail. Prefix tokens (the class token, registers, DeiT's distillation
token) have no place in a map: they stay with the tail.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from camcli.errors import CamcliError

Layout = Literal["maps", "last", "tokens"]
# More prefix tokens than any network known: one class token, one to distil, a few registers.
MOST_PREFIX = 16


def layout_of(shape: tuple[int, ...]) -> Layout | None:
    """How a tensor made from square images holds maps, if it does.

    Args:
        shape: (B, K, h, w), (B, h, w, K), or (B, P + h·w, K) with a few prefix tokens P.
    """
    if len(shape) == 4 and shape[2] == shape[3] > 1:
        return "maps"
    if len(shape) == 4 and shape[1] == shape[2] > 1:
        return "last"
    if len(shape) == 3 and _grid(shape[1]) > 1 and shape[1] - _grid(shape[1]) ** 2 <= MOST_PREFIX:
        return "tokens"
    return None


def _grid(tokens: int) -> int:
    return math.isqrt(tokens)


def to_maps(value: Tensor, layout: Layout) -> tuple[Tensor, ...]:
    """The maps (B, K, h, w), and for tokens with a prefix also that (B, P, K).

    Raises:
        CamcliError: tokens that do not fill a square, because the images were not square.
    """
    if layout == "maps":
        return (value,)
    if layout == "last":
        return (value.permute(0, 3, 1, 2),)
    B, N, K = value.shape
    side = _grid(N)
    prefix = N - side * side
    if prefix > MOST_PREFIX:
        raise CamcliError(
            f"This layer's {N} tokens do not lie on a square grid: give square images "
            "(--fit crop or --fit squash)."
        )
    maps = value[:, prefix:].transpose(1, 2).reshape(B, K, side, side)
    return (maps, value[:, :prefix]) if prefix else (maps,)


def from_maps(A: Tensor, layout: Layout, prefix: Tensor | None = None) -> Tensor:
    """The inverse of `to_maps`."""
    if layout == "maps":
        return A
    if layout == "last":
        return A.permute(0, 2, 3, 1)
    tokens = A.flatten(2).transpose(1, 2)
    return tokens if prefix is None else torch.cat([prefix, tokens], 1)


def prefix_tokens(shape: tuple[int, ...], layout: Layout) -> int:
    """How many tokens of a tensor of this shape are no part of the map."""
    return shape[1] - _grid(shape[1]) ** 2 if layout == "tokens" else 0


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(K, h, w) of a tensor that holds maps."""
    layout = layout_of(shape)
    if layout == "maps":
        return shape[1], shape[2], shape[3]
    if layout == "last":
        return shape[3], shape[1], shape[2]
    side = int((shape[1] - prefix_tokens(shape, "tokens")) ** 0.5 + 0.5)
    return shape[2], side, side
