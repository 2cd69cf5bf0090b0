"""Finished pictures: overlay and strip, panels as in the papers, several classes side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from camcli.cam import postprocess
from camcli.data.decode.preprocess import View
from camcli.render.colormaps import get_colormap, signed_colormap
from camcli.render.label import EVIDENCE, filled, font_size, paste, strip
from camcli.render.overlay import dim, heat_to_canvas, outlined, overlay, seen_box
from camcli.render.picture_files import encode_jpeg as encode_jpeg
from camcli.render.picture_files import encode_png as encode_png
from camcli.render.text import Ink, ellipsised, line_height, printable, text_tile
from camcli.render.theme import MAT, PAPER, QUIET
from camcli.render.verdict import explained, headline, is_multi_label, named, nothing, said, truth
from camcli.result import Heat, Result

# What the colours of a signed map mean, in many words and in few.
OF_VALUES = ("raises it", "lowers it"), ("raises", "lowers")


def annotate(
    rgb: np.ndarray,
    result: Result,
    *,
    heat_index: int = 0,
    colormap: str = "jet",
    alpha: float = 0.5,
    strip: bool = True,
    panel: bool = False,
    scale: tuple[float, float] | None = None,
    signed: bool = False,
    draw_box: bool = False,
    least: int = 1,
) -> np.ndarray:
    """The picture of one heatmap: the overlay with its strip below.

    Args:
        rgb: (H, W, 3) uint8: the photograph, or a smaller copy of it.
        result: about it.
        heat_index: which of the result's maps.
        colormap: one of `camcli.render.ranges.COLORMAPS`.
        alpha: weight of the heat, in [0, 1].
        strip: add the strip with the prediction.
        panel: photograph, heatmap and overlay side by side.
        scale: the map's values that are drawn as no heat and as full heat, so that pictures can
            be compared; None: from 0 to the map's own maximum.
        signed: evidence for the class in one colour and against it in another, instead of evidence
            for it alone.
        draw_box: outline the map's box.
        least: width in pixels that the strip, or a picture of a panel, needs to be read: a narrower
            photograph stands on a mat of this width.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    heat = result.heats[heat_index] if result.heats else None
    view = view_of(rgb, result)
    heat01 = None if heat is None else scaled_heat(heat, scale, signed)
    picture = overlay(rgb, heat01, view, colormap, alpha, signed=signed)
    if draw_box and heat is not None:
        picture = outlined(picture, heat.box, size_of(rgb, result))
    if panel:
        colours = on_paper(*signed_colormap()) if signed else get_colormap(colormap)
        ends = ("against", "for") if signed else _ends(scale)
        picture = _panel(rgb, picture, heat01, view, colours, ends, result.method, least)
    if not strip:
        return picture
    picture = on_mat(picture, least)
    return _stack([picture, _strip(picture.shape[1], rgb, result, heat, signed)])


