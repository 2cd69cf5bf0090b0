"""Where in a picture a token is: small parts of it are changed, and the tokens that answer noted.

Used where a network does not show where its values come from, so that their shape alone would have
to do: sixteen rows may be 4 x 4 places, or a matrix of 16 channels by 16. The cells of a map are
told in the same way, as tokens in rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.models.cutting.tokens import TensorLayout, to_maps

# (y, x) of what is changed, in shares of the sides: away from the borders of usual grids' cells.
_SPOTS = ((0.05, 0.05), (0.34, 0.63), (0.63, 0.20), (0.20, 0.91), (0.91, 0.34), (0.77, 0.77))
# A spot may be seen by two neighbouring tokens where there are many.
_MANY = 6
# So far from a cell's middle, in cells, a spot may be that shows most there.
_NEAR, _NEAR_OF_MANY = 0.8, 1.5
# The share of a side that a spot has.
_SMALL = 24


def disturbed(shape: tuple[int, int, int], picture: Tensor | None = None) -> Tensor:
    """A picture, and copies of it with one spot changed: (1 + spots, C, H, W).

    Args:
        shape: (C, H, W).
        picture: of that shape; by default noise around zero.
    """
    _, H, W = shape
    if picture is None:
        picture = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    copies = picture[None].repeat(len(_SPOTS) + 1, 1, 1, 1)
    # Not so small that a first layer's stride may pass over them.
    tall, wide = max(2, H // _SMALL), max(2, W // _SMALL)
    for copy, (y, x) in zip(copies[1:], _SPOTS, strict=True):
        i = min(max(0, round(y * H - tall / 2)), H - tall)
        j = min(max(0, round(x * W - wide / 2)), W - wide)
        copy[:, i : i + tall, j : j + wide] += 10
    return copies


def answering(value: Tensor) -> Tensor:
    """Number of the token that changed most with each spot, (spots,).

    A token that changes whatever is changed, as some of a trained transformer do, counts by what
    it changes more than on the average.

    Args:
        value: (1 + spots, N, K), what the network makes of `disturbed`.
    """
    change = (value[1:] - value[:1]).float().norm(dim=2)
    usual = change.mean(0, keepdim=True)
    return (change * change / torch.where(usual > 0, usual, 1)).argmax(1)


def answers_of(value: Tensor, possible: list[TensorLayout]) -> dict[TensorLayout, Tensor]:
    """Which places of a value answer to the spots of `disturbed`, by layout.

    Args:
        value: (1 + spots, ...).
        possible: the layouts that it may have.
    """
    found: dict[TensorLayout, Tensor] = {}
    rows: Tensor | None = None
    for held in possible:
        if held.kind == "tokens":
            rows = answering(value) if rows is None else rows
            found[held] = rows
        else:
            found[held] = answering(to_maps(value, held)[0].flatten(2).transpose(1, 2))
    return found


def lies_so(held: TensorLayout, tokens: Tensor) -> bool:
    """Whether the tokens that answered are at the spots' places, all but one.

    Args:
        held: how the tokens are supposed to lie.
        tokens: from `answering`.
    """
    _, h, w = held.shape
    near = _NEAR_OF_MANY if min(h, w) >= _MANY else _NEAR
    # Where cells are smaller than a spot, any of those that it covers.
    up, across = max(near, h / _SMALL), max(near, w / _SMALL)
    right = 0
    for (y, x), token in zip(_SPOTS, tokens.tolist(), strict=True):
        i, j = divmod(token - held.prefix, w)
        right += (
            token >= held.prefix and abs(i + 0.5 - y * h) <= up and abs(j + 0.5 - x * w) <= across
        )
    return right >= len(_SPOTS) - 1
