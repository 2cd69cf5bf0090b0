"""What camcli itself wrote into a folder: so much, and no more, may ``--overwrite`` replace.

A folder that a command fills holds a record, a JSON file that says of what kind it is and which
files the command wrote. Whatever the record does not list is somebody's, whatever its name is: it
stays, and so does the folder around it. A folder without such a record is not touched at all.
"""
# ruff: noqa: PTH113, PTH114, PTH117, PTH118, PTH120
# Strings and os.path: a run may have a million pictures.

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError, UsageError
from camcli.files import expanded, replace, why, write_whole

KIND, FILES = "kind", "files"

OVERLAYS = "overlays"
"""The folder of a run's pictures."""


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds an object; None where there is none, or something else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def current_folder() -> Path | None:
    """Where relative paths begin now; None where that folder was removed meanwhile."""
    try:
        return Path.cwd()
    except OSError:
        return None


def told_folder() -> dict[str, str | None]:
    """Where the user is, for a record that has names as they typed them: see `folder_of`."""
    here = current_folder()
    return {"folder": None if here is None else str(here)}


def folder_of(info: Mapping[str, Any]) -> Path | None:
    """Where the relative paths of a record begin; None where it does not say."""
    folder = info.get("folder")
    if not isinstance(folder, str) or "\0" in folder or not os.path.isabs(folder):
        return None
    return Path(folder)


def recorded_absolute(name: str, info: Mapping[str, Any]) -> str:
    """A recorded path that means the same in every folder; as it is where nobody knows.

    Args:
        name: of a file, as the user wrote it.
        info: the content of ``run.json``.
    """
    path, there = expanded(name), folder_of(info)
    return str(path if there is None or "\0" in name else there / path)


def finite_number(text: str | None) -> float | None:
    """The number in a cell of a table; None where there is none, or no finite one."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def finite(value: Any) -> Any:
    """Plain values as JSON has them: the same with None for NaN and infinity, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


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
    check_writable(out)
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


def check_writable(out: Path) -> None:
    """Refuse a folder in which nothing can be written, before hours of work are lost to it.

    Args:
        out: need not be there.

    Raises:
        UsageError: it, or what would hold it, is a file.
        CamcliError: the system writes nothing there.
    """
    try:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file; --out must name a folder.")
        above = next((p for p in (out, *out.absolute().parents) if p.exists()), Path())
        if not above.is_dir():
            raise UsageError(f"{above} is a file, so {out} can be no folder; choose another --out.")
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}. Choose another --out.") from error


class Inside:
    """Tells which relative names lie below a folder, links resolved; a table may name anything."""

    def __init__(self, folder: Path) -> None:
        """Take the folder as it is now; it need not be there."""
        self._folder = os.fspath(folder)
        self._root = os.path.realpath(folder)
        self._known: dict[str, bool] = {}

    def holds(self, name: str) -> bool:
        """Whether a file of this name would be below the folder.

        Args:
            name: relative, with forward slashes.
        """
        parts = name.split("/")
        if not name or _is_odd(name) or os.path.isabs(name) or ".." in parts:
            return False
        path = os.path.join(self._folder, *parts)
        parent = os.path.dirname(path)
        if parent not in self._known:
            self._known[parent] = self._below(parent)
        return self._known[parent] and (not os.path.islink(path) or self._below(path))

    def _below(self, path: str) -> bool:
        real, root = os.path.normcase(os.path.realpath(path)), os.path.normcase(self._root)
        return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def _is_odd(name: str) -> bool:
    """Whether a name may mean another file than it says: on Windows a drive, or a ``..``."""
    return bool(set(name) & set("\0\\:" if sys.platform == "win32" else "\0"))


def below(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files, or links, of these relative names that are there.

    What would lie elsewhere, through ``..`` or a link to another folder, is left out: a record may
    have been written by anybody.
    """
    inside: dict[str, bool] = {}
    folders = Inside(folder)
    for name in names:
        parent, slash, last = name.rpartition("/")
        if parent not in inside:
            inside[parent] = folders.holds(f"{parent}/." if slash else ".")
        path = os.path.join(folder, *name.split("/"))
        if last in ("", ".", "..") or _is_odd(last) or not inside[parent]:
            continue
        if os.path.islink(path) or os.path.isfile(path):
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


def put_together(out: Path, files: Mapping[str, bytes | str], before: Iterable[str] = ()) -> None:
    """Write the files of one result: all of them, or none, and what was there before stays.

    They are written aside first, which is what takes time and room on the disk, and then renamed
    one after the other.

    Args:
        out: folder, made if needed.
        files: relative name, with forward slashes -> content; the record comes first, as it says
            whose the others are.
        before: relative names of what an earlier result had; those that have no successor go.

    Raises:
        OSError: they cannot be written; what was there is as it was.
    """
    new = [path for path in (out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        part = Path(tempfile.mkdtemp(dir=out, prefix=".camcli-", suffix=".part"))
    except OSError:
        _remove_empty(new)
        raise
    try:
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(part / name, content)
        remove(out, set(before) - set(files))
        for name in files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            replace(part / name, out / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _remove_empty(new)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Delete folders in which nothing is."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def unlisted(folder: Path, names: Collection[str]) -> list[str]:
    """Relative names of the files below a folder that are not among these; links are files."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in [*files, *(f for f in folders if os.path.islink(os.path.join(place, f)))]:
            rel = os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            if rel not in names:
                found.append(rel)
    return sorted(found)
