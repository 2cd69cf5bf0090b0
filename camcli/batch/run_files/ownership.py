"""Which folders are run directories, and what in them is a run's own."""

# ruff: noqa: PTH114, PTH118
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from camcli.batch.tables.reading import header, read_rows
from camcli.errors import CamcliError, UsageError
from camcli.files import identity
from camcli.ours import FILES, KIND, files_of, read_record
from camcli.printable import printable

BATCH = "batch"
# By these is a run.json known that was written before it named its kind.
_OLDER = ("camcli", "state", "config", "counts", "provenance")
_FIRST_COLUMNS = ["path", "label", "pred", "prob", "correct", "target", "method", "layer"]
_LAST_COLUMNS = ["status", "error"]
_FIRST = ",".join(_FIRST_COLUMNS).encode()
# What a killed run leaves half-written: `camcli.files.whole_file`'s, and the tokens of Ray's.
_PARTS = (".camcli-*.part", "ray-*")


def is_run(info: dict[str, Any] | None) -> bool:
    """Whether ``run.json`` says that 'camcli batch' made it."""
    return files_of(info, BATCH, _OLDER) is not None


def problem_of(info: Any) -> str | None:
    """What keeps a ``run.json`` from being read as one; None if nothing does."""
    if not isinstance(info, dict):
        return "it holds no JSON object"
    for name in ("config", "counts", "provenance"):
        if not isinstance(info.get(name, {}), dict):
            return f"{name!r} is {info[name]!r:.60}, not an object"
    for name, count in info.get("counts", {}).items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            return f"the count {name!r} is {count!r:.60}"
    if not isinstance(info.get("state", ""), str):
        return f"'state' is {info['state']!r:.60}"
    return None


def kind_of(path: Path) -> str | None:
    """What else of camcli's a ``run.json`` is of, for a message; None if of nothing known."""
    info = read_record(path) or {}
    kind = info.get(KIND, info.get("command"))
    return kind if isinstance(kind, str) and kind in ("train", "audit", "evaluate") else None


def is_table(path: Path) -> bool:
    """Whether a file is the table of a run, with rows or without, or the begin of its first."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
        if b"\n" not in start and (_FIRST.startswith(start) or start.startswith(_FIRST)):
            return True  # killed while it was written
    except OSError:
        return False
    try:
        names = header(path)
    except CamcliError:
        return False
    return {*_FIRST_COLUMNS, *_LAST_COLUMNS} <= set(names)


def is_heatmaps(path: Path) -> bool:
    """Whether a file is not there, empty, or holds a run's maps."""
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 20)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if not first.strip():
        return not first
    if first.startswith(b'{"path":'):  # also where a kill cut it
        return True
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"path", "maps"} <= record.keys()


def is_newborn(folder: Path, table: str, overlays: str, temporary: str) -> bool:
    """Whether a folder holds just what a run has that was killed before it was described.

    That is an empty table, no picture, and the folder of half-written files.
    """
    for path in folder.iterdir():
        if path.name == table and path.is_file() and not path.stat().st_size:
            continue
        if path.name == overlays and path.is_dir() and not any(path.iterdir()):
            continue
        if path.name == temporary and path.is_dir():  # see `sweep`
            continue
        return False
    return True


def sweep(temporary: Path) -> None:
    """Delete a run's half-written files, and their folder where nothing else is in it."""
    for pattern in _PARTS:
        for part in temporary.glob(pattern):
            part.unlink(missing_ok=True)
    with suppress(OSError):  # it is gone, or somebody's file is in it
        temporary.rmdir()


def recorded(info: dict[str, Any], sheet: str, stem: str) -> list[str]:
    """The files that a run wrote beside its table, maps and overlays.

    Args:
        info: what its ``run.json`` says. An older one lists none: there the command tells.
        sheet: name of the contact sheet.
        stem: of the table.
    """
    if FILES in info:
        return files_of(info, BATCH, _OLDER) or []
    command = info.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    found = [sheet] if any(w.split("=")[0] == "--contact-sheet" for w in words) else []
    formats = {two for one, two in pairwise(words) if one == "--format"}
    formats |= {word.removeprefix("--format=") for word in words}
    return found + [f"{stem}.{form}" for form in ("jsonl", "parquet") if form in formats]


def overlays_of(table: Path, folder: str) -> Iterator[str]:
    """The pictures that a table lists, relative to their folder."""
    for row in read_rows(table, strict=False):
        overlay = row.get("overlay") or ""
        if overlay.startswith(f"{folder}/"):
            yield overlay.removeprefix(f"{folder}/")


def check_kept(
    folder: Path, overlays: str, page: str, files: Iterable[str], paths: Iterable[str]
) -> None:
    """Refuse to overwrite a run whose own pictures are going to be read.

    Args:
        folder: the run.
        overlays: name of the folder of its overlays.
        page: of its report.
        files: names of what else it wrote.
        paths: absolute, of what is going to be read; URLs are elsewhere.

    Raises:
        UsageError: to overwrite the run deletes one of them first, or draws over it.
    """
    # By what they are, not by their names: a disk may take A for a, and a folder has many names.
    places = {identity(os.path.join(folder, name)) for name in (overlays, page)} - {None}
    lost = {identity(os.path.join(folder, name)) for name in files} - {None}
    own = identity(os.fspath(folder))
    found: dict[str, tuple[bool, bool]] = {}

    def look(parent: str) -> tuple[bool, bool]:
        """Whether a folder is the run's own, and whether it lies in one that is deleted."""
        if parent not in found:
            at, below, first = os.path.realpath(parent), "", True
            in_run = inside = False
            while at != below:  # no recursion: a tree may be deeper than Python's stack
                here = identity(at)
                in_run = in_run or (first and here == own)
                inside = inside or here in places
                at, below, first = os.path.dirname(at), at, False  # noqa: PTH120
            found[parent] = in_run and own is not None, inside
        return found[parent]

    for path in paths:
        link = os.path.islink(path)
        in_run, inside = look(os.path.split(os.path.realpath(path) if link else path)[0])
        if inside or ((in_run or link) and identity(path) in lost):
            raise UsageError(
                f"{printable(path)} was made by the run in {folder}, which --overwrite deletes "
                "before anything is read. Choose another --out."
            )


def remove_folder(folder: Path) -> None:
    """An empty one, or a link to one."""
    if folder.is_symlink():
        folder.unlink()
    else:
        folder.rmdir()


def inside_of(folder: Path) -> Callable[[str], bool]:
    """Tells whether a folder is this one or below it, by whatever links and mounts it is named."""
    own = identity(str(folder))

    @lru_cache(maxsize=4096)
    def is_own(path: str) -> bool:
        return identity(path) == own

    @lru_cache(maxsize=256)
    def inside(path: str) -> bool:
        if own is None:
            return False
        path = os.path.realpath(path)
        while not is_own(path):  # no recursion: a tree may be deeper than Python's stack
            path, below = os.path.dirname(path), path  # noqa: PTH120
            if path == below:
                return False
        return True

    return inside
