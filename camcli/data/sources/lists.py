"""Paths that a user listed: in a file, on standard input, as several arguments."""
# ruff: noqa: PTH109, PTH110, PTH116, PTH117, PTH118, PTH120, PTH123
# Strings and os.path throughout, as in finders.

from __future__ import annotations

import codecs
import locale
import os
import posixpath
import re
import select
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from errno import EPIPE
from functools import reduce
from hashlib import blake2b
from pathlib import Path
from typing import IO

from camcli.data.sources.finders import Finder, Walked, absolute
from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.refs import is_url, local_path
from camcli.data.sources.unique_paths import bounded
from camcli.errors import UsageError
from camcli.files import open_regular

# The longer ones first: UTF-32's begins as UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes of a name and a path that Linux takes, and letters that are never more.
_LONGEST_NAME, _LONGEST_PATH, _SHORT = 255, 4096, 63
# How long a pipe with a name may wait for whoever writes to it.
_PIPE_SECONDS = 10.0
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx")


@dataclass(frozen=True)
class PathList(Walked):
    """One path a line, or NUL-separated; read again at every iteration, one line at a time.

    Attributes:
        name: of the file; empty for standard input.
        copy: of standard input, which comes only once.
        nul: whether NUL separates the names.
        root: the folder that holds all of them.
    """

    name: str
    copy: IO[bytes] | None = None
    nul: bool = field(default=False, init=False)
    root: str = field(default="", init=False)

    @classmethod
    def from_file(cls, name: str) -> PathList:
        """The list in a file; relative paths may start from the file's folder."""
        try:
            if stat.S_ISFIFO(os.stat(name).st_mode):  # @<(find ...) comes only once, as stdin does
                return cls("", _copy_of_pipe(name))
            open_regular(name).close()
            return cls(absolute(name))
        except OSError as error:
            raise UsageError(
                f"The list {name!r} could not be read ({error.strerror}); @NAME takes a text file "
                "with one path a line."
            ) from error

    @classmethod
    def from_stdin(cls) -> PathList:
        """The list on standard input, which is read to its end."""
        return cls("", _copy(sys.stdin.buffer))

    def __post_init__(self) -> None:
        with self._open() as stream:
            stream.seek(0)
            if encoding := _wide(stream.read(1024)):
                stream.seek(0)
                object.__setattr__(self, "copy", _as_utf8(stream, encoding, self.name))
        with self._open() as stream:
            stream.seek(0)
            nul = any(b"\0" in block for block in iter(lambda: stream.read(1 << 16), b""))
        object.__setattr__(self, "nul", nul)
        root = None
        for path in self._paths():
            folder = os.path.dirname(path)
            root = folder if root is None else common(root, folder)
        object.__setattr__(self, "root", os.getcwd() if root is None else root)

    def _open(self) -> AbstractContextManager[IO[bytes]]:
        return nullcontext(self.copy) if self.copy else open_regular(self.name)

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """In the list's order; what is listed is taken, whatever it is."""
        return _once((path, relative(path, self.root)) for path in self._paths())

    def _paths(self) -> Iterator[str]:
        with self._open() as stream:
            yield from map(self._resolve, names_in(stream, b"\0" if self.nul else b"\n"))

    def _resolve(self, entry: bytes) -> str:
        text = _decoded(entry)
        if is_url(text):
            try:
                return local_path(text) or text
            except UsageError:  # one line of many: it becomes an error row
                return text
        here = absolute(text)
        if self.name and not os.path.isabs(text) and not os.path.lexists(here):
            beside = absolute(os.path.join(os.path.dirname(self.name), text))
            here = beside if os.path.lexists(beside) else here
        return here


@dataclass(frozen=True)
class Several(Walked):
    """Several arguments one after the other, under their common folder."""

    parts: tuple[Finder, ...]

    @property
    def root(self) -> str:
        """The folder that holds all of them."""
        return reduce(common, (part.root for part in self.parts))

    def walk(self, left: LeftOut) -> Iterator[tuple[str, str]]:
        """In the order in which they were given."""
        root = self.root
        return _once(
            (path, relative(os.path.join(part.root, *rel.split("/")), root))
            for part in self.parts
            for path, rel in part.walk(left)
        )


