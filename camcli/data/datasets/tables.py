"""Labels from a CSV table: ``path,label[,split]``."""

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
from camcli.data.sources.lists import common, relative
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split, split_of
from camcli.errors import UsageError
from camcli.files import open_regular


class LabelRow(NamedTuple):
    """One line of the table."""

    ref: ImageRef
    split: Split | None


def read_table(path: Path) -> list[LabelRow]:
    """Read a CSV with a header that names at least the columns ``path`` and ``label``.

    Args:
        path: UTF-8 text; commas, semicolons or tabs. A relative image path starts from the CSV's
            folder, or, if there is nothing, from the current one. Other columns are ignored.

    Returns:
        One row for each image, in the order of the table; ``split`` is None without that column.

    Raises:
        UsageError: not a table, a column is missing, a value is empty or unknown, an image has
            two labels, or none of the images exists.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = reader.fieldnames or []
            missing = [name for name in ("path", "label") if name not in columns]
            if missing:
                raise UsageError(
                    f"The table {path} has no column {' and no column '.join(missing)}; its first "
                    f"line must name path, label and perhaps split, and it names "
                    f"{', '.join(columns) if columns else 'nothing'}."
                )
            rows = [_row(values, path, reader.line_num) for values in reader]
    except UnicodeDecodeError as error:
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
    return _referenced(rows, path)


def _row(values: dict[str, str], table: Path, line: int) -> tuple[str, str, Split | None]:
    name, label = values["path"], (values["label"] or "").strip()
    if not name or not label:
        raise UsageError(f"Line {line} of {table} has no {'label' if name else 'path'}.")
    text = (values.get("split") or "").strip()
    if text and not split_of(text):
        raise UsageError(f"Line {line} of {table}: the split {text!r} is not train, val or test.")
    if "split" in values and not text:
        raise UsageError(f"Line {line} of {table} has no split: fill the column or remove it.")
    return name, label, split_of(text) if text else None


def _referenced(rows: list[tuple[str, str, Split | None]], table: Path) -> list[LabelRow]:
    paths = [_existing(name, table.parent) for name, _, _ in rows]
    if not any(os.path.lexists(path) for path in paths):
        raise UsageError(
            f"None of the images of {table} exists, not even {paths[0]}; relative paths start "
            "from the table's folder or the current one."
        )
    root = os.path.dirname(paths[0])  # noqa: PTH120
    for path in paths:
        root = common(root, os.path.dirname(path))  # noqa: PTH120
    seen: dict[str, LabelRow] = {}
    for path, (_, label, split) in zip(paths, rows, strict=True):
        rel = relative(path, root)
        row = LabelRow(ImageRef(Path(path), rel, label), split)
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
    return Found([Labelled(row.ref, row.split) for row in read_table(place.root)], "table")


TABLE = DatasetKind(
    name="table",
    title="a table",
    what="a CSV of path,label[,split]",
    looks_like=lambda place: place.is_file,
    read=_read,
)
