"""From a signed map to what is drawn and what is counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor, isfinite

import cv2
import numpy as np

from camcli.cam.box_threshold import OTSU, USUAL_SHARE, BoxThreshold
from camcli.cam.margins import trimmed
from camcli.data.decode.preprocess import View
from camcli.result import Heat

# Boxes and shares are measured on a grid of this many pixels along the view's longer side: fine
# enough for a box that is right within a pixel or two, and as cheap for 24 megapixels as for 1.
GRID = 224


def is_empty(heatmap: np.ndarray) -> bool:
    """Whether a map holds no positive evidence: nothing above zero, or the same everywhere.

    Args:
        heatmap: (h, w), signed.
    """
    return _nothing_above(float(heatmap.max()), float(heatmap.min()))


def _nothing_above(high: float, low: float) -> bool:
    """`is_empty`, of a map's greatest and least value."""
    return not (isfinite(high) and isfinite(low) and high > 0 and high - low > 1e-6 * high)


def scaled(heatmap: np.ndarray, high: float | None = None) -> np.ndarray | None:
    """ReLU and division: what the papers draw.

    Args:
        heatmap: (h, w), signed.
        high: the value drawn as 1; by default the map's own maximum.

    Returns:
        (h, w) float32 in [0, 1], or None when the map is empty.
    """
    own = float(heatmap.max())
    if _nothing_above(own, float(heatmap.min())):
        return None
    high = own if high is None else high
    # Clipped first: a strongly negative value over a tiny maximum would overflow.
    return (heatmap.clip(0, high) / np.float32(high)).astype(np.float32, copy=False)


def likeness(one: np.ndarray, other: np.ndarray) -> float | None:
    """Cosine of what is positive in two maps of one part of a photograph.

    Args:
        one: (h, w), signed.
        other: (h', w'), likewise; the coarser of the two is enlarged.

    Returns:
        1 where they name the same places, 0 where no place in common; None if one of them is empty.
    """
    if is_empty(one) or is_empty(other):
        return None
    h, w = (max(sides) for sides in zip(one.shape, other.shape, strict=True))
    a, b = (
        cv2.resize(scaled_map, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float64)
        for scaled_map in (scaled(one), scaled(other))
        if scaled_map is not None
    )
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, float((a * b).sum()) / length) if length > 0 else None


def signed(heatmap: np.ndarray) -> np.ndarray | None:
    """Evidence for the class and against it, on one scale.

    Args:
        heatmap: (h, w), signed.

    Returns:
        (h, w) float32 in [-1, 1]: zero stays zero, and the strongest value of either sign becomes 1
        or -1. None when the map is not finite, or zero everywhere.
    """
    high = float(np.abs(heatmap).max())
    if not np.isfinite(high) or high == 0:
        return None
    return (heatmap / np.float32(high)).astype(np.float32)


def describe(
    heatmap: np.ndarray,
    view: View,
    size: tuple[int, int],
    *,
    target: str,
    index: int,
    prob: float | None,
    value: float | None = None,
    threshold: BoxThreshold = USUAL_SHARE,
) -> Heat:
    """Where the heat is, in numbers.

    Args:
        heatmap: (h, w) float32, signed and unscaled.
        view: the part of the photograph that the network saw, in the photograph's pixels.
        size: (width, height) of the photograph.
        target: name of the explained class.
        index: its index.
        prob: its probability; None of a value.
        value: what the network says of it, if it has values and no classes.
        threshold: from which share of its maximum on it is inside its box, or by its histogram.

    Returns:
        The map with its centre of mass, box, area and border share (see `Heat`).
    """
    spread = _spread(heatmap, view, size)
    if spread is None:
        return Heat(target, index, prob, heatmap, empty=True, value=value)
    heat, (x0, y0, x1, y1) = spread
    height, width = heat.shape
    # Sums by OpenCV: this runs for every image, and numpy takes many times as long along rows.
    columns, rows = np.empty((1, width)), np.empty((height, 1))
    cv2.reduce(heat, 0, cv2.REDUCE_SUM, dst=columns, dtype=cv2.CV_64F)
    cv2.reduce(heat, 1, cv2.REDUCE_SUM, dst=rows, dtype=cv2.CV_64F)
    total = float(columns.ravel().sum())
    centre_x = float(columns.ravel() @ _middles(width)) / total / width
    centre_y = float(rows.ravel() @ _middles(height)) / total / height

    peak = heat.max()
    return Heat(
        target,
        index,
        prob,
        heatmap,
        value=value,
        x=(x0 + centre_x * (x1 - x0)) / size[0],
        y=(y0 + centre_y * (y1 - y0)) / size[1],
        box=_box(heat, (x0, y0, x1, y1), _share(heat, peak, threshold) * peak),
        area=float(np.count_nonzero(heat > 0.5 * peak) / heat.size),
        border=border_share(heat, total),
    )


