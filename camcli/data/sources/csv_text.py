"""Small CSV tables that people write: labels, thresholds. Read whole, cells as they are."""

from __future__ import annotations

import csv
from pathlib import Path

from camcli.errors import UsageError
from camcli.files import expanded, read_regular

_LARGEST = 1 << 28


def read_csv(path: str | Path, takes: str) -> list[tuple[int, list[str]]]:
    """The rows of a table that are not empty, each with the number of its line.

    Args:
        path: UTF-8 text; commas, semicolons or tabs lie between the cells.
        takes: what it should be, for a message: ``--labels takes a table with ...``.

    Raises:
        UsageError: it cannot be read, is no such text, or has no rows.
    """
    path = Path(path)
    try:
        text = read_regular(expanded(path), _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; is it a CSV file? {takes}.") from None
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"The table {path} cannot be read ({why}). {takes}.") from None
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise UsageError(f"The table {path} is not well-formed CSV: {error}. {takes}.") from None
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise UsageError(f"The table {path} is empty. {takes}.")
    return rows
