"""Where a mark usually is, and how large: to look for it there, and to put it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.marks.anywhere.cut_out import CutOut, likeness
from camcli.evaluate.matching.alignment import moved, scale_of, turn_of

HeightWidth = tuple[int, int]
"""(height, width) of a photograph."""

_MOSTLY = 0.6  # of the photographs have it at the usual place
_OFF = 0.03  # of the longer side, by which it may be off there
_STEPS = (0.9, 0.95, 1.0, 1.05, 1.1)  # sizes that are tried, of the usual one


def _units(shape: HeightWidth) -> np.ndarray:
    """What a mark's size may go with: nothing, the shorter side, the longer, height, width."""
    height, width = shape
    return np.array([400.0, min(shape), max(shape), height, width])


@dataclass(frozen=True, slots=True, eq=False)
class UsualPlace:
    """Of a mark, in photographs of any shape.

    Attributes:
        size: (width, height) of the mark's own pixels.
        unit: index of what its size goes with.
        scales: (n,) its size in each photograph, over that unit.
        turns: (n,) by how many radians it is turned in each.
        gaps: (n, 2) where it is: share of the room that there is left of it, and above it.
        margins: (n, 2) pixels over the unit that are left between it and the nearest sides.
        fixed: whether it is at the same place in most of them.
    """

    size: tuple[int, int]
    unit: int
    scales: np.ndarray
    turns: np.ndarray
    gaps: np.ndarray
    margins: np.ndarray
    fixed: bool

    def matrix(self, shape: HeightWidth, index: int | None = None) -> np.ndarray:
        """The similarity from the mark's pixels to those of a photograph.

        Args:
            shape: of the photograph.
            index: as in this one of the photographs that it was learned from; None for the median.
        """
        pick = (lambda x: np.median(x, axis=0)) if index is None else (lambda x: x[index])
        scale = float(pick(self.scales)) * _units(shape)[self.unit]
        turn = float(pick(self.turns))
        low, high = _corners(self.size, scale, turn)
        room = np.array([shape[1], shape[0]]) - (high - low)
        gap = pick(self.gaps)
        at = gap * room
        if self.fixed:
            # A margin is the same in narrow and wide photographs, as a share of the rest is not.
            margin = pick(self.margins) * _units(shape)[self.unit]
            at = np.where(gap < 0.35, margin, np.where(gap > 0.65, room - margin, at))
        at = np.clip(at, np.minimum(0, room), np.maximum(0, room))
        matrix = _turned(scale, turn)
        matrix[:, 2] = at - low
        return matrix


def _turned(scale: float, turn: float) -> np.ndarray:
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])


