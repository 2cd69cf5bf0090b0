"""The finished table in other formats: JSON Lines, Parquet. The CSV stays, as the run's journal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from camcli.batch.tables.reading import header, is_number, is_whole, read_rows
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_file

FORMATS = ("csv", "jsonl", "parquet")
_ROWS = 10_000  # in memory at a time


def check_format(name: str) -> None:
    """Refuse a format before hours are spent on it.

    Raises:
        UsageError: unknown, or its library is not installed.
    """
    if name not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not {name!r}.")
    if name == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401 - is it there?
        except ImportError:
            raise UsageError(
                "--format parquet needs pyarrow: pip install 'camcli[parquet]'."
            ) from None


def export(path: Path, name: str) -> Path:
    """Write a run's table in another format, beside its CSV; whole or not at all.

    Args:
        path: the CSV; the new file has another suffix.
        name: ``jsonl`` or ``parquet``; ``csv`` is there already.

    Returns:
        The file of that format.

    Raises:
        CamcliError: it cannot be written, or the CSV cannot be read.
    """
    if name == "csv":
        return path
    target = path.with_suffix(f".{name}")
    write: Callable[[Iterator[dict[str, Any]], list[str], Path], None]
    write = _jsonl if name == "jsonl" else _parquet
    try:
        with whole_file(target) as part:
            write((_typed(row) for row in read_rows(path)), header(path), part)
    except OSError as error:
        raise CamcliError(f"Cannot write {target}: {error.strerror}.") from error
    return target


def _typed(row: dict[str, str]) -> dict[str, Any]:
    """Text cells as what they are; an empty cell is None."""
    return {key: _value(key, text) for key, text in row.items()}


def _value(key: str, text: str) -> str | int | float | None:
    if text == "":
        return None
    if not is_number(key):
        return text
    number = int(text) if is_whole(key) else float(text)
    return number if math.isfinite(number) else None  # an older camcli's: JSON has no such numbers


def _jsonl(rows: Iterator[dict[str, Any]], columns: list[str], path: Path) -> None:
    with path.open("w", encoding="ascii") as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")


def _parquet(rows: Iterator[dict[str, Any]], columns: list[str], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {key: pa.int32() if is_whole(key) else pa.float32() for key in columns}
    kinds |= {key: pa.string() for key in columns if not is_number(key)}
    schema = pa.schema(list(kinds.items()))
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := list(islice(rows, _ROWS)):
            # Arrow's strings are valid Unicode; a file name need not be.
            clean = [{key: _unicode(value) for key, value in row.items()} for row in chunk]
            writer.write_table(pa.Table.from_pylist(clean, schema=schema))


def _unicode(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
