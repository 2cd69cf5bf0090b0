"""The strip under a picture: what the network said, how sure it was, and whether it was right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from camcli.printable import percent
from camcli.render.colormaps import AGAINST, FOR
from camcli.render.text import (
    Ink,
    baseline,
    ellipsised,
    line_height,
    printable,
    text_tile,
    text_width,
    wrapped,
)
from camcli.render.theme import CARD, QUIET, RIGHT, TEXT, WRONG, Colour

Legend = tuple[tuple[str, str], tuple[str, str]]
EVIDENCE: Legend = ("speaks for it", "against it"), ("for", "against")
# Below this a letter is a smudge; above, a strip would be a poster.
SMALLEST, LARGEST = 10, 160
# In a strip that is wider than so many letters are high, what stands at the right end is lost.
_FAR = 150


def font_size(width: int, height: int) -> int:
    """Size of the main text for a picture: the same share of every picture, within reason.

    Args:
        width: of the picture in pixels.
        height: of the picture in pixels.
    """
    # Of a panorama less: its strip would be as high as the picture.
    wanted = min(math.sqrt(width * height) / 27, width / 20, height / 12)
    return min(max(round(wanted), SMALLEST), LARGEST)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: text on the left, text on the right or after it (None: nothing)."""

    left: str
    left_ink: Ink
    right: str | None = None
    right_ink: Ink | None = None
    after: bool = False

    @property
    def size(self) -> int:
        """Of the larger text in pixels."""
        return max(self.left_ink.size, self.right_ink.size if self.right_ink else 0)


