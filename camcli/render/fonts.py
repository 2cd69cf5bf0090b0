"""Which font draws which character.

Three fonts travel with the package: DejaVu Sans (Latin, Greek, Cyrillic, Arabic, Hebrew, symbols),
Droid Sans Fallback (Chinese, Japanese, Korean) and Lohit Devanagari (Hindi, Marathi, Nepali). What
none of them has is looked for among the fonts of the machine, once a character.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from camcli.files import home

_HERE = Path(__file__).parent / "fonts"
BUNDLED = (
    _HERE / "DejaVuSans.ttf",
    _HERE / "DroidSansFallback.ttf",
    _HERE / "LohitDevanagari.ttf",
)

# Enough for any desktop, and an end for a folder with a type foundry in it.
_MOST_SYSTEM_FONTS = 2000
_SUFFIXES = {".ttf", ".otf", ".ttc"}


@lru_cache(maxsize=4096)
def font_for(character: str) -> Path | None:
    """The first font that has a glyph for a character, the bundled ones before the machine's.

    Args:
        character: one character.

    Returns:
        The font's file; None when no font has it.
    """
    code = ord(character)
    for path in BUNDLED:
        if code in _coverage(path):
            return path
    return next((path for path, codes in _system_fonts() if code in codes), None)


@lru_cache(maxsize=64)
def load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """A font in a size.

    Args:
        path: of the font.
        size: of its em square in pixels.
    """
    return ImageFont.truetype(str(path), size)


@lru_cache(maxsize=len(BUNDLED))
def _coverage(path: Path) -> frozenset[int]:
    return frozenset(coverage(path))


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[tuple[Path, frozenset[int]], ...]:
    """The machine's fonts that can be drawn in any size, with what they cover."""
    found = []
    for path in _walk():
        try:
            codes = coverage(path)
            if codes:
                load.__wrapped__(path, 16)
        except (OSError, ValueError):
            continue
        if codes:
            found.append((path, frozenset(codes)))
    return tuple(found)


def _walk() -> Iterator[Path]:
    own = home()
    if sys.platform == "win32":
        folders = [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), own / "Library/Fonts"]
    else:
        folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
        folders += [own / ".local/share/fonts", own / ".fonts"]
    count = 0
    for folder in folders:
        for parent, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                if Path(name).suffix.lower() in _SUFFIXES:
                    count += 1
                    if count > _MOST_SYSTEM_FONTS:
                        return
                    yield Path(parent) / name


def coverage(path: Path) -> set[int]:
    """The code points that a TrueType or OpenType font has a glyph for.

    Reads the font's ``cmap`` (subtable formats 4 and 12, OpenType specification 1.9) without a
    library: asking PIL instead would mean comparing pictures of every character with the picture
    of a missing one.

    Args:
        path: of the font; of a collection (.ttc), the first font is read.

    Returns:
        Code points; none for a font without outlines (colour bitmaps fit one size only).

    Raises:
        OSError: it cannot be read.
        ValueError: it is not such a font.
    """
    data = path.read_bytes()
    try:
        start = struct.unpack_from(">I", data, 12)[0] if data[:4] == b"ttcf" else 0
        tables = {}
        for i in range(struct.unpack_from(">H", data, start + 4)[0]):
            tag, _, offset, _ = struct.unpack_from(">4sIII", data, start + 12 + 16 * i)
            tables[tag] = offset
        if not tables.keys() & {b"glyf", b"CFF ", b"CFF2"} or b"cmap" not in tables:
            return set()
        cmap = tables[b"cmap"]
        codes: set[int] = set()
        for i in range(struct.unpack_from(">H", data, cmap + 2)[0]):
            platform, encoding, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * i)
            if platform == 0 or (platform == 3 and encoding in (1, 10)):
                codes |= _subtable(data, cmap + offset)
    except struct.error as error:
        raise ValueError(f"{path} is not a TrueType font") from error
    return codes


def _subtable(data: bytes, at: int) -> set[int]:
    """Code points of one cmap subtable; of other formats than 4 and 12, none."""
    codes: set[int] = set()
    form = struct.unpack_from(">H", data, at)[0]
    if form == 4:
        count = struct.unpack_from(">H", data, at + 6)[0] // 2
        ends = struct.unpack_from(f">{count}H", data, at + 14)
        starts = struct.unpack_from(f">{count}H", data, at + 16 + 2 * count)
        deltas = struct.unpack_from(f">{count}H", data, at + 16 + 4 * count)
        ranges = at + 16 + 6 * count
        for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
            shift = struct.unpack_from(">H", data, ranges + 2 * i)[0]
            for code in range(first, min(last, 0xFFFE) + 1):
                if shift == 0:
                    glyph = (code + deltas[i]) & 0xFFFF
                else:
                    place = ranges + 2 * i + shift + 2 * (code - first)
                    glyph = struct.unpack_from(">H", data, place)[0]
                if glyph:
                    codes.add(code)
    elif form == 12:
        for i in range(struct.unpack_from(">I", data, at + 12)[0]):
            first, last, glyph = struct.unpack_from(">III", data, at + 16 + 12 * i)
            if last > 0x10FFFF:
                raise ValueError("a code point beyond Unicode")
            codes.update(range(first if glyph else first + 1, last + 1))
    return codes
