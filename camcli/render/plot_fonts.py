"""The fonts of matplotlib's charts: those of the pictures, so that every script has its letters.

matplotlib joins letters and orders them from right to left itself (since 3.11, by HarfBuzz); it
only has to be told of the fonts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from camcli.render.fonts import BUNDLED, font_for
from camcli.render.text import printable

_used: dict[Path, str] = {}


def written(text: str) -> str:
    """A text as a chart can show it, on one line; the fonts of its letters are made known.

    What cannot be seen, and what no font of this machine has, is written out as in the pictures:
    ``[U+0E41]``. Nothing is taken for a formula.

    Args:
        text: of any kind.
    """
    found = printable(" ".join(text.split())) if text.strip() else ""
    for character in found:
        path = font_for(character)
        if path is not None:
            _family(path)
    return found.replace("$", r"\$")


def families() -> list[str]:
    """Families to look for each letter in, in this order: the package's, then the machine's."""
    for path in BUNDLED:
        _family(path)
    return list(dict.fromkeys(_used.values()))


@lru_cache(maxsize=256)
def _family(path: Path) -> str:
    """The name by which matplotlib finds a font, which is told of it."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(path)
    name = _used[path] = font_manager.FontProperties(fname=path).get_name()
    return name


@contextmanager
def quietly() -> Iterator[None]:
    """While a chart is drawn: that a script has no bold letters is nobody's concern."""
    logger = logging.getLogger("matplotlib.font_manager")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
