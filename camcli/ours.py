"""What camcli itself wrote into a folder: so much, and no more, may ``--overwrite`` replace.

A folder that a command fills holds a record, a JSON file that says of what kind it is and which
files the command wrote. Whatever the record does not list is somebody's, whatever its name is: it
stays, and so does the folder around it. A folder without such a record is not touched at all.
"""
# ruff: noqa: PTH113, PTH114, PTH117, PTH118, PTH120
# Strings and os.path: a run may have a million pictures.

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from camcli.errors import UsageError

KIND, FILES = "kind", "files"


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds an object; None where there is none, or something else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def files_of(record: dict[str, Any] | None, kind: str, older: Collection[str]) -> list[str] | None:
    """The files that a record lists.

    Args:
        record: as `read_record` gives it.
        kind: of the command that asks.
        older: keys by which a record is known that was written before there were kinds.

    Returns:
        None if it is not a record of this kind; an older one, which lists nothing, is empty.
    """
    if record is None or record.get(KIND, kind) != kind:
        return None
    if KIND not in record and not set(older) <= record.keys():
        return None
    files = record.get(FILES)
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []


def check_replaceable(
    out: Path,
    names: Iterable[str],
    *,
    record: str,
    kind: str,
    older: Collection[str],
    overwrite: bool,
) -> None:
    """Refuse to write files where there are some already, unless they are of an earlier run.

    Args:
        out: the folder.
        names: of the files that are going to be written.
        record: which file of the folder says what the earlier run wrote.
        kind: of the command.
        older: see `files_of`.
        overwrite: whether an earlier run's may be replaced.

    Raises:
        UsageError: a file is there that may not be replaced.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out must name a folder.")
    there = [name for name in names if os.path.lexists(out / name)]
    if there and not overwrite:
        raise UsageError(f"{out / there[0]} exists. Add --overwrite, or choose another --out.")
    known = files_of(found := read_record(out / record), kind, older)
    listed = there if known is not None and FILES not in (found or {}) else known or []
    for name in there:
        if name not in listed:
            raise UsageError(
                f"{out / name} was not written by 'camcli {kind}' (no {record} beside it says so), "
                "so it will not be replaced. Choose another --out, or move it away."
            )


def below(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files, or links, of these relative names that are there.

    What would lie elsewhere, through ``..`` or a link to another folder, is left out: a record may
    have been written by anybody.
    """
    root = os.path.realpath(folder)
    inside: dict[str, bool] = {}
    for name in names:
        parts = name.split("/")
        if not name or "\0" in name or os.path.isabs(name) or ".." in parts:
            continue
        path = os.path.join(folder, *parts)
        parent = os.path.dirname(path)
        if parent not in inside:
            real = os.path.realpath(parent)
            inside[parent] = real == root or real.startswith(root.rstrip(os.sep) + os.sep)
        if inside[parent] and os.path.lexists(path) and _is_file(path):
            yield Path(path)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Delete these files of a folder, and its sub-folders that hold nothing else.

    Args:
        folder: stays.
        names: relative, with forward slashes; read as they are needed.

    Raises:
        OSError: a file cannot be deleted.
    """
    emptied: set[Path] = set()
    for path in below(folder, names):
        path.unlink(missing_ok=True)
        emptied.add(path.parent)
    while emptied:
        above = set()
        for place in emptied:
            if place == folder:
                continue
            try:
                place.rmdir()
            except OSError:  # somebody's file is in it
                continue
            above.add(place.parent)
        emptied = above


def unlisted(folder: Path, names: Collection[str]) -> list[str]:
    """Relative names of the files below a folder that are not among these; links are files."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in [*files, *(f for f in folders if os.path.islink(os.path.join(place, f)))]:
            rel = os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            if rel not in names:
                found.append(rel)
    return sorted(found)


def _is_file(path: str) -> bool:
    return os.path.islink(path) or os.path.isfile(path)