def _corners(size: tuple[int, int], scale: float, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x and y of a mark that is turned about its first pixel."""
    return box_of(size, _turned(scale, turn))


def box_of(size: tuple[int, int], matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x and y of a mark of `size` (width, height) in a photograph."""
    width, height = size
    points = moved(matrix, np.array([[0, 0], [width, 0], [0, height], [width, height]], float))
    return points.min(0), points.max(0)


def usual_place(
    size: tuple[int, int], placed: Sequence[tuple[np.ndarray, HeightWidth]]
) -> UsualPlace:
    """Learned from photographs that have a mark.

    Args:
        size: (width, height) of the mark's own pixels.
        placed: the similarity from the mark's pixels to those of each photograph, and its shape.
    """
    if not placed:
        none = np.zeros((0, 2))
        return UsualPlace(size, 0, np.zeros(0), np.zeros(0), none, none, False)
    scales = np.array([scale_of(m) for m, _ in placed])
    units = np.array([_units(s) for _, s in placed])
    relative = scales[:, None] / units
    middle = np.median(relative, axis=0)
    spread = np.median(np.abs(relative / middle - 1), axis=0)
    unit = int(np.argmin(np.round(spread, 3)))
    gaps, margins = [], []
    for k, (matrix, shape) in enumerate(placed):
        low, high = box_of(size, matrix)
        room = np.maximum(np.array([shape[1], shape[0]]) - (high - low), 1.0)
        gaps.append(np.clip(low / room, 0, 1))
        margins.append(np.where(gaps[-1] < 0.5, low, room - low) / units[k, unit])
    place = UsualPlace(
        size, unit, relative[:, unit], np.array([turn_of(m) for m, _ in placed]),
        np.array(gaps), np.array(margins), True,
    )  # fmt: skip
    off = []
    for matrix, shape in placed:
        there, here = box_of(size, place.matrix(shape)), box_of(size, matrix)
        off.append(np.abs(sum(there) - sum(here)).max() / 2 / max(shape))
    fixed = float((np.array(off) <= _OFF).mean()) >= _MOSTLY
    if fixed:
        return place
    return UsualPlace(place.size, unit, place.scales, place.turns, place.gaps, place.margins, False)


def fitted(
    rgb: np.ndarray, mark: CutOut, matrix: np.ndarray, reach: int, steps: Sequence[float]
) -> np.ndarray | None:
    """Where near a place a mark fits best.

    Args:
        rgb: (H, W, 3) uint8.
        mark: what is looked for.
        matrix: similarity from the mark's pixels to the photograph's, about.
        reach: by how many pixels it may be off.
        steps: sizes that are tried, of the one that `matrix` says.

    Returns:
        The similarity that fits best; None where the photograph is too small.
    """
    best: tuple[float, np.ndarray] | None = None
    middle = np.array([mark.alpha.shape[1], mark.alpha.shape[0]]) / 2
    for step in steps:
        tried = matrix.copy()
        tried[:, :2] *= step
        tried[:, 2] += (matrix[:, :2] - tried[:, :2]) @ middle
        found = _slid(rgb, mark, tried, reach)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    return None if best is None else best[1]


def at_usual_place(
    rgb: np.ndarray, mark: CutOut, place: UsualPlace, mirrored: bool = False
) -> tuple[np.ndarray, float] | None:
    """Where a mark is near its usual place in a photograph, and how like it that is.

    Args:
        rgb: (H, W, 3) uint8.
        mark: what is looked for.
        place: where it is looked for, a few sizes and pixels around.
        mirrored: look at the opposite place, where it is not: what chance would give.

    Returns:
        The similarity from the mark's pixels to the photograph's, and `likeness`; None where the
        photograph is too small.
    """
    shape = (rgb.shape[0], rgb.shape[1])
    usual = place.matrix(shape)
    if mirrored:
        low, high = box_of(place.size, usual)
        room = np.array([shape[1], shape[0]]) - (high - low)
        across = int(abs(low[1] - room[1] / 2) < abs(low[0] - room[0] / 2))
        axis = 1 - across  # the one in which the opposite place is farther away
        usual[axis, 2] += room[axis] - 2 * low[axis]
    found = fitted(rgb, mark, usual, max(3, round(_OFF * max(shape))), _STEPS)
    return None if found is None else (found, likeness(rgb, found, mark))


def _slid(
    rgb: np.ndarray, mark: CutOut, matrix: np.ndarray, reach: int
) -> tuple[float, np.ndarray] | None:
    """The best of the places a few pixels from one, and how good it is there."""
    height, width = rgb.shape[:2]
    low, high = box_of((mark.alpha.shape[1], mark.alpha.shape[0]), matrix)
    low, high = np.floor(low).astype(int), np.ceil(high).astype(int)
    size = high - low
    start = np.maximum(low - reach, 0)
    end = np.minimum(high + reach, [width, height])
    if (size < 4).any() or (end - start < size).any():
        return None
    inside = matrix.copy()
    inside[:, 2] -= low
    extent = int(size[0]), int(size[1])
    template = cv2.warpAffine(mark.rgb, inside, extent, flags=cv2.INTER_AREA)
    alpha = cv2.warpAffine(mark.alpha, inside, extent, flags=cv2.INTER_AREA)
    ground = rgb[start[1] : end[1], start[0] : end[0]].astype(np.float32)
    around = np.median(ground.reshape(-1, 3), axis=0)
    composed = alpha[..., None] * template + (1 - alpha[..., None]) * around
    mask = cv2.dilate(alpha, np.ones((5, 5), np.uint8))
    grey, wanted = (x.mean(-1).astype(np.float32) for x in (ground, composed))
    scores = cv2.matchTemplate(grey, wanted, cv2.TM_CCOEFF_NORMED, mask=mask.astype(np.float32))
    # Of what has no contrast at all no correlation can be had.
    scores = np.where(np.isfinite(scores) & (np.abs(scores) <= 1.001), scores, -1)
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    out = matrix.copy()
    out[:, 2] += start - low + np.array([int(column), int(row)])
    return float(scores[row, column]), out
