"""The letters that a page needs, cut out of the package's fonts: no reader's machine has them all.

A page is read on machines that nobody knows: a server's browser often has no Chinese letter. So a
page carries those that stand in its names, a few hundred bytes each, within its style sheet. What
every browser can draw (Latin, Greek, Cyrillic, Arabic, Hebrew) is left to it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from camcli.render.fonts import BUNDLED, font_for
from camcli.render.theme import LETTERS

# The first font's are what every machine has.
_CARRIED = BUNDLED[1:]
# Strings that are longer are data, not words.
_LONGEST = 5000


def letters(*values: Any) -> set[str]:
    """The characters of all texts within plain values.

    Args:
        values: texts, numbers, lists and dicts of such, at any depth; others are left out.
    """
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if len(value) <= _LONGEST and not value.isascii():
                found.update(value)
        elif isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, Sequence | set) and not isinstance(value, bytes):
            # Lists of numbers can be long.
            waiting += [each for each in value if not isinstance(each, int | float)]
    return found


def font_faces(characters: Iterable[str]) -> str:
    """A style sheet with what is needed to draw these characters.

    Args:
        characters: in any order; those that every machine has, and those that the package's fonts
            have not, are left out.

    Returns:
        ``@font-face`` rules with the fonts in them; nothing where nothing is needed.
    """
    needed: dict[Path, list[int]] = {}
    for character in sorted(set(characters)):
        path = None if character.isascii() else font_for(character)
        if path in _CARRIED:
            needed.setdefault(path, []).append(ord(character))
    return "".join(_face(path, codes) for path, codes in needed.items())


def _face(path: Path, codes: Sequence[int]) -> str:
    ranges = ",".join(_ranges(codes))
    data = base64.b64encode(_cut(path, codes)).decode()
    return (
        f'@font-face {{ font-family: "{LETTERS}"; src: url("data:font/woff;base64,{data}") '
        f'format("woff"); unicode-range: {ranges}; }}\n'
    )


def _cut(path: Path, codes: Sequence[int]) -> bytes:
    """A font with these letters only, and the rules that join and order them."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options()
    options.layout_features = ["*"]
    options.flavor = "woff"
    options.notdef_outline = True
    options.drop_tables += ["FFTM"]  # when it was made
    # The licences travel with the letters.
    options.name_IDs = ["*"]
    options.hinting = False
    with TTFont(path, lazy=True, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        # What joins letters, or keeps them apart, is drawn with them.
        cutter.populate(unicodes=[*codes, 0x20, 0x200C, 0x200D, 0x25CC])
        cutter.subset(font)
        buffer = io.BytesIO()
        subset.save_font(font, buffer, options)
        return buffer.getvalue()


def _ranges(codes: Sequence[int]) -> list[str]:
    """Sorted code points as CSS has them: ``U+4E00``, ``U+4E00-4E02``."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [f"U+{a:X}" if a == b else f"U+{a:X}-{b:X}" for a, b in found]