def names_in(stream: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """The names in a list, without separators and blank lines.

    Args:
        stream: the list; may be read by several iterations at once.
        separator: a line feed (then a carriage return before it is dropped) or NUL.
    """
    rest, offset = b"", 0
    while True:
        stream.seek(offset)
        block = stream.read(1 << 16)
        start = 3 if offset == 0 and block.startswith(b"\xef\xbb\xbf") else 0
        offset += len(block)
        *names, rest = (rest + block[start:]).split(separator)
        for name in names if block else [rest]:
            name = name if separator == b"\0" else name.removesuffix(b"\r")
            if name:
                yield name
        if not block:
            return


def _wide(start: bytes) -> str:
    """The encoding of text with several bytes a character, as Windows writes it; else empty."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    # Without a mark: names of one letter each, if NULs were what separates them.
    for zero, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        high, low = start[zero::2], start[1 - zero :: 2]
        latin = high.count(0) > 0.7 * len(high) and low.count(0) < 0.1 * len(low)
        if latin and (b"." in low or b"/" in low):
            return encoding
    return ""


def _as_utf8(stream: IO[bytes], encoding: str, name: str) -> IO[bytes]:
    """The same text in the encoding that names of files have.

    Raises:
        UsageError: it is cut short or no text.
    """
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := stream.read(1 << 16):
            copy.write(os.fsencode(decoder.decode(block)))
        copy.write(os.fsencode(decoder.decode(b"", final=True)))
    except UnicodeError as error:
        shown = repr(name) if name else "on standard input"
        raise UsageError(
            f"The list {shown} begins as {encoding.upper()} text and is none ({error}); save it "
            "as UTF-8."
        ) from error
    return copy


def _copy(stream: IO[bytes]) -> IO[bytes]:
    """What can be read only once, on disk rather than in memory: it may name millions."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    shutil.copyfileobj(stream, copy)
    return copy


def _copy_of_pipe(name: str) -> IO[bytes]:
    """All that comes through a pipe with a name, until whoever writes has closed it.

    Raises:
        OSError: nobody opens it for writing within `_PIPE_SECONDS`.
    """
    if sys.platform == "win32":  # which knows no other way to wait for one
        with open(name, "rb") as pipe:
            return _copy(pipe)
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    began, written = time.monotonic(), False
    # A plain open would wait for a writer, perhaps for ever.
    with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as stream:
        # That of <(...) has its writer already, or will never have one. Linux shows it as a link
        # that leads nowhere, macOS as a file.
        real = os.path.realpath(name)
        anonymous = real.startswith("/dev/fd/") or not os.path.exists(real)
        while True:
            block = stream.read(1 << 16)
            if block:
                copy.write(block)
                written = True
            elif block is None:  # somebody has it open, and says nothing yet
                written = True
                select.select([stream], [], [], 1.0)
            elif written or anonymous:
                return copy
            elif time.monotonic() - began > _PIPE_SECONDS:
                raise OSError(EPIPE, f"it is a pipe, and nobody wrote to it in {_PIPE_SECONDS:g} s")
            else:
                time.sleep(0.02)


def _once(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Drop what was listed before; another image of the same relative path gets its own.

    That happens where there is no common folder: ``s3://b/x.jpg`` and ``/s3/b/x.jpg``.
    """
    seen: dict[bytes, bytes] = {}
    for path, name in found:
        rel = name if len(name) <= _SHORT else _on_a_disk(name)
        key = blake2b(os.fsencode(rel), digest_size=16).digest()
        what = blake2b(os.fsencode(path), digest_size=8).digest()
        if key not in seen:
            seen[key] = what
            yield path, rel
        elif seen[key] != what:
            other = f"{what.hex()}/{rel}"
            key = blake2b(os.fsencode(other), digest_size=16).digest()
            if key not in seen:
                seen[key] = what
                yield path, other


def _on_a_disk(rel: str) -> str:
    """What no disk has, such as a line of a megabyte, by a name that every table holds."""
    name = os.fsencode(rel)
    fits = len(name) <= _LONGEST_PATH and max(map(len, name.split(b"/"))) <= _LONGEST_NAME
    return rel if fits else bounded(rel)


def common(one: str, other: str) -> str:
    """The folder that holds both; empty when there is none (two drives on Windows)."""
    if is_url(one) != is_url(other):
        return ""
    try:
        if is_url(one):  # whose separator is no system's
            both = posixpath.commonpath((one, other))
            return both.replace(":/", "://", 1) if ":/" in both else ""
        return os.path.commonpath((one, other)) if one and other else ""
    except ValueError:
        return ""


def relative(path: str, root: str) -> str:
    """`path` below `root`, with forward slashes; both absolute and without `..`."""
    if root:
        apart = posixpath if is_url(root) else os.path
        return apart.relpath(path, root).replace(os.sep, "/")
    return path.replace("://", "/").replace(":", "", 1).lstrip("\\/").replace(os.sep, "/")


def _decoded(entry: bytes) -> str:
    """A line of a list as a file's name.

    Windows' names are UTF-8, its lists often what the machine's language has (cp1252).
    """
    try:
        return os.fsdecode(entry)
    except UnicodeDecodeError:
        return entry.decode(locale.getencoding(), "replace")


_FORMS = (
    ("VIA", ("_via_img_metadata",)), ("VIA", ("shape_attributes", "regions")),
    ("LabelMe", ("shapes", "imagePath")), ("COCO", ("annotations", "images")),
)  # fmt: skip
_YOLO = re.compile(r"\d+(\s+(0|1|[01]?\.\d+)){4,}")


def annotation_form(path: Path) -> str:
    """Whose annotations a file holds, by its beginning; empty where it holds none that is known.

    Args:
        path: a text file.
    """
    try:
        with open_regular(path) as file:
            text = file.read(1 << 16).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    if path.suffix.lower() == ".json":
        known = [form for form, keys in _FORMS if all(f'"{key}"' in text for key in keys)]
        return next(iter(known), "")
    lines = [line.strip() for line in text.splitlines()[:100] if line.strip()]
    return "YOLO" if lines and all(_YOLO.fullmatch(line) for line in lines[:99]) else ""


def check_no_table(spec: str) -> None:
    """Refuse a file of labels or paths where photographs are to be named.

    Raises:
        UsageError: it is one, by its name.
    """
    path = Path(spec)
    if path.suffix.lower() in TABLES and path.is_file():
        if form := annotation_form(path):
            coco = form == "COCO"
            raise UsageError(
                f"{spec} is an annotation file of {form}, and no picture: name the photograph, or "
                "the folder of photographs. "
                + (
                    f"Its boxes are measured against by 'camcli evaluate PHOTOS --boxes {spec}'."
                    if coco
                    else "Boxes are read by 'camcli evaluate PHOTOS --boxes', from VOC .xml, COCO "
                    ".json or .csv files, which most annotation programs write as well."
                )
            )
        raise UsageError(
            f"{spec} is a table or a list, and no picture: give the folder of its photographs, and "
            f"its labels with --labels {spec}. A list of paths, one a line, is written @{spec}."
        )
