"""Images behind URLs, found through fsspec: ``s3://``, ``gs://`` and whatever it has a driver for.

What is an image, and the order, are as on a disk. A listing costs requests, so there is one,
written to a temporary file: the source can be walked again at no cost, in bounded memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from camcli.data.sources.containers.registry import container_of
from camcli.data.sources.finders import Walked, has_magic, is_found
from camcli.data.sources.leftovers import LeftOut, leftover_file, leftover_folder
from camcli.data.sources.lists import names_in
from camcli.data.sources.refs import file_system
from camcli.errors import UsageError


@dataclass(frozen=True)
class Remote(Walked):
    """A folder, a glob or one object.

    Attributes:
        root: URL of the folder that relative paths start from.
        listing: relative paths of the images, each ended by a NUL.
        left: what was left out of it.
    """

    root: str
    listing: IO[bytes]
    left: LeftOut

    @classmethod
    def parse(cls, url: str, recursive: bool = True) -> Remote:
        """List what a URL stands for.

        Raises:
            UsageError: nothing is there, or it may not be listed.
            UnavailableError: fsspec or its driver is not installed.
        """
        system, path = file_system(url)
        # Drivers raise errors of their own libraries.
        try:
            left = LeftOut()
            root, rels = _find(system, path, recursive, left)
            listing = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
            for rel in rels:
                listing.write(rel.encode("utf-8", "surrogateescape") + b"\0")
        except FileNotFoundError:
            raise UsageError(f"There is nothing at {url}.") from None
        except Exception as error:
            raise UsageError(
                f"{url} could not be listed ({type(error).__name__}: {error}); check the name and "
                "your credentials."
            ) from error
        below = path.rstrip("/").count("/") - root.count("/")
        parts = url.rstrip("/").split("/")
        return cls("/".join(parts[: len(parts) - below]), listing, left)

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """As it was listed."""
        left.include(self.left)
        for name in names_in(self.listing, b"\0"):
            rel = name.decode("utf-8", "surrogateescape")
            yield f"{self.root}/{rel}", rel


def _find(system: Any, path: str, recursive: bool, left: LeftOut) -> tuple[str, Iterator[str]]:
    """The root in the file system, and the relative paths below it."""
    if has_magic(path):
        root = _fixed(system, path)
        # What is there as it is written (``shots [2024]``) is no pattern.
        pattern = root.replace("[", "[[]") + path[len(root) :]
        # `photos/*` means the pictures in it; `photos/*.dat` means what it says.
        named = not path.endswith(("*", "?", "]"))
        found = [p[len(root) :].lstrip("/") for p in system.glob(pattern)]
        visible = (rel for rel in found if _is_wanted(rel, left))
        chosen = (rel for rel in visible if named or is_found(rel.rpartition("/")[2]))
        return root, iter(sorted(chosen, key=_order))
    if system.isdir(path):
        path = path.rstrip("/")
        if any(True for _ in _walk(system, path, "", recursive, is_found, LeftOut())):
            return path, _walk(system, path, "", recursive, is_found, left)
        return path, _walk(system, path, "", recursive, _is_container, left)
    if not system.exists(path):
        raise FileNotFoundError(path)
    root, _, name = path.rpartition("/")
    return root, iter([name])


def _fixed(system: Any, path: str) -> str:
    """The part of a pattern's path before the first segment that is one."""
    parts = path.split("/")
    first = 0
    while first < len(parts) - 1 and (
        not has_magic(parts[first]) or system.isdir("/".join(parts[: first + 1]))
    ):
        first += 1
    return "/".join(parts[:first])


def _is_wanted(rel: str, left: LeftOut) -> bool:
    *folders, name = rel.split("/")
    what = next((w for w in map(leftover_folder, folders) if w), None)
    if what := leftover_file(name) or (what and what.replace("folder", "file")):
        left.add(what)
    return not what


def _walk(
    system: Any, root: str, below: str, recursive: bool, taken: Callable[[str], bool], left: LeftOut
) -> Iterator[str]:
    """Relative paths, by name, a folder's own pictures before its sub-folders.

    Args:
        system: the file system.
        root: path of the folder that was named.
        below: relative path of the folder to walk, empty or with a slash at its end.
        recursive: walk into sub-folders.
        taken: whether a file of a name is.
        left: counts what is left out.
    """
    images, folders = [], []
    for entry in system.ls(f"{root}/{below}".rstrip("/"), detail=True):
        name = entry["name"].rstrip("/").rpartition("/")[2]
        # Some stores list a folder in itself, as an empty object.
        if entry["name"].strip("/") == f"{root}/{below}".strip("/"):
            continue
        is_folder = entry["type"] == "directory"
        if what := leftover_folder(name) if is_folder else leftover_file(name):
            left.add(what)
        elif is_folder:
            folders.append(name)
        elif taken(name):
            images.append(name)
    yield from (below + name for name in sorted(images))
    for name in sorted(folders) if recursive else ():
        yield from _walk(system, root, f"{below}{name}/", recursive, taken, left)


def _is_container(name: str) -> bool:
    return container_of(name) is not None


def _order(rel: str) -> tuple[tuple[bool, str], ...]:
    *folders, name = rel.split("/")
    return (*((True, folder) for folder in folders), (False, name))
