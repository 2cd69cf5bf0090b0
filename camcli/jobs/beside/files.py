"""Files beside a run, read for its page: whoever wrote them may be anybody."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.files import read_regular
from camcli.spreadsheet import plain

_LARGEST = 1 << 26
_WORDS = 300  # letters of a name on the page
FOLDERS = 300
"""At most so many folders beside a run are looked into."""


def json_object(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds an object; None where there is none, or it is not to be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_regular(path, _LARGEST))
        if isinstance(found, dict):
            return found
    return None


def table(path: Path, most: int) -> list[dict[str, str]]:
    """The first rows of a CSV file with a header; none where there is none, or it is broken."""
    rows: list[dict[str, str]] = []
    with suppress(OSError, ValueError, csv.Error):
        text = read_regular(path, _LARGEST).decode("utf-8-sig", "surrogateescape")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            if len(rows) >= most:
                break
            rows.append(
                {
                    plain(name): plain(value)
                    for name, value in row.items()
                    if isinstance(name, str) and isinstance(value, str)
                }
            )
    return rows


def number(value: Any) -> float | None:
    """A finite number, also one that is written as a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    with suppress(ValueError, OverflowError):
        found = float(value)
        return found if math.isfinite(found) and abs(found) < 1e300 else None
    return None


def words(value: Any, most: int = _WORDS) -> str:
    """A text, or a number as one, cut where it is longer than anybody reads; else nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        text = str(value)
    except ValueError:  # a whole number of more digits than Python writes
        return ""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def texts(value: Any, most: int) -> list[str]:
    """The texts of a list."""
    found = value if isinstance(value, list) else []
    return [words(each, 2000) for each in found[:most] if isinstance(each, str)]


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def folders_beside(run: Path) -> Iterator[Path]:
    """Where what is known about a run may lie: in its folder, beside it, and where the user is."""
    seen: set[Path] = set()
    for above in (run, run.absolute().parent, Path.cwd()):
        try:
            inside = sorted(path for path in above.iterdir() if path.is_dir())
        except OSError:
            continue
        for path in inside[:FOLDERS]:
            real = path.absolute()
            if real not in seen:
                seen.add(real)
                yield path
