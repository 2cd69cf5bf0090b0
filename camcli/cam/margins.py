"""Margins about a photograph, which ``--fit pad`` adds: nothing of them is shown or counted."""

from __future__ import annotations

import numpy as np

from camcli.data.decode.preprocess import View


def without_margins(heatmap: np.ndarray, view: View, size: tuple[int, int]) -> np.ndarray:
    """A map whose cells beyond the photograph hold no evidence.

    Args:
        heatmap: (h, w), signed.
        view: what it covers, in pixels of the photograph.
        size: (width, height) of the photograph.

    Returns:
        (h, w); `heatmap` itself where nothing is beyond.
    """
    if not _beyond(view, size):
        return heatmap
    rows, columns = _cells(heatmap.shape, view, size)
    kept = np.zeros_like(heatmap)
    kept[rows, columns] = heatmap[rows, columns]
    return kept


def trimmed(heatmap: np.ndarray, view: View, size: tuple[int, int]) -> tuple[np.ndarray, View]:
    """The part of a map that lies on the photograph, by the middles of its cells.

    Args:
        heatmap: (h, w).
        view: what it covers, in pixels of the photograph.
        size: (width, height) of the photograph.

    Returns:
        (h', w') and what that covers; both as they were where nothing is beyond.
    """
    if not _beyond(view, size):
        return heatmap, view
    h, w = heatmap.shape
    x0, y0, x1, y1 = view
    left, right = _middle(w, x0, x1, size[0])
    top, bottom = _middle(h, y0, y1, size[1])
    sx, sy = (x1 - x0) / w, (y1 - y0) / h
    part = x0 + left * sx, y0 + top * sy, x0 + right * sx, y0 + bottom * sy
    return heatmap[top:bottom, left:right], part


def _beyond(view: View, size: tuple[int, int]) -> bool:
    return view[0] < 0 or view[1] < 0 or view[2] > size[0] or view[3] > size[1]


def _cells(shape: tuple[int, ...], view: View, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the cells that touch the photograph."""
    found = []
    for cells, start, stop, side in (
        (shape[0], view[1], view[3], size[1]), (shape[1], view[0], view[2], size[0]),
    ):  # fmt: skip
        step = (stop - start) / cells
        # A hair's breadth of a cell is a matter of rounding.
        first = int(np.floor(-start / step + 1e-6))
        last = int(np.ceil((side - start) / step - 1e-6))
        found.append(slice(max(0, first), max(0, first) + max(1, min(cells, last) - max(0, first))))
    return found[0], found[1]


def _middle(cells: int, start: float, stop: float, side: int) -> tuple[int, int]:
    """From which to which cell the middles lie on the photograph; at least one."""
    step = (stop - start) / cells
    first = min(cells - 1, max(0, int(np.ceil(-start / step - 0.5))))
    last = int(np.ceil((side - start) / step - 0.5))
    return first, min(cells, max(first + 1, last))
