"""Files and folders that are either whole or not there: written aside, then renamed into place.

Whoever looks meanwhile, or after a crash, sees the old file or the new one, never half of one.
Nothing here is forced to the disk (fsync): a rename survives the death of the process, and a power
cut may cost the newest files, which is cheaper than a wait for each of a hundred thousand overlays.

And locks, for the few files that processes share.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, aside: Path | None = None) -> Iterator[Path]:
    """A new, empty file to write to, which takes the place of `path` when the block ends well.

    Args:
        path: replaced if it exists; its folder must exist when the block ends.
        aside: folder of the new file, on the same disk; by default that of `path`.

    Raises:
        OSError: it cannot be written; nothing is left behind. The caller knows what to advise.

    Example:
        >>> with whole_file(Path("table.parquet")) as part:  # doctest: +SKIP
        ...     write_table(part)
    """
    # Not named after `path`, whose name may be as long as names can be.
    handle, name = tempfile.mkstemp(dir=aside or path.parent, prefix=".camcli-", suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_UMASK)  # noqa: PTH101 - mkstemp's 0600 is for secrets
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes | str, aside: Path | None = None) -> None:
    """Replace a file in one step; text becomes UTF-8.

    Args:
        path: replaced if it exists; its folder must exist.
        data: all of it.
        aside: folder of the new file until it is complete; by default that of `path`.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    with whole_file(path, aside) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `path` and all that it held at the end.

    Args:
        path: replaced if it exists.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=".camcli-", suffix=".part"))
    old = part.with_suffix(".old")
    try:
        part.chmod(0o777 & ~_UMASK)
        yield part
        if not path.exists():
            part.replace(path)
            return
        path.replace(old)
        try:
            part.replace(path)
        except OSError:
            old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def lock(file: IO[bytes], *, wait: bool = True) -> bool:
    """Lock an open file against other processes until it is closed, whatever ends this one.

    Args:
        file: open for writing.
        wait: until whoever holds the lock lets go.

    Returns:
        Whether it is locked. Always true on Windows, where nothing is locked.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(file: IO[bytes]) -> Iterator[None]:
    """One process at a time; the file stays open.

    Raises:
        OSError: the file system has no locks.
    """
    lock(file)
    try:
        yield
    finally:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_UN)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()
