"""Are the values right that a network says? With the intervals of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class ValuePredictions:
    """Values of photographs of which it is known what they should be."""

    def __init__(
        self, values: Tensor, truth: np.ndarray, names: Sequence[str], *, unlabelled: int = 0
    ) -> None:
        """Judge values.

        Args:
            values: (N, C), N at least 1.
            truth: (N, C); NaN for unknown, which counts nowhere.
            names: of the C values.
            unlabelled: photographs of which nothing is known, for `record`.
        """
        self._names, self._unlabelled = names, unlabelled
        self._known = np.isfinite(truth)
        self._true = np.where(self._known, truth, 0.0)
        self._off = np.where(self._known, values.cpu().double().numpy() - self._true, 0.0)

    def __len__(self) -> int:
        return len(self._off)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """``r2``, the mean of the values', where one varies; of one value ``mae`` and ``rmse``.

        Args:
            weights: (N,) of the photographs; equal by default.
        """
        each = self._each(np.ones(len(self)) if weights is None else weights.astype(np.float64))
        r2 = [one["r2"] for one in each if "r2" in one]
        found = {"r2": float(np.mean(r2))} if r2 else {}
        if len(each) == 1:
            found |= {name: each[0][name] for name in ("mae", "rmse") if name in each[0]}
        return found

    def record(self) -> dict[str, Any]:
        """Everything, for JSON: the numbers, and those of each value."""
        each = self._each(np.ones(len(self)))
        return {
            "count": len(self),
            "unlabelled": self._unlabelled,
            **self.compute(),
            **({"bias": each[0]["bias"]} if len(each) == 1 and "bias" in each[0] else {}),
            "values": [
                {"value": name, "count": int(self._known[:, c].sum()), **each[c]}
                for c, name in enumerate(self._names)
            ],
        }

    def _each(self, weights: np.ndarray) -> list[dict[str, float]]:
        """The numbers of each value, as far as they mean something."""
        found: list[dict[str, float]] = []
        for c in range(len(self._names)):
            w = weights * self._known[:, c]
            total = float(w.sum())
            if not total:
                found.append({})
                continue
            off, true = self._off[:, c], self._true[:, c]
            square = float(w @ off**2)
            spread = float(w @ (true - w @ true / total) ** 2)
            own = {
                "mae": float(w @ np.abs(off)) / total,
                "rmse": float(np.sqrt(square / total)),
                "bias": float(w @ off) / total,
            }
            # Rounding alone is no spread.
            if spread > 1e-12 * float(w @ true**2):
                own["r2"] = 1 - square / spread
            found.append(own)
        return found


def values_judged(
    values: Sequence[Tensor], truth: Sequence[tuple[float, ...]], names: Sequence[str]
) -> ValuePredictions | None:
    """The photographs of which a value is known; None when there are none.

    Args:
        values: (C,) of each photograph.
        truth: what they should be; NaN for unknown.
        names: of the C values.
    """
    true = np.array(truth, np.float64).reshape(len(truth), len(names))
    known = np.flatnonzero(np.isfinite(true).any(1))
    if not len(known):
        return None
    return ValuePredictions(
        torch.stack([values[n] for n in known.tolist()]), true[known], names,
        unlabelled=len(true) - len(known),
    )  # fmt: skip
