"""Short texts as small pictures: any language, any size, never invisible."""

from __future__ import annotations

import math
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from camcli.render.fonts import BUNDLED, font_for, load
from camcli.render.theme import Colour

ELLIPSIS = "…"
# Longer names are cut in the middle before they are measured; no strip holds as many.
_LONGEST = 400
# Tiles of larger text are drawn anew: a cache of them would hold hundreds of megabytes.
_LARGEST_CACHED = 48
_JOINERS = {0x200C, 0x200D}
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
# FreeType faces are shared by the encoding threads and are not made for that.
_drawing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ink:
    """How a text looks.

    Attributes:
        size: of the em square in pixels.
        colour: of the letters, RGB.
        paper: of what is behind them, RGB.
    """

    size: int
    colour: Colour
    paper: Colour


@lru_cache(maxsize=2048)
def printable(text: str) -> str:
    r"""A text in which every character can be seen.

    Control characters, line breaks, marks that reverse the reading direction and bytes that are
    no UTF-8 are written out (``\n``, ``\x1b``, ``[U+202E]``), as is a character that no font of
    this machine has. Nothing but white space becomes ``(blank)``.

    Args:
        text: of any kind and length.
    """
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + ELLIPSIS + text[-_LONGEST // 2 :]
    text = "".join(_visible(character) for character in unicodedata.normalize("NFC", text))
    return text if text.strip() else "(blank)"


def line_height(size: int) -> int:
    """Height in pixels of a line of text of a size."""
    return math.ceil(1.3 * size)


def baseline(size: int) -> int:
    """How far below the top of its line a text of a size stands, in pixels."""
    return round(0.98 * size)


@lru_cache(maxsize=4096)
def text_width(text: str, size: int) -> int:
    """Width of a printable text in pixels.

    Args:
        text: see `printable`.
        size: in pixels.
    """
    with _drawing:
        return math.ceil(sum(load(path, size).getlength(run) for path, run in _runs(text)))


def text_tile(text: str, ink: Ink) -> np.ndarray:
    """A line of text as a picture, ready to be copied into place.

    Args:
        text: see `printable`.
        ink: how it looks.

    Returns:
        (`line_height`, `text_width`, 3) uint8 RGB; read-only.
    """
    return _cached_tile(text, ink) if ink.size <= _LARGEST_CACHED else _tile(text, ink)


def ellipsised(text: str, size: int, width: int) -> str:
    """The text, or as much of its beginning and end as fits with an ellipsis between.

    Args:
        text: see `printable`.
        size: in pixels.
        width: that it may take, in pixels.
    """
    if text_width(text, size) <= width:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(_shortened(text, middle), size) <= width:
            low = middle
        else:
            high = middle - 1
    return _shortened(text, low)


@lru_cache(maxsize=2048)
def wrapped(text: str, size: int, width: int, lines: int = 2) -> tuple[str, ...]:
    """Break a text into at most so many lines; what is still too long is ellipsised.

    Args:
        text: see `printable`.
        size: in pixels.
        width: of a line, in pixels.
        lines: at most so many, 1 or more.
    """
    if lines == 1 or text_width(text, size) <= width:
        return (ellipsised(text, size, width),)
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if text_width(text[:middle], size) <= width else (low, middle - 1)
        )
    # Break after the last separator that fits; inside a word (or in a script without spaces)
    # only where there is none in the second half of the line.
    breaks = [i + 1 for i in range(low // 2, low) if text[i] in " _-/,;"]
    if low < len(text) and text[low] == " ":
        breaks.append(low)
    cut = breaks[-1] if breaks else low
    rest = text[cut:].strip()
    if not rest:
        return (text[:cut].strip(),)
    return text[:cut].strip(), *wrapped(rest, size, width, lines - 1)


def _visible(character: str) -> str:
    code = ord(character)
    category = unicodedata.category(character)
    if character == ELLIPSIS or (character.isascii() and character.isprintable()):
        return character
    if category == "Zs":
        return " "
    if code in _VARIATION_SELECTORS:
        return ""
    if code in _JOINERS:
        return character
    if category == "Cc":
        return repr(character)[1:-1]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if category in ("Cf", "Co", "Cs", "Zl", "Zp") or font_for(character) is None:
        return f"[U+{code:04X}]"
    return character


def _shortened(text: str, keep: int) -> str:
    """`keep` characters of a text, most of them from its beginning."""
    head = (keep + 1) // 2
    start, end = text[:head].rstrip(), text[len(text) - (keep - head) :].lstrip()
    # A mark without its letter would sit on the ellipsis.
    while end and unicodedata.combining(end[0]):
        end = end[1:]
    return start + ELLIPSIS + end


def _runs(text: str) -> list[tuple[Path, str]]:
    """The text in stretches of one font each; marks and spaces stay with the letter before."""
    paths: list[Path] = []
    current = BUNDLED[0]
    for character in text:
        joined = character == " " or ord(character) in _JOINERS or unicodedata.combining(character)
        if not (joined and paths):
            current = font_for(character) or BUNDLED[0]
        paths.append(current)
    pairs = zip(paths, text, strict=True)
    return [
        (path, "".join(c for _, c in group)) for path, group in groupby(pairs, lambda pair: pair[0])
    ]


def _tile(text: str, ink: Ink) -> np.ndarray:
    width = max(1, text_width(text, ink.size))
    mask = Image.new("L", (width, line_height(ink.size)))
    draw = ImageDraw.Draw(mask)
    x, y = 0.0, baseline(ink.size)
    with _drawing:
        for path, run in _runs(text):
            font = load(path, ink.size)
            draw.text((x, y), run, fill=255, font=font, anchor="ls")
            x += font.getlength(run)
    share = np.asarray(mask, np.float32)[:, :, None] / 255
    paper = np.asarray(ink.paper, np.float32)
    colour = np.asarray(ink.colour, np.float32)
    tile = np.rint(paper + (colour - paper) * share).astype(np.uint8)
    tile.flags.writeable = False
    return tile


_cached_tile = lru_cache(maxsize=1024)(_tile)
