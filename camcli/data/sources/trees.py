"""Folders to judge a layout by: those of a disk, and those that are only in images' names."""

# ruff: noqa: PTH116, PTH118
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

from camcli.data.sources.finders import is_found
from camcli.data.sources.leftovers import holds_only_made, is_run_at, leftover_folder
from camcli.files import is_made_up


class Tree(Protocol):
    """Folders; paths are relative to the root, with slashes between, ``""`` for itself."""

    def identity(self, path: str) -> tuple[int, int] | None:
        """What tells a folder from all others, by whatever path; None: not to be looked into.

        Raises:
            OSError: it may not be looked at.
        """

    def entries(self, path: str) -> Iterator[tuple[str, bool]]:
        """Names of the images and visible folders in a folder, and whether each is a folder.

        Raises:
            OSError: it may not be listed.
        """

    def is_run(self, path: str) -> bool:
        """Whether a folder is camcli's own output."""


class OnDisk:
    """The folders below a root."""

    def __init__(self, root: str) -> None:
        """Nothing is looked at yet."""
        self._root = root

    def identity(self, path: str) -> tuple[int, int] | None:
        """As `Tree.identity`."""
        status = os.stat(self._at(path))
        return None if is_made_up(status.st_dev) else (status.st_dev, status.st_ino)

    def entries(self, path: str) -> Iterator[tuple[str, bool]]:
        """As `Tree.entries`."""
        with os.scandir(self._at(path)) as entries:
            for entry in entries:
                if is_found(entry.name):
                    yield entry.name, False
                elif not leftover_folder(entry.name) and _is_dir(entry):
                    yield entry.name, True

    def is_run(self, path: str) -> bool:
        """As `Tree.is_run`."""
        folder = self._at(path)
        return is_run_at(folder) or holds_only_made(folder)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path)


class OfNames:
    """The folders in relative paths of images, as in containers and behind URLs."""

    def __init__(self, rels: Iterable[str]) -> None:
        """All of them; memory goes with the number of folders."""
        self._folders: dict[str, dict[str, bool]] = {"": {}}
        with_images: set[str] = set()
        for rel in rels:
            path = rel.rpartition("/")[0]
            known = self._folders.get(path)
            if known is None:
                known = self._add(path)
            if path not in with_images:  # one says it, and there may be a million
                with_images.add(path)
                known[""] = False

    def _add(self, path: str) -> dict[str, bool]:
        made = self._folders[path] = {}
        while path:
            path, _, name = path.rpartition("/")
            above = self._folders.setdefault(path, {})
            if above.get(name):
                break
            above[name] = True
        return made

    def identity(self, path: str) -> tuple[int, int] | None:
        """As `Tree.identity`."""
        return id(self._folders[path.rstrip("/")]), 0

    def entries(self, path: str) -> Iterator[tuple[str, bool]]:
        """As `Tree.entries`; that there are images is an entry without a name."""
        return iter(self._folders[path.rstrip("/")].items())

    def is_run(self, path: str) -> bool:
        """As `Tree.is_run`: nothing there can be opened."""
        return False


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
