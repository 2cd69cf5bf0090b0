"""The heatmap over the photograph: the picture that the papers show.

Everything here is a few passes over bytes, because it runs once for every photograph of a folder.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from camcli.data.decode.preprocess import View
from camcli.render.colormaps import get_colormap, signed_colormap

PixelBox = tuple[int, int, int, int]

# The unseen part is shown grey at a bit more than half of its brightness: still a photograph, yet
# nobody takes it for a place without heat.
_UNSEEN_GAIN = 0.55
_UNSEEN_LIFT = 32
_HAIRLINE = (255, 255, 255)
# A large photograph is blended in bands of so many pixels: they stay in the processor's cache.
_BAND = 1 << 18
# OpenBLAS computes products of at most so many multiplications on the calling thread.
_ONE_THREAD = 1 << 18


def seen_box(view: View, size: tuple[int, int]) -> PixelBox:
    """The pixels whose centres the network saw; at least one pixel.

    Args:
        view: (x0, y0, x1, y1) in pixels of the canvas.
        size: (width, height) of the canvas in pixels.

    Returns:
        (left, top, right, bottom), right and bottom excluded.
    """
    left, right = _span(view[0], view[2], size[0])
    top, bottom = _span(view[1], view[3], size[1])
    return left, top, right, bottom


def heat_to_canvas(heat01: np.ndarray, view: View, size: tuple[int, int]) -> np.ndarray:
    """Spread a small map over the part of the photograph that it describes.

    Bilinear with align_corners=False, placed exactly: a view that starts in the middle of a pixel
    stays there instead of being rounded to the grid.

    Args:
        heat01: (h, w) float32 in [0, 1].
        view: the part of the canvas that the map covers, (x0, y0, x1, y1) in its pixels.
        size: (width, height) of the canvas in pixels.

    Returns:
        (height, width) uint8: 255 is the hottest; 0 outside `seen_box`.
    """
    width, height = size
    box = left, top, right, bottom = seen_box(view, size)
    heat = _spread(heat01, view, box)
    if box == (0, 0, width, height):
        return heat
    canvas = np.zeros((height, width), np.uint8)
    canvas[top:bottom, left:right] = heat
    return canvas


def overlay(
    rgb: np.ndarray,
    heat01: np.ndarray | None,
    view: View,
    colormap: str = "jet",
    alpha: float = 0.5,
    *,
    signed: bool = False,
) -> np.ndarray:
    """Blend the coloured heatmap into the photograph.

    What the network saw becomes ``(1 - alpha) * photograph + alpha * colour``, as in the papers;
    the rest is grey and dimmed behind a hairline. A signed map tints a grey photograph, whose own
    colours would be taken for evidence: the stronger the evidence, the more.

    Args:
        rgb: (H, W, 3) uint8.
        heat01: (h, w) float32 in [0, 1]; None when the map is empty: then nothing is tinted.
        view: the part of `rgb` that the network saw, (x0, y0, x1, y1) in its pixels.
        colormap: one of `camcli.render.ranges.COLORMAPS`.
        alpha: weight of the heat, in [0, 1].
        signed: `heat01` is 0.5 where there is no evidence, 1 where the strongest speaks for the
            class and 0 where it speaks against it; `colormap` is not used.

    Returns:
        (H, W, 3) uint8; `rgb` is left as it is.
    """
    height, width = rgb.shape[:2]
    box = left, top, right, bottom = seen_box(view, (width, height))
    out = np.empty((height, width, 3), np.uint8)
    if heat01 is None:
        out[top:bottom, left:right] = rgb[top:bottom, left:right]
    else:
        band = max(1, _BAND // (right - left))
        for start in range(top, bottom, band):
            end = min(start + band, bottom)
            heat = _spread(heat01, view, (left, start, right, end))
            seen = slice(start, end), slice(left, right)
            if signed:
                out[seen] = _tinted(rgb[seen], heat, alpha)
                continue
            colours = cv2.applyColorMap(heat, get_colormap(colormap)[:, None])
            cv2.addWeighted(rgb[seen], 1 - alpha, colours, alpha, 0, dst=out[seen])
    if box != (0, 0, width, height):
        _draw_unseen(out, rgb, box)
    return out


def outlined(picture: np.ndarray, box: PixelBox | None, size: tuple[int, int]) -> np.ndarray:
    """A picture with the box of a map drawn on it: a white line in a black one, seen on any colour.

    Args:
        picture: (H, W, 3) uint8, of the whole photograph; drawn on.
        box: (x0, y0, x1, y1) in the photograph's pixels; None for none.
        size: (width, height) of the photograph.

    Returns:
        `picture`. The lines lie inside of the box, whose outer edge is that of the black one.
    """
    if box is None:
        return picture
    height, width = picture.shape[:2]
    sx, sy = width / size[0], height / size[1]
    x0, x1 = max(0, round(box[0] * sx)), min(width, round(box[2] * sx))
    y0, y1 = max(0, round(box[1] * sy)), min(height, round(box[3] * sy))
    line = max(1, round(max(width, height) / 300))
    for inset, thick, colour in ((0, 3 * line, 0), (line, line, 255)):
        left, top, right, bottom = x0 + inset, y0 + inset, x1 - inset, y1 - inset
        for rows, columns in (
            (slice(top, min(top + thick, bottom)), slice(left, right)),
            (slice(max(top, bottom - thick), bottom), slice(left, right)),
            (slice(top, bottom), slice(left, min(left + thick, right))),
            (slice(top, bottom), slice(max(left, right - thick), right)),
        ):
            picture[rows, columns] = colour
    return picture


def dim(rgb: np.ndarray) -> np.ndarray:
    """How the part that the network did not see looks: grey and darker.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    grey = cv2.convertScaleAbs(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), alpha=_UNSEEN_GAIN, beta=_UNSEEN_LIFT
    )
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def _tinted(rgb: np.ndarray, levels: np.ndarray, alpha: float) -> np.ndarray:
    """A photograph under evidence of either sign, (H, W) uint8 with none in the middle."""
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    table, weight = signed_colormap()
    share = cv2.LUT(levels, alpha * weight)
    colours = cv2.applyColorMap(levels, table[:, None])
    return cv2.blendLinear(grey, colours, 1 - share, share)


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    """Pixels of [0, length) whose centres lie in [start, end); at least one."""
    first = min(max(int(np.ceil(start - 0.5)), 0), length - 1)
    return first, min(max(int(np.ceil(end - 0.5)), first + 1), length)


