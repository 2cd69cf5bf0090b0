"""Images in tar shards, in WebDataset's layout or any other, read where they lie.

A shard is read once from header to header; an image is then a stretch of bytes in it, and nothing
is unpacked. In WebDataset's layout the members of one sample stand together and share a key, the
name up to its first dot: ``000/cat.jpg``, ``000/cat.cls``. Where a key has an image with a plain
extension, its other pictures (``cat.seg.png``) belong to it and are no images of their own.

What is wrong with a shard becomes an error row: one that is missing, compressed or no tar, one
whose headers are damaged, and one without its end mark, which was cut short.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from camcli.data.finders import is_image_name
from camcli.data.refs import Blob, file_system, is_url
from camcli.errors import CamcliError
from camcli.files import open_regular

SUFFIX = ".tar"
# A label's file is a few bytes; a larger one is something else.
_LABEL_BYTES = 1 << 20
_BLOCK = 512
# What is fetched at a time of a remote shard's headers and what lies between.
_AHEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """An image in a shard.

    Attributes:
        rel: relative path: the shard's without ``.tar``, and the member's name below it.
        blob: its bytes.
        label: from ``.cls`` or ``.json``: a class's name, or its number.
    """

    rel: str
    blob: Blob
    label: str | int | None = None


@dataclass(slots=True)
class _Entry:
    """One regular file of an archive; ``label`` where it is a label's file."""

    name: str
    offset: int
    size: int
    label: str | int | None = None

    @property
    def key(self) -> str:
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def plain(self) -> bool:
        """Whether its extension has one part: ``cat.jpg``, not ``cat.seg.png``."""
        return self.name.rpartition("/")[2].count(".") == 1


def images_in(place: str, rel: str) -> Iterator[Member]:
    """The images of one shard, in its order.

    Args:
        place: path or URL of the shard.
        rel: its relative path.
    """
    folder = rel.removesuffix(SUFFIX)
    seen: set[str] = set()
    sample: list[_Entry] = []

    def flush() -> Iterator[Member]:
        label = next((entry.label for entry in sample if entry.label is not None), None)
        found = [entry for entry in sample if is_image_name(entry.name.rpartition("/")[2])]
        for entry in [entry for entry in found if entry.plain] or found:
            name = _unique(entry.name, seen)
            yield Member(f"{folder}/{name}", Blob(place, entry.offset, entry.size), label)

    problem = None
    try:
        with _opened(place) as file:
            for entry in _entries(file):
                if sample and entry.key != sample[0].key:
                    yield from flush()
                    sample.clear()
                sample.append(entry)
    except CamcliError as error:
        problem = str(error)
    # tarfile raises many things on damaged bytes, and drivers errors of their own libraries.
    except Exception as error:
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        problem = f"the shard could not be read ({what})."
    yield from flush()
    if problem:
        yield Member(rel, Blob(place, problem=problem))


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    if not is_url(place):
        with open_regular(place) as file:
            yield file
        return
    system, path = file_system(place)
    with system.open(path, "rb", block_size=_AHEAD, cache_type="readahead") as file:
        yield file


def _entries(file: IO[bytes]) -> Iterator[_Entry]:
    """The regular files of an archive.

    Raises:
        CamcliError: it is no tar, or damaged somewhere.
    """
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - the file is the caller's
    except tarfile.ReadError:
        raise CamcliError(_no_tar(file)) from None
    entry: _Entry | None = None
    while True:
        try:
            info = archive.next()
        except tarfile.ReadError as error:
            raise CamcliError(_damaged(entry, str(error))) from error
        if info is None:
            break
        archive.members.clear()  # type: ignore[attr-defined] # or a big shard's stay in memory
        if info.isreg() and (name := _inside(info.name)):
            if info.issparse():
                raise CamcliError(f"{name} is stored as a sparse file; make the tar without -S.")
            entry = _Entry(name, info.offset_data, info.size)
            if name.endswith((".cls", ".json")) and info.size <= _LABEL_BYTES:
                entry.label = _label(name, _at(file, info.offset_data, info.size))
            yield entry
    # Where a header is damaged tarfile takes it for the end.
    end = _at(file, archive.offset, _BLOCK)
    if end != bytes(_BLOCK):
        raise CamcliError(_damaged(entry, "damaged header" if end else "no end mark, cut short"))


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    """Bytes from the middle; where the file stood does not matter to tarfile."""
    file.seek(offset)
    return file.read(size)


def _no_tar(file: IO[bytes]) -> str:
    start = _at(file, 0, 6)
    if not start:
        return "the shard is empty (0 bytes); copy or download it again."
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "the shard is compressed, so images cannot be found in it; decompress it first."
    return "this is no tar file; copy or download it again."


def _damaged(entry: _Entry | None, why: str) -> str:
    after = f"after {entry.name}" if entry else "at its start"
    return f"the shard is damaged {after} ({why}); copy or download it again."


def _inside(name: str) -> str:
    """A member's name as a path that stays where it is put; empty for hidden ones."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "" if any(part.startswith(".") for part in parts) else "/".join(parts)


def _unique(name: str, seen: set[str]) -> str:
    """A name that no earlier member has: an archive may hold one twice."""
    stem, dot, extension = name.rpartition(".")
    number, unique = 1, name
    while unique in seen:
        number += 1
        unique = f"{stem}~{number}{dot}{extension}"
    seen.add(unique)
    return unique


def _label(name: str, data: bytes) -> str | int | None:
    """What a ``.cls`` file says, or ``label``, ``cls`` or ``class`` in a ``.json``."""
    text = data.decode("utf-8", "replace").strip()
    value: Any = text
    if name.endswith(".json"):
        try:
            record = json.loads(text)
        except ValueError:
            return None
        if not isinstance(record, dict):
            return None
        keys = ("class_name", "label", "cls", "class", "class_id")
        value = next((record[key] for key in keys if record.get(key) is not None), None)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return int(value) if isinstance(value, int) or value.isdecimal() else value or None
