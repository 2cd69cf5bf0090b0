"""Images in tar shards, in WebDataset's layout or any other, read where they lie.

A shard is read once from header to header; an image is then a stretch of bytes in it, and nothing
is unpacked. In WebDataset's layout the members of one sample stand together and share a key, the
name up to its first dot: ``000/cat.jpg``, ``000/cat.cls``.

Every member that is called like an image is one, ``cat.1.jpg`` beside ``cat.jpg`` too. Left out are
a sample's annotations in the form of pictures (`MASKS`), ``cat.seg.png`` beside ``cat.jpg``, and,
counted, what is left out of folders as well: hidden things, ``__MACOSX/``, ``@eaDir/``, camera
raw files. Links inside the shard are the image that they lead to.

What is wrong with a member becomes its error row: stored as a sparse file, a link that leads
nowhere, a device. What is wrong with a shard becomes an error row of the shard: one that is
missing, compressed or no tar, one whose headers are damaged, and one without its end mark, which
was cut short.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from camcli.data.picture_formats import TAR
from camcli.data.sources.finders import is_image_name
from camcli.data.sources.leftovers import LeftOut, leftover_file, leftover_folder, not_read_file
from camcli.data.sources.refs import Blob, file_system, is_url
from camcli.data.sources.unique_paths import bounded
from camcli.errors import CamcliError
from camcli.files import open_regular

SUFFIX = TAR
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
COMPRESSED_TAR = "the shard is compressed, so images cannot be found in it; decompress it first."
# What a picture shows that is called cat.seg.png and lies beside cat.jpg.
MASKS = frozenset(
    ("seg", "segm", "segmentation", "semantic", "instance", "panoptic", "mask", "masks", "matte",
     "alpha", "trimap", "label", "labels", "depth", "normal", "normals", "edge", "edges", "flow",
     "saliency")
)  # fmt: skip
# A label's file is a few bytes; a larger one is something else.
_LABEL_BYTES = 1 << 20
# Longer names and extended headers are no names; tarfile would hold all of them.
_HEADER_BYTES = 1 << 20
# Of the number of a class; Python refuses to read thousands of digits.
_DIGITS = 18
# Members of one sample that are held until its label is known.
_SAMPLE = 10_000
_BLOCK = 512
# What is fetched at a time of a remote shard's headers and what lies between.
_AHEAD = 1 << 20
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """An image in a shard, or the shard itself where something is wrong with it.

    Attributes:
        name: the member's, cleaned: it stays inside, and is no longer than names may be; empty for
            the shard.
        blob: its bytes.
        label: from ``.cls`` or ``.json``: a class's name, or its number.
    """

    name: str
    blob: Blob
    label: str | int | None = None


@dataclass(slots=True)
class _Entry:
    """One file of an archive; ``label`` where it is a label's file."""

    name: str
    offset: int = 0
    size: int = 0
    problem: str | None = None
    label: str | int | None = None

    @property
    def stem(self) -> str:
        """Its name without the last extension."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def plain(self) -> bool:
        """Whether its extension has one part: ``cat.jpg``, not ``cat.seg.png``."""
        return self.name.rpartition("/")[2].count(".") == 1

    def annotates(self, plain: _Entry) -> bool:
        """Whether it is ``cat.seg.png`` and the other ``cat.jpg``."""
        word, _, extension = self.name[len(self.key) + 1 :].rpartition(".")
        return word.lower() in MASKS and extension != plain.name.rpartition(".")[2]


def images_in(place: str, left: LeftOut | None = None) -> Iterator[Member]:
    """The images of one shard, in its order; names may occur twice.

    Args:
        place: path or URL of the shard.
        left: counts what is left out, folders once.
    """
    sample: list[_Entry] = []

    def flush() -> Iterator[Member]:
        found = [entry for entry in sample if is_image_name(entry.name.rpartition("/")[2])]
        plain = next((entry for entry in found if entry.plain), None)
        if plain is not None:
            found = [entry for entry in found if not entry.annotates(plain)]
        labels = {entry.stem: entry.label for entry in sample if entry.label is not None}
        stems = {entry.stem for entry in found}
        common = next((label for stem, label in labels.items() if stem not in stems), None)
        for entry in found:
            label = labels.get(entry.stem, labels.get(entry.key, common))
            blob = Blob(place, entry.offset, entry.size, entry.problem)
            yield Member(bounded(entry.name), blob, label)

    problem = None
    try:
        with _opened(place) as file:
            for entry in _entries(file, _Passed(LeftOut() if left is None else left)):
                if sample and (entry.key != sample[0].key or len(sample) >= _SAMPLE):
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
        yield Member("", Blob(place, problem=problem))


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    if not is_url(place):
        with open_regular(place) as file:
            yield file
        return
    system, path = file_system(place)
    with system.open(path, "rb", block_size=_AHEAD, cache_type="readahead") as file:
        yield file


class _Info(tarfile.TarInfo):
    """A header; an extended one that is no name is skipped, where tarfile would read it whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.InvalidHeaderError("a size below 0")  # type: ignore[attr-defined]
        if self.type in _EXTENDED and self.size > _HEADER_BYTES:
            file: Any = archive.fileobj
            file.seek(self.offset + _BLOCK + -(-self.size // _BLOCK) * _BLOCK)
            return self.fromtarfile(archive)
        return super()._proc_member(archive)  # type: ignore[misc]


class _Passed:
    """What is left out of one archive, counted in `left`."""

    def __init__(self, left: LeftOut) -> None:
        self._left = left
        self._folders: set[int] = set()  # digests: there may be a hidden one for each member

    def passes(self, name: str) -> bool:
        """Whether a member lies in what is left out, or is it."""
        *parents, last = name.split("/")
        for depth, parent in enumerate(parents, 1):
            if what := leftover_folder(parent):
                folder = hash("/".join(parents[:depth]))
                if folder not in self._folders:
                    self._folders.add(folder)
                    self._left.add(f"{what} in a tar")
                return True
        if what := leftover_file(last) or not_read_file(last):
            self._left.add(f"{what} in a tar")
        return what is not None


def _entries(file: IO[bytes], passed: _Passed) -> Iterator[_Entry]:
    """The files of an archive, visible ones.

    Raises:
        CamcliError: it is no tar, or damaged somewhere.
    """
    entry: _Entry | None = None
    links = _Links(file)
    for info in _headers(file):
        name = _inside(info.name)
        if not name or info.isdir() or passed.passes(name):
            continue
        labels = name.endswith((".cls", ".json"))
        if info.isreg():
            entry = _Entry(name, info.offset_data, info.size)
            if info.issparse():
                entry.problem = "it is stored as a sparse file; make the tar without -S."
        elif not (labels or is_image_name(name.rpartition("/")[2])):
            continue
        elif info.islnk() or info.issym():
            entry = links.follow(info, name)
        else:
            entry = _Entry(name, problem="it is a device or a pipe, not a file.")
        if labels and entry.problem is None and entry.size <= _LABEL_BYTES:
            entry.label = _label(name, _at(file, entry.offset, entry.size))
        yield entry


def _headers(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """All headers of an archive; the file may be read elsewhere meanwhile.

    Raises:
        CamcliError: it is no tar, or damaged somewhere.
    """
    try:
        file.seek(0)
        archive = tarfile.open(fileobj=file, mode="r:", tarinfo=_Info)  # noqa: SIM115
    except tarfile.ReadError:
        raise CamcliError(_no_tar(file)) from None
    name, offset = "", -1
    while True:
        try:
            info = archive.next()
        except tarfile.ReadError as error:
            raise CamcliError(_damaged(name, str(error))) from error
        except (ValueError, OverflowError) as error:  # numbers that are none, or beyond all files
            raise CamcliError(_damaged(name, "damaged header")) from error
        if info is None:
            break
        archive.members.clear()  # type: ignore[attr-defined] # or a big shard's stay in memory
        at: int = archive.offset
        if at <= offset:
            raise CamcliError(_damaged(name, "a size below 0"))
        name, offset = _inside(info.name) if info.isreg() else name, at
        yield info
    # Where a header is damaged tarfile takes it for the end.
    end = _at(file, archive.offset, _BLOCK)
    if end != bytes(_BLOCK):
        raise CamcliError(_damaged(name, "damaged header" if end else "no end mark, cut short"))


class _Links:
    """Where the links of an archive lead: all headers are read once more, if there are any."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int, bool]] | None = None
        self._links: dict[str, str] = {}

    def follow(self, info: tarfile.TarInfo, name: str) -> _Entry:
        """A link as the file that it leads to, or with its problem."""
        if self._places is None:
            self._places = {}
            self._read()
        aim = _aim(info)
        for _ in range(40):  # as systems do, which takes care of circles
            if aim is None:
                break
            if aim in self._places:
                offset, size, sparse = self._places[aim]
                problem = "it is stored as a sparse file; make the tar without -S."
                return _Entry(name, offset, size, problem if sparse else None)
            aim = self._links.get(aim)
        kind = "symbolic" if info.issym() else "hard"
        said = info.linkname if len(info.linkname) <= 100 else f"{info.linkname[:100]}..."
        return _Entry(name, problem=f"it is a {kind} link to {said!r}, which is not in the shard.")

    def _read(self) -> None:
        assert self._places is not None
        try:
            for info in _headers(self._file):
                path = _path(info.name)
                if info.isreg():
                    self._places[path] = (info.offset_data, info.size, info.issparse())
                elif (info.islnk() or info.issym()) and (aim := _aim(info)) not in (None, path):
                    self._links[path] = str(aim)
        except (CamcliError, tarfile.TarError, ValueError):
            pass  # whoever reads the members comes to that place, too


def _aim(info: tarfile.TarInfo) -> str | None:
    """The path in the archive that a link leads to; None where it leads out of it."""
    if info.islnk():
        return _path(info.linkname)
    if info.linkname.startswith("/"):
        return None
    parts = _path(info.name).split("/")[:-1]
    for part in info.linkname.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _path(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    """Bytes from the middle; where the file stood does not matter to tarfile."""
    file.seek(offset)
    return file.read(size)


def _no_tar(file: IO[bytes]) -> str:
    start = _at(file, 0, 6)
    if not start:
        return "the shard is empty (0 bytes); copy or download it again."
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return COMPRESSED_TAR
    return "this is no tar file; copy or download it again."


def _damaged(name: str, why: str) -> str:
    after = f"after {bounded(name)}" if name else "at its start"
    return f"the shard is damaged {after} ({why}); copy or download it again."


def _inside(name: str) -> str:
    """A member's name as a path that stays where it is put."""
    return "/".join(p for p in name.replace("\\", "/").split("/") if p not in ("", ".", ".."))


def _label(name: str, data: bytes) -> str | int | None:
    """What a ``.cls`` file says, or ``label``, ``cls`` or ``class`` in a ``.json``."""
    text = data.decode("utf-8", "replace").strip()
    value: Any = text
    if name.endswith(".json"):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        keys = ("class_name", "label", "cls", "class", "class_id")
        value = next((record[key] for key in keys if record.get(key) is not None), None)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, str) and not (value.isdecimal() and len(value) <= _DIGITS):
        return value or None
    return int(value)
