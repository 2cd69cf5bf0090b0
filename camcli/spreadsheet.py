"""Texts in CSV files that a spreadsheet does not take for formulas.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break is run by spreadsheets
when the file is opened, whoever named the photograph so (CWE-1236). Such texts are written behind
an apostrophe, and so are those that begin with apostrophes before one of these: `plain` undoes
both.
"""

from __future__ import annotations

from typing import Any

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARK = "'"


def safe(text: str) -> str:
    """A text as a cell that is shown and not run."""
    return _MARK + text if text.lstrip(_MARK).startswith(_STARTS) else text


def plain(cell: str) -> str:
    """The text of a cell that `safe` made; any other cell as it is."""
    marked = cell.startswith(_MARK) and cell.lstrip(_MARK).startswith(_STARTS)
    return cell[1:] if marked else cell


def cell(value: Any) -> Any:
    """A value for a CSV: texts are made safe, numbers stay what they are."""
    return safe(value) if isinstance(value, str) else value
