"""The nearest of many points, by looking at all of them."""

from __future__ import annotations

import numpy as np

_AT_ONCE = 1 << 24  # distances held at a time


def nearest(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest others of each point.

    Args:
        points: (N, D), N more than k.
        k: at least 1.

    Returns:
        Their numbers (N, k), the nearest first, and their distances (N, k) float32.
    """
    points = np.ascontiguousarray(points, np.float32)
    square = (points**2).sum(1)
    numbers = np.empty((len(points), k), np.int32)
    distance = np.empty((len(points), k), np.float32)
    step = max(1, _AT_ONCE // len(points))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        far = square - 2 * (points[part] @ points.T)  # but for each point's own length
        rows = np.arange(len(far))
        far[rows, rows + start] = np.inf
        found = np.argpartition(far, k - 1, axis=1)[:, :k]
        gaps = np.take_along_axis(far, found, 1)
        order = np.argsort(gaps, axis=1, kind="stable")
        numbers[part] = np.take_along_axis(found, order, 1)
        gaps = np.take_along_axis(gaps, order, 1) + square[part, None]
        distance[part] = np.sqrt(np.maximum(gaps, 0))
    return numbers, distance


def nearest_of(points: np.ndarray, known: np.ndarray, k: int) -> np.ndarray:
    """The `k` nearest among other points.

    Args:
        points: (N, D).
        known: (M, D), M at least k.
        k: few.

    Returns:
        Numbers (N, k) of known points, the nearest first.
    """
    points = np.ascontiguousarray(points, np.float32)
    known = np.ascontiguousarray(known, np.float32)
    square = (known**2).sum(1)
    numbers = np.empty((len(points), k), np.int32)
    step = max(1, _AT_ONCE // len(known))
    for start in range(0, len(points), step):
        far = square - 2 * (points[start : start + step] @ known.T)
        rows = np.arange(len(far))
        for place in range(k):  # a few times the least is faster than any order
            least = far.argmin(1)
            numbers[start : start + step, place] = least
            far[rows, least] = np.inf
    return numbers
