"""Metrics that are a mean over photographs."""

from __future__ import annotations

import numpy as np


class Means:
    """Metrics that are a mean over photographs; a photograph may lack some of them."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._made: tuple[list[str], np.ndarray] | None = None

    def add(self, row: dict[str, float]) -> None:
        """The metrics of one photograph; NaN stands for none."""
        self._rows.append({name: value for name, value in row.items() if np.isfinite(value)})

    def __len__(self) -> int:
        return len(self._rows)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """Means over the photographs that have the number.

        Args:
            weights: (N,) of the photographs; equal by default.
        """
        if not self._rows:
            return {}
        weights = np.ones(len(self._rows)) if weights is None else weights
        names, values = self._table()
        known = ~np.isnan(values)
        totals = weights @ known
        sums = weights @ np.where(known, values, 0.0)
        return {name: float(sums[n] / totals[n]) for n, name in enumerate(names) if totals[n] > 0}

    def _table(self) -> tuple[list[str], np.ndarray]:
        """The numbers as (N, metrics), NaN for none; made once, for hundreds of draws."""
        if self._made is None or len(self._made[1]) != len(self._rows):
            names = list(dict.fromkeys(name for row in self._rows for name in row))
            self._made = (
                names,
                np.array([[row.get(name, np.nan) for name in names] for row in self._rows]).reshape(
                    len(self._rows), len(names)
                ),
            )
        return self._made