def strip(
    width: int,
    *,
    pred: str | None,
    prob: float | None,
    sure: str | None = None,
    label: str | None = None,
    correct: bool | None = None,
    target: str | None = None,
    target_prob: float | None = None,
    target_sure: str | None = None,
    versus: str | None = None,
    note: str | None = None,
    method: str | None = None,
    size: int | None = None,
    signed: bool = False,
    legend: Legend = EVIDENCE,
) -> np.ndarray:
    """Draw the strip.

    Args:
        width: in pixels, 1 or more.
        pred: name of the predicted class, or whatever else is the network's answer; None when there
            is none.
        prob: its probability in [0, 1].
        sure: what stands in the place of a probability, such as a value.
        label: name of the true class, when known.
        correct: whether the prediction is right; None when that cannot be said.
        target: the class that the map explains, when it is not the prediction.
        target_prob: its probability.
        target_sure: what stands in the place of that.
        versus: the class that it is compared with.
        note: something unusual that a reader must know, such as "no positive evidence".
        method: name of the CAM method.
        size: of the main text in pixels; by default what suits a picture of format 4:3.
        signed: say what the two colours of a signed map mean.
        legend: what they mean, of the one and of the other; and the same in fewer words.

    Returns:
        (height, width, 3) uint8 RGB; the height follows from the text.
    """
    size = size or font_size(width, max(1, width * 3 // 4))
    pad = max(2, round(0.35 * size))
    far = width > _FAR * size
    badge = 0 if correct is None else min(round(1.6 * size), width)
    room = max(1, width - badge - 2 * pad)
    likely = None if target_prob is None else percent(target_prob, 1)
    rows = _headline(
        pred, sure or (None if prob is None else percent(prob, 1)), correct, size, room
    )
    rows += _details(label, target, target_sure or likely, versus, note, method, size, room)
    if signed:
        rows.append(_legend(size, room, legend))

    heights = [line_height(row.size) for row in rows]
    canvas = filled(sum(heights) + 2 * pad, width, CARD)
    if correct is not None:
        colour = RIGHT if correct else WRONG
        canvas[:, :badge] = colour
        sign = text_tile("✓" if correct else "✗", Ink(size, CARD, colour))
        paste(canvas[:, :badge], sign, (badge - sign.shape[1]) // 2, pad)
    body = canvas[:, badge:]
    y = pad
    for row, height in zip(rows, heights, strict=True):
        # Both on one baseline: smaller text starts lower.
        for text, ink, right in ((row.left, row.left_ink, False), (row.right, row.right_ink, True)):
            if text is not None and ink is not None:
                tile = text_tile(text, ink)
                x = body.shape[1] - pad - tile.shape[1] if right else pad
                if right and (row.after or far):
                    x = pad + text_width(row.left, row.left_ink.size) + row.left_ink.size
                paste(body, tile, x, y + baseline(row.size) - baseline(ink.size))
        y += height
    return canvas


def _headline(
    pred: str | None, sure: str | None, correct: bool | None, size: int, room: int
) -> list[_Row]:
    """The predicted class, shrunk, then wrapped, then ellipsised until it fits; and how sure."""
    if pred is None:
        return []
    name = printable(pred)
    ink = Ink(size, WRONG if correct is False else TEXT, CARD)
    aside = Ink(size, QUIET, CARD)
    sure = None if sure is None else printable(sure)
    beside = 0 if sure is None else text_width(sure, size) + size
    if text_width(name, size) <= room - beside:
        return [_Row(name, ink, sure, aside)]
    small = Ink(max(SMALLEST, round(0.85 * size)), ink.colour, CARD)
    # A narrow strip gives the name its full width, and the probability a line of its own.
    if sure is not None and room - beside >= 9 * size:
        first, *others = wrapped(name, small.size, room - beside)
        return [_Row(first, small, sure, aside)] + [_Row(line, small) for line in others]
    rows = [_Row(line, small) for line in wrapped(name, small.size, room)]
    return rows if sure is None else [*rows, _Row(ellipsised(sure, size, room), aside)]


def _details(
    label: str | None,
    target: str | None,
    target_sure: str | None,
    versus: str | None,
    note: str | None,
    method: str | None,
    size: int,
    room: int,
) -> list[_Row]:
    """Truth, explained class, note and method, in smaller type: on one line if they fit."""
    small = max(SMALLEST, round(0.78 * size))
    quiet, loud = Ink(small, QUIET, CARD), Ink(small, WRONG, CARD)
    texts: list[tuple[str, Ink]] = []
    if label is not None:
        texts.append((f"true: {printable(label)}", quiet))
    if target is not None:
        sure = "" if target_sure is None else f" {target_sure}"
        texts.append((f"explains: {printable(target)}{sure}", quiet))
    if versus is not None:
        texts.append((f"versus {printable(versus)}", quiet))
    if note is not None:
        texts.append((printable(note), loud))
    how = None if method is None else printable(method)
    if len(texts) > 1:
        joined = "  ·  ".join(text for text, _ in texts)
        if text_width(joined, small) <= room:
            texts = [(joined, loud if note is not None else quiet)]
    rows = [_Row(line, ink) for text, ink in texts for line in wrapped(text, small, room)]
    if how is None:
        return rows
    if not rows:
        return [_Row(ellipsised(how, small, room), quiet)]
    last = rows[-1]
    if text_width(last.left, small) + small + text_width(how, small) <= room:
        rows[-1] = _Row(last.left, last.left_ink, how, quiet)
    return rows


def _legend(size: int, room: int, legend: Legend) -> _Row:
    """What the colours of a signed map mean."""
    small = max(SMALLEST, round(0.78 * size))
    (pro, contra), few = ([f"■ {word}" for word in words] for words in legend)
    if text_width(pro, small) + small + text_width(contra, small) > room:
        pro, contra = few
    return _Row(pro, Ink(small, FOR, CARD), contra, Ink(small, AGAINST, CARD), after=True)


def filled(height: int, width: int, colour: Colour) -> np.ndarray:
    """(height, width, 3) uint8 of one colour; by rows, 25 times faster than pixel by pixel."""
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:1] = colour
    canvas[1:] = canvas[:1]
    return canvas


def paste(canvas: np.ndarray, tile: np.ndarray, x: int, y: int) -> None:
    """Copy a tile into a canvas, without what lies outside."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + tile.shape[1], canvas.shape[1]), min(y + tile.shape[0], canvas.shape[0])
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = tile[top - y : bottom - y, left - x : right - x]
