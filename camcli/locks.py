"""Locks for the few files that processes share; whatever ends a process, its locks are gone.

On Linux and macOS they are advisory (``flock``): nobody but camcli notices them. Windows locks
bytes against everybody, so there a byte is locked that no file has, far behind its end.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Windows: the byte that stands for a file, 4 EiB behind its start; and words of its API.
_FAR = 1 << 62
_NOW, _ALONE = 1, 2  # LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK
_TAKEN = 33, 997  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING


def lock(file: IO[bytes], *, wait: bool = True, shared: bool = False) -> bool:
    """Lock an open file against other processes until it is closed, whatever ends this one.

    Args:
        file: open for writing.
        wait: until whoever holds the lock lets go.
        shared: others may hold it like this at the same time, and nobody otherwise.

    Returns:
        Whether it is locked.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        return _lock_far(file, wait, shared)
    try:
        import fcntl
    except ImportError as error:
        raise _no_locks(file) from error
    try:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Lock a folder, as long as this process lives, without a file in it.

    Yields:
        Whether it is locked: not where another process has it, or where folders have no locks,
        as on Windows.
    """
    if sys.platform == "win32":
        yield False
        return
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def unlock(file: IO[bytes]) -> None:
    """Let go of an open file."""
    if sys.platform == "win32":
        system, overlapped, handle = _windows(file)
        system.UnlockFileEx(handle, 0, 1, 0, overlapped)
        return
    with suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


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
        unlock(file)


def is_still(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one of this name: another may have taken its place.

    Always on Windows, where an open file can neither be removed nor replaced.
    """
    if sys.platform == "win32":
        return True
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _no_locks(file: IO[bytes]) -> OSError:
    return OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), getattr(file, "name", None))


def _lock_far(file: IO[bytes], wait: bool, shared: bool) -> bool:
    if sys.platform != "win32":
        raise AssertionError
    system, overlapped, handle = _windows(file)
    flags = (0 if shared else _ALONE) | (0 if wait else _NOW)
    if system.LockFileEx(handle, flags, 0, 1, 0, overlapped):
        return True
    import ctypes

    code = ctypes.get_last_error()
    if code in _TAKEN:
        return False
    raise _no_locks(file)


def _windows(file: IO[bytes]) -> tuple[Any, Any, Any]:
    """Windows' functions, the place of the byte, and the file's handle."""
    if sys.platform != "win32":
        raise AssertionError
    import ctypes
    import msvcrt
    from ctypes import wintypes

    class Overlapped(ctypes.Structure):
        _fields_ = (
            ("Internal", ctypes.c_void_p),
            ("InternalHigh", ctypes.c_void_p),
            ("Offset", wintypes.DWORD),
            ("OffsetHigh", wintypes.DWORD),
            ("hEvent", wintypes.HANDLE),
        )

    system = ctypes.WinDLL("kernel32", use_last_error=True)
    place = Overlapped(Offset=_FAR & 0xFFFFFFFF, OffsetHigh=_FAR >> 32)
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(file.fileno()))
    return system, ctypes.byref(place), handle


def no_semaphores() -> None:
    """Let tqdm, with which torch and others draw bars of their own, do with a lock of threads.

    By itself it takes a semaphore of the machine, for programs whose processes draw into one
    terminal. Where such a process is killed, or ends in a hurry, Python warns of the semaphore that
    it leaves behind. Only for processes that are camcli's own: others may want that lock.
    """
    from tqdm import tqdm

    if not hasattr(tqdm, "_lock"):  # one that is there may be held
        tqdm.set_lock(threading.RLock())
