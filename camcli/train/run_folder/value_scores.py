"""What predicted values are worth: errors, and the share of the variance that they explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ValueScore:
    """How one value was predicted; a number without a meaning is None.

    Attributes:
        name: of the value.
        count: images of which it is known.
        mae: mean absolute error, in the value's own unit.
        rmse: root of the mean squared error.
        bias: mean of predicted minus true.
        r2: share of the variance that is explained: 0 is what the mean of these images would say;
            None where nothing varies.
        spread: standard deviation of the true values.
        intervals: 95% of `mae` and `r2`, from a bootstrap over images, or whole groups of them.
    """

    name: str
    count: int
    mae: float | None
    rmse: float | None
    bias: float | None
    r2: float | None
    spread: float | None
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class SplitValueScores:
    """How values were predicted on a split.

    Attributes:
        count: images.
        r2: mean of the values' R²; None where none has one.
        r2_interval: 95% of it.
        values: one entry a value.
    """

    count: int
    r2: float | None
    r2_interval: tuple[float, float] | None
    values: tuple[ValueScore, ...]

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole split, for JSON; errors in a unit where there is one value."""
        low, high = self.r2_interval or (None, None)
        found: dict[str, Any] = {
            "count": self.count, "r2": self.r2, "r2_low": low, "r2_high": high
        }  # fmt: skip
        if len(self.values) == 1:
            (only,) = self.values
            low, high = only.intervals.get("mae", (None, None))
            found |= {"mae": only.mae, "mae_low": low, "mae_high": high}
            found |= {"rmse": only.rmse, "bias": only.bias, "spread": only.spread}
        return found


def score_values(
    said: np.ndarray, true: np.ndarray, names: Sequence[str], groups: Sequence[str] | None = None
) -> SplitValueScores:
    """Judge predicted values.

    Args:
        said: (N, C) predictions, N at least 1.
        true: (N, C); NaN for unknown, which counts nowhere.
        names: the C names.
        groups: of the N images: those of one are drawn together; by default each is on its own.

    Example:
        >>> score_values(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), ["age"]).r2
        -1.0
    """
    said, true = said.astype(np.float64), true.astype(np.float64)
    keys = range(len(true)) if groups is None else groups
    _, group = np.unique(np.array(list(keys)), return_inverse=True)
    stats = [_sums(said[:, c], true[:, c], group) for c in range(len(names))]
    rng = np.random.default_rng(0)
    size = int(group.max()) + 1
    drawn = np.stack([np.zeros((len(names), 4)) for _ in range(RESAMPLES)])
    for each in drawn:
        times = np.bincount(rng.integers(size, size=size), minlength=size).astype(np.float64)
        each[:] = [_numbers(times @ own) for own in stats]
    whole = [_numbers(own.sum(0)) for own in stats]
    scores = tuple(
        _score(name, whole[c], drawn[:, c], said[:, c], true[:, c]) for c, name in enumerate(names)
    )
    known = [c for c in range(len(names)) if np.isfinite(whole[c][3])]
    r2 = float(np.mean([whole[c][3] for c in known])) if known else None
    together = _interval(drawn[:, known, 3].mean(1)) if known else None
    return SplitValueScores(len(true), r2, together, scores)


def _sums(said: np.ndarray, true: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(G, 6) of each group: images, Σ|e|, Σe², Σe, Σy, Σy², of true values about their mean."""
    known = np.isfinite(true)
    off = np.where(known, said - np.where(known, true, 0), 0)
    y = np.where(known, true - (true[known].mean() if known.any() else 0), 0)
    columns = (known.astype(np.float64), np.abs(off), off**2, off, y, y**2)
    return np.stack([np.bincount(group, weights=x) for x in columns], 1)


def _numbers(sums: np.ndarray) -> tuple[float, float, float, float]:
    """MAE, RMSE, bias and R² of sums (6,); NaN where they have no meaning."""
    count, absolute, square, off, y, yy = sums.tolist()
    if not count:
        return (np.nan,) * 4
    spread = yy - y * y / count
    r2 = 1 - square / spread if spread > 1e-12 * max(yy, 1e-300) and spread > 0 else np.nan
    return absolute / count, float(np.sqrt(square / count)), off / count, r2


def _score(
    name: str,
    found: tuple[float, ...],
    drawn: np.ndarray,
    said: np.ndarray,
    true: np.ndarray,
) -> ValueScore:
    known = np.isfinite(true)
    intervals = {
        key: interval
        for key, n in (("mae", 0), ("r2", 3))
        if np.isfinite(found[n]) and (interval := _interval(drawn[:, n]))
    }
    numbers = [None if np.isnan(x) else float(x) for x in found]
    spread = float(true[known].std()) if known.any() else None
    return ValueScore(
        name, int(known.sum()), numbers[0], numbers[1], numbers[2], numbers[3], spread, intervals
    )


def _interval(drawn: np.ndarray) -> tuple[float, float] | None:
    """From where to where most of the draws are; None where too few of them mean something."""
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < RESAMPLES / 2:
        return None
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
