"""Photographs laid on each other by a side or corner, and what is drawn in them there.

A mark at a fixed place is at a fixed distance from a corner, or from the middle of a side, in
pixels or in shares of the photograph's height, width or shorter side. Each such way of laying
photographs on each other is a canvas, along one side or in the middle.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.pixel_cache import PixelCache

LONG, DEEP = 304, 64  # pixels of a canvas along its side, and away from it
CENTRE = 128  # pixels of a side of the canvas in the middle
SIDE = 224  # pixels that a photograph's side is brought to
CHANNELS = 4
BYTES = 160_000_000  # of features that are kept
_WEAK_EDGE, _WEAK_COLOUR = 12.0, 6.0  # grey values of a pixel's step that count half


@dataclass(frozen=True, slots=True)
class SharedCanvas:
    """A way of laying photographs on each other.

    Attributes:
        scale: what is brought to one length: ``pixels``, ``height``, ``width`` or ``shorter``.
        anchor: (x, y) in {0, 0.5, 1}: what of photograph and canvas is laid on each other.
        size: (width, height) of it.
    """

    scale: str
    anchor: tuple[float, float]
    size: tuple[int, int]

    def corner(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Its left and top in a photograph of (height, width), in pixels of the same scale."""
        return (
            round(self.anchor[0] * (shape[1] - self.size[0])),
            round(self.anchor[1] * (shape[0] - self.size[1])),
        )


def canvases(scale: str) -> list[SharedCanvas]:
    """Along each side from either end and from its middle, and in the middle."""
    along = []
    for start in (0.0, 0.5, 1.0):
        for side in (0.0, 1.0):
            along.append(SharedCanvas(scale, (start, side), (LONG, DEEP)))
            along.append(SharedCanvas(scale, (side, start), (DEEP, LONG)))
    return [*along, SharedCanvas(scale, (0.5, 0.5), (CENTRE, CENTRE))]


def scales(photos: Sequence[AuditedPhoto]) -> tuple[str, ...]:
    """The scales that differ: of photographs of one size, or one shape, fewer do."""
    sizes = {photo.size for photo in photos}
    if len(sizes) == 1:
        return ("shorter",)
    shapes = [width / height for width, height in sizes]
    if max(shapes) - min(shapes) < 0.02:
        return ("pixels", "shorter")
    return ("pixels", "shorter", "height", "width")


class Strokes:
    """What is drawn in photographs at a scale: signed edges, and colours unlike those around.

    Args:
        pixels: where their pixels come from.
        photos: all that are to be laid on each other.
    """

    def __init__(self, pixels: PixelCache, photos: Sequence[AuditedPhoto]) -> None:
        self._pixels = pixels
        self._kept: OrderedDict[tuple[str, str], tuple[np.ndarray, float]] = OrderedDict()
        self._held = 0
        # `AuditedPhoto.rgb` makes large ones smaller: pixels of the photographs themselves count.
        longest = max((max(photo.size) for photo in photos), default=1)
        self._per_pixel = 0.6 * min(1.0, 1024 / longest)

    def __call__(self, photo: AuditedPhoto, scale: str) -> tuple[np.ndarray, float] | None:
        """What is drawn in a photograph.

        Returns:
            (CHANNELS, h, w) int8: steps of brightness to the right and down, red and blue against
            the surroundings, each in [-127, 127]; and how many of these pixels make one of
            `PixelCache`'s. None where it cannot be read.
        """
        kept = self._kept.get((photo.rel, scale))
        if kept is not None:
            self._kept.move_to_end((photo.rel, scale))
            return kept
        rgb = self._pixels(photo)
        if rgb is None:
            return None
        height, width = rgb.shape[:2]
        ratio = self.ratio(photo, rgb, scale)
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        drawn = _features(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)), ratio
        self._kept[photo.rel, scale] = drawn
        self._held += drawn[0].nbytes
        while self._held > BYTES and len(self._kept) > 1:
            self._held -= self._kept.popitem(last=False)[1][0].nbytes
        return drawn

    def ratio(self, photo: AuditedPhoto, rgb: np.ndarray, scale: str) -> float:
        """How many pixels of a canvas make one of a photograph, as `PixelCache` gives it."""
        height, width = rgb.shape[:2]
        if scale == "pixels":
            ratio = self._per_pixel * photo.size[0] / width
        else:
            ratio = SIDE / {"height": height, "width": width}.get(scale, min(height, width))
        # What is far longer than a canvas cannot be seen in it.
        return min(ratio, 8 * LONG / max(height, width))


def _features(rgb: np.ndarray) -> np.ndarray:
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    light = cv2.GaussianBlur(planes[..., 0], (3, 3), 0)
    out = np.empty((CHANNELS, *rgb.shape[:2]), np.int8)
    for number, (dx, dy) in enumerate(((1, 0), (0, 1))):
        step = cv2.Sobel(light, cv2.CV_32F, dx, dy, ksize=3, scale=0.125)
        out[number] = 127 * step / (np.abs(step) + _WEAK_EDGE)
    colour = planes[..., 1:].astype(np.float32)
    unlike = colour - cv2.blur(colour, (37, 37))
    unlike = 127 * unlike / (np.abs(unlike) + _WEAK_COLOUR)
    out[2:] = unlike.transpose(2, 0, 1)
    return out


def laid(drawn: np.ndarray, canvas: SharedCanvas, margin: int = 0) -> np.ndarray:
    """What is drawn in a photograph as a canvas shows it, 0 where there is no photograph.

    Args:
        drawn: (CHANNELS, h, w), see `Strokes`.
        canvas: which part of it.
        margin: pixels more on each side.

    Returns:
        (CHANNELS, height + 2 margin, width + 2 margin) of the same kind.
    """
    left, top = (at - margin for at in canvas.corner(drawn.shape[1:]))
    width, height = (length + 2 * margin for length in canvas.size)
    out = np.zeros((CHANNELS, height, width), drawn.dtype)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, drawn.shape[2]), min(top + height, drawn.shape[1])
    if x1 > x0 and y1 > y0:
        out[:, y0 - top : y1 - top, x0 - left : x1 - left] = drawn[:, y0:y1, x0:x1]
    return out
