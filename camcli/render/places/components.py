"""Directions in which points differ most."""

from __future__ import annotations

import numpy as np


def principal(points: np.ndarray, most: int) -> np.ndarray:
    """Coordinates of points along their principal components.

    Args:
        points: (N, D).
        most: components at most.

    Returns:
        (N, d) float32, d at most `most`, D and N; around 0, the first axis with the largest
        spread. Each axis points to where its largest coordinate is.
    """
    points = points.astype(np.float32, copy=False)
    centred = points - points.mean(0, dtype=np.float64).astype(np.float32)
    spread = (centred.T @ centred).astype(np.float64)
    _, vectors = np.linalg.eigh(spread)
    axes = vectors[:, ::-1][:, : min(most, len(points))]
    found = centred @ axes.astype(np.float32)
    largest = found[np.abs(found).argmax(0), np.arange(found.shape[1])]
    return found * np.where(largest < 0, -1, 1).astype(np.float32)
