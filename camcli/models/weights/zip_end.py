"""Where a zip file says that its directory is; the same for whoever reads it, or it is not opened.

Readers differ in what they do with a file whose records contradict each other: Python's takes what
stands right before the end record for the directory, torch's what lies at the offset that is given
there. A file may so show one content to whoever looks at it, and another to whoever opens it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_COMMENT = 65_535


@dataclass(frozen=True)
class ZipEnd:
    """What the last records of a zip file say.

    Attributes:
        length: bytes of the directory, the larger of what is said.
        entries: how many it has.
        gap: bytes between where it should end and where the records begin; 0 in any file that a
            program wrote in one go.
    """

    length: int
    entries: int
    gap: int

    def is_plain(self, entries: int) -> bool:
        """Whether every reader finds the same: so many entries, where they are said to be."""
        return self.gap == 0 and self.entries == entries


def end_of(file: IO[bytes], size: int) -> ZipEnd | None:
    """The last records, or None if the file does not end as a zip file.

    Args:
        file: anywhere.
        size: its bytes.
    """
    start = max(0, size - _COMMENT - 22)
    file.seek(start)
    tail = file.read(_COMMENT + 22)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        return None
    entries, length, offset = struct.unpack("<HLL", tail[at + 10 : at + 20])
    records = start + at
    file.seek(max(0, records - 20))
    locator = file.read(20)
    if records < 20 or not locator.startswith(_LOCATOR):
        return ZipEnd(length, entries, records - length - offset)
    said = struct.unpack("<Q", locator[8:16])[0]
    file.seek(min(said, size))
    record = file.read(56)
    if len(record) < 56 or not record.startswith(_END64):
        return ZipEnd(length, entries, 1)
    entries64, length64, offset64 = struct.unpack("<QQQ", record[32:56])
    longest = max(0 if length == 0xFFFFFFFF else length, length64)
    beside = records - 20 - 56 - said  # nothing may stand between the records
    return ZipEnd(longest, entries64, beside or said - length64 - offset64)
