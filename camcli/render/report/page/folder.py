"""The folder of a page: it takes an older page's place when it is whole, beside others' files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from camcli.errors import CamcliError, UsageError
from camcli.files import replace, whole_folder, write_whole
from camcli.ours import remove, unlisted

MARK = "camcli report"
"""Stands at the beginning of each page, by which it is known."""
# Lists the files of a page, which are what may be replaced.
MANIFEST = "data/files.txt"
# The files of a page that was written before there was a list.
_OLDER = re.compile(
    r"index\.html|data/(settings|(index|detail)-\d+)\.js|assets/\w+\.(js|css)|"
    r"thumbs/\d+/\d+\.jpg"
)


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder to write a page into, which takes the place of `out` when it is complete.

    Raises:
        UsageError: `out` holds something else than a page of camcli, or somebody's file in the
            place of one of the page's.
        CamcliError: it cannot be written.
    """
    known = replaceable(out)
    try:
        if not out.exists() or not unlisted(out, known):
            with whole_folder(out) as part:
                yield part
                _list_files(part)
            return
        # Somebody's files are beside the page's: they stay where they are.
        part = Path(tempfile.mkdtemp(dir=out.parent, prefix=".camcli-", suffix=".part"))
        try:
            yield part
            _list_files(part)
            _exchange(part, out, known)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {error.strerror}.") from error


def replaceable(out: Path) -> set[str]:
    """The files of the page in `out`, which another may take the place of; none where none is.

    Raises:
        UsageError: `out` holds something else than a page of camcli.
    """
    known = _files_of(out) if out.exists() else set()
    if known is None:
        raise UsageError(
            f"{out} is not empty and not a page of camcli, so it will not be touched. "
            "Choose another --out."
        )
    return known


def _exchange(part: Path, out: Path, known: set[str]) -> None:
    """Move a page's files to where an older page is, file by file; killed, it is still a page.

    Raises:
        UsageError: one has the name of somebody's file; nothing was moved.
        OSError: it cannot be written.
    """
    new = unlisted(part, ())
    for name in new:
        place = out / name
        elsewhere = any((out / folder).is_symlink() for folder in Path(name).parents[:-1])
        if elsewhere or (name not in known and os.path.lexists(place)):
            raise UsageError(
                f"{place} is no file of that page, so it will not be replaced. Move it away, or "
                "choose another --out."
            )
    (out / MANIFEST).parent.mkdir(exist_ok=True)
    write_whole(out / MANIFEST, "".join(f"{name}\n" for name in sorted({*new, *known})))
    last = ("index.html", MANIFEST)
    for name in [*(n for n in new if n not in last), *(n for n in last if n in new)]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        replace(part / name, out / name)
    remove(out, known - set(new))


def remove_page(out: Path) -> None:
    """Delete a page, and its folder if nothing else is in it; any other folder stays as it is.

    Raises:
        OSError: a file cannot be deleted.
    """
    # The list of its files comes after them, and the page itself last: it is by this that the
    # folder is known.
    known, last = _files_of(out) or set(), (MANIFEST, "index.html")
    remove(out, [*sorted(known.difference(last)), *(name for name in last if name in known)])
    with suppress(OSError):  # somebody's file is in it
        out.rmdir()


def _list_files(part: Path) -> None:
    """Write down what a page consists of; one in one file needs no list."""
    if (part / MANIFEST).parent.is_dir():
        names = sorted({*unlisted(part, ()), MANIFEST})
        (part / MANIFEST).write_text("".join(f"{name}\n" for name in names), "ascii")


def _files_of(out: Path) -> set[str] | None:
    """The files of the page in a folder; none in an empty one, None where there is no page."""
    if not out.is_dir():
        return None
    if not any(out.iterdir()):
        return set()
    try:
        with (out / "index.html").open(encoding="utf-8") as file:
            if MARK not in file.read(1000):
                return None
    except (OSError, ValueError):
        return None
    try:
        listed = (out / MANIFEST).read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        listed = [name for name in unlisted(out, ()) if _OLDER.fullmatch(name)]
    return set(filter(None, listed))


def picture_of(run_path: Path, source: Path, out: Path) -> dict[str, str]:
    """URLs, ending in a slash, of a run's folder and the photographs, seen from a page in `out`."""
    return {"overlays": _url(run_path, out), "photos": _url(source, out)}


def _url(folder: Path, start: Path) -> str:
    """Relative where possible, so that a folder with both can be moved."""
    from urllib.parse import quote

    folder, start = folder.absolute(), start.absolute()
    try:
        relative = Path(os.path.relpath(folder, start))
    except ValueError:  # another drive on Windows
        return folder.as_uri() + "/"
    return "/".join(quote(os.fsencode(part)) for part in relative.parts) + "/"
