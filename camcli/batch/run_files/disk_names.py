"""What a disk takes for a file's name, found out by trying, and names that it takes.

Not every disk of a system is the system's own: Linux writes onto exFAT sticks and NTFS drives, and
what a tar made on Linux holds is unpacked by nobody before it is explained on Windows. So it is the
folder that is asked, not the system. A name that has to be changed keeps a digest of what it was,
so that no two become one; it depends on nothing but the name, so shards need not talk.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

# What Windows and its file systems refuse in a name, and the separators of paths.
FORBIDDEN = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
# Devices, in any folder and with any extension.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])")
# How Python writes bytes of a name that are not UTF-8.
_BYTES = re.compile("[\ud800-\udfff]")
# Bytes of a part of a path; characters of a path on Windows, unless longer ones are switched on.
_PART, _PATH = 255, 259


@dataclass(frozen=True, slots=True)
class DiskNames:
    """What names a folder's disk takes; by default all.

    Attributes:
        folds: ``A.jpg`` and ``a.jpg``, or the two ways to write an é, are one file.
        windows: what Windows refuses is refused: ``a:b``, ``con.jpg``, ``a.``.
        text: only names that are UTF-8.
        longest: characters of a path below the folder; None if only parts of it have a limit.
    """

    folds: bool = False
    windows: bool = False
    text: bool = False
    longest: int | None = None

    @classmethod
    def here(cls) -> DiskNames:
        """What this system's own disks take, where there is no folder yet that could be asked."""
        windows = sys.platform == "win32"
        return cls(windows=windows, text=windows or sys.platform == "darwin")

    @classmethod
    def of(cls, folder: Path, place: Path) -> DiskNames:
        """Try it.

        Args:
            folder: may be written, and is on the same disk as `place`.
            place: where the names will be.

        Raises:
            OSError: nothing can be written there.
        """
        here = sys.platform == "win32"
        return cls(
            folds=_same(folder, ".camcli-Case.part", ".camcli-cASE.part")
            or _same(folder, ".camcli-\u00e9.part", ".camcli-e\u0301.part"),
            windows=here or not _takes(folder, ".camcli-a:b?.part"),
            text=here or not _takes(folder, ".camcli-\udce9.part"),
            longest=max(40, _PATH - len(os.fspath(place.absolute())) - 1) if here else None,
        )

    def name(self, rel: str) -> str:
        """A relative path that the disk takes, the same unless it has to be another.

        Args:
            rel: with forward slashes.
        """
        found = "/".join(map(self._part, rel.split("/")))
        if self.longest is None or len(found) <= self.longest:
            return found
        stem, extension = os.path.splitext(found.rpartition("/")[2])  # noqa: PTH122
        end = f"~{mark(rel)}{extension}"
        return stem[: self.longest - len(end)].rstrip(". ") + end

    def _part(self, part: str) -> str:
        safe = part
        if self.text:
            safe = _BYTES.sub("_", safe)
        if self.windows:
            safe = FORBIDDEN.sub("_", safe)
            bare = safe.rstrip(". ")
            safe = bare + "_" * (len(safe) - len(bare))
            if _DEVICES.fullmatch(safe.partition(".")[0].rstrip(" ")):
                safe = f"_{safe}"
        if safe == part:
            return part
        stem, extension = os.path.splitext(safe)  # noqa: PTH122 - a part of a path
        end = f"~{mark(part)}{extension}"
        room = _PART - len(end.encode("utf-8", "surrogatepass"))
        return stem.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore") + end


def folded(name: str) -> str:
    """What two names have in common that are one on a disk that folds."""
    composed = unicodedata.normalize("NFC", name)
    return unicodedata.normalize("NFC", composed.casefold())


def mark(text: str) -> str:
    """A few digits that stand for a name."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _takes(folder: Path, name: str) -> bool:
    """Whether there can be a file of this name, and it is called so."""
    probe = folder / name
    try:
        probe.touch()
    except (OSError, ValueError):
        return False
    try:
        return name in os.listdir(folder)  # noqa: PTH208 - as it is written there
    finally:
        probe.unlink(missing_ok=True)


def _same(folder: Path, one: str, other: str) -> bool:
    """Whether two names are one file."""
    probe = folder / one
    try:
        probe.touch()
        return (folder / other).exists()
    except UnicodeError:  # a locale without these letters
        return False
    finally:
        probe.unlink(missing_ok=True)
