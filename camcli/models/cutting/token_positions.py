"""Where in a picture a token is: small parts of it are changed, and the tokens that answer noted.

Used where a network does not show on which grid its tokens lie, so that their number alone would
have to do: sixteen rows may be 4 x 4 places, or a matrix of 16 channels by 16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.models.cutting.tokens import TensorLayout

# (y, x) of what is changed, in shares of the sides: away from the borders of usual grids' cells.
_SPOTS = ((0.05, 0.05), (0.34, 0.63), (0.63, 0.20), (0.20, 0.91), (0.91, 0.34), (0.77, 0.77))
# A spot may be seen by two neighbouring tokens where there are many.
_MANY = 6


def disturbed(shape: tuple[int, int, int]) -> Tensor:
    """A picture, and copies of it with one spot changed: (1 + spots, C, H, W).

    Args:
        shape: (C, H, W).
    """
    _, H, W = shape
    picture = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
    copies = picture.repeat(len(_SPOTS) + 1, 1, 1, 1)
    tall, wide = max(1, H // 32), max(1, W // 32)
    for copy, (y, x) in zip(copies[1:], _SPOTS, strict=True):
        i, j = min(int(y * H), H - tall), min(int(x * W), W - wide)
        copy[:, i : i + tall, j : j + wide] += 10
    return copies


def answering(value: Tensor) -> Tensor:
    """Number of the token that changed most with each spot, (spots,).

    Args:
        value: (1 + spots, N, K), what the network makes of `disturbed`.
    """
    return (value[1:] - value[:1]).float().norm(dim=2).argmax(1)


def lies_so(held: TensorLayout, tokens: Tensor) -> bool:
    """Whether the tokens that answered are at the spots' places, all but one.

    Args:
        held: how the tokens are supposed to lie.
        tokens: from `answering`.
    """
    _, h, w = held.shape
    slack = 1 if min(h, w) >= _MANY else 0
    right = 0
    for (y, x), token in zip(_SPOTS, tokens.tolist(), strict=True):
        i, j = divmod(token - held.prefix, w)
        right += (
            token >= held.prefix and abs(i - int(y * h)) <= slack and abs(j - int(x * w)) <= slack
        )
    return right >= len(_SPOTS) - 1
