"""What a photograph is to the network, in few numbers: alike photographs have alike ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from camcli.batch.tables.heatmaps import FEATURES


def projection(channels: int) -> np.ndarray:
    """The fixed turn from `channels` numbers to fewer, (channels, n) float32, n at most `FEATURES`.

    Its columns are orthonormal, so angles between photographs are kept to a few degrees. It is made
    from the number of channels alone: shards and resumed runs, on whatever machine, tell the same
    photograph the same numbers.
    """
    if channels <= FEATURES:
        return np.eye(channels, dtype=np.float32)
    # The one generator of NumPy whose numbers never change from one version to the next.
    drawn = np.random.RandomState(channels).standard_normal((channels, FEATURES))
    columns, corner = np.linalg.qr(drawn)
    signs = np.where(np.diag(corner) < 0, -1.0, 1.0)  # LAPACK is free to choose them
    return (columns * signs).astype(np.float32)


@lru_cache(maxsize=4)
def _projection(channels: int, device: str) -> Tensor:
    return torch.from_numpy(projection(channels)).to(device)


def pooled_features(A: Tensor) -> list[np.ndarray | None]:
    """The features of a batch, averaged over the picture, projected, and of length 1.

    Args:
        A: (B, K, h, w), float32.

    Returns:
        For each image (n,) float16, all 0 where the network's features are; None where they are
        not finite.
    """
    mean = A.mean((2, 3))
    # Large ones would overflow on the way to their length.
    high = mean.abs().amax(1, keepdim=True)
    turned = (mean / torch.where(high > 0, high, 1)) @ _projection(mean.shape[1], str(mean.device))
    length = turned.norm(dim=1, keepdim=True)
    rows = (turned / torch.where(length > 0, length, 1)).cpu().numpy()
    return [row.astype(np.float16) if np.isfinite(row).all() else None for row in rows]
