"""Confidence intervals by resampling the photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def intervals(
    compute: Callable[[np.ndarray], dict[str, float]],
    count: int,
    *,
    repeats: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap (Efron 1979): the metrics of sets drawn with replacement.

    Two methods with the same `seed` and photographs see the same draws. A metric that takes the
    best threshold over a set takes it anew in each draw.

    Args:
        compute: weights (N,) of the photographs, which are counts -> metrics.
        count: N.
        repeats: sets drawn.
        level: of confidence.
        seed: of the draws.

    Returns:
        (low, high) for each metric.

    Example:
        >>> values = np.arange(100.0)
        >>> lo, hi = intervals(lambda w: {"mean": w @ values / w.sum()}, 100)["mean"]
        >>> bool(lo < 49.5 < hi)
        True
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(repeats):
        weights = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
        for name, value in compute(weights).items():
            drawn.setdefault(name, []).append(value)
    tail = 50 * (1 - level)
    return {
        name: (float(np.percentile(values, tail)), float(np.percentile(values, 100 - tail)))
        for name, values in drawn.items()
    }
