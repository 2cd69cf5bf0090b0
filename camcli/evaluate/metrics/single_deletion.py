"""Do the patches rank as the network ranks them (Hesse et al. 2024, arXiv 2407.11910)?

A photograph is cut into patches; each alone is taken away, and the logit of the explained class
falls by so much. A map is as good as the rank correlation of its sums over the patches with those
falls. The truth needs one pass a patch, whatever the number of maps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from camcli.evaluate.metrics.sanity import rank_correlation

GRID = 4
"""Patches a side, as the paper has it."""


def edges(side: int, cells: int) -> list[int]:
    """Where cells of a side begin and end: cells + 1 places.

    Example:
        >>> edges(10, 4)
        [0, 2, 5, 8, 10]
    """
    return [round(n * side / cells) for n in range(cells + 1)]


def without_each(x: Tensor, grid: int = GRID) -> Tensor:
    """Images (grid², 3, H, W), each without one patch of x (3, H, W), row by row.

    What is taken away has the mean colour, 0, as in the paper.
    """
    rows, columns = edges(x.shape[1], grid), edges(x.shape[2], grid)
    images = x.repeat(grid * grid, 1, 1, 1)
    for n in range(grid * grid):
        r, c = divmod(n, grid)
        images[n, :, rows[r] : rows[r + 1], columns[c] : columns[c + 1]] = 0
    return images


def patch_sums(heatmap: np.ndarray, shape: tuple[int, int], grid: int = GRID) -> np.ndarray:
    """Sums of a map over the patches, (grid²,), row by row.

    Args:
        heatmap: (h, w), signed: what speaks against the class counts as such.
        shape: (H, W) of the input, to which the map is spread.
        grid: patches a side.
    """
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(heatmap.astype(np.float64))[None, None], shape, mode="bilinear"
    )[0, 0]
    rows, columns = edges(shape[0], grid), edges(shape[1], grid)
    total = torch.zeros(shape[0] + 1, shape[1] + 1, dtype=torch.float64)
    total[1:, 1:] = fine.cumsum(0).cumsum(1)
    corner = total[rows][:, columns]
    return (corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]).flatten().numpy()


def deletion_score(heatmap: np.ndarray, falls: np.ndarray, shape: tuple[int, int]) -> float:
    """Spearman's correlation of a map with what its patches cost; 1 is best, 0 says nothing.

    Args:
        heatmap: (h, w), signed.
        falls: (grid²,), by how much the logit falls without each patch.
        shape: (H, W) of the input.

    Returns:
        0 where either has no order, such as an empty map's.
    """
    sums = patch_sums(heatmap, shape, round(len(falls) ** 0.5))
    # Sums that differ by less than rounding do are equal, or an even map would have an order.
    spread = np.abs(sums).max()
    return rank_correlation(np.round(sums / spread, 9) if spread > 0 else sums, falls)
