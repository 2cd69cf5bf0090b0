"""Files and folders that are either whole or not there: written aside, then renamed into place.

Whoever looks meanwhile, or after a crash, sees the old file or the new one, never half of one.
Nothing here is forced to the disk (fsync): a rename survives the death of the process, and a power
cut may cost the newest files, which is cheaper than a wait for each of a hundred thousand overlays.

And the one way to open a file that a user named or a folder held, which never waits and never reads
what has no end.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EFBIG, EINVAL, EISDIR
from functools import lru_cache
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from camcli.locks import alone_in

MAX_READ = 1 << 30
"""Most bytes of one file that are read into memory, 1 GiB."""

# File systems that the kernel makes up: their files are regular, of size 0, and some wait for
# ever (/proc/kmsg) or act when they are read.
_MADE_UP = frozenset(
    "proc sysfs debugfs tracefs securityfs configfs cgroup cgroup2 devpts mqueue bpf pstore "  # noqa: SIM905
    "efivarfs binfmt_misc selinuxfs functionfs rpc_pipefs fusectl nsfs".split()
)
# So many characters Windows takes for a folder, and some more for a file.
_SHORT = 248
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class SpecialFileError(OSError):
    """Not a regular file on a disk: to read it could wait for ever, or never end."""


class TooLargeError(OSError):
    """A file has more bytes than are to be read.

    Attributes:
        size: how many it has, as far as it is known.
    """

    def __init__(self, most: int, path: str | Path, size: int) -> None:
        super().__init__(EFBIG, f"it has more than {most:,} bytes", str(path))
        self.size = size


def expanded(path: str | Path) -> Path:
    """A path that a user wrote, with ``~`` as their home; ``~somebody`` unknown stays as it is."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading, if it is a regular one on a disk; links are followed.

    Whatever else lies there (a pipe, a device, a socket, ``/proc/kmsg``) is refused without
    waiting, also when it takes the place of a file at this very moment.

    Args:
        path: of the file.

    Raises:
        SpecialFileError: it is none; ``strerror`` says what it is.
        OSError: it is a folder, or cannot be opened.
        ValueError: the name holds a NUL.

    Example:
        >>> with open_regular("labels.csv") as file:  # doctest: +SKIP
        ...     text = file.read().decode()
    """
    handle, _ = _opened(path)
    try:
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _opened(path: str | Path) -> tuple[int, int]:
    """`open_regular`, as a descriptor; and the file's size."""
    path = extended(path)
    _check_regular(os.stat(path), path)  # noqa: PTH116 - to open a device can already do something
    # What was put there since then must not make this wait.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0))
    try:
        status = os.fstat(handle)
        _check_regular(status, path)
        return handle, status.st_size
    except BaseException:
        os.close(handle)
        raise


def extended(path: str | Path) -> str | Path:
    """A path that Windows takes however long it is; elsewhere, and where it is short, the same."""
    if sys.platform != "win32":
        return path
    text = os.fspath(path)
    if len(text) < _SHORT or text.startswith("\\\\?\\"):
        return path
    text = os.path.abspath(text)  # noqa: PTH100 - nothing is changed in it any more
    return f"\\\\?\\UNC\\{text[2:]}" if text.startswith("\\\\") else f"\\\\?\\{text}"


def read_regular(path: str | Path, most: int = MAX_READ) -> bytes:
    """All bytes of a regular file on a disk.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        TooLargeError: it has more bytes.
        OSError: as `open_regular` does.
        ValueError: the name holds a NUL.
    """
    # By the descriptor: each call of a file object's takes and gives Python's lock once more, and a
    # folder's images are all read here.
    handle, size = _opened(path)
    try:
        if size > most:
            raise TooLargeError(most, path, size)
        data = os.read(handle, size + 1)
        # Some file systems give less at a time than there is. More than its size has a file that
        # grew meanwhile, or of which the file system does not know the size.
        while len(data) != size and len(data) <= most:
            if not (more := os.read(handle, max(size - len(data), 1 << 20))):
                break
            data += more
    finally:
        os.close(handle)
    if len(data) > most:
        raise TooLargeError(most, path, len(data))
    return data


