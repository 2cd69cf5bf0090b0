"""Tests of whether a class differs from the others: ranks for numbers, exact ones for categories.

What many classes and many properties are tested with, so that each number is ranked once and all
classes are compared at once.
"""

from __future__ import annotations

import math

import numpy as np


def ranks(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Ranks from 1 of (N,) numbers, equal ones sharing their mean, and the sum of t^3 - t of ties.

    Example:
        >>> ranks(np.array([3.0, 1.0, 3.0]))
        (array([2.5, 1. , 2.5]), 6.0)
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    shared = last - (counts - 1) / 2
    return shared[place.reshape(-1)], float((counts.astype(float) ** 3 - counts).sum())


def rank_tests(
    values: np.ndarray, classes: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far each class's numbers lie above those of all others: Mann and Whitney's test.

    Args:
        values: (N,) numbers.
        classes: (N,) class of each, 0 to `number` - 1.
        number: of classes.

    Returns:
        (number,) effects 2 AUC - 1 in [-1, 1], and (number,) two-sided p by the normal
        approximation with its corrections for ties and continuity; 0 and 1 where a class or all
        others have no photographs.
    """
    effects, chances = np.zeros(number), np.ones(number)
    total = len(values)
    if total < 2:
        return effects, chances
    rank, ties = ranks(values)
    own = np.bincount(classes, minlength=number).astype(float)
    others = total - own
    compared = (own > 0) & (others > 0)
    pairs = own[compared] * others[compared]
    above = np.bincount(classes, rank, number)[compared] - own[compared] * (own[compared] + 1) / 2
    effects[compared] = 2 * above / pairs - 1
    spread = np.sqrt(pairs / 12 * (total + 1 - ties / (total * (total - 1))))
    distance = np.maximum(np.abs(above - pairs / 2) - 0.5, 0)
    z = np.divide(distance, spread, out=np.zeros_like(distance), where=spread > 0)
    chances[compared] = [math.erfc(each / math.sqrt(2)) for each in z]
    return effects, chances


def fisher(own: int, of_own: int, others: int, of_others: int) -> float:
    """Two-sided p of Fisher's exact test: `own` of `of_own` have it, `others` of `of_others`."""
    having, total = own + others, of_own + of_others
    count = np.arange(max(0, having - of_others), min(having, of_own) + 1)
    chance = np.array(
        [_choices(of_own, n) + _choices(of_others, having - n) for n in count.tolist()]
    ) - _choices(total, having)
    observed = chance[count == own]
    return float(min(1.0, np.exp(chance[chance <= observed + 1e-7]).sum()))


def holm(chances: np.ndarray, tests: int) -> np.ndarray:
    """P corrected after Holm: the share of runs of all `tests` with any as small by chance.

    Args:
        chances: (N,) the smaller ones of all p.
        tests: how many there were.
    """
    order = np.argsort(chances, kind="stable")
    steps = (tests - np.arange(len(chances))) * chances[order]
    corrected = np.empty(len(chances))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(steps) else steps
    return corrected


def best_threshold(own: np.ndarray, others: np.ndarray) -> float:
    """Above which a number says best that it is one of the class's own (Youden, 1950).

    The middle between two numbers; of several as good, that which fewest others exceed.
    """
    values = np.unique(np.concatenate([own, others]))
    if len(values) < 2:
        return float(values[0]) if len(values) else 0.0
    middles = (values[1:] + values[:-1]) / 2
    hits = 1 - np.searchsorted(np.sort(own), middles) / max(len(own), 1)
    alarms = 1 - np.searchsorted(np.sort(others), middles) / max(len(others), 1)
    gain = hits - alarms
    return float(middles[len(gain) - 1 - int(gain[::-1].argmax())])


def _choices(total: int, chosen: int) -> float:
    """Logarithm of the number of ways to choose."""
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
