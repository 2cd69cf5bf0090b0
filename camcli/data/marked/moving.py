"""Moving originals: written down before the first one moves, so that it can go on or be undone.

A record in the new folder says what lies where. Nothing is deleted, and no file is moved onto
another one: what was dropped stays where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from camcli.data.marked.places import Placed
from camcli.data.marked.written import RECORD
from camcli.errors import CamcliError, UsageError
from camcli.files import why, write_whole
from camcli.locks import is_still, lock
from camcli.ours import Inside, read_record
from camcli.printable import counted, printable, some

MOVING, MOVED, UNDOING = "moving", "moved", "undoing"


def check_movable(out: Path, root: Path, found: Sequence[Placed]) -> None:
    """Refuse what cannot be renamed from one place to the other.

    Raises:
        UsageError: links, photographs outside of the data set's folder, or another disk.
    """
    inside = Inside(root)
    links = [x.photo.ref.rel for x in found if os.path.islink(x.photo.ref.path)]  # noqa: PTH114
    if links:
        raise UsageError(
            f"--move takes no links, which may lead elsewhere from another folder: {some(links)}. "
            "Leave --move out: the files that they lead to are copied."
        )
    away = [x.photo.ref.rel for x in found if not inside.holds(x.photo.ref.rel)]
    if away:
        raise UsageError(f"--move takes nothing that lies outside of {root}: {some(away)}.")
    above = next(path for path in out.absolute().parents if path.exists())
    disk = above.stat().st_dev
    for folder in {x.photo.ref.path.parent for x in found}:
        if folder.stat().st_dev != disk:
            raise UsageError(
                f"--move renames, and {out} is on another disk than {folder}: leave --move out, or "
                "choose a folder on the same disk."
            )
        if not os.access(folder, os.W_OK):
            raise UsageError(f"--move needs the permission to take files out of {folder}.")


def begin(out: Path, found: Sequence[Placed], record: dict[str, Any]) -> None:
    """Write down what is going to be moved; nothing has moved yet.

    Raises:
        OSError: it cannot be written.
    """
    moves = [[each.photo.ref.rel, each.to] for each in found]
    out.mkdir(parents=True, exist_ok=True)
    _write(out, {**record, "state": MOVING, "moves": moves})


def read_moves(out: Path) -> dict[str, Any] | None:
    """The record of a folder into which something was, or is being, moved; else None."""
    record = read_record(out / RECORD)
    known = record is not None and record.get("state") in (MOVING, MOVED, UNDOING)
    return record if known else None


def finish(out: Path, root: Path, tick: Callable[[], None]) -> int:
    """Move what the record says and has not been moved.

    Args:
        out: the folder with the record.
        root: the data set's folder.
        tick: called for each photograph.

    Returns:
        How many photographs lie in `out` now.

    Raises:
        UsageError: the record says what must not be.
        CamcliError: a photograph is gone, or something cannot be moved: it can be gone on with.
    """
    with _alone(out) as record:
        pairs = _pairs(record, out, root)
        _check_ends([(root / old, out / new) for old, new in pairs], out, "--undo brings back")
        for old, new in pairs:
            _move(root / old, out / new, out)
            tick()
        _write(out, {**record, "state": MOVED})
    return len(pairs)


def undo(out: Path, root: Path, tick: Callable[[], None]) -> int:
    """Bring back what was moved, and remove the folder if nothing else is in it.

    Returns:
        How many photographs were brought back.

    Raises:
        UsageError: there is nothing to undo, or the record says what must not be.
        CamcliError: something cannot be moved: it can be gone on with.
    """
    if read_moves(out) is None:
        raise UsageError(
            f"There is nothing to undo in {out}: its {RECORD} is not that of a 'camcli apply "
            "--move'. A copy can simply be deleted."
        )
    with _alone(out) as record:
        pairs = _pairs(record, out, root)
        _check_ends([(out / new, root / old) for old, new in pairs], out, "it was not undone")
        _write(out, {**record, "state": UNDOING})
        back = 0
        for old, new in pairs:
            back += _move(out / new, root / old, out)
            tick()
        (out / RECORD).unlink()
    folders = {parent for _, new in pairs for parent in (out / new).parents if parent != out}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        if out in folder.parents:
            with suppress(OSError):  # somebody's file is in it
                folder.rmdir()
    with suppress(OSError):
        out.rmdir()
    return back


def _move(old: Path, new: Path, out: Path) -> bool:
    """Rename, unless that has been done; whether it was done now.

    Raises:
        CamcliError: it cannot be done.
    """
    if not os.path.lexists(old) and os.path.lexists(new):
        return False
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
    except OSError as error:
        raise CamcliError(
            f"{printable(old)} cannot be moved to {printable(new)}: {why(error)}. The same command "
            f"goes on where it stopped, and with --undo all of {out} moves back."
        ) from error
    return True


def _check_ends(pairs: Sequence[tuple[Path, Path]], out: Path, else_: str) -> None:
    """Each photograph must be at one of its two places, and not something else at the other.

    Raises:
        CamcliError: it is not; nothing was moved now.
    """
    both = [old for old, new in pairs if os.path.lexists(old) and os.path.lexists(new)]
    if both:
        raise CamcliError(
            f"{counted(len(both), 'photograph')} would be moved onto another file, so nothing was "
            f"moved: {some(both)}. Move one of the two away; see {out / RECORD}."
        )
    gone = [old for old, new in pairs if not os.path.lexists(old) and not os.path.lexists(new)]
    if gone:
        raise CamcliError(
            f"{counted(len(gone), 'photograph')} {'is' if len(gone) == 1 else 'are'} neither where "
            f"{'it was' if len(gone) == 1 else 'they were'} nor in {out}: {some(gone)}. Nothing "
            f"was moved now; put {'it' if len(gone) == 1 else 'them'} back, or {else_}."
        )


def _pairs(record: dict[str, Any], out: Path, root: Path) -> list[tuple[str, str]]:
    """From where to where, relative to the two folders.

    Raises:
        UsageError: a record that somebody has changed: it would move what lies elsewhere.
    """
    source, moves = record.get("source"), record.get("moves")
    if not isinstance(source, str) or os.path.realpath(source) != os.path.realpath(root):
        raise UsageError(
            f"What is in {out} was moved there from {printable(source)}, and not from {root}: name "
            "that folder with --data."
        )
    inside, below = Inside(root), Inside(out)
    pairs = []
    for each in moves if isinstance(moves, list) else [None]:
        if not (
            isinstance(each, list)
            and len(each) == 2
            and all(isinstance(name, str) for name in each)
            and inside.holds(each[0])
            and below.holds(each[1])
        ):
            raise UsageError(
                f"{out / RECORD} names what lies outside of {root} and {out}, so nothing was moved."
            )
        pairs.append((each[0], each[1]))
    return pairs


@contextmanager
def _alone(out: Path) -> Iterator[dict[str, Any]]:
    """The record, as long as no other process moves by it.

    Raises:
        CamcliError: another one does, or it cannot be read.
    """
    own = out / f".{RECORD}.lock"
    try:
        with own.open("ab") as file:
            if not lock(file, wait=False) or not is_still(file, own):
                raise CamcliError(f"Another 'camcli apply' is moving files of {out}: wait for it.")
            record = read_moves(out)
            if record is None:
                raise CamcliError(f"{out / RECORD} cannot be read.")
            try:
                yield record
            finally:
                with suppress(OSError):
                    own.unlink()
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}.") from error


def _write(out: Path, record: dict[str, Any]) -> None:
    write_whole(out / RECORD, json.dumps(record, indent=1))