def _check_regular(status: os.stat_result, path: str | Path) -> None:
    """Raise what `open_regular` promises."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(EISDIR, "it is a folder", str(path))
    for is_kind, what in _KINDS:
        if is_kind(status.st_mode):
            raise SpecialFileError(EINVAL, f"it is {what}, not a regular file", str(path))
    if not stat.S_ISREG(status.st_mode) or is_made_up(status.st_dev):
        raise SpecialFileError(EINVAL, "it is made up by the system, not a file on a disk", path)


@lru_cache(maxsize=256)
def is_made_up(device: int) -> bool:
    """Whether a device (``st_dev``) is one of the kernel's own file systems, such as ``/proc``.

    Folders there lead to each other without end, and files are no files on a disk.
    """
    if not sys.platform.startswith("linux"):
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
            for line in mounts:
                mount, _, system = line.partition(" - ")
                if mount.split(" ", 3)[2:3] == [wanted]:
                    return system.split(" ", 1)[0] in _MADE_UP
    except OSError:
        pass  # no /proc, and so nothing of it either
    return False


# Seconds between tries to rename on Windows, 2.5 in all.
_TRIES = (0.01, 0.04, 0.15, 0.5, 0.8, 1.0)


def replace(old: str | Path, new: str | Path) -> None:
    """Rename, also onto a file that is there; on Windows, what is open for a moment is waited for.

    There neither a file that somebody has open can be renamed, nor one be renamed onto it, and
    virus scanners and indexers open whatever is new.

    Raises:
        OSError: it cannot be renamed.
    """
    for pause in _TRIES if sys.platform == "win32" else ():
        try:
            os.replace(old, new)  # noqa: PTH105
        except PermissionError:
            time.sleep(pause)
        else:
            return
    os.replace(old, new)  # noqa: PTH105


def why(error: OSError) -> str:
    """Why a file cannot be written, in a few words without a full stop."""
    if sys.platform == "win32" and isinstance(error, PermissionError):
        return f"{error.strerror} (is it open in another program, a spreadsheet perhaps?)"
    return error.strerror or str(error)


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
        replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes | str, aside: Path | None = None) -> None:
    """Replace a file in one step; text becomes UTF-8, in which names keep bytes that are not.

    Args:
        path: replaced if it exists; its folder must exist.
        data: all of it.
        aside: folder of the new file until it is complete; by default that of `path`.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    with whole_file(path, aside) as part:
        part.write_bytes(_encoded(data) if isinstance(data, str) else data)


# What keeps every file from being written, also where a small one still has room.
_EVERYBODYS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
}  # fmt: skip


def only_this_file(error: OSError, folder: Path) -> bool:
    """Whether a file that could not be written is alone with that: a small one is tried.

    Args:
        error: why it could not be written.
        folder: where it was to be, or above.
    """
    if error.errno in _EVERYBODYS:
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
    except OSError:
        return False
    return True


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character that stands for no byte
        return text.encode("utf-8", "replace")


def identity(path: str) -> tuple[int, int] | None:
    """What tells a file or folder from all others, whatever names it has; None if it is none."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@contextmanager
def whole_folder(path: Path, *, over: bool = True) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `path` and all that it held at the end.

    Args:
        path: replaced if it exists; a link stays one, and what it leads to is replaced.
        over: False where only an empty folder may be: what somebody put there meanwhile stays.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_aside(path) as part:
        part.chmod(0o777 & ~_UMASK)
        yield part
        old = part.with_suffix(".old")
        if not over and path.exists():
            path.rmdir()  # fails where something is in it
        if not path.exists():
            replace(part, path)
            return
        replace(path, old)
        try:
            replace(part, path)
        except OSError:
            replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, which is gone at the end.

    So are those that processes left there which were killed while they did the same: a copy of a
    data set is large, and nobody sees its hidden half. What they had put aside comes back.

    Args:
        path: where what is made is to be; its folder must exist.

    Raises:
        OSError: it cannot be made.
    """
    start = f".camcli-{sha256(os.fsencode(path.name)).hexdigest()[:8]}-"
    _tidy(path, start)
    new = Path(tempfile.mkdtemp(dir=path.parent, prefix=".camcli-", suffix=".new"))
    with alone_in(new):  # before it has the name by which `_tidy` knows it
        part = new.with_name(f"{start}{new.stem[len('.camcli-') :]}.part")
        try:
            replace(new, part)
            yield part
        finally:
            for each in (new, part):
                shutil.rmtree(each, ignore_errors=True)


def _tidy(path: Path, start: str) -> None:
    """Remove what killed processes left beside `path`; whoever lives has it locked."""
    for left in sorted(path.parent.glob(f"{start}*.part")):
        with alone_in(left) as dead:
            if dead:
                shutil.rmtree(left, ignore_errors=True)
                _put_back(left.with_suffix(".old"), path)
    for old in sorted(path.parent.glob(f"{start}*.old")):
        # Whoever has just put the new folder in its place has that one locked.
        with alone_in(path) as dead:
            if dead and not old.with_suffix(".part").exists():
                _put_back(old, path)


def _put_back(old: Path, path: Path) -> None:
    """Give a folder its name again, unless another one has it."""
    with suppress(OSError):
        if os.path.lexists(path):
            shutil.rmtree(old, ignore_errors=True)
        else:
            replace(old, path)


def home() -> Path:
    """The user's home folder; where there is none, the one for temporary files."""
    try:
        return Path.home()
    except RuntimeError:  # no $HOME, and a user that the machine does not know: containers
        return Path(tempfile.gettempdir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()
