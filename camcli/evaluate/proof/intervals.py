"""Shares and means of photographs with their 95% intervals, and whether a difference is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camcli.evaluate.findings.finding import Measured
from camcli.train.judging.intervals import Z, wilson


def share(hits: int, count: int) -> Measured:
    """A share with its interval after Wilson (1927), which holds near 0 and 1 as well.

    Args:
        hits: of `count`.
        count: at least 1.
    """
    return Measured(*wilson(hits / count, count))


def difference(both: int, first: int, second: int, neither: int) -> Measured:
    """Two shares of the same photographs, the first less the second.

    Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions
    based on paired data", method 10.

    Args:
        both: photographs that count in both shares.
        first: in the first only.
        second: in the second only.
        neither: in none; the four sum to 1 at least.
    """
    n = both + first + second + neither
    one, two = share(both + first, n), share(both + second, n)
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    phi = 0.0
    if margins:
        together = float(both * neither - first * second)
        together = max(together - n / 2, 0) if together > 0 else together
        phi = together / math.sqrt(margins)

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0))

    value = (first - second) / n
    low = value - reach(one.value - one.low, two.high - two.value)
    high = value + reach(one.high - one.value, two.value - two.low)
    return Measured(value, max(low, -1.0), min(high, 1.0))


def mean(values: Sequence[float]) -> Measured:
    """A mean with Student's interval.

    Args:
        values: at least two, finite.
    """
    x = np.asarray(values, np.float64)
    half = student(len(x) - 1) * float(x.std(ddof=1)) / math.sqrt(len(x))
    centre = float(x.mean())
    return Measured(centre, centre - half, centre + half)


def student(freedom: int) -> float:
    """Student's 97.5% quantile.

    The expansion about the normal one (Abramowitz and Stegun 26.7.5): within 0.2% from four degrees
    of freedom on; exact for one and two.
    """
    if freedom < 3:
        return math.tan(math.pi * 0.475) if freedom == 1 else 0.95 * math.sqrt(2 / 0.0975)
    z, n = Z, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / n ** (k + 1) for k, term in enumerate(terms))


def by_chance(first: int, second: int) -> float:
    """How likely at least so many in the first share only are, were both shares the same.

    The exact one-sided sign test on the photographs that tell the two apart (McNemar).

    Args:
        first: photographs that count in the first share only.
        second: in the second only.
    """
    n = first + second
    return sum(math.comb(n, k) for k in range(first, n + 1)) / 2**n
