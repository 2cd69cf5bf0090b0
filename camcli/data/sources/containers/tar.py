"""Images in tar shards, in WebDataset's layout or any other, read where they lie.

A shard is read once from header to header; an image is then a stretch of bytes in it. Links inside
the shard are the image that they lead to.

What is wrong with a member becomes its error row: stored as a sparse file, a link that leads
nowhere, a device. What is wrong with a shard becomes an error row of the shard: one that is
missing, compressed or no tar, one whose headers are damaged, and one without its end mark, which
was cut short.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Any

from camcli.data.picture_formats import is_image_name
from camcli.data.sources.containers.member import (
    LABEL_BYTES,
    Container,
    Entry,
    Passed,
    inside,
    is_label,
    read_at,
)
from camcli.data.sources.unique_paths import bounded
from camcli.errors import CamcliError

_COMPRESSED = "the shard is compressed, so images cannot be found in it; decompress it first."
# Longer names and extended headers are no names; tarfile would hold all of them.
_HEADER_BYTES = 1 << 20
_BLOCK = 512
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


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


def _entries(file: IO[bytes], passed: Passed) -> Iterator[Entry]:
    """The files of an archive, visible ones.

    Raises:
        CamcliError: it is no tar, or damaged somewhere.
    """
    entry: Entry | None = None
    links = _Links(file)
    for info in _headers(file):
        name = inside(info.name)
        if not name or info.isdir() or passed.passes(name):
            continue
        labels = is_label(name)
        if info.isreg():
            entry = Entry(name, info.offset_data, info.size)
            if info.issparse():
                entry.problem = "it is stored as a sparse file; make the tar without -S."
        elif not (labels or is_image_name(name.rpartition("/")[2])):
            continue
        elif info.islnk() or info.issym():
            entry = links.follow(info, name)
        else:
            entry = Entry(name, problem="it is a device or a pipe, not a file.")
        if labels and entry.problem is None and entry.size <= LABEL_BYTES:
            entry.label = read_at(file, entry.offset, entry.size)
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
        name, offset = inside(info.name) if info.isreg() else name, at
        yield info
    # Where a header is damaged tarfile takes it for the end.
    end = read_at(file, archive.offset, _BLOCK)
    if end != bytes(_BLOCK):
        raise CamcliError(_damaged(name, "damaged header" if end else "no end mark, cut short"))


class _Links:
    """Where the links of an archive lead: all headers are read once more, if there are any."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int, bool]] | None = None
        self._links: dict[str, str] = {}

    def follow(self, info: tarfile.TarInfo, name: str) -> Entry:
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
                return Entry(name, offset, size, problem if sparse else None)
            aim = self._links.get(aim)
        kind = "symbolic" if info.issym() else "hard"
        said = info.linkname if len(info.linkname) <= 100 else f"{info.linkname[:100]}..."
        return Entry(name, problem=f"it is a {kind} link to {said!r}, which is not in the shard.")

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


def _no_tar(file: IO[bytes]) -> str:
    start = read_at(file, 0, 6)
    if not start:
        return "the shard is empty (0 bytes); copy or download it again."
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return _COMPRESSED
    return "this is no tar file; copy or download it again."


def _damaged(name: str, why: str) -> str:
    after = f"after {bounded(name)}" if name else "at its start"
    return f"the shard is damaged {after} ({why}); copy or download it again."


TAR = Container(
    name="tar",
    suffixes=(".tar",),
    called="shard",
    what="a tar archive",
    marks=((257, b"ustar"),),
    entries=_entries,
    unread=(".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"),
    why_unread=_COMPRESSED,
)
