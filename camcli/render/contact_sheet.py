"""Many results on one page: a grid of pictures with titles, as tutorials and papers show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from camcli.errors import UsageError
from camcli.render.label import paste
from camcli.render.text import (
    Ink,
    baseline,
    ellipsised,
    line_height,
    printable,
    text_tile,
    text_width,
)
from camcli.render.theme import CARD, MAT, PAPER, QUIET, RIGHT, TEXT, WRONG


class Tile(NamedTuple):
    """One cell of a contact sheet; a plain ``(rgb, lines)`` will do as well.

    Attributes:
        rgb: (H, W, 3) uint8, of any size.
        lines: captions below; the first is the title.
        correct: whether the prediction was right; None when that cannot be said.
        aside: at the right of the title, such as its probability.
    """

    rgb: np.ndarray
    lines: Sequence[str]
    correct: bool | None = None
    aside: str = ""


def contact_sheet(
    tiles: Iterable[Tile | tuple[np.ndarray, Sequence[str]] | None],
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
        tiles: the pictures with their captions; None leaves a cell empty.
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
    cells = [
        None if item is None else _cell(Tile(*item), tile, size)
        for item in islice(tiles, rows * cols)
    ]
    drawn = [cell for cell in cells if cell is not None]
    if not drawn:
        raise UsageError("There is no picture for the contact sheet.")
    columns = min(cols, len(cells))
    gap = max(4, width // 16)
    caption = max(cell.shape[0] for cell in drawn)
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
        if cell is None:
            continue
        paste(sheet, cell, gap + column * (width + gap), head + row * (caption + gap))
    return sheet


def _title_size(width: int) -> int:
    return max(12, round(width / 12))


def _title_height(width: int) -> int:
    return line_height(_title_size(width))


def _cell(item: Tile, tile: tuple[int, int], size: int) -> np.ndarray:
    """A card: a picture on its mat, a line that says right or wrong, and the captions."""
    width, height = tile
    pad = max(4, width // 24)
    small = max(10, round(0.85 * size))
    sign, mark = {None: ("", TEXT), True: ("✓ ", RIGHT), False: ("✗ ", WRONG)}[item.correct]
    sizes = [size] + [small] * (len(item.lines) - 1) if item.lines else []
    below = sum(map(line_height, sizes)) + (2 * pad if sizes else 0)
    card = np.empty((height + below, width, 3), np.uint8)
    card[:height], card[height:] = MAT, CARD
    picture = _fitted(item.rgb, width, height)
    paste(card, picture, (width - picture.shape[1]) // 2, (height - picture.shape[0]) // 2)
    if item.correct is not None:
        card[height - max(3, width // 60) : height] = mark
    y, end = height + pad, width - pad
    for number, (line, of) in enumerate(zip(item.lines, sizes, strict=True)):
        x, stop = pad, end
        if number == 0:
            if item.aside:
                aside = text_tile(printable(item.aside), Ink(small, QUIET, CARD))
                stop = end - aside.shape[1] - pad
                paste(card, aside, end - aside.shape[1], y + baseline(size) - baseline(small))
            if sign:
                paste(card, text_tile(sign, Ink(size, mark, CARD)), x, y)
                x += text_width(sign, size)
        ink = Ink(of, TEXT if number == 0 else QUIET, CARD)
        paste(card, text_tile(ellipsised(printable(line), of, max(1, stop - x)), ink), x, y)
        y += line_height(of)
    return _rounded(card, max(3, width // 24))


def _rounded(card: np.ndarray, radius: int) -> np.ndarray:
    """With round corners on paper."""
    edge = np.arange(radius) + 0.5 - radius
    inside = np.clip(radius + 0.5 - np.hypot(edge[:, None], edge), 0, 1)[..., None]
    for rows, flip_rows in ((slice(None, radius), 1), (slice(-radius, None), -1)):
        for columns, flip_columns in ((slice(None, radius), 1), (slice(-radius, None), -1)):
            share = inside[::flip_rows, ::flip_columns]
            corner = card[rows, columns] * share + np.array(PAPER) * (1 - share)
            card[rows, columns] = corner.round().astype(np.uint8)
    return card


def _fitted(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture as large as fits, its proportions kept."""
    ratio = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return cv2.resize(rgb, size, interpolation=how)