def boxes_of(
    heatmap: np.ndarray, view: View, size: tuple[int, int], thresholds: Sequence[BoxThreshold]
) -> list[tuple[int, int, int, int]] | None:
    """The boxes that `describe` would give a map for each of several thresholds.

    Args:
        heatmap: (h, w) float32, signed and unscaled.
        view: the part of the photograph that the network saw, in the photograph's pixels.
        size: (width, height) of the photograph.
        thresholds: shares of its maximum, or by its histogram.

    Returns:
        (x0, y0, x1, y1) in pixels of the photograph for each; None where the map is empty.
    """
    spread = _spread(heatmap, view, size)
    if spread is None:
        return None
    heat, place = spread
    peak = heat.max()
    return [_box(heat, place, _share(heat, peak, each) * peak) for each in thresholds]


def _spread(
    heatmap: np.ndarray, view: View, size: tuple[int, int]
) -> tuple[np.ndarray, View] | None:
    """A map in [0, 1] on a grid that is fine enough to measure, and what that covers.

    None where it is empty, also because all of it lies on the margins of ``--fit pad``.
    """
    small = scaled(heatmap)
    if small is None:
        return None
    x0, y0, x1, y1 = view
    long = max(x1 - x0, y1 - y0)
    # Never coarser than the map: of a photograph one pixel wide all heat might fall between two.
    width = max(small.shape[1], round(GRID * (x1 - x0) / long))
    height = max(small.shape[0], round(GRID * (y1 - y0) / long))
    # Into arrays that are there: OpenCV would take Python's lock once more to make each.
    heat = np.empty((height, width), np.float32)
    cv2.resize(small, (width, height), dst=heat, interpolation=cv2.INTER_LINEAR)
    on_it, (x0, y0, x1, y1) = trimmed(heat, view, size)
    if on_it is not heat:
        x0, y0, x1, y1 = max(0.0, x0), max(0.0, y0), min(x1, size[0]), min(y1, size[1])
        heat = np.ascontiguousarray(on_it)
        if not heat.any():
            return None
    return heat, (x0, y0, x1, y1)


def _share(heat: np.ndarray, peak: float, threshold: BoxThreshold) -> float:
    """The share of a map's maximum that a threshold means, below 1; Otsu's of 256 levels.

    0 where the percentile asked for is 0: then all that is warm is inside.
    """
    if not isinstance(threshold, str):
        return threshold
    if threshold == OTSU:
        levels = (heat * np.float32(255 / peak)).astype(np.uint8)
        level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        # Levels up to this one are outside; one step below the maximum at most.
        return min((level + 1) / 255, 254 / 255)
    share, percentile = map(float, threshold.split("@"))
    return share * float(np.percentile(heat, percentile)) / float(peak)


def _box(heat: np.ndarray, view: View, above: float) -> tuple[int, int, int, int]:
    """Around the largest region above a value, in whole pixels of the photograph."""
    height, width = heat.shape
    x0, y0, x1, y1 = view
    left, top, right, bottom = _largest_component(heat > above)
    sx, sy = (x1 - x0) / width, (y1 - y0) / height
    return (
        floor(x0 + left * sx + 1e-6),
        floor(y0 + top * sy + 1e-6),
        ceil(x0 + right * sx - 1e-6),
        ceil(y0 + bottom * sy - 1e-6),
    )


@lru_cache(maxsize=64)
def _middles(count: int) -> np.ndarray:
    """The middles of so many pixels in a row; not to be written to."""
    return np.arange(count) + 0.5


def hottest(heatmap: np.ndarray, view: View) -> tuple[float, float]:
    """The middle of a map's highest cell, in pixels of the photograph.

    Args:
        heatmap: (h, w).
        view: the part that it covers.

    Returns:
        (x, y); of equal ones the first.
    """
    h, w = heatmap.shape
    row, column = divmod(int(heatmap.argmax()), w)
    x = view[0] + (column + 0.5) * (view[2] - view[0]) / w
    return x, view[1] + (row + 0.5) * (view[3] - view[1]) / h


def border_share(heat: np.ndarray, total: float | None = None) -> float:
    """Share of the heat in the outer tenth of the frame, in [0, 1].

    Args:
        heat: (h, w) float32, at least 0, fine enough to tell a tenth of its sides.
        total: its sum, if that is known.
    """
    height, width = heat.shape
    x, y = round(width / 10), round(height / 10)
    inner = heat[y : height - y, x : width - x]
    # The 1x1 photograph has no inner part; then all of it is border.
    if not inner.size:
        return 1.0
    total = cv2.sumElems(heat)[0] if total is None else total
    return max(0.0, 1 - cv2.sumElems(inner)[0] / total)


def _largest_component(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom), right and bottom excluded, of the largest 8-connected region."""
    seen = mask.view(np.uint8)
    outlines, levels = cv2.findContours(seen, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [n for n, parent in enumerate(levels[0, :, 3].tolist()) if parent < 0]  # no holes
    if len(outer) == 1:  # as most maps have it, and 15 times faster than counting pixels
        x, y, width, height = cv2.boundingRect(outlines[outer[0]])
        return x, y, x + width, y + height
    _, _, stats, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    best = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    left, top = int(best[cv2.CC_STAT_LEFT]), int(best[cv2.CC_STAT_TOP])
    return left, top, left + int(best[cv2.CC_STAT_WIDTH]), top + int(best[cv2.CC_STAT_HEIGHT])
