"""One square canvas for maps and annotations of photographs of any shape.

A photograph is squashed to `SIDE` x `SIDE` pixels, as the WSOL literature does (Choe et al. 2020,
arXiv 2001.07437). Squashing changes no IoU of boxes or masks; distances are measured in the
photograph's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from camcli.cam.postprocess import is_empty
from camcli.data.decode.preprocess import View
from camcli.evaluate.measured.map_scaling import MapScaling

SIDE = 224
GAUSSIAN = "centre-gaussian"
"""Name of the control `centre_gaussian` in the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Where the object is.

    Attributes:
        boxes: (n, 4) float64: x0, y0, x1, y1 on the canvas, edges rather than pixel numbers.
        mask: (SIDE, SIDE) bool, or None when only boxes are known.
        ignore: (SIDE, SIDE) bool, pixels that no pixel metric counts; None for none.
        size: (width, height) of the photograph in pixels.
    """

    boxes: np.ndarray
    mask: np.ndarray | None = None
    ignore: np.ndarray | None = None
    size: tuple[int, int] = (SIDE, SIDE)

    @property
    def region(self) -> np.ndarray:
        """The mask, or the union of the boxes where there is none; (SIDE, SIDE) bool."""
        return fill(self.boxes) if self.mask is None else self.mask


def fill(boxes: np.ndarray) -> np.ndarray:
    """Canvas pixels whose centres lie in one of the boxes (n, 4); (SIDE, SIDE) bool."""
    centre = np.arange(SIDE) + 0.5
    inside = np.zeros((SIDE, SIDE), bool)
    for x0, y0, x1, y1 in boxes:
        inside |= ((centre >= y0) & (centre < y1))[:, None] & (centre >= x0) & (centre < x1)
    return inside


def box_of(mask: np.ndarray) -> np.ndarray:
    """The bounding box (1, 4) of a mask's pixels; (0, 4) for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros((0, 4))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float64)


def paint(
    heatmap: np.ndarray, view: View, size: tuple[int, int], scale: MapScaling = "relu"
) -> np.ndarray:
    """A map as scores in [0, 1] on the canvas; 0 where the network saw nothing.

    Args:
        heatmap: (h, w) float32, signed and unscaled.
        view: the part of the photograph that the network saw, in its pixels.
        size: (width, height) of the photograph.
        scale: ``relu``: max(M, 0) / max M, as maps are drawn; ``minmax``: (M - min) / (max - min),
            as wsolevaluation does, which keeps the order of negative evidence.

    Returns:
        (SIDE, SIDE) float32; all 0 for an empty map (nothing positive for ``relu``, constant for
        ``minmax``).

    Raises:
        ValueError: the map holds NaN or infinity.
    """
    if not np.isfinite(heatmap).all():
        raise ValueError("a heatmap holds NaN or infinite values")
    low = float(heatmap.min()) if scale == "minmax" else 0.0
    high = float(heatmap.max())
    if (scale == "relu" and is_empty(heatmap)) or high - low <= 1e-6 * max(abs(high), abs(low)):
        return np.zeros((SIDE, SIDE), np.float32)
    small = np.clip((heatmap.astype(np.float64) - low) / (high - low), 0, 1).astype(np.float32)
    return spread(small, view, size)


def spread(small: np.ndarray, view: View, size: tuple[int, int]) -> np.ndarray:
    """A map as it is, on the canvas; 0 where the network saw nothing.

    Args:
        small: (h, w) float32.
        view: the part of the photograph that the network saw, in its pixels.
        size: (width, height) of the photograph.

    Returns:
        (SIDE, SIDE) float32.
    """
    canvas = np.zeros((SIDE, SIDE), np.float32)
    # Where the centres of the canvas's pixels fall in the map: bilinear, align_corners=False.
    h, w = small.shape
    x = (np.arange(SIDE) + 0.5) * size[0] / SIDE
    y = (np.arange(SIDE) + 0.5) * size[1] / SIDE
    u = ((x - view[0]) / (view[2] - view[0]) * w - 0.5).astype(np.float32)
    v = ((y - view[1]) / (view[3] - view[1]) * h - 0.5).astype(np.float32)
    grid_u, grid_v = np.broadcast_to(u, (SIDE, SIDE)), np.broadcast_to(v[:, None], (SIDE, SIDE))
    painted = cv2.remap(
        small, np.ascontiguousarray(grid_u), np.ascontiguousarray(grid_v), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    seen = ((y >= view[1]) & (y < view[3]))[:, None] & (x >= view[0]) & (x < view[2])
    canvas[seen] = painted[seen]
    return canvas


def centre_gaussian(sigma: float = 0.25) -> np.ndarray:
    """A bump in the middle of the photograph: the baseline that knows where people aim a camera.

    Args:
        sigma: standard deviation as a share of the photograph's sides.
    """
    t = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    bump = np.exp(-(t**2) / (2 * sigma**2))
    return (bump[:, None] * bump / bump.max() ** 2).astype(np.float32)


def centre_box() -> np.ndarray:
    """A map whose level sets are all the centred boxes of the photograph's shape.

    With a threshold chosen on the set, as for every map, it is the best centred box.
    """
    t = 1 - np.abs((np.arange(SIDE) + 0.5) / SIDE - 0.5) * 2
    return (np.minimum(t[:, None], t) / t.max()).astype(np.float32)


def noise(seed: int, side: int = 7) -> np.ndarray:
    """A map (side, side) drawn evenly from [0, 1): it knows nothing at all."""
    return np.random.default_rng(seed).random((side, side), np.float32)
