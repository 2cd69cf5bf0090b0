"""The cleaned data set on the disk: a folder of copies, a table, or a list; whole or not at all.

Each is read again as ``camcli train`` reads it before it takes its place, and must hold exactly the
photographs that stay, under their labels.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.data.datasets.load import load_dataset
from camcli.data.decode.images import read_bytes
from camcli.data.marked.decide import Decided
from camcli.data.marked.places import Placed
from camcli.data.sources.label_tables import join_labels
from camcli.data.sources.refs import is_url
from camcli.data.sources.splits import Split
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.files import open_regular, whole_file, whole_folder, why, write_whole
from camcli.printable import counted, printable, some
from camcli.spreadsheet import safe

RECORD = "camcli-apply.json"
"""In a copy: what was done, and to what."""

_ROOM = 1 << 26  # bytes that stay free on the disk, at least

Labels = Mapping[str, tuple[str | None, Split]]


def write_folder(
    out: Path,
    found: Sequence[Placed],
    decided: Decided,
    record: dict[str, Any],
    tick: Callable[[], None],
) -> list[str]:
    """Copy photographs into a new folder.

    Args:
        out: the folder; one that is there is replaced at the end.
        found: what to copy, and whereto.
        decided: the data set.
        record: what is to be known of the copy.
        tick: called after each photograph.

    Returns:
        Why nothing would be trained on it all the same, a sentence each.

    Raises:
        UsageError: it would not be read as it is meant.
        CamcliError: something cannot be read or written; `out` is as it was.
    """
    try:
        _check_room(out, found)
        with whole_folder(out) as part:
            problems = check_tree(part, out, found, decided)
            for each in found:
                _copy(each, part / each.to)
                tick()
            files = [RECORD, *(each.to for each in found)]
            text = json.dumps({**record, "files": files}, indent=1)
            write_whole(part / RECORD, text)
        return problems
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}. Nothing was changed.") from error


def check_tree(part: Path, out: Path, found: Sequence[Placed], decided: Decided) -> list[str]:
    """Put empty files where the photographs will be, and read the tree as a data set.

    Args:
        part: an empty folder.
        out: its name for people.
        found: the photographs.
        decided: the data set that they are of.

    Returns:
        Why nothing would be trained on it all the same, a sentence each.

    Raises:
        UsageError: it is not read as it is meant.
        OSError: there can be no such files.
    """
    part = part.absolute()
    folders: set[Path] = set()
    for each in found:
        path = part / each.to
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        with path.open("xb"):  # never onto another one
            pass
    if not decided.labelled:
        return []
    wanted: Labels = {
        os.fspath(part / each.to): (each.photo.ref.label, each.photo.split or "train")
        for each in found
        if each.photo.ref.label is not None
    }
    return _check_read(str(part), wanted, out, f"{counted(len(found), 'photograph')} in folders")


def write_list(out: Path, decided: Decided) -> list[str]:
    """Write the paths of the photographs, one a line; NUL-separated where a name has a line break.

    Returns:
        Why nothing would be trained on it all the same.

    Raises:
        UsageError: a list cannot say it: new labels, photographs in tar and zip files; or the list
            would not be read as it is meant.
        CamcliError: it cannot be written.
    """
    if decided.relabelled:
        raise UsageError(
            f"{out} would be a list of paths, which cannot say that "
            f"{counted(len(decided.relabelled), 'photograph')} {_have(decided.relabelled)} another "
            "label: write a table, --to FILE.csv, or a folder."
        )
    paths = _paths(decided, out)
    end = "\0" if any("\n" in path or "\r" in path for path in paths) else "\n"
    wanted: Labels = {
        os.fspath(photo.ref.path): (photo.ref.label, photo.split or "train")
        for photo in decided.labelled
    }
    return _write_file(
        out, "".join(f"{path}{end}" for path in paths),
        lambda part: _check_read(f"@{part}", wanted, out, "a list of paths", decided.labels)
        if wanted else [],
    )  # fmt: skip


def write_table(out: Path, decided: Decided) -> list[str]:
    """Write ``path,label`` of the photographs that have a label, and their splits if there are any.

    Returns:
        Why nothing would be trained on it all the same.

    Raises:
        UsageError: none has a label; they lie in tar and zip files; or the table would not be read
            as it is meant.
        CamcliError: it cannot be written.
    """
    if not decided.labelled:
        raise UsageError(
            f"No photograph of {decided.place} has a label, which a table would say: write a list "
            "of paths, --to FILE.txt, or a folder; or give labels in the file of marks."
        )
    paths = dict(zip([p.ref.path for p in decided.photos], _paths(decided, out), strict=True))
    split = any(photo.split for photo in decided.photos)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", *(["split"] if split else [])])
    wanted: dict[str, tuple[str | None, Split]] = {}
    for photo in decided.labelled:
        label = photo.ref.label or ""
        where = photo.split or "train"
        cell = label if decided.several else join_labels([label])
        path = paths[photo.ref.path]
        writer.writerow([safe(path), safe(cell), *([where] if split else [])])
        wanted[path] = label, where
    return _write_file(
        out, text.getvalue(), lambda part: _check_read(str(part), wanted, out, "a table")
    )


def _have(some_of: Sequence[object]) -> str:
    return "has" if len(some_of) == 1 else "have"


def _paths(decided: Decided, out: Path) -> list[str]:
    """The absolute paths of all that stays.

    Raises:
        UsageError: there are none of some.
    """
    inside = [photo.ref.rel for photo in decided.photos if photo.ref.blob is not None]
    if inside:
        raise UsageError(
            f"{counted(len(inside), 'photograph')} of {decided.place} cannot be named by a path in "
            f"{out}, as they lie in tar or zip files or on a server: {some(inside, 3)}. Make a "
            "folder, --to DIR, into which they are unpacked."
        )
    return [os.fspath(photo.ref.path) for photo in decided.photos]


def _write_file(out: Path, text: str, look: Callable[[Path], list[str]]) -> list[str]:
    """Write a file after a look at it; what `look` gives."""
    try:
        with whole_file(out) as part:
            part.write_bytes(text.encode("utf-8", "surrogateescape"))
            return look(part.absolute())
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}. Nothing was changed.") from error


def _check_read(spec: str, wanted: Labels, out: Path, what: str, labels: str = "auto") -> list[str]:
    """Hold what training would read against what is meant.

    Returns:
        Why it would not train on it all the same, a sentence each.

    Raises:
        UsageError: it is something else.
    """
    advice = "Write a table, --to FILE.csv, which says the label of each."
    if what == "a table":
        advice = "Make a folder, --to DIR, or change the labels."
    try:
        data = load_dataset(spec, labels=labels, val=0.0, strict=False)
    except UsageError as error:
        told = str(error).replace(spec, str(out))
        raise UsageError(
            f"Nothing that a network can be trained on would be left in {out}: {told}"
        ) from error
    found: dict[str, tuple[str | None, Split]] = {
        os.fspath(item.ref.path): (item.ref.label, item.split) for item in data.items
    }
    if found == wanted:
        return list(data.problems)
    odd = next(name for name in [*wanted, *found] if wanted.get(name) != found.get(name))
    (label, split), (read, part) = wanted.get(odd, (None, None)), found.get(odd, (None, None))
    name = printable(odd.removeprefix(spec).lstrip(os.sep))
    said = f"label {read!a} and not {label!a}" if read != label else f"split {part} and not {split}"
    raise UsageError(
        f"As {what}, the data set would be read as another one: {name} would have the {said}. "
        f"{advice}"
    )


def _copy(each: Placed, to: Path) -> None:
    """One photograph's bytes, and when it was changed last.

    Raises:
        CamcliError: it cannot be read.
        OSError: it cannot be written.
    """
    ref = each.photo.ref
    try:
        if ref.blob is not None:
            to.write_bytes(read_bytes(ref)[1])
            return
        with open_regular(ref.path) as source, to.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            status = os.fstat(source.fileno())
        with suppress(OSError):
            os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
    except ImageError as error:
        raise CamcliError(f"{_uncopied(ref.rel)}: {error}") from error
    except OSError as error:
        if error.filename is not None and os.fspath(error.filename) == os.fspath(ref.path):
            raise CamcliError(
                f"{_uncopied(ref.rel)} ({error.strerror}). Mark it with drop, or bring it back."
            ) from error
        raise


def _uncopied(rel: str) -> str:
    return f"Nothing was written, as {printable(rel)} cannot be copied"


def check_there(found: Sequence[Placed]) -> None:
    """Refuse photographs that cannot be copied, before the first one is.

    Raises:
        UsageError: links that lead nowhere, folders that are called like pictures, and the like.
    """
    lost = []
    for each in found:
        ref = each.photo.ref
        if ref.blob is not None:
            if ref.blob.problem is not None:
                lost.append(ref.rel)
            continue
        try:
            regular = stat.S_ISREG(os.stat(ref.path).st_mode)  # noqa: PTH116
        except OSError:
            regular = False
        if not regular or not os.access(ref.path, os.R_OK):
            lost.append(ref.rel)
    if lost:
        raise UsageError(
            f"{counted(len(lost), 'photograph')} cannot be read, and so not be copied: "
            f"{some(lost)}. Mark {'it' if len(lost) == 1 else 'them'} with drop, or bring "
            f"{'it' if len(lost) == 1 else 'them'} back."
        )


def _check_room(out: Path, found: Sequence[Placed]) -> None:
    """Refuse a copy for which the disk has no room.

    Raises:
        CamcliError: it has not.
    """
    needed = 0
    for each in found:
        blob = each.photo.ref.blob
        if blob is None:
            needed += os.stat(each.photo.ref.path).st_size  # noqa: PTH116
        elif not is_url(blob.place):
            needed += blob.size
    above = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(above).free
    if needed + _ROOM > free:
        raise CamcliError(
            f"The copy needs {needed / 1e6:,.0f} MB, and {out} has {free / 1e6:,.0f} MB of room. "
            "Write a table or a list, --to FILE.csv or FILE.txt, which copies nothing."
        )
