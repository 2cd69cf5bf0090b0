"""Reading a run's table, also after a spreadsheet has saved it.

Known by their names, columns may stand in any order; commas, semicolons or tabs may lie between
them, a byte order mark before them, and decimal commas in the numbers. What is not unambiguous is
refused with the file and the line.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from camcli.batch.tables.columns import ColumnKind, kind_of
from camcli.errors import CamcliError
from camcli.files import open_regular
from camcli.printable import counted, shortened
from camcli.spreadsheet import plain

# Columns without which a table says nothing.
NEEDED = ("pred", "prob", "status")
# File names need not be valid Unicode; this carries any bytes to the file and back.
ENCODING, ERRORS = "utf-8", "surrogateescape"
_DECIMAL_COMMA = re.compile(r"([-+]?\d*),(\d+(?:[eE][-+]?\d+)?)")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Of a line that is no row of numbers any more but, say, a whole file without a line feed.
_LONGEST = 1 << 24
# All labels of an image are one cell, and a network can have tens of thousands of them.
_WIDEST = 1 << 22
csv.field_size_limit(max(csv.field_size_limit(), _WIDEST))


def is_number(column: str) -> bool:
    """Whether a column holds numbers; all others hold texts."""
    return kind_of(column) != "text"


def is_whole(column: str) -> bool:
    """Whether these are whole numbers."""
    return kind_of(column) in ("flag", "count")


def header(path: Path) -> list[str]:
    """The names of the columns of a run's CSV; none in an empty file.

    Raises:
        CamcliError: the file cannot be read.
    """
    with _opened(path) as (_, names, _):
        return names


def is_as_written(path: Path) -> bool:
    """Whether rows can be appended: no spreadsheet has changed how the table is written."""
    try:
        with path.open("rb") as file:
            start = file.readline(1 << 16)
    except OSError as error:
        raise CamcliError(f"Cannot read {path}: {error.strerror}.") from error
    torn = not start.endswith(b"\n")
    return start.startswith(b"path,"[: len(start)]) and (torn or start.endswith(b"\r\n"))


def read_rows(
    path: Path, needed: Sequence[str] = (), *, strict: bool = True
) -> Iterator[dict[str, str]]:
    """The rows of a run's CSV, one at a time; a last row that is cut short is left out.

    Args:
        path: the file.
        needed: columns that must be there, beside ``path``.
        strict: False leaves out what cannot be a row, where True refuses it.

    Yields:
        Texts by column. A number is one that Python reads, or nothing where it is not finite.

    Raises:
        CamcliError: the file cannot be read, or is not the table of a run; names the line.
    """
    with _opened(path) as (reader, names, foreign):
        missing = [name for name in ("path", *needed) if name not in names]
        if names and missing:
            raise CamcliError(
                f"{path} has no column {' and no column '.join(missing)}, which the table of a run "
                "has: take the file that 'camcli batch' wrote, or put the column back."
            )
        short = ""
        for cells in reader:
            if not cells:
                continue
            if short:  # and it was not the last
                raise CamcliError(short)
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(names):
                problem = (
                    f"{where}: a row of {counted(len(cells), 'cell')} where the first line names "
                    f"{counted(len(names), 'column')}; the table was changed. Take the file "
                    "that 'camcli batch' wrote."
                )
                if len(cells) < len(names):
                    short = problem if strict else ""
                elif strict:
                    raise CamcliError(problem)
                continue
            row = dict(zip(names, cells, strict=True))
            if strict:
                row = {name: _cell(name, text, where, foreign) for name, text in row.items()}
            else:
                row = {name: plain(text) for name, text in row.items()}
            yield row


def _cell(name: str, text: str, where: str, foreign: bool) -> str:
    """A cell as `read_rows` gives it.

    Args:
        name: of its column.
        text: as it is in the file.
        where: file and line, for a message.
        foreign: whether a spreadsheet has saved it, which may have put commas into numbers.
    """
    if not is_number(name):
        return plain(text)
    if not text:
        return text
    number = text.strip()
    if foreign and (found := _DECIMAL_COMMA.fullmatch(number)):
        number = f"{found[1] or 0}.{found[2]}"
    try:
        value = float(number)
    except ValueError:
        value = math.inf
        if number.lower().lstrip("+-") not in ("nan", "inf", "infinity"):
            raise CamcliError(
                f"{where}: {name} is {text!r}, not a number; the table was changed. Take the file "
                "that 'camcli batch' wrote."
            ) from None
    if not math.isfinite(value):
        return ""
    if not _allowed(value, kind_of(name)):
        raise CamcliError(
            f"{where}: {name} is {text!r}, which no run writes; a spreadsheet may have taken its "
            "point for a separator. Take the file that 'camcli batch' wrote."
        )
    return str(int(value)) if is_whole(name) else number


def _allowed(value: float, kind: ColumnKind) -> bool:
    """Whether a run could have written a number."""
    if kind == "flag":
        return value in (0, 1)
    if kind == "share":
        return 0 <= value <= 1.000001
    return kind != "count" or (value.is_integer() and abs(value) < 1 << 31)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, list[str], bool]]:
    """A reader of the rows, the columns, and whether something else than a comma parts them.

    Raises:
        CamcliError: see `read_rows`.
    """
    line = 0
    try:
        with path.open("rb") as raw:
            start = raw.read(3)
        mark = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
        errors = "strict" if mark == "utf-16" else ERRORS
        with path.open(encoding=mark or ENCODING, errors=errors, newline="") as file:
            delimiter = _delimiter(file.readline(_LONGEST))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            names = [plain(name.strip()) for name in next(reader, [])]
            if names and "path" not in names:
                shown = ", ".join(names[:4])
                raise CamcliError(
                    f"{path} is not the table of a run: its first line should name the columns, "
                    f"path, label, pred ..., and names {shortened(shown)!r}."
                )
            if len(set(names)) < len(names):
                twice = next(name for n, name in enumerate(names) if name in names[:n])
                raise CamcliError(f"{path} names the column {twice!r} twice; remove one of them.")
            try:
                yield reader, names, delimiter != ","
            finally:
                line = reader.line_num
    except OSError as error:
        raise CamcliError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (csv.Error, UnicodeError) as error:
        raise CamcliError(f"Cannot read {path}, line {line or 1}: {error}.") from error


def _delimiter(first: str) -> str:
    """What parts the columns: that with which a first line names the most of them."""
    found = {}
    for delimiter in ",;\t":
        try:
            names = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            continue
        if "path" in [name.strip() for name in names]:
            found[delimiter] = len(names)
    return max(found, key=lambda each: found[each], default=",")


def undecodable(table: Path) -> int:
    """How many lines of a table are no UTF-8, as names of files need not be; 0 of one that is gone.

    Their bytes are kept as they are, so that the names still open the files; what reads the table
    must be told so.
    """
    found = 0
    with suppress(OSError, ValueError), open_regular(table) as file:
        for number, line in enumerate(file):
            if number == 0 and line.startswith((b"\xff\xfe", b"\xfe\xff")):  # saved as UTF-16
                return 0
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                found += 1
    return found
