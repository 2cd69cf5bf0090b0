"""Resizing, with antialias: what is wanted of the result, and no more memory than it needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from camcli.data.decode.fit import Interpolation as Interpolation

if TYPE_CHECKING:  # see `camcli.data.decode.preprocess`
    from torch import Tensor

Window = tuple[int, int, int, int]

THIN = 16
"""A picture, or what it is resized to, this many times as long as wide is resized by window."""

# What is resized to a fraction smaller than this is averaged in whole cells first; Pillow's
# `reducing_gap` does the same, and calls 3 "almost indistinguishable".
_GAP = 4
_BAND = 1 << 20
# Those that torch does not have for bytes.
_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


def resized(
    rgb: np.ndarray,
    size: tuple[int, int],
    interpolation: Interpolation,
    window: Window,
    antialias: bool = True,
) -> Tensor:
    """Resize a picture, and cut a window out of the result.

    A picture of an ordinary shape is resized whole, by torch. One that is `THIN` is not: all of
    65,500 x 1 pixels, resized until the shorter side suits a network, would take 12 GB, of which
    the network sees a hundred-thousandth. There only what the window needs is read and made, with
    the same filter; the two ways differ by rounding.

    Args:
        rgb: (H, W, 3) uint8, C-contiguous.
        size: (width, height) that all of it is resized to.
        interpolation: the filter.
        window: (left, top, right, bottom) of what is wanted, in pixels of the resized picture.
        antialias: for ``bilinear`` and ``bicubic``: whether a smaller picture is made of all pixels
            of the larger, as Pillow does, or of the two or four next ones a side, as OpenCV does.

    Returns:
        (3, bottom - top, right - left) uint8, channels last in memory.
    """
    import torch
    from torch.nn import functional

    height, width = rgb.shape[:2]
    left, top, right, bottom = window
    if _thin(width, height) or _thin(*size):
        part = _window(rgb, size, interpolation, window, antialias)
        return torch.from_numpy(part).permute(2, 0, 1)
    # A view, not a copy, made by NumPy: each of torch's steps would give and take Python's lock.
    # By `reshape`: torch goes by the strides, and by those of `rgb[None]` it answers with channels
    # first.
    if not rgb.flags.writeable:  # as Pillow's are; here it is only read
        quiet_about_read_only()
    if size != (width, height) and interpolation in _PILLOW:
        picture = Image.fromarray(np.ascontiguousarray(rgb)).resize(size, _PILLOW[interpolation])
        rgb, (width, height) = np.array(picture), size
    batch = np.ascontiguousarray(rgb).reshape(1, height, width, 3)
    image = torch.from_numpy(batch.transpose(0, 3, 1, 2))
    if size != (width, height) and antialias:
        image = functional.interpolate(image, size[::-1], mode=interpolation, antialias=True)
    elif size != (width, height):
        # Of bytes torch would make something else: it rounds in between.
        floats = functional.interpolate(image.float(), size[::-1], mode=interpolation)
        image = floats.round_().clamp_(0, 255).to(torch.uint8)
    return image[0, :, top:bottom, left:right]


@lru_cache(maxsize=1)
def quiet_about_read_only() -> None:
    """Keep torch from warning about arrays that may not be written to; a copy would cost memory."""
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


def _thin(width: int, height: int) -> bool:
    return max(width, height) > THIN * min(width, height)


def _window(
    rgb: np.ndarray,
    size: tuple[int, int],
    interpolation: Interpolation,
    window: Window,
    antialias: bool,
) -> np.ndarray:
    """(bottom - top, right - left, 3) uint8; see `resized`."""
    rows = _Axis(rgb.shape[0], size[1], window[1], window[3], interpolation, antialias)
    columns = _Axis(rgb.shape[1], size[0], window[0], window[2], interpolation, antialias)
    part = rgb[rows.first : rows.last, columns.first : columns.last]
    # The longer side first: there is least in between.
    if part.shape[0] >= part.shape[1]:
        part = columns.apply(rows.apply(part, 0), 1)
    else:
        part = rows.apply(columns.apply(part, 1), 0)
    return np.rint(part).astype(np.uint8)


class _Axis:
    """How one side is resized: which pixels are needed, and how much of each."""

    def __init__(
        self,
        pixels: int,
        resized: int,
        start: int,
        stop: int,
        interpolation: Interpolation,
        antialias: bool,
    ) -> None:
        scale = pixels / resized
        wide = antialias and interpolation != "nearest"
        stretch = max(scale, 1) if wide else 1.0
        reach = _REACH[interpolation] * stretch
        centres = (np.arange(start, stop) + 0.5) * scale
        self.first = max(0, int(centres[0] - reach))
        self.last = min(pixels, int(np.ceil(centres[-1] + reach)) + 1)
        self.cell = max(1, int(scale) // _GAP) if wide else 1
        cells = -(-(self.last - self.first) // self.cell)
        # Each pixel of the result is the weighted sum of so many cells from `lowest` on.
        middles = (centres - self.first) / self.cell - 0.5
        scale, reach = (max(scale / self.cell, 1) if wide else 1.0), reach / self.cell
        taps = np.arange(2 * int(np.ceil(reach)) + 1)
        places = np.floor(middles - reach).astype(np.intp)[:, None] + 1 + taps
        weights = _kernel(interpolation, antialias)((places - middles[:, None]) / scale)
        # Beyond the edge nothing is taken, or without antialias the edge once more.
        if wide or interpolation == "nearest":
            weights *= (places >= 0) & (places < cells)
        self.weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        self.cells = places.clip(0, cells - 1)

    def apply(self, part: np.ndarray, axis: int) -> np.ndarray:
        """Resize the pixels from `first` to `last` along an axis, to float32."""
        if self.cell > 1:
            part = averaged(part, self.cell, axis)
        out = np.float32(0)
        for cells, weights in zip(self.cells.T, self.weights.T, strict=True):
            out = out + part.take(cells, axis) * _along(weights, axis)
        # Between the two sides as well, as torch does, which has bytes there.
        return np.asarray(out).clip(0, 255)


def averaged(part: np.ndarray, cell: int, axis: int) -> np.ndarray:
    """Means of cells of so many pixels along an axis; the last cell may be smaller.

    Args:
        part: (h, w, 3) uint8.
        cell: pixels of one.
        axis: 0 for rows, 1 for columns.

    Returns:
        (h', w', 3) float32.
    """
    length, across = part.shape[axis], part.size // part.shape[axis]
    band = cell * max(1, _BAND // (cell * across))  # numpy makes floats of all it is given
    means = []
    for start in range(0, length, band):
        some = part[start : start + band] if axis == 0 else part[:, start : start + band]
        starts = np.arange(0, some.shape[axis], cell)
        counts = np.diff(starts, append=some.shape[axis])
        sums = np.add.reduceat(some, starts, axis=axis, dtype=np.float32)
        means.append(sums / _along(counts.astype(np.float32), axis))
    return np.concatenate(means, axis)


def _along(values: np.ndarray, axis: int) -> np.ndarray:
    """Numbers for the places along one side of a picture, to be multiplied with its pixels."""
    return values.reshape((-1, 1, 1) if axis == 0 else (-1, 1))


# Pixels to each side that a filter looks at; of `nearest` half a one.
_REACH = {"nearest": 0.5, "box": 0.5, "bilinear": 1, "bicubic": 2, "lanczos": 3}


def _kernel(interpolation: Interpolation, antialias: bool) -> Callable[[np.ndarray], np.ndarray]:
    """How much a pixel counts that is so far from the middle."""
    if interpolation == "bicubic":
        # Pillow and torch have the one where they antialias, torch and OpenCV the other elsewhere.
        return partial(_cubic, a=-0.5 if antialias else -0.75)
    return {"bilinear": _triangle, "lanczos": _lanczos}.get(interpolation, _box)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _box(distance: np.ndarray) -> np.ndarray:
    # Open on one side: a pixel halfway between two belongs to one of them.
    return ((distance > -0.5) & (distance <= 0.5)).astype(np.float64)


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel."""
    x = np.minimum(np.abs(distance), 2)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, far)