def side_by_side(
    rgb: np.ndarray,
    result: Result,
    *,
    colormap: str = "jet",
    alpha: float = 0.5,
    strip: bool = True,
    scale: tuple[float, float] | None = None,
    signed: bool = False,
    draw_box: bool = False,
    least: int = 1,
) -> np.ndarray:
    """One overlay for each explained class, in a row, each with a strip that names its class.

    Args:
        rgb: (H, W, 3) uint8: the photograph, or a smaller copy of it.
        result: about it, with one map or more.
        colormap: see `annotate`.
        alpha: see `annotate`.
        strip: see `annotate`.
        scale: see `annotate`.
        signed: see `annotate`.
        draw_box: see `annotate`.
        least: see `annotate`.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    view = view_of(rgb, result)
    columns = []
    for heat in result.heats or (None,):
        heat01 = None if heat is None else scaled_heat(heat, scale, signed)
        column = overlay(rgb, heat01, view, colormap, alpha, signed=signed)
        if draw_box and heat is not None:
            column = outlined(column, heat.box, size_of(rgb, result))
        if strip:
            column = on_mat(column, least)
            ranked = heat is not None and heat.target != result.pred
            below = (
                _guess(column.shape[1], rgb, result, heat, signed)
                if heat is not None and ranked
                else (_strip(column.shape[1], rgb, result, heat, signed))
            )
            column = _stack([column, below])
        columns.append(column)
    return _row(columns, gap=max(2, round(rgb.shape[1] / 100)))


def size_of(rgb: np.ndarray, result: Result) -> tuple[int, int]:
    """(width, height) of the photograph, in its own pixels."""
    height, width = rgb.shape[:2]
    return result.width or width, result.height or height


def view_of(rgb: np.ndarray, result: Result) -> View:
    """What the network saw, in pixels of `rgb`."""
    height, width = rgb.shape[:2]
    if result.view is None:
        return 0.0, 0.0, float(width), float(height)
    sx, sy = width / (result.width or width), height / (result.height or height)
    x0, y0, x1, y1 = result.view
    return x0 * sx, y0 * sy, x1 * sx, y1 * sy


def scaled_heat(
    heat: Heat, scale: tuple[float, float] | None, signed: bool = False
) -> np.ndarray | None:
    """The map in [0, 1], signed with 0.5 for no evidence; None when there is nothing to show."""
    if signed:
        both = postprocess.signed(heat.heatmap)
        return None if both is None else (both + 1) / 2
    if heat.empty:
        return None
    low, high = (0.0, float(heat.heatmap.max())) if scale is None else scale
    if not high > low:
        return None
    return np.clip((heat.heatmap - np.float32(low)) / np.float32(high - low), 0, 1)


def answer_strip(
    width: int,
    result: Result,
    heat: Heat | None,
    *,
    size: int,
    signed: bool,
    versus: str | None,
    note: str | None = None,
    method: str | None = None,
) -> np.ndarray:
    """The strip of a result: its answer, the truth, and what is explained where that is another.

    Args:
        width: in pixels.
        result: whose.
        heat: the map that the strip is about; None for all, or none.
        size: of the main text in pixels.
        signed: whether the two colours of a signed map are explained.
        versus: the class that the explained one is compared with.
        note: see `strip`.
        method: see `strip`.
    """
    other = heat if heat is not None and not explained(result, heat) else None
    pred, sure = headline(result)
    return strip(
        width,
        pred=pred,
        prob=None,
        sure=sure,
        label=truth(result),
        correct=result.correct,
        target=other.target if other else None,
        target_sure=said(other) if other and not named(result, other) else None,
        versus=versus,
        note=note,
        method=method,
        size=size,
        signed=signed,
        legend=EVIDENCE if result.value is None else OF_VALUES,
    )


def _strip(
    width: int, rgb: np.ndarray, result: Result, heat: Heat | None, signed: bool
) -> np.ndarray:
    return answer_strip(
        width,
        result,
        heat,
        size=font_size(rgb.shape[1], rgb.shape[0]),
        signed=signed,
        versus=result.versus if heat is not None else None,
        note=nothing(heat, result.method) if heat is not None and heat.empty else result.error,
        method=result.method,
    )


def _guess(width: int, rgb: np.ndarray, result: Result, heat: Heat, signed: bool) -> np.ndarray:
    """The strip of a class that is not the prediction: no verdict, but its rank."""
    how = [rank_of(result, heat), result.method]
    return strip(
        width,
        pred=heat.target,
        prob=None,
        sure=said(heat),
        versus=result.versus,
        note=nothing(heat, result.method) if heat.empty else None,
        method="  ·  ".join(word for word in how if word) or None,
        size=font_size(rgb.shape[1], rgb.shape[0]),
        signed=signed,
        legend=EVIDENCE if result.value is None else OF_VALUES,
    )


def rank_of(result: Result, heat: Heat) -> str | None:
    """What a class or a label is among the network's predictions; None of a value."""
    if result.value is not None:
        return None
    if is_multi_label(result):
        positive = any(name == heat.target for name, _ in result.positives)
        return "predicted" if positive else "not predicted"
    names = [name for name, _ in result.top]
    return f"guess {names.index(heat.target) + 1}" if heat.target in names else "not predicted"


