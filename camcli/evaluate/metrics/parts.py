"""Does a map put its heat on the parts that decide? The protocol of FunnyBirds.

Hesse et al. 2023 (arXiv 2308.06248), as the authors' published code computes it. What a part is
worth is what the network's logit loses in the same scene without it; a map's word for it is the sum
of the map over the part's pixels, 5x5-dilated. A part is important to a map where that is more than
a share t of the map's sum.

- CSDC, controlled synthetic data check: how much of a smallest set of parts that tells the class
  from all others is important, at the best of these sets; of scenes that are recognised.
- PC, preservation check: without all unimportant parts the prediction stays.
- DC, deletion check: without the important parts it changes.
- D, distractibility: the share of the irrelevant parts and things (their removal costs less than 5%
  of the logit) that is not important.
- Completeness: (mean(CSDC, PC, DC) + D) / 2, at the t that is best for the set; D keeps a map that
  is warm everywhere from winning.
- SD, single deletion: rank correlation of the map's words with the losses, (1 + ρ) / 2.
- TS, target sensitivity: of two other classes that share two parts each with the scene's, whether
  the map of either has more heat on its own two than the map of the other has; where the network
  itself needs them so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.measured.part_scenes import Regions
from camcli.evaluate.metrics.sanity import rank_correlation

THRESHOLDS = np.linspace(0.01, 0.50, num=80)
"""The shares t that are tried, as published."""
IRRELEVANT = 0.05
_DILATION = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True)
class PartRow:
    """What is known of one scene's map.

    Attributes:
        csdc: at each of `THRESHOLDS`; NaN where the scene is not recognised.
        pc: likewise.
        dc: likewise.
        distractibility: likewise; NaN where nothing is irrelevant.
        single_deletion: NaN where the map or the network makes no difference between the parts.
        target_sensitivity: NaN where the network does not need the parts of other classes so, or
            there are no such classes.
    """

    csdc: np.ndarray
    pc: np.ndarray
    dc: np.ndarray
    distractibility: np.ndarray
    single_deletion: float
    target_sensitivity: float


class PartScores:
    """Rows of scenes; `compute` for the whole set, or for one drawn from it."""

    def __init__(self) -> None:
        self._rows: list[PartRow] = []

    def add(self, row: PartRow) -> None:
        """One scene."""
        self._rows.append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The metrics.

        Args:
            weights: (N,) of the scenes; equal by default.
        """
        w = np.ones(len(self._rows)) if weights is None else np.asarray(weights, np.float64)
        names = ("csdc", "pc", "dc", "distractibility")
        curves = [_mean(np.stack([getattr(r, n) for r in self._rows]), w) for n in names]
        found: dict[str, float] = {}
        csdc, pc, dc, d = curves
        total = (csdc + pc + dc) / 3 + d
        if np.isfinite(total).all():
            best = int(total.argmax())
            found = {n: float(c[best]) for n, c in zip(names, curves, strict=True)}
            found["completeness"] = float(total[best] / 2)
        for name in ("single_deletion", "target_sensitivity"):
            values = np.array([[getattr(r, name)] for r in self._rows])
            mean = float(_mean(values, w)[0])
            if np.isfinite(mean):
                found[name] = mean
        if {"completeness", "single_deletion", "target_sensitivity"} <= found.keys():
            three = ("completeness", "single_deletion", "target_sensitivity")
            found["parts_mean"] = sum(found[name] for name in three) / 3
        return found


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means (T,) of rows (N, T) over those that are no NaN; NaN where there are none."""
    known = np.isfinite(values)
    total = (weights[:, None] * known).sum(0)
    summed = (weights[:, None] * np.where(known, values, 0)).sum(0)
    return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)


def part_importances(heat: np.ndarray, regions: Regions) -> dict[str, float]:
    """The map's word for each part and thing: its sum over the dilated pixels.

    Args:
        heat: (H, W), spread over the whole picture.
        regions: of any resolution.
    """
    found: dict[str, float] = {}
    for name, mask in regions:
        size = (heat.shape[1], heat.shape[0])
        own = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        own = cv2.dilate(own, _DILATION)
        # One `heat.sum()` may be less than the sum over all parts, as they overlap.
        found[name] = found.get(name, 0.0) + float(heat[own > 0].sum(dtype=np.float64))
    return found


def important(words: dict[str, float], total: float) -> list[frozenset[str]]:
    """The names whose word is more than a share of the map's sum, for each of `THRESHOLDS`."""
    return [
        frozenset(name for name, value in words.items() if value > total * t) for t in THRESHOLDS
    ]


def csdc(chosen: Sequence[frozenset[str]], sufficient: Sequence[frozenset[str]]) -> np.ndarray:
    """At each threshold, the best share of a sufficient set that was chosen."""
    return np.array([max(len(s & some) / len(s) for s in sufficient) for some in chosen])


def irrelevant(whole: float, without: dict[str, float]) -> frozenset[str]:
    """The parts and things whose removal costs less than 5% of the logit, or raises it.

    Args:
        whole: the logit of the scene.
        without: the same by what was taken away.
    """
    return frozenset(
        name for name, score in without.items()
        if abs(whole - score) < abs(whole * IRRELEVANT) or whole < score
    )  # fmt: skip


def distractibility(chosen: Sequence[frozenset[str]], nothing: frozenset[str]) -> np.ndarray:
    """At each threshold, the share of what is irrelevant that was not chosen; NaN for nothing."""
    if not nothing:
        return np.full(len(chosen), np.nan)
    return np.array([1 - len(some & nothing) / len(nothing) for some in chosen])


def single_deletion(losses: Sequence[float], words: Sequence[float]) -> float:
    """(1 + ρ) / 2 of Spearman's ρ; NaN where either makes no difference between the parts."""
    a, b = np.asarray(losses, np.float64), np.asarray(words, np.float64)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return rank_correlation(a, b) * 0.5 + 0.5
