"""The picture of concepts: each place in the colour of the concept that is strongest there."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from camcli.data.decode.preprocess import View
from camcli.render.label import font_size, paste, percent
from camcli.render.overlay import dim, heat_to_canvas, seen_box
from camcli.render.text import Ink, baseline, ellipsised, line_height, printable, text_tile
from camcli.render.theme import CARD, QUIET, TEXT, Colour
from camcli.result import Result

# Okabe & Ito's colours, told apart by the colour-blind too, in an order of most contrast; grey is
# left to the photograph.
COLOURS: tuple[Colour, ...] = (
    (213, 94, 0), (0, 114, 178), (240, 228, 66), (0, 158, 115), (204, 121, 167), (86, 180, 233),
    (230, 159, 0), (120, 60, 160),
)  # fmt: skip


def draw_concepts(
    rgb: np.ndarray,
    result: Result,
    maps: np.ndarray,
    classes: Sequence[str],
    *,
    alpha: float = 0.6,
) -> np.ndarray:
    """A grey photograph with coloured concepts, above a legend of what each speaks for.

    Args:
        rgb: (H, W, 3) uint8: the photograph, or a smaller copy of it.
        result: about it: the prediction and what the network saw.
        maps: (n, h, w) in [0, 1], at most as many as there are `COLOURS`.
        classes: of each concept, in words.
        alpha: weight of the colour where a concept is strongest, in [0, 1].

    Returns:
        (H', W, 3) uint8 RGB.
    """
    picture = _coloured(rgb, maps, _view(rgb, result), alpha)
    return np.concatenate([picture, _legend(rgb, result, maps, classes)])


def _view(rgb: np.ndarray, result: Result) -> View:
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = result.view or (0, 0, result.width or width, result.height or height)
    sx, sy = width / (result.width or width), height / (result.height or height)
    return x0 * sx, y0 * sy, x1 * sx, y1 * sy


def _coloured(rgb: np.ndarray, maps: np.ndarray, view: View, alpha: float) -> np.ndarray:
    height, width = rgb.shape[:2]
    left, top, right, bottom = seen_box(view, (width, height))
    out = dim(rgb)
    seen = slice(top, bottom), slice(left, right)
    grey = cv2.cvtColor(cv2.cvtColor(rgb[seen], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    best = np.zeros(grey.shape[:2], np.uint8)
    colour = np.zeros_like(grey)
    for one, its in zip(maps, COLOURS, strict=False):
        level = heat_to_canvas(one, view, (width, height))[seen]
        stronger = level > best
        best[stronger], colour[stronger] = level[stronger], its
    share = best.astype(np.float32) * np.float32(alpha / 255)
    out[seen] = cv2.blendLinear(grey, colour, 1 - share, share)
    return out


def _legend(
    rgb: np.ndarray, result: Result, maps: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    height, width = rgb.shape[:2]
    size = font_size(width, height)
    small = max(10, round(0.85 * size))
    pad = max(2, round(0.35 * size))
    lines: list[tuple[str, Ink, Colour | None]] = []
    if result.pred is not None and result.prob is not None:
        text = f"{printable(result.pred)}  {percent(result.prob)}"
        lines.append((text, Ink(size, TEXT, CARD), None))
    for number, words in enumerate(classes):
        # What is not in this photograph is told in quiet letters.
        here = float(maps[number].max()) > 0.1
        ink = Ink(small, TEXT if here else QUIET, CARD)
        lines.append((printable(words), ink, COLOURS[number]))
    total = sum(line_height(ink.size) for _, ink, _ in lines) + 2 * pad
    canvas = np.empty((total, width, 3), np.uint8)
    canvas[:] = CARD
    y = pad
    for text, ink, colour in lines:
        x = pad
        if colour is not None:
            square = np.empty((round(0.75 * ink.size), round(0.75 * ink.size), 3), np.uint8)
            square[:] = colour
            paste(canvas, square, pad, y + baseline(ink.size) - square.shape[0])
            x = pad + round(1.2 * ink.size)
        paste(canvas, text_tile(ellipsised(text, ink.size, max(1, width - x - pad)), ink), x, y)
        y += line_height(ink.size)
    return canvas
