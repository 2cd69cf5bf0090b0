"""``predictions.csv``: the table of a run and, at the same time, its journal.

A row is appended only after its overlay has been renamed into place, so after a crash at any
moment the file says exactly what is finished, except for a last row that may be torn.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from camcli.batch.tables.appending import Appender
from camcli.batch.tables.columns import goes_on
from camcli.batch.tables.reading import ENCODING, ERRORS, header, is_number, read_rows
from camcli.errors import UsageError
from camcli.spreadsheet import cell, plain

__all__ = [
    "Journal", "complete_bytes", "copy_in_order", "copy_without", "drop_torn_row", "header",
    "read_rows",
]  # fmt: skip


# Surrogates that stand for no byte of a file name.
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Journal(Appender):
    """Appends rows to a CSV (RFC 4180), one write a row; texts are safe for spreadsheets.

    Example:
        >>> with Journal(path, ["path", "pred"]) as journal:
        ...     journal.append({"path": "a.jpg", "pred": "cat"})
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        """Open `path`; a new or empty file gets the header.

        Args:
            path: the CSV.
            columns: its header. A table that was begun before there were some of them goes on
                without these.

        Raises:
            UsageError: the file has another header.
            CamcliError: it cannot be written.
        """
        super().__init__(path)
        self.columns = columns
        if self._file.tell() == 0:
            self._append(_line(columns))
        else:
            self.columns = header(path)
            if not goes_on(self.columns, columns):
                self._file.close()
                raise UsageError(
                    f"{path} has other columns than this run would write; resume it with the "
                    "options it was started with, or choose another --out."
                )

        self._columns = [(name, is_number(name)) for name in self.columns]

    def append(self, values: Mapping[str, Any]) -> None:
        """Add one row; it is with the operating system when this returns.

        Raises:
            CamcliError: the file cannot be written (disk full, directory removed).
        """
        self.write(self.line(values))

    def line(self, values: Mapping[str, Any]) -> bytes:
        """One row as it will be in the file; nothing is written."""
        return _line(
            [values[name] if number else cell(values[name]) for name, number in self._columns]
        )

    def write(self, line: bytes) -> None:
        """Add a row that `line` made.

        Raises:
            CamcliError: as `append` does.
        """
        self._append(line)


def _line(cells: list[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    text = buffer.getvalue()
    try:
        return text.encode(ENCODING, ERRORS)
    except UnicodeEncodeError:  # half a character, as JSON can write it into a class's name
        return _HALVES.sub("\ufffd", text).encode(ENCODING, ERRORS)


def copy_without(path: Path, to: Path, names: Container[str]) -> None:
    """Copy a table but for the rows of some images, byte by byte.

    Args:
        path: the table.
        to: the copy.
        names: relative paths of the images.
    """
    _copy(path, to, [where for name, where in _places(path) if name not in names])


def copy_in_order(path: Path, to: Path, order: Iterable[str]) -> None:
    """Copy a table with its rows in the order of its source, byte by byte.

    Args:
        path: the table.
        to: the copy.
        order: relative paths of the source's images. The row of an image that is not there any
            more stays behind the one that it was behind.
    """
    rank: dict[str, int] = {}
    for number, name in enumerate(order):
        rank.setdefault(name, number)
    at, places = -1, []
    for name, where in _places(path):
        at = rank.get(name, at)
        places.append((at, where))
    places.sort(key=lambda one: one[0])  # stable
    _copy(path, to, [where for _, where in places])


def _places(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The image of each row, and where the row starts and ends."""
    end = 0
    with path.open("rb") as file:

        def lines() -> Iterator[str]:
            nonlocal end
            for line in file:
                end += len(line)
                yield line.decode(ENCODING, ERRORS)

        rows = csv.reader(lines())
        next(rows, None)
        start = end
        for cells in rows:
            yield plain((cells or [""])[0]), (start, end)
            start = end


def _copy(path: Path, to: Path, places: Iterable[tuple[int, int]]) -> None:
    """The header, and the bytes from each start to each end."""
    with path.open("rb") as file, to.open("wb") as copy:
        copy.write(_line(header(path)))
        for start, end in places:
            file.seek(start)
            copy.write(file.read(end - start))


def drop_torn_row(path: Path) -> int:
    """Cut a half-written last row off, as a killed run may leave one.

    Returns:
        How many bytes were cut off.
    """
    end = complete_bytes(path)
    size = path.stat().st_size
    if end < size:
        with path.open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
    return size - end


def complete_bytes(path: Path, chunk: int = 1 << 20) -> int:
    """The length of the part of a CSV that consists of whole rows.

    A row ends with a line feed outside quotes; a quoted name may hold line feeds of its own.
    """
    end = offset = 0
    quoted = False
    with path.open("rb") as file:
        while block := file.read(chunk):
            start = 0
            # Quotes toggle; a doubled quote inside quotes toggles twice and changes nothing.
            for piece in block.split(b'"'):
                if start:
                    quoted = not quoted
                if not quoted and (at := piece.rfind(b"\n")) >= 0:
                    end = offset + start + at + 1
                start += len(piece) + 1
            offset += len(block)
    return end
