"""One photograph under two names: as a record has it, and as a run that saw it too has it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from camcli.data.sources.refs import ImageRef


def root_of(photos: Iterable[tuple[Path | ImageRef, str]]) -> str | None:
    """The absolute folder that all photographs are below.

    Args:
        photos: where each is, and its relative path.

    Returns:
        None where there is no such folder, as of a list of photographs from several.
    """
    root = None
    for photo, rel in photos:
        path = (photo.path if isinstance(photo, ImageRef) else photo).as_posix()
        if not path.endswith("/" + rel):
            return None
        own = path[: -len(rel)].rstrip("/") or "/"
        if root not in (None, own):
            return None
        root = own
    return None if root is None else os.path.realpath(root)


def placed(root: str | None, source: Path) -> Callable[[str], str | None]:
    """Gives the name below `source` of a photograph that is named below `root`.

    Args:
        root: as a record says; None if it does not.
        source: the folder of a run's photographs.

    Returns:
        Relative path -> relative path; None for what lies elsewhere. No file is looked at but
        the two folders.
    """
    if root is None or "\0" in root:
        return lambda _: None
    mine, others = _parts(source), _parts(root)
    if mine == others:
        return lambda rel: rel
    if others[: len(mine)] == mine:  # below the run's photographs
        before = "/".join((*others[len(mine) :], ""))
        return lambda rel: before + rel
    if mine[: len(others)] == others:  # above them
        start = "/".join((*mine[len(others) :], ""))
        return lambda rel: rel[len(start) :] if rel.startswith(start) else None
    return lambda _: None


def _parts(folder: str | Path) -> tuple[str, ...]:
    return Path(os.path.realpath(folder)).parts
