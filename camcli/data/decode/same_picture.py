"""Whether two files show one photograph: cropped, mirrored, turned, lighter, saved again, smaller.

Looked at in two steps. Small grey pictures are laid on each other in all the ways in which copies
are made; the few pairs that agree there are aligned exactly, and then compared by their fine
structure alone, which two photographs of the same scene do not share and a copy keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

SMALL = 32
"""Pixels of a side of the small grey pictures; photographs are distorted to squares."""
FINE = 160
"""Pixels of a side of the pictures whose fine structure is compared."""
_SCALES = (32, 31, 30, 29, 28, 27, 26, 25, 24, 22)  # sides of a crop within `SMALL`
COARSE = 0.72
"""Correlation of the small pictures that a pair must have to be looked at again."""
SAME = 0.8  # correlation of the fine structure of copies: 0.87 with a line of text over it
_BLOCKS = 5  # a side, in which the fine structure is compared each for itself
_BLOCK_SAME, _BLOCK_SHARE = 0.4, 0.6
_NOISE = 2.0  # grey levels: what JPEG makes of flat parts
_FLAT = 1.5  # grey levels: what varies less has no structure to compare
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)


@dataclass(frozen=True, slots=True)
class Laid:
    """How one small picture lies on another.

    Attributes:
        turn: which of the eight ways to turn and mirror the second one, see `turned`.
        inner: 1 where the second is a part of the first, 0 where the first is of the second.
        side: of the part, in pixels of `SMALL`.
        x: where it begins.
        y: likewise.
        agreement: correlation there.
    """

    turn: int
    inner: int
    side: int
    x: int
    y: int
    agreement: float


def grey(rgb: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (side, side) uint8, distorted to a square."""
    height, width = rgb.shape[:2]
    how = cv2.INTER_AREA if min(height, width) >= side else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (side, side), None, 0, 0, how)
    )


