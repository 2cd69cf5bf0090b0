"""What the cells of a table of labels say: yes, no, nobody knows, or a number."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from pathlib import Path

from camcli.errors import UsageError
from camcli.ours import finite_number
from camcli.printable import printable

YES, NO = ("1", "1.0", "true", "yes", "x", "t", "y"), ("0", "0.0", "false", "no", "f", "n")
NOBODY_KNOWS = (
    "-1", "-1.0", "?", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "unknown", "unk",
    "uncertain", "u",
)  # fmt: skip
LARGEST = 1e30
"""Of values: weights in units of them are still numbers that 32 bits hold."""
TAKES = (
    "A table of labels has a first line path,label and one row an image, several labels of an "
    "image with | between them; or path and one column a class, of 0 and 1"
)


def are_measured(rows: Sequence[tuple[int, Sequence[str]]], columns: Container[int]) -> bool:
    """Whether columns hold numbers, each of them another one than 0 and 1 somewhere."""
    odd: dict[int, bool] = {}
    for _, cells in rows:
        for n, cell in enumerate(cells):
            if n in columns:
                odd[n] = odd.get(n, False) or is_measurement(cell)
    if len(odd) > 1:  # a slip in one of many columns makes no measurements of them
        known = (cell for _, cells in rows for n, cell in enumerate(cells) if n in columns)
        if any(c and c.lower() not in NOBODY_KNOWS and finite_number(c) is None for c in known):
            return False
    return bool(odd) and all(odd.values())


def number_of(cell: str, path: Path, line: int) -> str:
    """A cell of a column of values as it is; empty where nobody knows.

    Raises:
        UsageError: it holds something else.
    """
    if (number := finite_number(cell)) is not None:  # -1 as well
        if abs(number) > LARGEST:
            raise UsageError(
                f"{path}, line {line}: {printable(cell)!r} is larger than {LARGEST:.0e}, and "
                "training does not calculate with such numbers: write the column in another unit, "
                "or leave the cell empty if nobody knows."
            )
        return cell
    if not cell or cell.lower() in NOBODY_KNOWS:
        return ""
    raise UsageError(
        f"{path}, line {line}: {printable(cell)!r} is no number, such as 41.5, and other lines of "
        f"its column have one: a value that nobody knows is an empty cell.{_point(cell)}"
    )


def denied_columns(rows: Sequence[tuple[int, Sequence[str]]], columns: Container[int]) -> set[int]:
    """The columns that say of some image that their class is not in it."""
    return {
        number
        for _, cells in rows
        for number, cell in enumerate(cells)
        if number in columns and cell.lower() in NO
    }


def is_there(cell: str, denied: bool, path: Path, line: int) -> bool | None:
    """Whether a cell says that a class is in the image; None where nobody knows.

    Args:
        cell: what is in it.
        denied: whether its column says elsewhere that the class is not there.
        path: of the table.
        line: of the row.

    Raises:
        UsageError: it says something else.
    """
    text = cell.lower()
    if text in YES:
        return True
    if text in NO:
        return False
    if text in NOBODY_KNOWS:
        return None
    if not text:
        return None if denied else False
    hint = " To learn such numbers as values, train with --output value." * is_measurement(cell)
    hint += _point(cell)
    raise UsageError(
        f"{path}, line {line}: {printable(cell)!r} is neither 0 nor 1, nor -1 for unknown, and a "
        f"column a class has nothing else. {TAKES}.{hint}"
    )


def _point(cell: str) -> str:
    """What to do about a number with a comma; empty where it is none."""
    pointed = cell.replace(",", ".")
    if cell.count(",") != 1 or finite_number(pointed) is None:
        return ""
    return f" If it is a number, write it with a point: {printable(pointed)}."


def is_measurement(cell: str) -> bool:
    """Whether a cell holds a measurement: no 0 or 1, and no -1, which stands for uncertain."""
    try:
        value = float(cell)
        return math.isfinite(value) and value not in (0, 1, -1)
    except ValueError:
        return False
