"""Walking folders and globs, lazily and in the same order everywhere."""
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH120, PTH122
# Strings and os.path throughout: a Path for each of a million files would cost more than the walk.

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from camcli.data.formats import EXTENSIONS
from camcli.errors import UsageError

MAX_LINKS = 3


class Finder(Protocol):
    """Where paths come from; can be walked more than once."""

    @property
    def root(self) -> str:
        """Absolute path of the folder that relative paths start from."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Pairs of absolute path and path relative to the root."""


@dataclass(frozen=True)
class File:
    """One file that was named."""

    path: str

    @property
    def root(self) -> str:
        """Its folder."""
        return os.path.dirname(self.path)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield self.path, os.path.basename(self.path)


@dataclass(frozen=True)
class Folder:
    """The images in a folder, and below it."""

    root: str
    recursive: bool = True

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return _walk(self.root, lambda parts: self.recursive)


class _Enter(Protocol):
    def __call__(self, parts: tuple[str, ...]) -> bool:
        """Whether to walk into the folder at these parts below the root."""


def _walk(root: str, enter: _Enter, every_file: bool = False) -> Iterator[tuple[str, str]]:
    """Images below `root`, by name.

    Args:
        root: absolute path of a folder.
        enter: which folders to walk into.
        every_file: yield all files, whatever their extension, and leave the choice to the caller.
    """

    def visit(
        folder: str, parts: tuple[str, ...], parents: tuple[tuple[int, int], ...], links: int
    ) -> Iterator[tuple[str, str]]:
        images, folders = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_image_name(entry.name):  # file, dangling link or folder: named so
                        images.append(entry.name)
                    elif _hidden(entry.name):
                        continue
                    elif _is_dir(entry):
                        folders.append((entry.name, entry.is_symlink()))
                    elif every_file:
                        images.append(entry.name)
        except OSError:
            if parts:
                yield folder, "/".join(parts)  # becomes an error row that says why
                return
            raise
        images.sort()
        for name in images:
            yield os.path.join(folder, name), "/".join((*parts, name))
        del images
        for name, is_link in sorted(folders):
            below = (*parts, name)
            path = os.path.join(folder, name)
            if not enter(below) or links + is_link > MAX_LINKS:
                continue
            try:
                status = os.stat(path)
            except OSError:
                continue  # gone since it was listed
            identity = status.st_dev, status.st_ino
            if identity not in parents:
                yield from visit(path, below, (*parents, identity), links + is_link)

    try:
        status = os.stat(root)
        yield from visit(root, (), ((status.st_dev, status.st_ino),), 0)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise UsageError(
            f"The folder {root!r} is not there any more: it was removed or renamed meanwhile. What "
            "was finished is kept; put it back and go on."
            if gone
            else f"The folder {root!r} could not be listed: {error.strerror}; check its "
            "permissions."
            if isinstance(error, PermissionError)
            else f"The folder {root!r} could not be listed: {error.strerror}."
        ) from error


def is_image_name(name: str) -> bool:
    """Whether a visible file of this name is taken for an image in a folder."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not _hidden(name)


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


@dataclass(frozen=True)
class Glob:
    """A pattern below a fixed folder: the part before the first segment with a wildcard."""

    root: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Split a pattern into what is fixed and what is to be matched."""
        parts = pattern.replace(os.sep, "/").split("/")
        first = next(i for i, part in enumerate(parts) if has_magic(part))
        prefix = "/".join(parts[:first]) + ("/" if first else "")
        root = absolute(prefix or ".")
        if not os.path.isdir(root):
            raise UsageError(f"No folder {root!r}, in which {pattern!r} was to be looked for.")
        return cls(root, tuple(part for part in parts[first:] if part not in ("", ".")))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        # `photos/*` means the pictures in it; `photos/*.dat` means what it says.
        named = not self.segments[-1].endswith(("*", "?", "]"))
        deep = "**" in self.segments
        fixed = self.segments.index("**") if deep else len(self.segments) - 1

        def enter(parts: tuple[str, ...]) -> bool:
            at = len(parts) - 1
            return fnmatchcase(parts[at], self.segments[at]) if at < fixed else deep

        for path, rel in _walk(self.root, enter, every_file=named):
            if _matches(tuple(rel.split("/")), self.segments):
                yield path, rel


def _matches(parts: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Whether the parts of a relative path fit the segments of a glob."""
    if not segments or not parts:
        return not segments and not parts
    if segments[0] == "**":
        rest = segments[1:] or ("*",)
        return _matches(parts, rest) or _matches(parts[1:], segments)
    return fnmatchcase(parts[0], segments[0]) and _matches(parts[1:], segments[1:])


def has_magic(text: str) -> bool:
    """Whether a name can only be a glob."""
    return any(c in text for c in "*?[")


def absolute(text: str) -> str:
    """Absolute, without `.` and `..`; a `..` behind a link means what the system means by it."""
    if ".." in text.replace(os.sep, "/").split("/"):
        folder, name = os.path.split(text)
        if name in ("", ".", ".."):
            return os.path.realpath(text)
        return os.path.join(os.path.realpath(folder), name)
    return os.path.abspath(text)
