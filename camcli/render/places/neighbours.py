"""The nearest of many points, by looking at all of them."""

from __future__ import annotations

import numpy as np

_AT_ONCE = 1 << 22  # distances held at a time


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
