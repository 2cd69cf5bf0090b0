"""The backbone of a head on statistics: images -> the pooled maps, whose means are the statistics.

It stands where any backbone stands: its maps are the features, and a linear head on their means is
GAP + linear on them (`camcli.models.pooling.statistics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pool, pooled_maps

POOLED = "pooling"
"""What the layer of the pooled maps is called."""


class JoinedMaps(nn.Module):
    """The maps of the layers that a pooling looks at -> its pooled maps (B, K', h, w)."""

    def __init__(self, pooling: Pooling) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(self, *maps: Tensor) -> Tensor:
        """Args: A (B, K, h, w) of each of ``pooling.layers``, in that order."""
        return pooled_maps(self.pooling, _by_layer(self.pooling, maps))


class PooledNumbers(nn.Module):
    """Images (B, 3, H, W) -> what a head is given of them, (B, K'), without making its maps."""

    def __init__(self, first: nn.Module, plain: bool, pooling: Pooling) -> None:
        """As `PooledMaps`."""
        super().__init__()
        self.first, self.plain, self.pooling = first, plain, pooling

    def forward(self, images: Tensor) -> Tensor:
        """The means of what `PooledMaps` returns, in a fraction of the time."""
        return pool(self.pooling, _read(self.first(images), self.plain, self.pooling))


class PooledMaps(nn.Module):
    """Images (B, 3, H, W) -> the pooled maps (B, K', h, w)."""

    def __init__(self, first: nn.Module, plain: bool, pooling: Pooling) -> None:
        """A network up to the layers that `pooling` looks at.

        Args:
            first: images (B, 3, H, W) -> A of the one layer if `plain`, else ((A, ...), ...) in
                the order of ``pooling.layers``.
            plain: which of both.
            pooling: what is made of them.
        """
        super().__init__()
        self.first, self.plain, self.pooling = first, plain, pooling

    def forward(self, images: Tensor) -> Tensor:
        """The maps whose means a head is given."""
        return pooled_maps(self.pooling, _read(self.first(images), self.plain, self.pooling))

    def behind(self, run: Callable[[Tensor], Any]) -> PooledMaps | PooledCalls:
        """The same pooling of what `run` returns, which computes `first` in another way."""
        return with_pooling(run, self.plain, self.pooling)

    @property
    def numbers(self) -> PooledNumbers:
        """The same network, for where the maps are not needed; it shares its tensors."""
        return PooledNumbers(self.first, self.plain, self.pooling)


class PooledCalls:
    """The same as `PooledMaps` of what is no module: a network that is run with hooks in it."""

    def __init__(self, first: Callable[[Tensor], Any], plain: bool, pooling: Pooling) -> None:
        """As `PooledMaps`."""
        self.first, self.plain, self.pooling = first, plain, pooling

    def __call__(self, images: Tensor) -> Tensor:
        """The pooled maps (B, K', h, w)."""
        return pooled_maps(self.pooling, self._maps(images))

    def numbers(self, images: Tensor) -> Tensor:
        """Their means (B, K')."""
        return pool(self.pooling, self._maps(images))

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        return _read(self.first(images), self.plain, self.pooling)


def with_pooling(
    first: Callable[[Tensor], Any], plain: bool, pooling: Pooling
) -> PooledMaps | PooledCalls:
    """A network up to the layers of a pooling, and the pooling behind it; see `PooledMaps`."""
    kind = PooledMaps if isinstance(first, nn.Module) else PooledCalls
    return kind(first, plain, pooling)  # type: ignore[arg-type]


def _read(out: Any, plain: bool, pooling: Pooling) -> dict[str, Tensor]:
    return _by_layer(pooling, [out] if plain else [A for A, *_ in out])


def _by_layer(pooling: Pooling, maps: Sequence[Tensor]) -> dict[str, Tensor]:
    # Not in 16 bits, of which squares and cubes are far off.
    wide = [A if A.dtype == torch.float64 else A.float() for A in maps]
    return dict(zip(pooling.layers, wide, strict=True))
