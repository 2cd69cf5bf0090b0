"""Bringing named data sets to this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from camcli.data.datasets.kind import Archive, ByHand, Drawn
from camcli.data.datasets.registry import NAMED
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.net.archive import unpack
from camcli.net.download import DownloadProgress, download

RECORD = "SOURCE.json"
"""File in a fetched folder that says where it came from."""


def announcement(name: str, to: Path) -> str:
    """What a person should know before a fetch: what, how large, under which licence, where to.

    Args:
        name: a name of `NAMED`.
        to: folder of data sets.
    """
    remote = NAMED[name].get if name in NAMED else None
    if not isinstance(remote, Archive):
        return f"{name} -> {to / name}"
    return (
        f"{remote.title}\n  licence  {remote.licence}\n  size     about "
        f"{remote.size / 1e9:.1f} GB to download, twice that on disk while it is unpacked\n"
        f"  from     {remote.url}\n  to       {to / name}"
    )


def fetch(
    name: str,
    to: Path,
    *,
    remote: Archive | None = None,
    sha256: str | None = None,
    progress: DownloadProgress | None = None,
    pause: float = 2.0,
) -> Path:
    """Bring a named data set into a folder of data sets; done before, it costs nothing.

    A download that was interrupted goes on where it stopped. The archive's checksum is recorded
    in ``SOURCE.json`` beside the data.

    Args:
        name: a name of `NAMED`; of a set that has to be brought by hand, it can only be said how.
        to: folder of data sets; the set is put into ``to/name``.
        remote: another place than the one that is known.
        sha256: refuse any other archive.
        progress: called during the download with (bytes, bytes in all or None).
        pause: seconds before a broken connection is tried again.

    Returns:
        The data set's folder.

    Raises:
        UnavailableError: it cannot be had from here.
        UsageError: no such name, or something else is in its place.
        CamcliError: no space, damaged archive.
    """
    if name not in NAMED:
        raise UsageError(f"No data set is called {name!r}; there are {', '.join(NAMED)}.")
    folder, get = to / name, remote or NAMED[name].get
    remote = get if isinstance(get, Archive) else None
    if folder.is_dir() and any(folder.iterdir()):
        missing = [h for h in (remote.holds if remote else ()) if not (folder / h).is_dir()]
        if missing:
            raise UsageError(
                f"{folder} exists but holds no folder {missing[0]}; move it away first."
            )
        return folder
    match get:
        case Drawn():
            to.mkdir(parents=True, exist_ok=True)
            get.draw(folder)
            return folder
        case ByHand():
            raise UnavailableError(get.advice.format(folder=folder))
        case Archive():
            return _fetch_archive(get, folder, sha256, progress, pause)
    raise UnavailableError(f"It is not known where {name} is; put it at {folder}.")


def _fetch_archive(
    remote: Archive,
    folder: Path,
    sha256: str | None,
    progress: DownloadProgress | None,
    pause: float,
) -> Path:
    archive = folder.with_name(f".{folder.name}.zip")
    files = (archive, archive.with_name(f"{archive.name}.part"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        here = sum(file.stat().st_size for file in files if file.exists())
    except OSError as error:
        raise CamcliError(f"{folder} cannot be made: {error.strerror or error}.") from error
    if free < 2 * remote.size - here:
        raise CamcliError(
            f"{folder.parent} has {free / 1e9:.1f} GB left, and {2 * remote.size / 1e9:.1f} GB are "
            "needed; make room or choose another folder with --to."
        )
    archive = download(remote.url, archive, sha256=sha256, progress=progress, pause=pause)
    digest, size = _sha256(archive), archive.stat().st_size
    try:
        count = unpack(archive, folder)
    finally:
        archive.unlink()  # unpacked, or of no use
    missing = [h for h in remote.holds if not (folder / h).is_dir()]
    if missing:
        shutil.rmtree(folder)
        raise CamcliError(f"{remote.url} holds no folder {missing[0]}; nothing was kept.")
    record = {
        "title": remote.title,
        "url": remote.url,
        "version": remote.version,
        "licence": remote.licence,
        "sha256": digest,
        "bytes": size,
        "files": count,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