def turned(picture: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight ways: `turn` % 4 quarters against the clock, from 4 on mirrored before."""
    mirrored = picture[:, ::-1] if turn >= 4 else picture
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4))


def upright(pictures: np.ndarray) -> np.ndarray:
    """Pictures turned and mirrored so that they are brighter below, and still more to the right.

    A copy comes out the same whichever of the eight ways it was turned, so that copies can be
    looked for by one product; but for pictures that are equally bright on all sides.

    Args:
        pictures: (N, S, S).

    Returns:
        (N, S, S) float32.
    """
    out = np.array(pictures, np.float32)
    ramp = np.linspace(-1, 1, out.shape[-1], dtype=np.float32)
    across, down = (np.einsum(f"nyx,{axis}->n", out, ramp) for axis in "xy")
    out[across < 0] = out[across < 0][:, :, ::-1]
    out[down < 0] = out[down < 0][:, ::-1]
    lying = abs(across) < abs(down)
    out[lying] = out[lying].transpose(0, 2, 1)
    return out


def laid(one: np.ndarray, other: np.ndarray) -> Laid | None:
    """How two small pictures agree best; None where they do not.

    Args:
        one: (SMALL, SMALL) uint8, as `grey` makes it.
        other: likewise.
    """
    if one.std() < _FLAT or other.std() < _FLAT:
        return None
    best = Laid(0, 1, SMALL, 0, 0, -1.0)
    first = one.astype(np.float32)
    for turn in range(8):
        second = turned(other, turn).astype(np.float32)
        sides = _SCALES if turn in (0, 4) else _SCALES[:1]
        for side in sides:
            for inner, (large, part) in enumerate(((second, first), (first, second))):
                if side == SMALL and inner == 0:
                    continue
                small = (
                    part
                    if side == SMALL
                    else cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
                )
                found = cv2.matchTemplate(large, small, cv2.TM_CCOEFF_NORMED)
                _, value, _, (x, y) = cv2.minMaxLoc(found)
                if value > best.agreement:
                    best = Laid(turn, inner, side, x, y, float(value))
    return best if best.agreement >= COARSE else None


def same(one: np.ndarray, other: np.ndarray, how: Laid) -> float:
    """How surely two pictures are one photograph.

    Args:
        one: (FINE, FINE) uint8, as `grey` makes it.
        other: likewise.
        how: they lie on each other.

    Returns:
        Correlation of their fine structure where it is that of copies; 0 where it is not.
    """
    second = turned(other, how.turn)
    large, part = (one, second) if how.inner else (second, one)
    ratio, unit = how.side / SMALL, FINE / SMALL
    warp: Any = np.array([[ratio, 0, how.x * unit], [0, ratio, how.y * unit]], np.float32)
    everywhere: Any = np.full(part.shape, 255, np.uint8)
    large32, part32 = large.astype(np.float32), part.astype(np.float32)
    try:
        _, warp = cv2.findTransformECC(
            part32, large32, warp, cv2.MOTION_AFFINE, _STEPS, everywhere, 5
        )
    except cv2.error:  # it found nothing to hold on to
        return 0.0
    if not np.isfinite(warp).all() or not 0.4 < abs(np.linalg.det(warp[:, :2])) < 1.6:
        return 0.0
    moved = cv2.warpAffine(
        large32, warp, (FINE, FINE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    shown = cv2.warpAffine(
        np.ones_like(large32), warp, (FINE, FINE), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    there = np.asarray(cv2.erode(shown, np.ones((9, 9), np.uint8)) > 0)
    there[:4], there[-4:], there[:, :4], there[:, -4:] = False, False, False, False
    if there.mean() < 0.4:
        return 0.0
    whole, share = _agreement(_fine(moved), _fine(part32), there)
    return whole if whole >= SAME and share >= _BLOCK_SHARE else 0.0


def alike_somewhere(one: np.ndarray, other: np.ndarray) -> float:
    """How alike the fine structure of two pictures is where the one lies best on the other.

    Two pieces of one fabric are as alike as its pattern repeats, two scenes are not at all.

    Args:
        one: (FINE, FINE) uint8, as `grey` makes it.
        other: likewise.

    Returns:
        Correlation of the middle of `one` with some place of `other`; 0 of blank ones.
    """
    if one.std() < _FLAT or other.std() < _FLAT:
        return 0.0
    edge = FINE // 8
    middle = _levelled(_fine(one.astype(np.float32)))[0][edge:-edge, edge:-edge]
    found = cv2.matchTemplate(
        _levelled(_fine(other.astype(np.float32)))[0], middle, cv2.TM_CCOEFF_NORMED
    )
    return max(0.0, float(found.max()))


def _fine(values: np.ndarray) -> np.ndarray:
    """What is between one pixel and about eight: what light and shade are is left out."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 1.0) - cv2.GaussianBlur(values, (0, 0), 4.0))


def _levelled(fine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fine structure that is equally strong everywhere, and how strong it was.

    Else a bright outline would decide, which two things of one shape on white have in common.
    """
    strong = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 5.0))
    return fine / np.sqrt(strong * strong + _NOISE * _NOISE), strong


def _agreement(one: np.ndarray, other: np.ndarray, there: np.ndarray) -> tuple[float, float]:
    """Correlation, and the share of blocks with structure in which there is one."""
    blocks = _blocks()
    one, strong = _levelled(one)
    other, strong_too = _levelled(other)
    there = there & (np.maximum(strong, strong_too) > _NOISE)
    if there.sum() < 300:
        return 0.0, 0.0
    good = of = 0
    for number in range(_BLOCKS * _BLOCKS):
        where = there & (blocks == number)
        if where.sum() < 200:
            continue
        a, b = one[where], other[where]
        of += 1
        good += _correlation(a, b) >= _BLOCK_SAME
    return _correlation(one[there], other[there]), good / of if of else 0.0


@lru_cache(1)
def _blocks() -> np.ndarray:
    rows = np.arange(FINE) * _BLOCKS // FINE
    return np.asarray(rows[:, None] * _BLOCKS + rows)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
