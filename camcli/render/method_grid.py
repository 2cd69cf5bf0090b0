"""One photograph explained by several methods: a grid in which each picture has its method's name.

The photograph stands first; what is the same for all, the prediction, is said once below.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from camcli.cam.method_facts import of_no_class
from camcli.cam.postprocess import likeness
from camcli.render.colormaps import get_colormap, signed_colormap
from camcli.render.label import SMALLEST, filled, font_size, paste
from camcli.render.overlay import dim, outlined, overlay
from camcli.render.picture import (
    answer_strip,
    colour_bar,
    heat_alone,
    on_mat,
    on_paper,
    rank_of,
    scaled_heat,
    size_of,
    view_of,
)
from camcli.render.text import Ink, baseline, ellipsised, line_height, printable, text_tile
from camcli.render.text import text_width as width_of
from camcli.render.theme import PAPER, QUIET, TEXT, WRONG
from camcli.render.verdict import nothing, said
from camcli.result import Heat, Result

# A row is at most about so many times as wide as high: what is wider is shown too small to see.
_WIDEST = 6
# A likeness that is this near to 1 is of maps that are the same up to a factor.
SAME = 0.9995


def like(result: Result, other: Result, rank: int = 0) -> str:
    """How a method's map compares with the first method's, in words.

    Args:
        result: by the first method.
        other: by another one, or `result` itself.
        rank: which of the explained classes.

    Returns:
        ``0.93 like cam``, ``same as cam``; empty of the first itself, and where one shows nothing.
    """
    if other is result or other.status == "error":
        return ""
    alike = likeness(result.heats[rank].heatmap, other.heats[rank].heatmap)
    if alike is None:
        return ""
    return (
        f"same as {result.method}"
        if alike > SAME
        else f"{int(100 * alike) / 100:.2f} like {result.method}"
    )


def columns(rgb: np.ndarray, result: Result) -> int:
    """How many pictures stand beside each other."""
    height, width = rgb.shape[:2]
    pictures = 2 + len(result.beside)
    most = min(8, max(2, round(_WIDEST * height / width)))
    rows = -(-pictures // most)
    return -(-pictures // rows)


def cells(rgb: np.ndarray, result: Result, panel: bool) -> tuple[int, int]:
    """Columns and rows of photographs that the finished picture has.

    Args:
        rgb: the photograph, (H, W, 3) uint8.
        result: about it, with others `beside` it.
        panel: whether each method has its heatmap above its overlay.
    """
    beside = columns(rgb, result)
    rows = -(-(2 + len(result.beside)) // beside)
    return beside, rows * max(1, len(result.heats)) * (2 if panel else 1)


def method_grid(
    rgb: np.ndarray,
    result: Result,
    *,
    colormap: str = "jet",
    alpha: float = 0.5,
    panel: bool = False,
    signed: bool = False,
    draw_box: bool = False,
    least: int = 1,
) -> np.ndarray:
    """The photograph and the overlay of each method, with the methods' names above.

    Args:
        rgb: (H, W, 3) uint8: the photograph, or a smaller copy of it.
        result: about it by the first method, by the others `beside` it. Several explained classes
            are shown below each other.
        colormap: see `camcli.render.picture.annotate`; so are `alpha`, `signed` and `least`.
        alpha: see there.
        panel: the heatmap itself above each overlay, and a colour bar at the right.
        signed: see there.
        draw_box: see there.
        least: see there.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    size = font_size(rgb.shape[1], rgb.shape[0])
    view = view_of(rgb, result)
    gap = max(4, size // 2)
    colours = on_paper(*signed_colormap()) if signed else get_colormap(colormap)
    blocks = []
    for rank, heat in enumerate(result.heats):
        drawn = [_cell(rgb, [rgb], "photograph", "", size, least)]
        for other in (result, *result.beside):
            if other.status == "error":
                drawn.append(_cell(rgb, [dim(rgb)], str(other.method), "failed", size, least, True))
                continue
            own = other.heats[rank]
            heat01 = scaled_heat(own, None, signed)
            over = overlay(rgb, heat01, view, colormap, alpha, signed=signed)
            if draw_box:
                over = outlined(over, own.box, size_of(rgb, result))
            pictures = [heat_alone(rgb, heat01, view, colours), over] if panel else [over]
            aside = _lacking(own, other.method) or _aside(result, other, rank)
            bad = own.empty
            drawn.append(_cell(rgb, pictures, str(other.method), aside, size, least, bad))
        block = _laid_out(drawn, columns(rgb, result), gap)
        if panel:
            block = _with_bar(block, rgb.shape[0], colours, signed, size, gap)
        if len(result.heats) > 1:
            block = np.concatenate([_class_line(block.shape[1], result, heat, size), block])
        blocks.append(block)
    grid = np.concatenate(blocks)
    grid = cv2.copyMakeBorder(grid, 0, gap, gap, gap, cv2.BORDER_CONSTANT, value=PAPER)
    return np.concatenate([grid, _strip(grid.shape[1], result, size, signed)])


def _lacking(heat: Heat, method: str | None) -> str:
    return nothing(heat, method) if heat.empty else ""


def _aside(result: Result, other: Result, rank: int) -> str:
    """What stands at the right of a method's name."""
    compared = like(result, other, rank)
    return compared or ("looks at no class" if of_no_class(other.method) else "")


def _cell(
    rgb: np.ndarray,
    pictures: Sequence[np.ndarray],
    name: str,
    aside: str,
    size: int,
    least: int,
    bad: bool = False,
) -> np.ndarray:
    """Pictures below each other under a method's name."""
    stack = [on_mat(picture, least) for picture in pictures]
    width = stack[0].shape[1]
    small = max(SMALLEST, round(0.78 * size))
    head = filled(line_height(size) + size // 2, width, PAPER)
    y = size // 4
    name = ellipsised(printable(name), size, width)
    paste(head, text_tile(name, Ink(size, TEXT, PAPER)), 0, y)
    room = width - width_of(name, size) - size
    if aside and room > 4 * small:
        tile = text_tile(ellipsised(aside, small, room), Ink(small, WRONG if bad else QUIET, PAPER))
        paste(head, tile, width - tile.shape[1], y + baseline(size) - baseline(small))
    between = filled(max(2, size // 4), width, PAPER)
    parts = [head]
    for n, picture in enumerate(stack):
        parts += [between, picture] if n else [picture]
    return np.concatenate(parts)


def _laid_out(drawn: Sequence[np.ndarray], beside: int, gap: int) -> np.ndarray:
    """Rows of so many pictures, aligned at the top."""
    width = max(cell.shape[1] for cell in drawn)
    rows = []
    for start in range(0, len(drawn), beside):
        part = drawn[start : start + beside]
        row = filled(max(cell.shape[0] for cell in part), beside * (width + gap) - gap, PAPER)
        for n, cell in enumerate(part):
            paste(row, cell, n * (width + gap), 0)
        rows.append(row)
    return np.concatenate(rows)


def _with_bar(
    block: np.ndarray, height: int, colours: np.ndarray, signed: bool, size: int, gap: int
) -> np.ndarray:
    ink = Ink(max(SMALLEST, round(0.78 * size)), QUIET, PAPER)
    ends = ("against", "for") if signed else ("0", "max")
    bar = colour_bar(height, colours, ends, ink)
    aside = filled(block.shape[0], bar.shape[1] + gap, PAPER)
    paste(aside, bar, gap, line_height(size) + size // 2)
    return np.concatenate([block, aside], axis=1)


def _class_line(width: int, result: Result, heat: Heat, size: int) -> np.ndarray:
    """Above the maps of one of several classes: its name, how sure, and its rank."""
    words = [printable(heat.target), said(heat), rank_of(result, heat)]
    text = "  ·  ".join(word for word in words if word)
    large = round(1.2 * size)
    line = filled(line_height(large) + size // 2, width, PAPER)
    paste(line, text_tile(ellipsised(text, large, width), Ink(large, TEXT, PAPER)), 0, size // 2)
    return line


def _strip(width: int, result: Result, size: int, signed: bool) -> np.ndarray:
    """What is the same for all methods."""
    return answer_strip(
        width,
        result,
        result.heats[0] if len(result.heats) == 1 else None,
        size=size,
        signed=signed,
        versus=next((one.versus for one in (result, *result.beside) if one.versus), None),
    )
