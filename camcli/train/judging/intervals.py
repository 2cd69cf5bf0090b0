"""A share of images with its 95% interval, also where images come in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

Z = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """A number and its 95% interval."""

    value: float
    low: float
    high: float


def wilson(p: float, count: float) -> Interval:
    """A share with its interval after Wilson (1927), which holds near 0 and 1 as well.

    Args:
        p: the share.
        count: of how many, above 0; not a whole number where images are worth less than one each.

    Example:
        >>> [round(x, 3) for x in wilson(0.5, 100)]
        [0.5, 0.404, 0.596]
    """
    centre = p + Z * Z / (2 * count)
    half = Z * math.sqrt(p * (1 - p) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    # Rounding must not leave the share itself outside.
    low, high = max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
    return Interval(p, min(low, p), max(high, p))


def share(scores: np.ndarray, groups: Sequence[int] | None = None) -> Interval:
    """The mean of scores between 0 and 1 with its interval.

    Images of a group are right or wrong together, so they are worth fewer than they are: the
    interval is that of as many images on their own as have the variance of the groups' sums.

    Args:
        scores: (N,) of each image, such as 1 where it is right; at least one.
        groups: (N,) equal for images that are not independent; None where all are.

    Example:
        >>> pairs = share(np.array([1.0, 1, 0, 0] * 50), [n // 2 for n in range(200)])
        >>> [round(x, 2) for x in pairs]  # as of 100 images
        [0.5, 0.4, 0.6]
    """
    return wilson(float(scores.mean()), worth(scores, groups))


def worth(scores: np.ndarray, groups: Sequence[int] | None = None) -> float:
    """How many images on their own would tell as much; see `share`."""
    p = float(scores.mean())
    keys = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(keys.max()) + 1
    alone = count == len(scores)
    if alone and set(np.unique(scores)) <= {0.0, 1.0}:
        return float(count)
    sums = np.bincount(keys, scores - p, count)
    variance = float(np.square(sums).sum()) / len(scores) ** 2 * count / max(count - 1, 1)
    if variance <= 0 or not 0 < p < 1:  # nothing varies: as many as there are groups
        return float(count)
    return p * (1 - p) / variance if alone else min(p * (1 - p) / variance, float(len(scores)))
