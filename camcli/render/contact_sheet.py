"""Many results on one page: a grid of pictures with titles, as tutorials and papers show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from camcli.errors import UsageError
from camcli.render.label import PAPER, QUIET, RIGHT, TEXT, WRONG, paste
from camcli.render.text import Ink, ellipsised, line_height, printable, text_tile, text_width

_MAT = (232, 233, 237)


class Tile(NamedTuple):
    """One cell of a contact sheet; a plain ``(rgb, lines)`` will do as well.

    Attributes:
        rgb: (H, W, 3) uint8, of any size.
        lines: captions below; the first is the title.
        correct: whether the prediction was right; None when that cannot be said.
    """

    rgb: np.ndarray
    lines: Sequence[str]
    correct: bool | None = None


def contact_sheet(
    tiles: Iterable[Tile | tuple[np.ndarray, Sequence[str]]],
    rows: int,
    cols: int,
    *,
    title: str | None = None,
    tile: tuple[int, int] = (240, 240),
) -> np.ndarray:
    """Lay pictures out in a grid, row by row.

    Every picture keeps its proportions on a mat of the same size. With fewer pictures than cells,
    rows that would stay empty are left out; what is too many is not looked at.

    Args:
        tiles: the pictures with their captions.
        rows: of the grid, 1 or more.
        cols: of the grid, 1 or more.
        title: above the grid.
        tile: (width, height) of a picture's cell in pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UsageError: the grid has no cells, or there is no picture.
    """
    if rows < 1 or cols < 1:
        raise UsageError(f"A contact sheet needs 1x1 cells or more, not {rows}x{cols}.")
    width = tile[0]
    size = max(10, round(width / 17))
    cells = [_cell(Tile(*item), tile, size) for item in islice(tiles, rows * cols)]
    if not cells:
        raise UsageError("There is no picture for the contact sheet.")
    columns = min(cols, len(cells))
    gap = max(4, width // 16)
    caption = max(cell.shape[0] for cell in cells)
    sheet_width = columns * width + (columns + 1) * gap
    head = gap if title is None else _title_height(width) + 2 * gap
    sheet = np.empty((head + -(-len(cells) // columns) * (caption + gap), sheet_width, 3), np.uint8)
    sheet[:] = PAPER
    if title is not None:
        ink = Ink(_title_size(width), TEXT, PAPER)
        text = ellipsised(printable(title), ink.size, sheet_width - 2 * gap)
        paste(sheet, text_tile(text, ink), gap, gap)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        paste(sheet, cell, gap + column * (width + gap), head + row * (caption + gap))
    return sheet


def _title_size(width: int) -> int:
    return max(12, round(width / 12))


def _title_height(width: int) -> int:
    return line_height(_title_size(width))


def _cell(item: Tile, tile: tuple[int, int], size: int) -> np.ndarray:
    """A picture on its mat with its captions."""
    width, height = tile
    mark = {None: TEXT, True: RIGHT, False: WRONG}[item.correct]
    sign = {None: "", True: "✓ ", False: "✗ "}[item.correct]
    frame = 0 if item.correct is None else max(2, width // 80)
    pad = max(4, width // 40)
    inks = [Ink(size, mark, PAPER)] + [Ink(max(10, round(0.85 * size)), QUIET, PAPER)] * (
        max(0, len(item.lines) - 1)
    )
    heights = [line_height(ink.size) for ink, _ in zip(inks, item.lines, strict=False)]
    cell = np.empty((height + pad + sum(heights), width, 3), np.uint8)
    cell[:] = PAPER
    cell[:height] = _MAT
    small = _fitted(item.rgb, width - 2 * frame, height - 2 * frame)
    paste(cell, small, (width - small.shape[1]) // 2, (height - small.shape[0]) // 2)
    if frame:
        cv2.rectangle(cell, (0, 0), (width - 1, height - 1), mark, 2 * frame - 1)
        cell[height:] = PAPER
    y = height + pad
    for number, (text, ink, line) in enumerate(zip(item.lines, inks, heights, strict=False)):
        before = text_tile(sign, ink) if sign and number == 0 else None
        x = 0 if before is None else text_width(sign, ink.size)
        if before is not None:
            paste(cell, before, 0, y)
        paste(cell, text_tile(ellipsised(printable(text), ink.size, width - x), ink), x, y)
        y += line
    return cell


def _fitted(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture as large as fits, its proportions kept."""
    ratio = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return cv2.resize(rgb, size, interpolation=how)
