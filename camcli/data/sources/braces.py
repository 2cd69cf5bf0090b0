"""``s-{000..009}.tar`` and ``{a,b}`` as several names, as shells and WebDataset write them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from camcli.errors import UsageError

MOST = 1_000_000
"""How many names arguments may stand for."""

_BRACES = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}|\{([^{}]*,[^{}]*)\}")


def expand(specs: Sequence[str | Path]) -> list[str]:
    """The names that arguments stand for.

    Braces stand for themselves where a file or folder is there that is called so.

    Args:
        specs: what was given.

    Raises:
        UsageError: they stand for more than `MOST` names.
    """
    names: list[str] = []
    for spec in specs:
        text = os.fspath(spec)
        if _at_least(text) > MOST:
            raise UsageError(_too_many(text))
        names += islice(_expand(text, 0), MOST + 1 - len(names))
        if len(names) > MOST:
            raise UsageError(_too_many(text))
    return names


def _expand(text: str, start: int) -> Iterator[str]:
    """The names of one argument; braces before `start` are done with."""
    found = _BRACES.search(text, start)
    if not found or os.path.lexists(text):
        yield text
        return
    # The folder or file that the braces are part of the name of.
    end = text.find("/", found.end())
    named = text[: end if end >= 0 else len(text)]
    if os.path.lexists(named):
        yield from _expand(text, len(named))
        return
    first, last, words = found.groups()
    parts: Iterable[str]
    if first is not None:
        step = 1 if int(first) <= int(last) else -1
        width = len(first) if first.startswith("0") else 0
        parts = (f"{n:0{width}}" for n in range(int(first), int(last) + step, step))
    else:
        parts = words.split(",")
    for part in parts:
        yield from _expand(text[: found.start()] + part + text[found.end() :], start)


def _at_least(text: str) -> int:
    """How many names an argument stands for, or fewer, without making one."""
    if os.path.lexists(text):
        return 1
    fixed = text
    while fixed and not os.path.lexists(fixed):
        fixed = fixed.rpartition("/")[0]
    number = 1
    for found in _BRACES.finditer(text, len(fixed)):
        first, last, words = found.groups()
        number *= words.count(",") + 1 if words else abs(int(last) - int(first)) + 1
        if number > MOST:
            break
    return number


def _too_many(text: str) -> str:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return (
        f"{shown!r} stands for more than {MOST:,} names. Give a folder, a quoted glob, or a list "
        "of the names (@list.txt)."
    )
