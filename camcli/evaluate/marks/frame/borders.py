"""Where the frame of one photograph ends, side by side: strips that end in one straight edge."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SIDES = ("left", "top", "right", "bottom")

ROUGH = (14, 26, 44)  # grey values from the band's colour: JPEG alone, a rough wall, grained wood
DEEPEST = 0.45  # of the side's length across
MIDDLE = 0.1  # of a line's length at either end: corners belong to the neighbouring sides
AFTER = 6  # lines behind an edge that must be unlike the strip
JUMP = 0.45  # share of the line that is unlike the strip, right behind its edge
WEAK_JUMP = 0.15  # the same, where other sides have shown the frame
RINGING = 9  # lines before an edge that JPEG's blocks disturb


@dataclass(frozen=True, slots=True)
class BorderStrip:
    """The strip along one side of a photograph.

    Attributes:
        depth: lines of pixels that it has.
        colour: (3,) float32, its median.
        rough: grey values within which almost all of its pixels are of that colour.
        jump: share of the positions along the edge at which what follows is unlike the strip.
    """

    depth: int
    colour: np.ndarray
    rough: int
    jump: float


def lines_from(rgb: np.ndarray, side: str) -> np.ndarray:
    """Lines parallel to a side, outermost first, (lines, length, 3); a view of `rgb`."""
    if side == "top":
        return rgb
    if side == "bottom":
        return rgb[::-1]
    turned = rgb.transpose(1, 0, 2)
    return turned if side == "left" else turned[::-1]


def _middle(lines: np.ndarray) -> np.ndarray:
    """The lines as far in as a frame may go, without their ends, at most 160 positions each."""
    count, length = lines.shape[:2]
    away = int(length * MIDDLE)
    some = lines[: max(1, int(count * DEEPEST)), away : length - away]
    # Neighbouring pixels say the same: a prime stride, so that no pattern's period is met.
    stride = max(1, some.shape[1] // 160)
    some = np.ascontiguousarray(some[:, ::stride])
    return some if not some.size else cv2.cvtColor(some, cv2.COLOR_RGB2YCrCb).astype(np.int16)


def _unlike(some: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far apart colours are, in grey values.

    JPEG smears colour over 16 pixels and keeps brightness in place, so brightness counts more.
    """
    apart = np.abs(some - other)
    return np.maximum(apart[..., 0], apart[..., 1:].max(-1) * 2 // 5)


def flat_strip(lines: np.ndarray, jump: float = JUMP) -> BorderStrip | None:
    """The band of one colour along the outermost of `lines`, which ends in a straight edge.

    The colour may be as rough as wood: the smallest roughness with which there is a band counts.

    Args:
        lines: (lines, length, 3) uint8, see `lines_from`.
        jump: share of the positions that must change at the edge.

    Returns:
        The strip, or None: there is no such band, or it fades, or its end is not straight, which
        is how a white background or a night sky ends.
    """
    some = _middle(lines)
    if some.shape[0] < 3 or some.shape[1] < 8:
        return None
    band = np.median(some[0], axis=0).astype(np.int16)
    unlike = _unlike(some, band)
    for rough in ROUGH:
        off = (unlike > rough).mean(1)
        if off[0] > 0.08:
            continue
        ended = np.flatnonzero(off >= jump)
        if not len(ended):
            return None
        depth = _edge(some, int(ended[0]))
        if _is_strip(off, (unlike[: max(1, depth - 1)] > 2.5 * rough).mean(), depth, jump):
            rgb = cv2.cvtColor(band.astype(np.uint8).reshape(1, 1, 3), cv2.COLOR_YCrCb2RGB)
            colour = rgb.reshape(3).astype(np.float32)
            return BorderStrip(depth, colour, rough, float(off[depth : depth + AFTER].mean()))
    return None


def _edge(some: np.ndarray, first: int) -> int:
    """The line at which most positions change most, near the `first` that is unlike the band."""
    low = max(1, first - 3)
    steps = _unlike(some[low : first + 1], some[low - 1 : first])
    return low + int(np.argmax(np.median(steps, axis=1) + 0.25 * steps.mean(1)))


def _is_strip(off: np.ndarray, far_off: float, depth: int, jump: float) -> bool:
    """Whether a band of `depth` lines is calm up to its end, and what follows is unlike it.

    Args:
        off: share of each line that is unlike the band.
        far_off: share of the band that is very unlike it.
        depth: lines of the band.
        jump: see `flat_strip`.
    """
    calm = off[: max(1, depth - RINGING)]
    near = off[max(0, depth - RINGING) : max(1, depth - 1)]
    if calm.max() > 0.08 or calm.mean() > 0.03 or far_off > 0.01:
        return False
    if len(near) and (np.median(near) > 0.15 or near.max() > 0.5):
        return False
    after = off[depth : depth + AFTER]
    right_after = after[:3].max()
    return bool(
        right_after >= jump
        and after.mean() >= 0.8 * jump
        and after[:2].max() - off[max(0, depth - 2)] >= 0.7 * jump
    )


def flat_strips(rgb: np.ndarray) -> dict[str, BorderStrip]:
    """The sides of a photograph that have a flat strip, and the strip.

    A side whose edge is hard to see, because the photograph behind it is as dark as the frame, is
    believed where another side shows the frame.

    Args:
        rgb: (H, W, 3) uint8.
    """
    lines = {side: lines_from(rgb, side) for side in SIDES}
    found = {side: strip for side in SIDES if (strip := flat_strip(lines[side])) is not None}
    if found:
        deepest = max(strip.depth for strip in found.values())
        for side in SIDES:
            if side in found:
                continue
            weak = flat_strip(lines[side], WEAK_JUMP)
            if (
                weak is not None
                and weak.depth <= 1.6 * deepest + 2
                and any(
                    np.abs(weak.colour - strip.colour).max() < 2 * ROUGH[0]
                    for strip in found.values()
                )
            ):
                found[side] = weak
    return {side: found[side] for side in SIDES if side in found}