def _panel(
    rgb: np.ndarray,
    over: np.ndarray,
    heat01: np.ndarray | None,
    view: View,
    colours: np.ndarray,
    ends: tuple[str, str],
    method: str | None,
    least: int,
) -> np.ndarray:
    """Photograph | heatmap | overlay, with captions above and a colour bar at the right."""
    height, width = rgb.shape[:2]
    ink = Ink(max(10, round(0.78 * font_size(width, height))), QUIET, PAPER)
    heat = heat_alone(rgb, heat01, view, colours)
    columns = [
        _captioned(on_mat(picture, least), caption, ink)
        for picture, caption in (
            (rgb, "photograph"),
            (heat, f"heatmap ({method})" if method else "heatmap"),
            (over, "overlay"),
        )
    ]
    columns.append(_captioned(colour_bar(height, colours, ends, ink), "", ink))
    gap = max(2, round(0.6 * ink.size))
    panel = _row(columns, gap)
    return cv2.copyMakeBorder(panel, gap // 2, gap, gap, gap, cv2.BORDER_CONSTANT, value=PAPER)


def heat_alone(
    rgb: np.ndarray, heat01: np.ndarray | None, view: View, colours: np.ndarray
) -> np.ndarray:
    """The map in its colours, where the network saw the photograph; the rest of it is dimmed."""
    height, width = rgb.shape[:2]
    alone = dim(rgb)
    left, top, right, bottom = seen_box(view, (width, height))
    if heat01 is not None:
        canvas = heat_to_canvas(heat01, view, (width, height))
        drawn = cv2.applyColorMap(canvas, colours[:, None])
        alone[top:bottom, left:right] = drawn[top:bottom, left:right]
    return alone


def _ends(scale: tuple[float, float] | None) -> tuple[str, str]:
    """What is written at both ends of a colour bar."""
    return ("0", "max") if scale is None else (f"{scale[0]:.3g}", f"{scale[1]:.3g}")


def on_paper(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A signed colour map without a photograph beneath: (256, 3) uint8."""
    paper = np.array(PAPER, np.float32)
    return (paper + weight[:, None] * (colours - paper)).round().astype(np.uint8)


def _captioned(picture: np.ndarray, caption: str, ink: Ink) -> np.ndarray:
    width = picture.shape[1]
    head = filled(line_height(ink.size) + ink.size // 2, width, PAPER)
    if caption:
        tile = text_tile(ellipsised(printable(caption), ink.size, width), ink)
        paste(head, tile, 0, ink.size // 4)
    return _stack([head, picture])


def colour_bar(height: int, colours: np.ndarray, ends: tuple[str, str], ink: Ink) -> np.ndarray:
    """The colours from no heat (bottom) to full heat (top), with the values at both ends."""
    low, high = ends
    tiles = [text_tile(text, ink) for text in (high, low)]
    bar_width = ink.size
    width = bar_width + ink.size // 2 + max(tile.shape[1] for tile in tiles)
    picture = filled(height, width, PAPER)
    levels = np.linspace(255, 0, height).round().astype(np.uint8)
    picture[:, :bar_width] = colours[levels][:, None]
    x = bar_width + ink.size // 2
    if height >= 2 * line_height(ink.size):
        for tile, y in zip(tiles, (0, height - tiles[1].shape[0]), strict=True):
            paste(picture, tile, x, y)
    return picture


def on_mat(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture in the middle of a mat, if it is narrower than this."""
    spare = width - picture.shape[1]
    if spare <= 0:
        return picture
    left = spare // 2
    return cv2.copyMakeBorder(picture, 0, 0, left, spare - left, cv2.BORDER_CONSTANT, value=MAT)


def _stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts, axis=0)


def _row(columns: Sequence[np.ndarray], gap: int) -> np.ndarray:
    """Pictures in a row on paper, aligned at the top."""
    height = max(column.shape[0] for column in columns)
    width = sum(column.shape[1] for column in columns) + gap * (len(columns) - 1)
    row = filled(height, width, PAPER)
    x = 0
    for column in columns:
        row[: column.shape[0], x : x + column.shape[1]] = column
        x += column.shape[1] + gap
    return row
