"""Walking folders and globs, lazily and in the same order everywhere."""
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH120
# Strings and os.path throughout: a Path for each of a million files would cost more than the walk.

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from camcli.data.picture_formats import is_image_name
from camcli.data.sources.containers.registry import container_of
from camcli.data.sources.leftovers import (
    FINDINGS,
    MADE_PICTURE,
    MADE_UP,
    RUN,
    LeftOut,
    is_run,
    is_telling,
    leftover_file,
    leftover_folder,
    made_pictures,
    not_read_file,
)
from camcli.errors import UsageError
from camcli.files import extended, is_made_up

MAX_LINKS = 3


class Finder(Protocol):
    """Where paths come from; can be walked more than once."""

    @property
    def root(self) -> str:
        """Absolute path of the folder that relative paths start from."""

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """Pairs of absolute path and path relative to the root; counts what is left out."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The same, for whom it does not matter what is left out."""


class Walked:
    """What can be walked can be iterated."""

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """As `Finder.walk`."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self.walk(LeftOut())


@dataclass(frozen=True)
class File(Walked):
    """One file that was named."""

    path: str

    @property
    def root(self) -> str:
        """Its folder."""
        return os.path.dirname(self.path)

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """Just this one, whatever it is."""
        yield self.path, os.path.basename(self.path)


@dataclass(frozen=True)
class Folder(Walked):
    """The images in a folder, and below it.

    Attributes:
        root: absolute path of it.
        recursive: walk into its sub-folders.
        containers: the tar and zip files in it, in place of images.
    """

    root: str
    recursive: bool = True
    containers: bool = False

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """By name, a folder's own pictures before its sub-folders."""
        return _walk(self.root, _InFolder(self.recursive, self.containers), left)


class _Choice(Protocol):
    """What is taken of a folder's content."""

    def enters(self, parts: tuple[str, ...]) -> bool:
        """Whether to walk into the folder at these parts below the root."""

    def takes(self, parts: tuple[str, ...]) -> bool:
        """Whether the file at these parts below the root is meant."""

    def means(self, parts: tuple[str, ...]) -> bool:
        """Whether it would be taken, if any name were an image's."""

    def names(self, depth: int) -> bool:
        """Whether what lies so deep is named, so that it is taken though it be a leftover."""

    @property
    def any_name(self) -> bool:
        """Whether files are taken for what they are called like, not because they were named."""


@dataclass(frozen=True)
class _InFolder:
    recursive: bool
    containers: bool

    def enters(self, parts: tuple[str, ...]) -> bool:
        return self.recursive

    def takes(self, parts: tuple[str, ...]) -> bool:
        return bool(container_of(parts[-1])) if self.containers else is_image_name(parts[-1])

    def means(self, parts: tuple[str, ...]) -> bool:
        return True

    def names(self, depth: int) -> bool:
        return False

    @property
    def any_name(self) -> bool:
        return True


class _Level(NamedTuple):
    """A folder that is being walked; `folders` are still to come, the last one next."""

    path: str
    parts: tuple[str, ...]
    parents: tuple[tuple[int, int], ...]
    links: int
    folders: list[tuple[str, bool]]


def _walk(root: str, choice: _Choice, left: LeftOut) -> Iterator[tuple[str, str]]:
    """Files below `root`, by name.

    Args:
        root: absolute path of a folder.
        choice: what is taken.
        left: counts what would have been taken, but for what it is.
    """
    try:
        status = os.stat(root)
        if is_made_up(status.st_dev):
            raise UsageError(f"The folder {root!r} is made up by the system and holds no pictures.")
        files, folders = _listed(root, (), choice, left)
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
    for name in files:
        yield os.path.join(root, name), name
    # No recursion: a tree may be deeper than Python's stack.
    stack = [_Level(root, (), ((status.st_dev, status.st_ino),), 0, folders)]
    while stack:
        level = stack[-1]
        if not level.folders:
            stack.pop()
            continue
        name, is_link = level.folders.pop()
        links = level.links + is_link
        parts = (*level.parts, name)
        path = os.path.join(level.path, name)
        if not choice.enters(parts) or links > MAX_LINKS:
            continue
        try:
            status = os.stat(extended(path))
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError:
            yield path, "/".join(parts)  # as below
            continue
        identity = status.st_dev, status.st_ino
        if identity in level.parents:
            continue
        if is_made_up(status.st_dev):
            left.add(MADE_UP)
            continue
        try:
            files, folders = _listed(path, parts, choice, left)
        except OSError:
            yield path, "/".join(parts)  # becomes an error row that says why
            continue
        for file in files:
            yield os.path.join(path, file), "/".join((*parts, file))
        stack.append(_Level(path, parts, (*level.parents, identity), links, folders))


