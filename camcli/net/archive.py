"""Unpacking an archive that somebody else made."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from camcli.errors import CamcliError
from camcli.files import whole_folder

MAX_FILES = 1_000_000
MAX_RATIO = 20  # pictures hardly shrink in an archive; a bomb grows a thousandfold


def unpack(
    archive: Path, folder: Path, progress: Callable[[int, int], object] | None = None
) -> int:
    """Unpack a ZIP file whose files are all in one top folder, which is left out.

    Every name is checked before the first byte is written: none may leave `folder`, and there
    may be nothing but plain files and folders (a link could lead out of it). Checksums are
    verified.

    Args:
        archive: the ZIP file.
        folder: appears whole or not at all; it must not exist yet, or be empty.
        progress: called with (files done, files in all).

    Returns:
        How many files there were.

    Raises:
        CamcliError: it is damaged, or not what one would unpack.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = _checked(file, archive)
            with whole_folder(folder, over=False) as part:
                for done, (info, path) in enumerate(members, 1):
                    target = part / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with file.open(info) as source, target.open("xb") as out:
                        shutil.copyfileobj(source, out, 1 << 18)
                    if progress:
                        progress(done, len(members))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CamcliError(
            f"{archive} is no whole ZIP archive ({error}); fetch it again."
        ) from error
    except OSError as error:
        raise CamcliError(
            f"{archive} could not be unpacked to {folder}: {error.strerror or error}."
        ) from error
    return len(members)


def _checked(file: zipfile.ZipFile, archive: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The plain files with their paths below the top folder."""
    infos = file.infolist()
    size = sum(info.file_size for info in infos)
    if len(infos) > MAX_FILES or size > MAX_RATIO * max(archive.stat().st_size, 1 << 20):
        raise CamcliError(
            f"{archive} would unpack to {len(infos):,} files of {size:,} bytes: not what was "
            "expected, nothing was unpacked."
        )
    members = []
    for info in infos:
        # Looked at as it is in the archive: ZipInfo cuts a name at a NUL and knows drives.
        parts = info.orig_filename.rstrip("/").split("/")
        if any(p in ("", ".", "..") or set(p) & set("\\:\0") for p in parts):
            raise CamcliError(
                f"{archive} holds a file that would land elsewhere, {info.orig_filename!r}; "
                "nothing was unpacked."
            )
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CamcliError(
                f"{archive} holds a link or device, {info.orig_filename!r}; nothing was unpacked."
            )
        if not info.is_dir() and len(parts) > 1:
            members.append((info, PurePosixPath(*parts[1:])))
    return members
