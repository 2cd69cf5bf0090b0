"""The photograph that a run's table names by its relative path, also where it lies in a container.

A run over ``shards/a.tar`` calls ``cat.jpg`` in it ``a/cat.jpg``; who reads that run's table later,
a page or an audit, finds it again here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from camcli.data.sources.containers.registry import CONTAINERS, images_in
from camcli.data.sources.refs import Blob, ImageRef
from camcli.ours import Inside

_SUFFIXES = tuple(s for kind in CONTAINERS for each in kind.suffixes for s in (each, each.upper()))


def ref_again(inside: Inside, root: Path, rel: str, label: str | None = None) -> ImageRef:
    """A row's photograph, wherever it lies below the source.

    Args:
        inside: of `root`; what is not in it is not looked at.
        root: folder of the source.
        rel: relative path, as the table has it; itself inside.
        label: for the reference.

    Returns:
        A reference to a file, which may be gone, or to a member of a container.
    """
    path = root / rel
    if not path.exists():
        parts = rel.split("/")
        for depth in range(1, len(parts)):
            for suffix in _SUFFIXES:
                name = "/".join(parts[:depth]) + suffix
                if not (inside.holds(name) and (root / name).is_file()):
                    continue
                member = "/".join(parts[depth:])
                status = (root / name).stat()
                known = _members(str(root / name), status.st_mtime_ns, status.st_size)
                if member in known:
                    return ImageRef(root / name / member, rel, label, known[member])
    return ImageRef(path, rel, label)


@lru_cache(maxsize=4)  # rows come in order, so one shard after another
def _members(place: str, changed: int, size: int) -> dict[str, Blob]:
    """The images of a container by their names; of several with one name, the first."""
    found: dict[str, Blob] = {}
    for member in images_in(place):
        found.setdefault(member.name, member.blob)
    return found