def _spread(heat01: np.ndarray, view: View, box: PixelBox) -> np.ndarray:
    """(h, w) in [0, 1] to (box height, box width) uint8.

    Bilinear interpolation is a product with one thin matrix a side; for the few cells of a CAM
    that is exact to the sub-pixel and no slower than `cv2.resize`.
    """
    h, w = heat01.shape
    rows = _weights(h, view[1], view[3], box[1], box[3])
    columns = _weights(w, view[0], view[2], box[0], box[2])
    heat = _product(rows, _product(np.asarray(heat01, np.float32), columns.T))
    return cv2.convertScaleAbs(heat, alpha=255).reshape(heat.shape)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a @ b`` in slices of rows that are too small for BLAS to wake its threads.

    On a machine whose cores are busy (a batch: decoding, the network, encoding) the threads wait
    for each other longer than they compute: 30 ms instead of 0.04 at 500 x 375 pixels.
    """
    out = np.empty((a.shape[0], b.shape[1]), np.float32)
    # Slices of equal size: a last one of a single row would be a vector product, which BLAS
    # hands to its threads sooner.
    count = max(1, -(-a.shape[0] // max(2, _ONE_THREAD // b.size)))
    edges = [a.shape[0] * i // count for i in range(count + 1)]
    for start, end in pairwise(edges):
        np.matmul(a[start:end], b, out=out[start:end])
    return out


def _weights(cells: int, start: float, end: float, first: int, last: int) -> np.ndarray:
    """Interpolation weights: (last - first, cells) float32, every row sums to 1.

    Args:
        cells: number of cells that span [start, end).
        start: where the first cell starts, in pixels.
        end: where the last cell ends.
        first: first pixel wanted.
        last: pixel after the last.
    """
    centres = (np.arange(first, last) + (0.5 - start)) * (cells / (end - start)) - 0.5
    centres = np.clip(centres, 0, cells - 1)
    lower = np.minimum(centres.astype(np.intp), max(cells - 2, 0))
    share = (centres - lower).astype(np.float32)
    weights = np.zeros((last - first, cells), np.float32)
    pixels = np.arange(last - first)
    weights[pixels, np.minimum(lower + 1, cells - 1)] = share
    weights[pixels, lower] = 1 - share if cells > 1 else 1
    return weights


def _draw_unseen(out: np.ndarray, rgb: np.ndarray, box: PixelBox) -> None:
    """Fill `out` outside `box` with the dimmed photograph, and draw the hairline around `box`."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = box
    for rows, columns in (
        (slice(0, top), slice(0, width)),
        (slice(bottom, height), slice(0, width)),
        (slice(top, bottom), slice(0, left)),
        (slice(top, bottom), slice(right, width)),
    ):
        if rows.start < rows.stop and columns.start < columns.stop:
            out[rows, columns] = dim(rgb[rows, columns])
    # The line lies on the unseen side, so that it hides nothing that the network saw.
    line = max(1, round(min(width, height) / 400))
    x0, x1 = max(left - line, 0), min(right + line, width)
    y0, y1 = max(top - line, 0), min(bottom + line, height)
    out[y0:top, x0:x1] = _HAIRLINE
    out[bottom:y1, x0:x1] = _HAIRLINE
    out[y0:y1, x0:left] = _HAIRLINE
    out[y0:y1, right:x1] = _HAIRLINE
