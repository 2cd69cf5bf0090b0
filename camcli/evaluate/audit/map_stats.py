"""What one heatmap says: how much of it is off the object, at the border, in a corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from camcli.cam.margins import trimmed
from camcli.cam.postprocess import border_share, scaled
from camcli.data.decode.preprocess import View
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.measured.square_canvas import SIDE, paint

MARGIN = 0.08  # of the photograph's side: heat so near to the object is the object's
CORNER = 0.25  # of the side
WARM = 0.4  # of the heat of a stray thing: so much is still the thing
THUMB = 16  # side of the maps that are clustered
_FINE = 100  # side at which a map has a tenth
SHORT = 64  # numbers that are kept of what is in the hottest region: 128 bytes a photograph
_HOT = 0.5  # of the strongest heat: the hottest region


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """One photograph's heat.

    Attributes:
        rel: relative path.
        label: true class; None where it is unknown.
        pred: predicted class.
        prob: its probability.
        thumb: (THUMB, THUMB) float32 in [0, 1], the map on the squashed photograph.
        empty: no positive evidence; thumb is all 0.
        stray: strongest heat away from the object over the strongest; NaN without a mask.
        border: share of the heat in the outer tenth of what the network saw.
        patch: (K,) float32 of length 1, the evidence at the strongest stray cell by channel; None
            where it is not known.
        corner: which corner holds the maximum: 0 top left, 1 top right, 2 bottom left, 3 bottom
            right; -1 for none.
        photo: where the photograph is.
        region: (D,) float16 of length 1, what is in the hottest region, see `region_of`; None
            where it is not known.
        stray_at: where the strongest heat away from the object is: left, top, right, bottom as
            shares of the photograph's sides; None where that is not known.
    """

    rel: str
    label: str | None
    pred: str
    prob: float
    thumb: np.ndarray
    empty: bool
    stray: float
    border: float
    corner: int
    patch: np.ndarray | None = None
    photo: Path | ImageRef = Path()
    region: np.ndarray | None = None
    stray_at: tuple[float, float, float, float] | None = None

    @property
    def right(self) -> bool:
        """Whether the prediction is the label, or there is no label to contradict it."""
        return self.label is None or self.label == self.pred


def fact_of(
    heatmap: np.ndarray,
    view: View,
    size: tuple[int, int],
    *,
    rel: str,
    label: str | None,
    pred: str,
    prob: float,
    mask: np.ndarray | None = None,
    evidence: np.ndarray | None = None,
    photo: Path | ImageRef = Path(),
) -> Fact:
    """What one map says.

    Args:
        heatmap: (h, w), signed.
        view: the part of the photograph that it covers, in its pixels.
        size: (width, height) of the photograph.
        rel: relative path.
        label: true class, as the network names it, or None.
        pred: predicted class.
        prob: its probability.
        mask: (SIDE, SIDE) bool, the object on the canvas, or None.
        evidence: (K, h, w), what each channel says for the class, at least 0, or None.
        photo: where the photograph is.
    """
    heat = scaled(heatmap)
    if heat is None:
        none = np.zeros((THUMB, THUMB), np.float32)
        return Fact(rel, label, pred, prob, none, True, math.nan, 0.0, -1, None, photo)
    thumb = cv2.resize(paint(heatmap, view, size), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    stray, patch, place = math.nan, None, None
    if mask is not None:
        stray, at = stray_heat(heat, view, size, mask)
        place = None if at is None else stray_place(heat, at, view, size)
        if at is not None and evidence is not None:
            patch = evidence[:, at[0], at[1]]
            patch = (patch / max(float(np.linalg.norm(patch)), 1e-12)).astype(np.float32)
    region = None if evidence is None else region_of(heat, evidence)
    heat, _ = trimmed(heat, view, size)
    return Fact(
        rel, label, pred, prob, thumb, False, stray, border_of(heat), corner_of(heat), patch,
        photo, region, place,
    )  # fmt: skip


def stray_place(
    heat: np.ndarray, at: tuple[int, int], view: View, size: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Where a stray thing is: its strongest cell, the neighbours that are warm, and half a cell.

    A thing reaches beyond the cell whose middle it is in. Neighbours that are hotter still belong
    to the object.

    Args:
        heat: (h, w) in [0, 1].
        at: (row, column) of the strongest cell.
        view: the part of the photograph that the map covers.
        size: (width, height) of the photograph.

    Returns:
        Left, top, right, bottom as shares of the photograph's sides; None beyond the photograph.
    """
    h, w = heat.shape
    row, column = at
    rows = slice(max(0, row - 1), min(h, row + 2))
    columns = slice(max(0, column - 1), min(w, column + 2))
    near, own = heat[rows, columns], float(heat[row, column])
    warm = np.argwhere((near >= WARM * own) & (near <= own))
    (top, left), (bottom, right) = warm.min(0) - 0.5, warm.max(0) + 1.5
    step_x, step_y = (view[2] - view[0]) / w, (view[3] - view[1]) / h
    edges = (
        (view[0] + (columns.start + left) * step_x) / size[0],
        (view[1] + (rows.start + top) * step_y) / size[1],
        (view[0] + (columns.start + right) * step_x) / size[0],
        (view[1] + (rows.start + bottom) * step_y) / size[1],
    )
    x0, y0, x1, y1 = (min(1.0, max(0.0, float(edge))) for edge in edges)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def stray_heat(
    heat: np.ndarray, view: View, size: tuple[int, int], mask: np.ndarray
) -> tuple[float, tuple[int, int] | None]:
    """Strongest cell that does not touch the object and its margin, of a map with maximum 1.

    Args:
        heat: (h, w) in [0, 1].
        view: the part of the photograph that it covers.
        size: (width, height) of the photograph.
        mask: (SIDE, SIDE) bool.

    Returns:
        Its heat in [0, 1], and its (row, column); NaN and None when the mask is empty or no cell
        is free of the object.
    """
    if not mask.any():
        return math.nan, None
    margin = round(MARGIN * SIDE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    near = cv2.dilate(mask.astype(np.uint8), disc)
    h, w = heat.shape
    edges_x = (view[0] + (view[2] - view[0]) * np.arange(w + 1) / w) * SIDE / size[0]
    edges_y = (view[1] + (view[3] - view[1]) * np.arange(h + 1) / h) * SIDE / size[1]
    x = np.clip(np.round(edges_x).astype(int), 0, SIDE)
    y = np.clip(np.round(edges_y).astype(int), 0, SIDE)
    sums = cv2.integral(near)  # (SIDE + 1, SIDE + 1)
    touched = (
        sums[np.ix_(y[1:], x[1:])] - sums[np.ix_(y[:-1], x[1:])]
        - sums[np.ix_(y[1:], x[:-1])] + sums[np.ix_(y[:-1], x[:-1])]
    )  # fmt: skip
    free = touched <= 0.02 * np.maximum(np.diff(y)[:, None] * np.diff(x)[None], 1)
    if not free.any():
        return math.nan, None
    row, column = np.unravel_index(int(np.where(free, heat, -1).argmax()), heat.shape)
    return float(heat[row, column]), (int(row), int(column))


def region_of(heat: np.ndarray, evidence: np.ndarray) -> np.ndarray | None:
    """What is in the hottest region: the evidence of each channel there, in few numbers.

    The mean of the evidence over the cells with at least half of the strongest heat, weighted by
    their heat and projected at random onto `SHORT` numbers, which keeps the angles between
    photographs to about 0.1 (Johnson and Lindenstrauss). Two photographs with the same thing there
    are near each other, wherever in the picture it is.

    Args:
        heat: (h, w) in [0, 1], with maximum 1.
        evidence: (K, h', w'), at least 0.

    Returns:
        (min(K, SHORT),) float16 of length 1; None without any evidence there.
    """
    if heat.shape != evidence.shape[1:]:  # of a method that draws finer maps
        size = evidence.shape[2], evidence.shape[1]
        heat = cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        heat = heat / max(float(heat.max()), 1e-12)
    weight = np.where(heat >= _HOT, heat, 0)
    mean = np.einsum("khw,hw->k", evidence, weight, optimize=True).astype(np.float64)
    length = float(np.linalg.norm(mean))
    if not 0 < length < math.inf:
        return None
    mean /= length
    if len(mean) > SHORT:
        mean = mean @ _projection(len(mean))
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float16)


@lru_cache(maxsize=4)
def _projection(channels: int) -> np.ndarray:
    """The same in every run, (channels, SHORT)."""
    return np.random.default_rng(0).standard_normal((channels, SHORT)) / math.sqrt(SHORT)


def border_of(heat: np.ndarray) -> float:
    """`border_share` of a coarse map, (h, w), at least 0."""
    return border_share(cv2.resize(heat, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR))


def corner_of(heat: np.ndarray) -> int:
    """The corner that holds the maximum, 0 to 3 in reading order, or -1."""
    h, w = heat.shape
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    y, x = (row + 0.5) / h, (column + 0.5) / w
    near_y, near_x = min(y, 1 - y) < CORNER, min(x, 1 - x) < CORNER
    return int(2 * (y > 0.5) + (x > 0.5)) if near_y and near_x else -1
