"""Labels from a CSV table: ``path,label[,split]``, or one column a class.

Several labels of an image have ``|`` between them, or a 1 in each of their columns.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.kind import DatasetKind, Domains, Found
from camcli.data.datasets.place import DataPlace
from camcli.data.sources.finders import absolute
from camcli.data.sources.label_tables import (
    PATHS,
    LabelTable,
    join_labels,
    read_label_table,
    split_labels,
    unknown_labels,
)
from camcli.data.sources.lists import common, relative
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split, split_of
from camcli.errors import UsageError
from camcli.files import open_regular
from camcli.printable import printable, some
from camcli.spreadsheet import plain


class LabelRow(NamedTuple):
    """One line of the table."""

    ref: ImageRef
    split: Split | None


def read_table(path: Path) -> list[LabelRow]:
    """The rows of a table of ``path,label``, see `read_rows`."""
    return [LabelRow(x.ref, x.split) for x in read_rows(path).images]


def _lines(path: Path) -> list[_Line]:
    """Read a CSV with a header that names at least the columns ``path`` and ``label``.

    Args:
        path: UTF-8 text; commas, semicolons or tabs. A relative image path starts from the CSV's
            folder, or, if there is nothing, from the current one. Other columns are ignored.

    Returns:
        What each line says; ``split`` is None without that column.

    Raises:
        UsageError: not a table, a column is missing, or a value is empty or unknown.
    """
    try:
        with io.TextIOWrapper(
            open_regular(path), encoding="utf-8-sig", errors="surrogateescape", newline=""
        ) as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = reader.fieldnames or []
            _check_text("".join(columns))
            missing = [name for name in ("path", "label") if name not in columns]
            if missing:
                raise UsageError(
                    f"The table {path} has no column {' and no column '.join(missing)}; its first "
                    f"line must name path, label and perhaps split, and it names "
                    f"{', '.join(columns) if columns else 'nothing'}."
                )
            rows = [_row(values, path, reader.line_num) for values in reader]
        for row in rows:
            _check_text(row.label)
            # A file's name may be any bytes; text in another encoding names none.
            if not os.path.lexists(_existing(row.path, path.parent)):
                _check_text(row.path)
    except UnicodeError as error:
        with open_regular(path) as binary:
            zipped = binary.read(4) == b"PK\x03\x04"
        if zipped:
            raise UsageError(
                f"{path} is a ZIP archive, or a spreadsheet that is one: unpack it and give its "
                "folder, or save the sheet as CSV."
            ) from error
        raise UsageError(f"The table {path} is not UTF-8 text; is it a CSV file?") from error
    except csv.Error as error:
        raise UsageError(f"The table {path} is not well-formed CSV: {error}.") from error
    except OSError as error:
        raise UsageError(f"The table {path} could not be read: {error.strerror}.") from error
    if not rows:
        raise UsageError(f"The table {path} has a header but no rows.")
    return rows


def _check_text(text: str) -> None:
    """Refuse bytes that are no UTF-8.

    Raises:
        UnicodeEncodeError: there are some.
    """
    if not text.isascii():
        text.encode()


class _Line(NamedTuple):
    """What a line of the table says; `label` may be empty."""

    number: int
    path: str
    label: str
    split: Split | None


def _row(values: dict[str, str], table: Path, line: int) -> _Line:
    name, label = plain(values["path"] or ""), plain((values["label"] or "").strip())
    if not name:
        raise UsageError(f"Line {line} of {table} has no path.")
    split = _split(values["split"], f"Line {line} of {table}") if "split" in values else None
    return _Line(line, name, label, split)


def _split(text: str | None, where: str) -> Split | None:
    text = (text or "").strip()
    if not text:
        raise UsageError(f"{where} has no split: fill the column or remove it.")
    if not split_of(text):
        raise UsageError(f"{where}: the split {text!r} is not train, val or test.")
    return split_of(text)


def _labelled(lines: list[_Line], table: Path, empty: bool) -> tuple[list[_Line], bool]:
    """The lines, and whether labels do not exclude each other: a cell has several of them.

    Args:
        lines: of a table with a column label.
        table: its path.
        empty: whether an empty cell may be where each image has one label.

    Raises:
        UsageError: a cell is empty where each image has one label.
    """
    several = any(len(split_labels(x.label)) > 1 or unknown_labels(x.label) for x in lines)
    if several:
        return [
            x._replace(label=join_labels(split_labels(x.label), unknown_labels(x.label)))
            for x in lines
        ], True
    if not empty and (lacking := [line for line in lines if not line.label]):
        raise UsageError(
            f"Line {lacking[0].number} of {table} has no label: write one, or leave such images "
            "out with --ignore-label ''."
        )
    # One label may hold a |, which is then written behind a backslash.
    return [x._replace(label=(*split_labels(x.label), "")[0]) for x in lines], False


def _referenced(rows: list[_Line], table: Path) -> list[LabelRow]:
    paths = [_existing(line.path, table.parent) for line in rows]
    if not any(os.path.lexists(path) for path in paths):
        raise UsageError(
            f"None of the images of {table} exists, not even {paths[0]}; relative paths start "
            "from the table's folder or the current one."
        )
    root = os.path.dirname(paths[0])  # noqa: PTH120
    for path in paths:
        root = common(root, os.path.dirname(path))  # noqa: PTH120
    seen: dict[str, LabelRow] = {}
    for path, line in zip(paths, rows, strict=True):
        rel = relative(path, root)
        row = LabelRow(ImageRef(Path(path), rel, line.label), line.split)
        if seen.setdefault(rel, row) != row:
            raise UsageError(f"The table {table} lists {rel!r} with two labels or splits.")
    return list(seen.values())


def _existing(name: str, folder: Path) -> str:
    beside = absolute(os.path.join(folder, name))  # noqa: PTH118
    if os.path.lexists(beside):
        return beside
    here = absolute(name)
    return here if os.path.lexists(here) else beside


def _read(place: DataPlace, domains: Domains) -> Found:
    table = place.root
    return read_rows(table, empty="" in place.ignored, values=place.values)


def read_rows(path: Path, *, empty: bool = False, values: bool | None = None) -> Found:
    """Read a table in whichever form, see `camcli.data.sources.label_tables`.

    Args:
        path: of the table.
        empty: whether an image may have no label where others have one.
        values: whether its numbers are values; None to go by the numbers.

    Raises:
        UsageError: as `read_table`; or a column a class holds something else than 0 and 1.
    """
    header = _header(path)
    plain_form = header is None or {"path", "label"} <= {*header} or not {*header} & {*PATHS}
    if plain_form and not values:
        lines, several = _labelled(_lines(path), path, empty)
        return _found(_referenced(lines, path), [], several)
    table = read_label_table(path, values)
    several = takes_several(table, empty=empty)
    lines = [
        _Line(
            number, name, label_taken(table, name, several), split_given(table, name)
        )
        for number, name in enumerate(table.labels, 2)
    ]  # fmt: skip
    return _found(_referenced(lines, path), columns_taken(table, several), several, table.values)


def _found(
    rows: list[LabelRow], notes: list[str], several: bool, values: tuple[str, ...] = ()
) -> Found:
    return Found([Labelled(x.ref, x.split) for x in rows], "table", notes, several, values)


def label_taken(table: LabelTable, name: str, several: bool) -> str:
    """The label of the image that a table calls so: its class, or a text of labels or values."""
    return table.said(name) if several or table.measured else (*table.labels[name], "")[0]


def takes_several(table: LabelTable, *, empty: bool = False) -> bool:
    """Whether an image of a table has any number of labels, and not one class.

    Args:
        table: any.
        empty: whether a cell may be empty where each image has one label.

    Raises:
        UsageError: a cell is empty where each image has one label.
    """
    if table.measured:
        return False
    if table.columns or table.unknown or any(len(n) > 1 for n in table.labels.values()):
        return table.several
    for name, labels in table.labels.items():
        if not labels and not empty:
            raise UsageError(
                f"{printable(name)!r} has no label in {table.path}: write one, or leave such "
                "images out with --ignore-label ''."
            )
    return False


def columns_taken(table: LabelTable, several: bool) -> list[str]:
    """A line on what a table's columns are taken for, where they are its classes or values."""
    if table.measured:
        return [
            f"The numbers in {some(table.values)} are taken for values to predict; --output "
            "softmax takes each number for a class."
        ]
    if not table.columns:
        return []
    what = "labels, of which an image has any number" if several else "classes, one an image"
    notes = [f"The columns {some(table.classes)} are taken for {what}."]
    if table.empty:
        notes.append(table.empty_told)
    there = {name for labels in table.labels.values() for name in labels}
    if nobody := [name for name in table.classes if name not in there]:
        notes.append(f"No image has {some(nobody)}: not learned.")
    return notes


def split_given(table: LabelTable, name: str) -> Split | None:
    """The split that a table gives one of its images; None where it gives none.

    Raises:
        UsageError: it gives something else.
    """
    if not table.splits:
        return None
    return _split(table.splits[name], f"{table.path}: {printable(name)!r}")


def is_table(path: Path) -> bool:
    """Whether the first line of a file names columns, among them one of paths."""
    header = _header(path) or []
    return len(header) > 1 and bool(set(header) & set(PATHS))


def _header(path: Path) -> list[str] | None:
    """The names of the columns in small letters; None where they cannot be read."""
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except (OSError, UnicodeDecodeError):
        return None
    delimiter = max(",;\t", key=first.count)
    return [cell.strip().strip('"').lower() for cell in first.split(delimiter)]


TABLE = DatasetKind(
    name="table",
    title="a table",
    what="a CSV of path,label[,split], several labels with | between or in columns of 0 and 1",
    looks_like=lambda place: place.is_file,
    read=_read,
)
