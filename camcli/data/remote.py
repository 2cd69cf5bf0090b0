"""Images behind URLs, found through fsspec: ``s3://``, ``gs://`` and whatever it has a driver for.

What is an image, and the order, are as on a disk. A listing costs requests, so there is one,
written to a temporary file: the source can be walked again at no cost, in bounded memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from camcli.data.finders import has_magic, is_image_name
from camcli.data.lists import names_in
from camcli.data.refs import file_system
from camcli.data.tars import SUFFIX
from camcli.errors import UsageError


@dataclass(frozen=True)
class Remote:
    """A folder, a glob or one object.

    Attributes:
        root: URL of the folder that relative paths start from.
        listing: relative paths of the images, each ended by a NUL.
    """

    root: str
    listing: IO[bytes]

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
            root, rels = _find(system, path, recursive)
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
        return cls("/".join(parts[: len(parts) - below]), listing)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name in names_in(self.listing, b"\0"):
            rel = name.decode("utf-8", "surrogateescape")
            yield f"{self.root}/{rel}", rel


def _find(system: Any, path: str, recursive: bool) -> tuple[str, Iterator[str]]:
    """The root in the file system, and the relative paths below it."""
    if has_magic(path):
        fixed = path.split("/")[: next(i for i, p in enumerate(path.split("/")) if has_magic(p))]
        root = "/".join(fixed)
        # `photos/*` means the pictures in it; `photos/*.dat` means what it says.
        named = not path.endswith(("*", "?", "]"))
        found = [p[len(root) :].lstrip("/") for p in system.glob(path)]
        visible = (rel for rel in found if not any(p.startswith(".") for p in rel.split("/")))
        chosen = (rel for rel in visible if named or is_image_name(rel.rpartition("/")[2]))
        return root, iter(sorted(chosen, key=_order))
    if system.isdir(path):
        path = path.rstrip("/")
        if any(True for _ in _walk(system, path, "", recursive, "")):
            return path, _walk(system, path, "", recursive, "")
        return path, _walk(system, path, "", recursive, SUFFIX)
    if not system.exists(path):
        raise FileNotFoundError(path)
    root, _, name = path.rpartition("/")
    return root, iter([name])


def _walk(system: Any, root: str, below: str, recursive: bool, suffix: str) -> Iterator[str]:
    """Relative paths, by name, a folder's own pictures before its sub-folders.

    Args:
        system: the file system.
        root: path of the folder that was named.
        below: relative path of the folder to walk, empty or with a slash at its end.
        recursive: walk into sub-folders.
        suffix: what the names of files end in; empty for images.
    """
    images, folders = [], []
    for entry in system.ls(f"{root}/{below}".rstrip("/"), detail=True):
        name = entry["name"].rstrip("/").rpartition("/")[2]
        # Some stores list a folder in itself, as an empty object.
        if name.startswith(".") or entry["name"].strip("/") == f"{root}/{below}".strip("/"):
            continue
        if entry["type"] == "directory":
            folders.append(name)
        elif name.endswith(suffix) if suffix else is_image_name(name):
            images.append(name)
    yield from (below + name for name in sorted(images))
    for name in sorted(folders) if recursive else ():
        yield from _walk(system, root, f"{below}{name}/", recursive, suffix)


def _order(rel: str) -> tuple[tuple[bool, str], ...]:
    *folders, name = rel.split("/")
    return (*((True, folder) for folder in folders), (False, name))
