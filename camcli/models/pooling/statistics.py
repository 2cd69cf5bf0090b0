"""Statistics of maps, and the maps whose means they are.

A head on any of them adds up S = Σ_k w_k s_k + b. Each s_k is the mean of a map a_k that says how
much of it comes from each place, so S = Σ_k w_k mean(a_k) + b: with the a_k in the place of A this
is GAP + linear again, with every closed form of it, and the map Σ_k w_k a_k adds up to S - b
exactly. With Z = h·w places:

- mean: a = A.
- max: a = Z A at the place of the maximum, shared where several places have it, and 0 elsewhere.
- gem: (mean A^p)^(1/p) = mean(A^p) / gem^(p-1), so a = A^p / gem^(p-1); of what is above 0.
- std: sqrt(mean (A - μ)²) = mean (A - μ)² / std, so a = (A - μ)² / std.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from camcli.models.pooling.pooling import Pooling

POWER = 3.0
"""p of the generalised mean."""
EPS = 1e-6
"""Below any feature that means something; keeps roots and quotients of empty maps finite."""


def statistic(kind: str, A: Tensor) -> Tensor:
    """S (B, K) of maps A (B, K, h, w); `kind` is one of `camcli.models.pooling.pooling.KINDS`."""
    if kind == "mean":
        return A.mean((2, 3))
    if kind == "max":
        return A.amax((2, 3))
    if kind == "gem":
        return A.clamp(min=EPS).pow(POWER).mean((2, 3)).pow(1 / POWER)
    return ((A - A.mean((2, 3), keepdim=True)).square().mean((2, 3)) + EPS).sqrt()


def shares(kind: str, A: Tensor) -> Tensor:
    """A (B, K, h, w) with ``a.mean((2, 3)) == statistic(kind, A)``: how much each place gives."""
    if kind == "mean":
        return A
    s = statistic(kind, A)[:, :, None, None]
    if kind == "max":
        top = (s <= A).to(A)  # not ==: what runs it may round the two apart
        return s * top / top.mean((2, 3), keepdim=True).clamp(min=EPS)
    if kind == "gem":
        return A.clamp(min=EPS).pow(POWER) / s.square()
    return ((A - A.mean((2, 3), keepdim=True)).square() + EPS) / s


def pool(pooling: Pooling, maps: Mapping[str, Tensor]) -> Tensor:
    """What a head is given, (B, K').

    Args:
        pooling: the choice.
        maps: A (B, K, h, w) of each layer in it.
    """
    s = torch.cat([statistic(each.kind, maps[each.layer]) for each in pooling.statistics], 1)
    return s / s.norm(dim=1, keepdim=True).clamp(min=EPS) if pooling.unit else s


def pooled_maps(pooling: Pooling, maps: Mapping[str, Tensor]) -> Tensor:
    """The maps (B, K', h, w) whose means are `pool`, on the coarsest grid.

    Maps of other layers are brought to that grid by the share of area, which keeps their means.
    """
    grid = min((maps[layer].shape[2:] for layer in pooling.layers), key=lambda hw: hw[0] * hw[1])
    a = torch.cat(
        [to_grid(shares(each.kind, maps[each.layer]), *grid) for each in pooling.statistics], 1
    )
    if not pooling.unit:
        return a
    return (
        a / pool(Pooling(pooling.statistics), maps).norm(dim=1).clamp(min=EPS)[:, None, None, None]
    )


def pooled_shape(
    pooling: Pooling, shapes: Mapping[str, tuple[int, int, int]]
) -> tuple[int, int, int]:
    """(K', h, w) of `pooled_maps`, of the shapes (K, h, w) of the maps of each layer."""
    height, width = min((shapes[n][1:] for n in pooling.layers), key=lambda hw: hw[0] * hw[1])
    return sum(shapes[each.layer][0] for each in pooling.statistics), height, width


def to_grid(a: Tensor, height: int, width: int) -> Tensor:
    """A (B, K, h, w) -> (B, K, height, width), with the same mean, by the area that cells share."""
    if a.shape[2:] == (height, width):
        return a
    return _areas(a.shape[2], height, a) @ a @ _areas(a.shape[3], width, a).T


def _areas(before: int, after: int, like: Tensor) -> Tensor:
    """(after, before): the share of each new cell that lies in each old one; rows add up to 1."""
    old = torch.arange(before, device=like.device, dtype=like.dtype) / before
    new = torch.arange(after, device=like.device, dtype=like.dtype) / after
    low = torch.maximum(new[:, None], old[None])
    high = torch.minimum(new[:, None] + 1 / after, old[None] + 1 / before)
    return (high - low).clamp(min=0) * after
