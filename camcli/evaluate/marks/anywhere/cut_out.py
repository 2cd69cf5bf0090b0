"""What a mark looks like, cut out of the photographs that have it: what is constant in them.

Laid on each other, the photographs agree where the mark is and differ where it is not. Where a mark
lets `1 - alpha` of the photograph through, they differ by that share of what they differ elsewhere,
which gives alpha, and with it the mark's own colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

MOST = 32  # photographs that it is cut out of
_LEAST_SPREAD = 22.0  # grey values by which photographs differ at the least where there is no mark
_FAINT = 0.35  # alpha of what is no longer the mark
_CLEAR = 0.55  # alpha of what is surely the mark
_KEPT = 0.8  # of the photographs say by how much they differ; the others hide the mark, or lack it


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A mark, in pixels of its own.

    Attributes:
        rgb: (h, w, 3) uint8, its colours; any where it is not.
        alpha: (h, w) float32 in [0, 1], how much of the photograph it hides.
        place: (left, top) of its first pixel in the frame that it was cut out of.
        around: (3,) mean colour around it.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    place: tuple[int, int]
    around: np.ndarray

    @property
    def picture(self) -> np.ndarray:
        """How it looks on a middling ground, (h, w, 3) uint8."""
        alpha = self.alpha[..., None]
        return np.clip(self.rgb * alpha + (1 - alpha) * 128, 0, 255).astype(np.uint8)

    @property
    def shift(self) -> np.ndarray:
        """The similarity from its pixels to the frame that it was cut out of."""
        return np.array([[1, 0, self.place[0]], [0, 1, self.place[1]]], np.float64)


def seen_through(
    rgb: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A part of a photograph, laid into a window.

    Args:
        rgb: (H, W, 3) uint8.
        matrix: similarity from the window's pixels to the photograph's.
        size: (width, height) of the window.

    Returns:
        (h, w, 3) uint8, and (h, w) bool: where there is a photograph.
    """
    # Smaller pictures of it first, where the window is coarser: no aliasing.
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale > 1.6:
        factor = 1 / scale
        height, width = rgb.shape[:2]
        small = max(1, round(width * factor)), max(1, round(height * factor))
        rgb = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        matrix = matrix * np.array([[small[0] / width], [small[1] / height]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(rgb, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
    height, width = rgb.shape[:2]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return np.asarray(laid), inside


def cut_out(
    photographs: Sequence[tuple[np.ndarray, np.ndarray]],
    points: np.ndarray,
    grown: int = 3,
) -> CutOut | None:
    """The mark that photographs have in common.

    Args:
        photographs: pixels of each, and the similarity from the common frame to them.
        points: (N, 2) places in the common frame that are known to be on the mark.
        grown: how often the window may be made larger, where the mark reaches its end.

    Returns:
        The mark; None where nothing in the photographs is constant, pixel by pixel.
    """
    low, high = points.min(0), points.max(0)
    margin = np.maximum(10, 0.35 * (high - low).max())
    low, high = np.floor(low - margin).astype(int), np.ceil(high + margin).astype(int)
    for turn in range(grown + 1):
        size = int(high[0] - low[0] + 1), int(high[1] - low[1] + 1)
        if max(size) > 1600:
            break
        alpha, colours, around = _matte(photographs[:MOST], low, size)
        core = _core(alpha, points - low)
        if core is None:
            return None
        alpha = np.where(core, alpha, 0)
        step = np.maximum(12, 0.4 * np.array(size)).astype(int)
        ends = [
            (alpha[:, :3] > 0.5).any(), (alpha[:3] > 0.5).any(),
            (alpha[:, -3:] > 0.5).any(), (alpha[-3:] > 0.5).any(),
        ]  # fmt: skip
        if turn == grown or not any(ends):
            break
        low = low - step * np.array(ends[:2])
        high = high + step * np.array(ends[2:])
    return _trimmed(alpha, colours, low, around)


def _matte(
    photographs: Sequence[tuple[np.ndarray, np.ndarray]], low: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Alpha (h, w) and colours (h, w, 3) of what is constant in a window; the colour around."""
    shift = np.array([[1, 0, low[0]], [0, 1, low[1]]], np.float64)
    stack = np.empty((len(photographs), size[1], size[0], 3), np.float32)
    for k, (rgb, matrix) in enumerate(photographs):
        moved = np.hstack([matrix[:, :2], matrix[:, :2] @ shift[:, 2:] + matrix[:, 2:]])
        laid, inside = seen_through(rgb, moved, size)
        stack[k] = np.where(inside[..., None], laid, np.nan)
    counted = np.isfinite(stack[..., 0]).sum(0)
    with np.errstate(invalid="ignore"):
        middle = _median(stack)
        spread = _spread(stack, middle)
    few = counted < max(3, 0.3 * len(photographs))
    spread[few] = np.inf
    spread = np.nan_to_num(spread, nan=np.inf)
    elsewhere = max(_LEAST_SPREAD, _elsewhere(stack))
    # A photograph's noise and a pixel's misplacement are no transparency.
    alpha = np.clip(1.15 * (1 - spread / elsewhere), 0, 1)
    alpha = cv2.medianBlur((255 * alpha).astype(np.uint8), 3).astype(np.float32) / 255
    ground = ~few & (alpha < 0.15)
    around = middle[ground].mean(0) if ground.any() else np.full(3, 128.0)
    a = np.maximum(alpha, _FAINT)[..., None]
    colours = np.clip((np.nan_to_num(middle) - (1 - a) * around) / a, 0, 255)
    return alpha, colours.astype(np.uint8), around


def _median(stack: np.ndarray) -> np.ndarray:
    """Median over the first axis of what is finite; infinite where nothing is."""
    ordered = np.sort(stack, axis=0)  # NaN last
    counted = np.isfinite(stack[..., :1]).sum(0)
    at = np.maximum(counted - 1, 0)
    lower = np.take_along_axis(ordered, (at // 2)[None], 0)[0]
    upper = np.take_along_axis(ordered, ((at + 1) // 2)[None], 0)[0]
    return np.asarray((lower + upper) / 2)


def _spread(stack: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """By how much the photographs differ at each pixel, but for those that are farthest off."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(stack - middle).mean(-1)
    ordered = np.sort(apart, axis=0)  # NaN last
    counted = np.isfinite(apart).sum(0)
    kept = np.ceil(_KEPT * counted)
    among = np.arange(len(stack)).reshape(-1, *[1] * (ordered.ndim - 1)) < kept
    total = np.where(among, np.nan_to_num(ordered), 0).sum(0)
    # Of a normal distribution, the mean of the nearest 80% is 0.52 of its deviation.
    return np.asarray(total / np.maximum(kept, 1) / 0.52)


def _elsewhere(stack: np.ndarray) -> float:
    """By how much the photographs differ where there is no mark: those at the window's edge."""
    rows = max(3, stack.shape[1] // 12), max(3, stack.shape[2] // 12)
    edge = np.ones(stack.shape[1:3], bool)
    edge[rows[0] : -rows[0], rows[1] : -rows[1]] = False
    at_edge = stack[:, edge]
    known = np.isfinite(at_edge[..., 0]).sum(0) >= max(3, 0.3 * len(stack))
    if known.sum() < 30:
        return 45.0
    at_edge = at_edge[:, known]
    middle = _median(at_edge)
    return float(np.percentile(_spread(at_edge, middle), 50))


def _core(alpha: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """(h, w) bool: the parts of what is constant that the known places are on, or near.

    What is faintly constant is the mark's where it touches what is clearly so: a sky is faintly
    constant in many photographs.
    """
    strong = (alpha >= _CLEAR).astype(np.uint8)
    reach = int(np.clip(round(0.04 * max(alpha.shape)), 2, 14)) * 2 + 1
    joined = cv2.dilate(strong, np.ones((reach, reach), np.uint8))
    _, names = cv2.connectedComponents(joined)
    size = np.array([alpha.shape[1], alpha.shape[0]])
    at = np.clip(np.round(points).astype(int), 0, size - 1)
    counted = np.bincount(names[at[:, 1], at[:, 0]], minlength=names.max() + 1)
    counted[0] = 0
    chosen = np.flatnonzero(counted >= max(1, 0.08 * counted.sum()))
    if not len(chosen):
        return None
    core = (np.isin(names, chosen) & (strong > 0)).astype(np.uint8)
    _, names, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
    small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < 5)
    core[np.isin(names, small)] = 0
    near = cv2.dilate(core, np.ones((5, 5), np.uint8)) > 0
    return near & (alpha >= _FAINT)


def _trimmed(
    alpha: np.ndarray, colours: np.ndarray, low: np.ndarray, around: np.ndarray
) -> CutOut | None:
    """Only as large as the mark is."""
    strong = alpha >= _FAINT
    rows, columns = np.flatnonzero(strong.any(1)), np.flatnonzero(strong.any(0))
    if strong.sum() < 24 or min(len(rows), len(columns)) < 3:
        return None
    top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
    part = np.s_[top : rows[-1] + 2, left : columns[-1] + 2]
    return CutOut(
        np.ascontiguousarray(colours[part]),
        np.ascontiguousarray(alpha[part]).astype(np.float32),
        (int(low[0] + left), int(low[1] + top)),
        around,
    )


def likeness(rgb: np.ndarray, matrix: np.ndarray, mark: CutOut) -> float:
    """How like a mark a place in a photograph is: a correlation, 1 for the mark itself.

    Args:
        rgb: (H, W, 3) uint8.
        matrix: similarity from the mark's pixels to the photograph's.
        mark: what is looked for.

    Returns:
        Correlation of all channels with the mark as it would look there, over the mark and its
        outline; of what lies within the photograph, and 0 where that is less than half of it.
    """
    size = mark.alpha.shape[1], mark.alpha.shape[0]
    laid, inside = seen_through(rgb, matrix, size)
    weight = cv2.dilate(mark.alpha, np.ones((5, 5), np.uint8))
    if (weight * inside).sum() < 0.5 * weight.sum():
        return 0.0
    weight = weight * inside
    weight = weight[..., None] / weight.sum()
    photo = laid.astype(np.float32)
    alpha = mark.alpha[..., None]
    bare = (1 - alpha) * inside[..., None]
    ground = (photo * bare).sum((0, 1)) / bare.sum() if bare.sum() > 9 else mark.around
    expected = alpha * mark.rgb + (1 - alpha) * ground
    # A grey of all channels, so that their differences count and their levels do not.
    photo = photo - (photo * weight).sum((0, 1))
    expected = expected - (expected * weight).sum((0, 1))
    both = (photo * expected * weight).sum()
    norm = np.sqrt((photo**2 * weight).sum() * (expected**2 * weight).sum())
    return float(both / norm) if norm > 1e-6 else 0.0
