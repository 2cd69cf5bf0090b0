"""How large a picture may be: within what a file can hold, and large enough to read."""

from __future__ import annotations

import math

import cv2
import numpy as np

from camcli.data.decode.resize import averaged
from camcli.errors import ImageError
from camcli.render.label import font_size

JPEG_SIDE = 65_500
"""Pixels of the longest side that libjpeg writes."""

MOST_PIXELS = 1 << 26
"""Of a finished picture, 67 million: drawing and encoding it take about ten bytes a pixel."""

# Longer lines are averaged before OpenCV resizes them, whose tables would take gigabytes.
_LONG_LINE = 1 << 17


def shrink(rgb: np.ndarray, max_size: int | None) -> np.ndarray:
    """Make a photograph smaller if its longer side exceeds a limit.

    Args:
        rgb: (H, W, 3) uint8.
        max_size: longest side in pixels; None for no limit.

    Returns:
        (H', W', 3) uint8: `rgb` itself if it is small enough.
    """
    height, width = rgb.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return rgb
    return _resized(rgb, max_size / max(height, width))


def enlarge(rgb: np.ndarray, min_size: int) -> np.ndarray:
    """Make a photograph larger, smoothly, if its longer side falls short of a limit.

    Args:
        rgb: (H, W, 3) uint8.
        min_size: longer side in pixels; 0 for no limit.

    Returns:
        (H', W', 3) uint8: `rgb` itself if it is large enough.
    """
    height, width = rgb.shape[:2]
    if max(height, width) >= min_size:
        return rgb
    ratio = min_size / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)


def drawable(rgb: np.ndarray, columns: int = 1, rows: int = 1, side: int = JPEG_SIDE) -> np.ndarray:
    """Make a photograph small enough for a picture of several of it to be written.

    Args:
        rgb: (H, W, 3) uint8.
        columns: how many of it stand beside each other.
        rows: how many rows there are, each with text below.
        side: most pixels of a side that the file can have.

    Returns:
        (H', W', 3) uint8: `rgb` itself if all fits as it is.
    """
    height, width = rgb.shape[:2]
    ratio = 1.0
    for _ in range(20):  # text does not shrink below what can be read, so by trying
        w, h = max(1, round(width * ratio)), max(1, round(height * ratio))
        excess = excess_of(*_finished(w, h, columns, rows), side)
        if excess <= 1 or w == h == 1:
            break
        ratio *= 0.98 / excess
    return rgb if ratio == 1 else _resized(rgb, ratio)


def excess_of(width: int, height: int, side: int = JPEG_SIDE) -> float:
    """By what factor both sides of a finished picture are too large; 1 or less: it fits."""
    return max(width / side, height / side, math.sqrt(width * height / MOST_PIXELS))


def too_large(width: int, height: int, kind: str = "jpeg") -> ImageError:
    """What to say of a picture that cannot be made small enough."""
    return ImageError(
        f"A picture of {width} x {height} pixels cannot be written as {kind.upper()}; make it "
        "smaller with --max-size, or show fewer classes with --topk."
    )


def _finished(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """What the picture will measure, with gaps, captions and strips, more or less."""
    letters = font_size(width, height)
    gap = max(2, round(width / 100), letters)
    aside = (columns - 1) * gap + (8 * letters if columns > 1 else 0)
    return columns * width + aside, rows * (height + 5 * letters)


def _resized(rgb: np.ndarray, ratio: float) -> np.ndarray:
    """A photograph at this ratio, below 1; each side has one pixel or more."""
    height, width = rgb.shape[:2]
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    for axis, long in enumerate((height, width)):
        cell = int(1 / ratio) if long > _LONG_LINE else 1
        if cell > 1:
            rgb = np.rint(averaged(rgb, cell, axis)).astype(np.uint8)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
