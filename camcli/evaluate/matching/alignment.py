"""The similarity that lays one photograph on another, from matches that agree with each other.

A similarity is a (2, 3) float64 matrix [[a, -b, x], [b, a, y]] from pixels to pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.matching.local_features import LocalFeatures

INLIERS = 5  # matches that agree, below which it may be chance
SCALES = (0.4, 2.5)  # of one photograph over the other
TOLERANCE = 3.0  # pixels, as looked at, by which a match may be off
_TURN = math.radians(30)  # by which a feature's own orientation may be off
_SIZE = math.log(1.6)  # by which a feature's own size may be off
_CELLS = 6  # a side: a photograph's parts, for telling whether all of it matches
_WHOLE = 0.4  # share of its parts that match in a near-duplicate
_REACH = 0.6  # of the extent of what both show, in either direction, that matches
_PATCHES = 3  # so many matches at least, so far from the border, are no frame


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """How a part of one photograph lies in another.

    Attributes:
        matrix: the similarity from pixels of the one to pixels of the other.
        pairs: (K, 2) the matches that agree with it.
    """

    matrix: np.ndarray
    pairs: np.ndarray

    @property
    def scale(self) -> float:
        """Of the other over the one."""
        return scale_of(self.matrix)

    @property
    def turn(self) -> float:
        """Radians, clockwise as y points down."""
        return turn_of(self.matrix)


def scale_of(matrix: np.ndarray) -> float:
    """How much larger things become."""
    return float(math.hypot(matrix[0, 0], matrix[1, 0]))


def turn_of(matrix: np.ndarray) -> float:
    """By how many radians things are turned."""
    return float(math.atan2(matrix[1, 0], matrix[0, 0]))


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 2) points under a similarity."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def chained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The similarity that is `first`, and `second` after it."""
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The way back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.hstack([back, -back @ matrix[:, 2:]])


def alignments(
    one: LocalFeatures,
    other: LocalFeatures,
    pairs: np.ndarray,
    inliers: int = INLIERS,
    scales: tuple[float, float] = SCALES,
    most: int = 3,
) -> list[Alignment]:
    """The similarities on which matches of two photographs agree, best first.

    Two photographs may have more than one thing in common: what agrees with the first similarity
    is put aside, and the rest is asked again.

    Args:
        one: features of a photograph.
        other: features of another.
        pairs: (M, 2) matches between them.
        inliers: matches at least, at as many places in both.
        scales: least and largest scale of `other` over `one`, as they were looked at.
        most: how many similarities at most.
    """
    out: list[Alignment] = []
    left = pairs
    while len(left) >= inliers and len(out) < most:
        found = _alignment(one, other, left, scales)
        if found is None or len(found.pairs) < inliers:
            break
        out.append(found)
        # All that it explains: features at one place with several orientations, too.
        off = moved(found.matrix, one.points[left[:, 0]]) - other.points[left[:, 1]]
        left = left[np.linalg.norm(off, axis=1) > 2 * TOLERANCE / other.ratio]
    return out


def _alignment(
    one: LocalFeatures, other: LocalFeatures, pairs: np.ndarray, scales: tuple[float, float]
) -> Alignment | None:
    """The similarity that most of the matches agree on, features' sizes and turns included."""
    source, target = one.points[pairs[:, 0]], other.points[pairs[:, 1]]
    tolerance = TOLERANCE / other.ratio
    matrix, inside = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=500
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    scale = scale_of(matrix)
    if not scales[0] <= scale * other.ratio / one.ratio <= scales[1]:
        return None
    grown = np.log(other.sizes[pairs[:, 1]] / one.sizes[pairs[:, 0]]) - math.log(scale)
    turned = other.angles[pairs[:, 1]] - one.angles[pairs[:, 0]] - turn_of(matrix)
    turned = np.abs((turned + math.pi) % (2 * math.pi) - math.pi)
    good = inside.ravel().astype(bool) & (np.abs(grown) < _SIZE) & (turned < _TURN)
    good[good] = _apart(source[good] * one.ratio) & _apart(target[good] * other.ratio)
    return Alignment(np.asarray(matrix, np.float64), pairs[good])


def _apart(points: np.ndarray) -> np.ndarray:
    """(N,) whether each is the first in its two pixels: a corner may have several orientations."""
    kept = np.zeros(len(points), bool)
    kept[np.unique(np.round(points / 2).astype(int), axis=0, return_index=True)[1]] = True
    return kept


def whole_picture(one: LocalFeatures, other: LocalFeatures, found: Alignment) -> bool:
    """Whether two photographs are the same one, or nearly: not only a thing in both.

    The similarity is nearly the identity or a crop of it, and in most parts of what both show
    features match, away from the border as well (a frame is no near-duplicate).
    """
    if abs(found.turn) > math.radians(15):
        return False
    first = _matched(one, found.pairs[:, 0], _shown(one, found.matrix, other))
    second = _matched(other, found.pairs[:, 1], _shown(other, inverse(found.matrix), one))
    return first and second


def _shown(one: LocalFeatures, matrix: np.ndarray, other: LocalFeatures) -> np.ndarray:
    """(N,) whether a feature's place is within the other photograph."""
    points = moved(matrix, one.points)
    limit = np.array([other.shape[1], other.shape[0]])
    return np.asarray(((points >= 0) & (points < limit)).all(1))


def _matched(one: LocalFeatures, matched: np.ndarray, shown: np.ndarray) -> bool:
    """Whether features match in most of the photograph's parts that have any."""
    if shown.mean() < 0.4:
        return False
    size = np.array([one.shape[1], one.shape[0]])
    cells = np.minimum((one.points / size * _CELLS).astype(int), _CELLS - 1)
    inside = ((cells > 0) & (cells < _CELLS - 1)).all(1)
    names = cells[:, 0] * _CELLS + cells[:, 1]
    with_any = np.unique(names[shown & inside])
    with_match = np.unique(names[matched[inside[matched]]])
    if len(with_match) < max(_PATCHES, _WHOLE * len(with_any)):
        return False
    # A thing of many features hides the rest: what matches must reach as far as what is shown.
    reach = np.ptp(np.percentile(one.points[matched], (5, 95), axis=0), axis=0)
    whole = np.ptp(np.percentile(one.points[shown], (5, 95), axis=0), axis=0)
    return bool((reach >= _REACH * whole).all())
