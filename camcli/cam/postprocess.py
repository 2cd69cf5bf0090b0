"""From a signed map to what is drawn and what is counted."""

from __future__ import annotations

import cv2
import numpy as np

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
    high, low = float(heatmap.max()), float(heatmap.min())
    return not (np.isfinite(high) and np.isfinite(low) and high > 0 and high - low > 1e-6 * high)


def scaled(heatmap: np.ndarray, high: float | None = None) -> np.ndarray | None:
    """ReLU and division: what the papers draw.

    Args:
        heatmap: (h, w), signed.
        high: the value drawn as 1; by default the map's own maximum.

    Returns:
        (h, w) float32 in [0, 1], or None when the map is empty.
    """
    if is_empty(heatmap):
        return None
    high = float(heatmap.max()) if high is None else high
    # Clipped first: a strongly negative value over a tiny maximum would overflow.
    return (np.clip(heatmap, 0, high) / np.float32(high)).astype(np.float32)


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
    prob: float,
) -> Heat:
    """Where the heat is, in numbers.

    Args:
        heatmap: (h, w) float32, signed and unscaled.
        view: the part of the photograph that the network saw, in the photograph's pixels.
        size: (width, height) of the photograph.
        target: name of the explained class.
        index: its index.
        prob: its probability.

    Returns:
        The map with its centre of mass, box, area and border share (see `Heat`).
    """
    small = scaled(heatmap)
    if small is None:
        return Heat(target, index, prob, heatmap, empty=True)
    x0, y0, x1, y1 = view
    long = max(x1 - x0, y1 - y0)
    # Never coarser than the map: of a photograph one pixel wide all heat might fall between two.
    width = max(small.shape[1], round(GRID * (x1 - x0) / long))
    height = max(small.shape[0], round(GRID * (y1 - y0) / long))
    heat = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    # Sums by OpenCV: this runs for every image, and numpy takes many times as long along rows.
    columns, rows = (
        cv2.reduce(heat, axis, cv2.REDUCE_SUM, dtype=cv2.CV_64F).ravel() for axis in (0, 1)
    )
    total = float(columns.sum())
    centre_x = float(columns @ (np.arange(width) + 0.5)) / total / width
    centre_y = float(rows @ (np.arange(height) + 0.5)) / total / height

    left, top, right, bottom = _largest_component(heat > 0.2 * heat.max())
    sx, sy = (x1 - x0) / width, (y1 - y0) / height
    box = (
        int(np.floor(x0 + left * sx + 1e-6)),
        int(np.floor(y0 + top * sy + 1e-6)),
        int(np.ceil(x0 + right * sx - 1e-6)),
        int(np.ceil(y0 + bottom * sy - 1e-6)),
    )
    return Heat(
        target,
        index,
        prob,
        heatmap,
        x=(x0 + centre_x * (x1 - x0)) / size[0],
        y=(y0 + centre_y * (y1 - y0)) / size[1],
        box=box,
        area=float(np.count_nonzero(heat > 0.5 * heat.max()) / heat.size),
        border=border_share(heat, total),
    )


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
    seen = mask.astype(np.uint8)
    outlines, levels = cv2.findContours(seen, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = np.flatnonzero(levels[0, :, 3] < 0)  # the others are holes
    if len(outer) == 1:  # as most maps have it, and 15 times faster than counting pixels
        x, y, width, height = cv2.boundingRect(outlines[int(outer[0])])
        return x, y, x + width, y + height
    _, _, stats, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    best = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    left, top = int(best[cv2.CC_STAT_LEFT]), int(best[cv2.CC_STAT_TOP])
    return left, top, left + int(best[cv2.CC_STAT_WIDTH]), top + int(best[cv2.CC_STAT_HEIGHT])
