"""One file over HTTP: resumed where it stopped, checked, and never seen half-done."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError, UnavailableError
from camcli.files import replace
from camcli.locks import is_still, lock

DownloadProgress = Callable[[int, int | None], object]
"""Called with (bytes so far, bytes in all or None)."""

CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_BLOCK = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _BrokenError(Exception):
    """A try that failed, for a reason that may pass."""


class _UnreachableError(_BrokenError):
    """There was no answer at all."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    tries: int = 5,
    pause: float = 2.0,
    progress: DownloadProgress | None = None,
) -> Path:
    """Fetch a file, unless it is here; what an earlier try left behind is continued.

    The bytes go to ``<name>.part`` in the same folder, which is renamed once it is complete,
    checked and on the disk. The server's entity tag lies beside it (``.part.etag``), so that a
    file that has changed in the meantime starts anew instead of being glued to the old half. A
    second process that fetches the same file waits for the first.

    Args:
        url: ``http`` or ``https``.
        path: what to call the file; its folder is made if it does not exist.
        sha256: the digest in hex, or its first digits. Where it is None and the server tells one,
            as Hugging Face does, that one is checked and its first digits join the name.
        tries: attempts in a row that bring nothing before giving up.
        pause: seconds before another attempt, doubled each time.
        progress: called after every block.

    Returns:
        The file's path.

    Raises:
        UnavailableError: no network, no such file, a connection that keeps breaking (what came is
            kept), or other bytes than expected.
        CamcliError: it cannot be written, for example because the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            try:
                if done := present(path):
                    return done
                told = _insist(_Try(url, file, part, sha256, progress), tries, pause)
                os.fsync(file.fileno())
            finally:
                if part.is_file() and part.stat().st_size == 0:
                    if sys.platform == "win32":  # which removes no open file
                        file.close()
                    part.unlink()
                    _tag_file(part).unlink(missing_ok=True)
            if sha256 is None and told:
                path = path.with_name(f"{path.stem}-{told[:8]}{path.suffix}")
            if sys.platform == "win32":  # which renames no open file
                file.close()
            replace(part, path)
            _tag_file(part).unlink(missing_ok=True)
            return path
    except OSError as error:
        raise CamcliError(f"{part} could not be written: {error.strerror or error}.") from error


def present(path: Path) -> Path | None:
    """The file, under its name or under its name and the first digits of its sha256."""
    if path.is_file():
        return path
    named = re.compile(re.escape(path.stem) + "-[0-9a-f]{8}" + re.escape(path.suffix))
    if not path.parent.is_dir():
        return None
    return next((each for each in path.parent.iterdir() if named.fullmatch(each.name)), None)


def _insist(attempt: _Try, tries: int, pause: float) -> str | None:
    """Try until the file is complete; the sha256 that the server tells, if it does."""
    start, fruitless = attempt.have, 0
    while True:
        before = attempt.have
        try:
            attempt.receive()
            return attempt.told
        except _BrokenError as error:
            have, reason = attempt.have, str(error).rstrip(".")
            fruitless = 0 if have > before else fruitless + 1
            if isinstance(error, _UnreachableError) and have == start:
                fruitless = tries  # there is no way to it: waiting would only hide that
            if fruitless >= tries:
                raise UnavailableError(
                    f"{attempt.url} could not be fetched ({reason}); "
                    + (
                        f"{have:,} bytes are kept, and the same command goes on from there."
                        if have
                        else "check the network, then try again."
                    )
                ) from error
        time.sleep(pause * 2 ** max(0, fruitless - 1))


class _Try:
    """One connection after the other, all of which append to one open file."""

    def __init__(
        self, url: str, file: Any, part: Path, sha256: str | None, progress: DownloadProgress | None
    ) -> None:
        self.url = url
        self.told: str | None = None
        self._file, self._part, self._sha256, self._progress = file, part, sha256, progress

    @property
    def have(self) -> int:
        """Bytes that are here."""
        return os.fstat(self._file.fileno()).st_size

    def receive(self) -> None:
        """One connection; on return the file is complete and checked.

        Raises:
            _BrokenError: it is not complete, and another try may bring more.
            UnavailableError: another try would be in vain.
        """
        have, tag_file = self.have, _tag_file(self._part)
        request = urllib.request.Request(self.url, headers={"User-Agent": "camcli"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            if tag_file.exists():
                request.add_header("If-Range", tag_file.read_text("utf-8"))
        response, told = _open(request)
        self.told = told or self.told
        with response:
            if isinstance(response, urllib.error.HTTPError):
                self._refused(response)
                return
            start = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range") or "")
            if response.status != 206:
                self._file.truncate(0)  # the server sends it all again
                have = 0
                _keep_tag(tag_file, response.headers.get("ETag"))
            elif not start or int(start[1]) != have:
                self._file.truncate(0)
                raise _BrokenError("it sent another piece than it was asked for")
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            try:
                while block := _read(response):
                    self._file.write(block)
                    have += len(block)
                    if self._progress:
                        self._progress(have, total)
            finally:
                self._file.flush()
        if total is not None and have < total:
            raise _BrokenError(f"the connection broke after {have:,} of {total:,} bytes")
        self._check()

    def _refused(self, error: urllib.error.HTTPError) -> None:
        if error.code == 416 and self.have:  # there is nothing from here on
            wanted = self._sha256 or self.told
            if wanted and self._digest().startswith(wanted):
                return
            self._file.truncate(0)
            raise _BrokenError("it changed in the meantime")
        if error.code < 500 and error.code not in (408, 429):
            raise UnavailableError(f"{self.url} answered {error.code} {error.reason}.")
        raise _BrokenError(f"the server answered {error.code}")

    def _check(self) -> None:
        wanted = (self._sha256 or self.told or "").lower()
        if wanted and not (digest := self._digest()).startswith(wanted):
            self._file.truncate(0)
            raise UnavailableError(
                f"{self.url} sent other bytes than expected (SHA-256 {digest[: len(wanted)]}, not "
                f"{wanted}): nothing was kept; try again, or another network."
            )

    def _digest(self) -> str:
        with self._part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _read(response: Any) -> bytes:
    """The next bytes; whatever goes wrong is the connection's fault, not the disk's."""
    try:
        return response.read(_BLOCK)
    except TimeoutError:
        raise _BrokenError(f"nothing came for {_READ_SECONDS:.0f} seconds") from None
    except (HTTPException, OSError) as error:
        raise _BrokenError(_words(error)) from error


def _open(request: urllib.request.Request) -> tuple[Any, str | None]:
    """The response, be it an HTTP error, within `CONNECT_SECONDS`; the sha256 that it tells.

    Looking a name up knows no timeout of its own, and without a network it can take half a minute:
    so the request runs in a thread that is left behind when the time is over.
    """
    hops = _Hops()
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            opener = urllib.request.build_opener(hops)
            answers.put(opener.open(request, timeout=_READ_SECONDS))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise _UnreachableError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, urllib.error.HTTPError):
        return answer, hops.sha256
    if isinstance(answer, urllib.error.URLError):
        raise _UnreachableError(_words(answer)) from answer
    if isinstance(answer, HTTPException | OSError):
        raise _BrokenError(_words(answer)) from answer
    if isinstance(answer, Exception):
        raise answer
    hops.note(answer.headers)
    return answer, hops.sha256


class _Hops(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps the sha256 that Hugging Face tells on the first of them."""

    sha256: str | None = None

    def note(self, headers: Any) -> None:
        tag = (headers.get("X-Linked-Etag") or "").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            self.sha256 = tag

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """As its parent does, after a look at the headers."""
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _alone(part: Path) -> Iterator[Any]:
    """`part` open for appending, by one process at a time where the disk has locks.

    The file itself is locked, so nothing else is left behind; but on Windows whoever waits would
    have it open, and it could not be renamed any more: there a file beside it is.
    """
    if sys.platform == "win32":
        guard = part.with_name(f"{part.name}.lock")
        try:
            with guard.open("ab") as held:
                with suppress(OSError):  # a network disk without locks
                    lock(held)
                with part.open("ab") as file:
                    yield file
        finally:
            with suppress(OSError):  # another process waits for it
                guard.unlink()
        return
    while True:
        with part.open("ab") as file:
            with suppress(OSError):  # a network disk without locks
                lock(file)
            # Whoever held the lock may have renamed or removed the file that was opened here.
            if is_still(file, part):
                yield file
                return


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _keep_tag(tag_file: Path, tag: str | None) -> None:
    if tag and not tag.startswith("W/"):
        tag_file.write_text(tag, "utf-8")
    else:
        tag_file.unlink(missing_ok=True)


def _words(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
