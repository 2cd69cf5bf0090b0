"""Confidence intervals by resampling the photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import numpy as np


class Weighed(Protocol):
    """Metrics of rows that can be given weights."""

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The metrics by name, of rows that count `weights` (N,) times; equally by default."""


WeighedRows = TypeVar("WeighedRows", bound=Weighed)


class ByPhotograph(Generic[WeighedRows]):
    """Metrics with any number of rows a photograph, of which whole photographs are drawn.

    A photograph of several labels has a row for each, and these are not independent: drawn one by
    one they would make intervals too narrow. The metrics themselves count each row once.

    Example:
        >>> from camcli.evaluate.metrics.means import Means
        >>> of = ByPhotograph(Means())
        >>> for photograph, value in ((0, 1.0), (0, 0.0), (1, 0.5)):
        ...     of.photograph(photograph).add({"x": value})
        >>> len(of), of.compute(), of.compute(np.array([0.0, 2.0]))
        (2, {'x': 0.5}, {'x': 0.5})
    """

    def __init__(self, part: WeighedRows) -> None:
        """`part` takes the rows."""
        self._part = part
        self._places: dict[int, int] = {}
        self._rows: list[int] = []

    def photograph(self, number: int) -> WeighedRows:
        """Where one row is to be added now, which is of this photograph."""
        self._rows.append(self._places.setdefault(number, len(self._places)))
        return self._part

    def __len__(self) -> int:
        """The photographs, not their rows."""
        return len(self._places)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The metrics.

        Args:
            weights: (N,) of the photographs; equal by default.
        """
        return self._part.compute(None if weights is None else weights[self._rows])


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
    return spans(draws(compute, count, repeats=repeats, seed=seed), level=level)


def draws(
    compute: Callable[[np.ndarray], dict[str, float]],
    count: int,
    *,
    repeats: int = 500,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The metrics of each drawn set, (repeats,), NaN where a set has none.

    Those of two methods can be compared draw by draw: see `intervals`, whose arguments these are.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, np.ndarray] = {}
    for number in range(repeats):
        weights = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
        for name, value in compute(weights).items():
            drawn.setdefault(name, np.full(repeats, np.nan))[number] = value
    return drawn


def spans(
    drawn: Mapping[str, np.ndarray], *, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """(low, high) of each metric's draws, of those that have one."""
    tail = 50 * (1 - level)
    return {
        name: (float(np.nanpercentile(values, tail)), float(np.nanpercentile(values, 100 - tail)))
        for name, values in drawn.items()
    }
