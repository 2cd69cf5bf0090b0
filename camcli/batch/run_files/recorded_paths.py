"""Files that a run's record names, found from any folder and also after the run was moved.

A record has a name as its user typed it, so that it can be typed again, and once the folder in
which they did: ``folder`` of ``run.json``. The two together say where the file lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.data.sources.refs import is_url
from camcli.errors import UsageError
from camcli.files import expanded
from camcli.models import spec
from camcli.models.weights.places import sha256_of
from camcli.ours import current_folder, folder_of
from camcli.printable import printable

# Folders above a run that are looked into: a project that was moved as a whole has both in one.
_ABOVE = 4


def recorded_paths(name: str, info: Mapping[str, Any], run: Path) -> Iterator[Path]:
    """Where a file may lie that a run's record names as its user did: relative to where they were.

    Args:
        name: as the user wrote it.
        info: the content of ``run.json``, which may say where that was.
        run: its folder.

    Yields:
        Absolute paths, the likeliest first; nothing is looked up.
    """
    if not name or "\0" in name:
        return
    there = folder_of(info)
    starts = [] if there is None else [there]
    if (here := current_folder()) is not None:
        starts += [here, *list((here / run).parents)[:_ABOVE]]
    yield from dict.fromkeys(start / expanded(name) for start in starts)


def same_place(mine: str, theirs: str, where: tuple[Path | None, Path | None]) -> bool:
    """Whether two words of users are one file, folder or piece of code, however they are written.

    Args:
        mine: what one of them typed: a path, ``path.py:factory``, or a word that is no path.
        theirs: what the other did.
        where: the folder in which each of them was; None where nobody knows.
    """
    if mine == theirs:
        return True
    if is_url(mine) or is_url(theirs) or "\0" in mine + theirs:
        return False
    found = []
    for name, folder in zip((mine, theirs), where, strict=True):
        path, what = spec.own_code_parts(name) if spec.is_own_code(name) else (name, "")
        full = expanded(path) if folder is None else folder / expanded(path)
        if not full.is_absolute():
            return False
        found.append((os.path.realpath(full), what))
    return found[0] == found[1]


def file_sha256(path: Path) -> str | None:
    """The digest of a file's bytes; None where it cannot be read."""
    with suppress(OSError, ValueError):
        return sha256_of(path)
    return None


def find_network_file(name: str, info: Mapping[str, Any], run: Path, sha256: str | None) -> Path:
    """The file or the folder of a run's network.

    Args:
        name: as the user of the run wrote it.
        info: the content of ``run.json``.
        run: its folder.
        sha256: of the file; decides where several files could be meant.

    Raises:
        UsageError: it is nowhere; says where it was looked for, and what to pass.
    """
    places = list(recorded_paths(name, info, run))
    there = [path for path in places if _exists(path)]
    if len(there) > 1 and sha256:
        there.sort(key=lambda path: file_sha256(path) != sha256)
    if there:
        return there[0]
    looked = f" ({printable(str(places[0]))})" if places and str(places[0]) != name else ""
    near = next((path for path in _near(name, run) if _exists(path)), None)
    advice = "FILE" if near is None else printable(str(near))
    raise UsageError(
        f"the run's network, {printable(name)}, is not where it was{looked}: say where it is "
        f"with --model {advice}"
    )


def _near(name: str, run: Path) -> Iterator[Path]:
    """Where it lies if it was moved together with the run, with fewer and fewer folders above."""
    parts = [part for part in expanded(name).parts if part not in (os.sep, "..")]
    for above in (run.absolute(), *list(run.absolute().parents)[:_ABOVE]):
        for first in range(len(parts)):
            yield above.joinpath(*parts[first:])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
