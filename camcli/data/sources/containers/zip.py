"""Images in zip files, read where they lie: each is unpacked in memory when it is its turn.

The list at a zip's end is read, and nothing of the members until then: of a zip behind a URL that
is one request, and one for each picture.

Refused, a sentence each: a member that is encrypted, a symbolic link, packed in a way that is not
read (`_METHODS`), overlapping another one, larger than pictures may be, or unpacking to far more
than its size or to another size than it says, as bombs do. Whatever was read is checked against
the list's checksum.
"""

from __future__ import annotations

import stat
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

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
from camcli.data.sources.refs import MAX_BYTES, Blob
from camcli.errors import CamcliError, ImageError
from camcli.printable import printable

if TYPE_CHECKING:
    from zipfile import ZipInfo

_STORED, _DEFLATED = 0, 8
_METHODS = {
    6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 20: "Zstandard", 93: "Zstandard",
    95: "XZ", 96: "JPEG packing", 97: "WavPack", 98: "PPMd",
}  # fmt: skip
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LINK = "it is a symbolic link, which is not followed in a zip; make the zip without -y."
_LOCKED = "it is encrypted; unpack the zip with its password, and give the folder."
_HARMFUL = "so it is damaged, or made to harm"
_AGAIN = "copy or download the zip again."
# A member's own header before its bytes, with a name and other fields of at most 65,535 bytes each.
_MARK, _HEADER, _FIELDS = b"PK\x03\x04", 30, 2 * 65_535
# What no photograph, and hardly a drawing, is packed to: at most 1032 bytes come out of one.
_LARGE, _RATIO = 64 << 20, 200


@dataclass(frozen=True, slots=True)
class Unpack:
    """Reads one member: its own header, then its bytes.

    Attributes:
        method: stored or deflated.
        packed: bytes behind the header.
        size: bytes that they unpack to.
        crc: of these.
    """

    method: int
    packed: int
    size: int
    crc: int

    def __call__(self, blob: Blob) -> bytes:
        """The member's content.

        Raises:
            ImageError: as `unpacked` does, or it cannot be read.
        """
        return self.unpacked(blob.stored())

    def unpacked(self, stored: bytes) -> bytes:
        """The content, from the member's header and what follows.

        Raises:
            ImageError: it is damaged, or not what the list at the zip's end says.
        """
        data = memoryview(stored)
        if len(data) < _HEADER or data[:4] != _MARK:
            raise ImageError(f"the zip is damaged where this picture starts; {_AGAIN}")
        flags, name, extra = struct.unpack_from("<6xH18xHH", data)
        if flags & _ENCRYPTED:
            raise ImageError(_LOCKED)
        start = _HEADER + name + extra
        body = data[start : start + self.packed]
        if len(body) < self.packed:
            raise ImageError(f"it reaches into another member of the zip, {_HARMFUL}; {_AGAIN}")
        found = bytes(body) if self.method == _STORED else self._inflate(body)
        if len(found) != self.size or zlib.crc32(found) != self.crc:
            raise ImageError(f"its bytes are not those that were put into the zip; {_AGAIN}")
        return found

    def _inflate(self, body: memoryview) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            found = inflater.decompress(body, self.size + 1)
        except zlib.error as error:
            raise ImageError(f"the zip is damaged within it; {_AGAIN}") from error
        if len(found) > self.size:
            raise ImageError(
                f"it unpacks to more than the {self.size:,} bytes that the zip says, {_HARMFUL}; "
                f"{_AGAIN}"
            )
        return found


def _entries(file: IO[bytes], passed: Passed) -> Iterator[Entry]:
    """The files of a zip, visible ones, in the order of its list.

    Raises:
        CamcliError: it is no zip, or its list is damaged.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        archive = ZipFile(file)
    except BadZipFile as error:
        raise CamcliError(_no_zip(file, str(error))) from None
    infos = archive.infolist()
    starts = array("Q", sorted(info.header_offset for info in infos))
    for info in infos:
        name = inside(info.filename)
        if not name or info.is_dir() or passed.passes(name):
            continue
        entry = Entry(name)
        labels = is_label(name)
        if labels or is_image_name(name.rpartition("/")[2]):
            at = bisect_right(starts, info.header_offset)
            shared = at > 1 and starts[at - 2] == info.header_offset
            end = starts[at] if at < len(starts) else archive.start_dir
            _fill(entry, info, info.header_offset if shared else end)
        if labels and entry.problem is None and info.file_size <= LABEL_BYTES:
            entry.label = _content(file, entry)
        yield entry


def _fill(entry: Entry, info: ZipInfo, end: int) -> None:
    """Where a member is and how it is read, or why it is not.

    Args:
        entry: gets it.
        info: of the zip's list.
        end: where the next member starts, which may be anywhere in a zip that is made to harm.
    """
    entry.offset, room = info.header_offset, end - info.header_offset
    entry.size = max(0, min(room, _HEADER + _FIELDS + info.compress_size))
    if info.flag_bits & _ENCRYPTED:
        entry.problem = _LOCKED
    elif stat.S_ISLNK(info.external_attr >> 16):
        entry.problem = _LINK
    elif info.compress_type not in (_STORED, _DEFLATED):
        how = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        entry.problem = (
            f"it is packed with {how}, which is not read; unpack the zip, or pack it anew."
        )
    elif room < _HEADER + info.compress_size:
        entry.problem = f"it shares bytes with another member of the zip, {_HARMFUL}; {_AGAIN}"
    elif info.file_size > MAX_BYTES:
        entry.problem = (
            f"{info.file_size:,} bytes are more than the limit of {MAX_BYTES:,} for one picture; "
            "scale it down first."
        )
    elif info.file_size > max(_LARGE, _RATIO * info.compress_size):
        entry.problem = (
            f"{info.compress_size:,} bytes that unpack to {info.file_size:,} are hardly a picture; "
            "unpack the zip yourself if you know where it comes from."
        )
    entry.reader = Unpack(info.compress_type, info.compress_size, info.file_size, info.CRC)


def _content(file: IO[bytes], entry: Entry) -> bytes | None:
    """What a small member holds; None where it cannot be read, for it is no picture."""
    assert isinstance(entry.reader, Unpack)
    try:
        return entry.reader.unpacked(read_at(file, entry.offset, entry.size))
    except ImageError:
        return None


def _no_zip(file: IO[bytes], why: str) -> str:
    if not read_at(file, 0, 1):
        return "the zip is empty (0 bytes); copy or download it again."
    if read_at(file, 0, 4)[:2] == b"PK":
        return f"the zip is cut short or damaged ({printable(why)}); copy or download it again."
    return "this is no zip file; copy or download it again."


ZIP = Container(
    name="zip",
    suffixes=(".zip",),
    called="zip",
    what="a ZIP archive (or a document that is one)",
    marks=((0, _MARK),),
    entries=_entries,
)