def _listed(
    folder: str, parts: tuple[str, ...], choice: _Choice, left: LeftOut
) -> tuple[list[str], list[tuple[str, bool]]]:
    """The files of a folder by name, and its sub-folders backwards, with whether they are links.

    Raises:
        OSError: it may not be listed.
    """
    files: list[str] = []
    folders: list[tuple[str, bool]] = []
    telling: list[str] = []
    passed: list[str] = []
    named = choice.names(len(parts))
    with os.scandir(extended(folder)) as entries:
        for entry in entries:
            name = entry.name
            at = (*parts, name)
            if is_telling(name):
                telling.append(name)
            if is_image_name(name):  # file, dangling link or folder: named so
                if not choice.takes(at):
                    continue
                if choice.any_name and (what := not_read_file(name)) and not _is_dir(entry):
                    passed.append(what)
                else:
                    files.append(name)
            elif _is_dir(entry):
                if not named and (what := leftover_folder(name)):
                    if choice.enters(at):
                        passed.append(what)
                else:
                    folders.append((name, entry.is_symlink()))
            elif not named and (what := leftover_file(name)):
                if choice.means(at):
                    passed.append(what)
            elif choice.takes(at):
                files.append(name)
            elif choice.any_name and choice.means(at) and (what := not_read_file(name)):
                passed.append(what)
            elif (kind := container_of(name)) and choice.any_name and choice.means(at):
                passed.append(f"{kind.name} file")
    if telling and parts and not choice.names(len(parts) - 1) and is_run(folder, telling):
        left.add(RUN)
        return [], []
    for what in passed:
        left.add(what)
    if telling or (parts and parts[-1] == FINDINGS):
        made = made_pictures(folder, {*telling, *files}) & {*files}
        if made:
            left.add(MADE_PICTURE, len(made))
        files = [name for name in files if name not in made]
    files.sort()
    folders.sort(reverse=True)
    return files, folders


def is_found(name: str) -> bool:
    """Whether a file of this name is taken for an image where only a folder was named."""
    return is_image_name(name) and not not_read_file(name)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


@dataclass(frozen=True)
class Glob(Walked):
    """A pattern below a fixed folder: the part before the first segment with a wildcard."""

    root: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Split a pattern into what is fixed and what is to be matched.

        A segment that is there as it is written (``shots [2024]``) is fixed.
        """
        parts = pattern.replace(os.sep, "/").split("/")
        first = 0
        while first < len(parts) - 1 and (
            not has_magic(parts[first]) or os.path.lexists("/".join(parts[: first + 1]) or "/")
        ):
            first += 1
        prefix = "/".join(parts[:first]) + ("/" if first else "")
        root = absolute(prefix or ".")
        if not os.path.isdir(root):
            raise UsageError(f"No folder {root!r}, in which {pattern!r} was to be looked for.")
        segments = [part for part in parts[first:] if part not in ("", ".")]
        single = [s for i, s in enumerate(segments) if s != "**" or segments[i - 1 : i] != ["**"]]
        return cls(root, tuple(single))

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """As a folder's images, those that match."""
        return _walk(self.root, self, left)

    def takes(self, parts: tuple[str, ...]) -> bool:
        """``photos/*`` means the pictures in it; ``photos/*.dat`` means what it says."""
        return self.means(parts) and (not self.any_name or is_image_name(parts[-1]))

    @property
    def any_name(self) -> bool:
        """Whether the pattern names no extension."""
        return self.segments[-1].endswith(("*", "?", "]"))

    def means(self, parts: tuple[str, ...]) -> bool:
        """Whether the pattern matches, whatever the file may be."""
        return _matches(parts, self.segments)

    def enters(self, parts: tuple[str, ...]) -> bool:
        """Whether something below the folder at these parts can match."""
        at = len(parts) - 1
        deep = "**" in self.segments
        fixed = self.segments.index("**") if deep else len(self.segments) - 1
        return _fits(parts[at], self.segments[at]) if at < fixed else deep

    def names(self, depth: int) -> bool:
        """Whether the segment for what lies so deep has no wildcard, or asks for hidden ones."""
        before = self.segments[: depth + 1]
        if "**" in before or len(before) <= depth:
            return False
        return not has_magic(before[depth]) or before[depth].startswith(".")


def _matches(parts: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Whether the parts of a relative path fit the segments of a glob."""
    if not segments or not parts:
        return not segments and not parts
    if segments[0] == "**":
        rest = segments[1:] or ("*",)
        return _matches(parts, rest) or _matches(parts[1:], segments)
    return _fits(parts[0], segments[0]) and _matches(parts[1:], segments[1:])


def _fits(name: str, segment: str) -> bool:
    """Whether a name is what a segment says, letter by letter or as a pattern."""
    if sys.platform == "win32":  # where whoever writes *.jpg means X.JPG, too
        name, segment = name.lower(), segment.lower()
    return name == segment or fnmatchcase(name, segment)


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
