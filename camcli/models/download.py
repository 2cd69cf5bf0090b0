"""Getting one file over HTTP: resumed where it stopped, checked, and never seen half-done."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError, UnavailableError

CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_CHUNK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def download(url: str, folder: Path, filename: str, sha256: str | None = None) -> Path:
    """Fetch `url` into `folder`; what an earlier try left behind is continued.

    The bytes go to ``<filename>.part`` in the same folder, which is renamed once it is complete,
    checked and on the disk. A second process that fetches the same file waits for the first.

    Args:
        url: ``http`` or ``https``.
        folder: made if it does not exist.
        filename: what to call the file.
        sha256: the digest in hex, or its first digits. Where it is None and the server tells one,
            as Hugging Face does, that one is checked and its first digits join the name.

    Returns:
        The file's path.

    Raises:
        UnavailableError: no network, no such file, a connection that broke, or other bytes than
            expected.
        CamcliError: the folder cannot be written, or the disk is full.
    """
    part = folder / f"{filename}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            try:
                if done := present(folder, filename):
                    return done
                told = _receive(url, file, part)
                file.flush()
                os.fsync(file.fileno())
                _check(part, url, sha256 or told)
            finally:
                if part.is_file() and part.stat().st_size == 0:
                    part.unlink()
            target = folder / filename
            if sha256 is None and told:
                target = folder / f"{target.stem}-{told[:8]}{target.suffix}"
            if sys.platform == "win32":  # which renames no open file
                file.close()
            part.replace(target)
            return target
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise UnavailableError(_why(error, url, part)) from error
    except OSError as error:
        raise CamcliError(
            f"{part} cannot be written: {error.strerror or error}. $CAMCLI_WEIGHTS_DIR names "
            "another folder for weights."
        ) from error


def present(folder: Path, filename: str) -> Path | None:
    """The file in `folder`, under its name or under its name and the digits of its sha256."""
    path = folder / filename
    if path.is_file():
        return path
    named = re.compile(re.escape(path.stem) + "-[0-9a-f]{8}" + re.escape(path.suffix))
    if not folder.is_dir():
        return None
    return next((each for each in folder.iterdir() if named.fullmatch(each.name)), None)


def _receive(url: str, file: Any, part: Path) -> str | None:
    """Append what is missing of `url` to `file`; the sha256 that the server tells, if it does."""
    from tqdm import tqdm

    have = part.stat().st_size
    response, told = _open(url, have)
    with response:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status == 416:  # nothing is left to send
            return told
        if response.status != 206 or not match or int(match[1]) != have:
            file.truncate(0)  # the server sends it all again
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with tqdm(
            total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, file=sys.stderr
        ) as bar:
            while chunk := _read(response):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
    if total is not None and have < total:
        file.flush()
        raise ConnectionError(f"it ended after {have} of {total} bytes")
    return told


def _read(response: Any) -> bytes:
    """The next bytes; whatever goes wrong is the connection's fault, not the disk's."""
    try:
        return response.read(_CHUNK)
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from error


def _open(url: str, have: int) -> tuple[Any, str | None]:
    """The response to a request for all but the first `have` bytes, within `CONNECT_SECONDS`.

    Looking a name up knows no timeout of its own, and without a network it can take half a minute:
    so the request runs in a thread that is left behind when the time is over.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "camcli"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    hops = _Hops()
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            opener = urllib.request.build_opener(hops)
            answers.put(opener.open(request, timeout=_READ_SECONDS))
        except urllib.error.HTTPError as error:
            answers.put(error)
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
    if isinstance(answer, urllib.error.HTTPError) and answer.code == 416 and have:
        return answer, hops.sha256
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


def _check(part: Path, url: str, sha256: str | None) -> None:
    if sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256):
        part.unlink()
        raise UnavailableError(
            f"{url} sent other bytes than expected (sha256 {digest[: len(sha256)]}, not {sha256}): "
            "nothing was kept; try again, or another network."
        )


@contextmanager
def _alone(part: Path) -> Iterator[Any]:
    """`part` open for appending, and locked where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        with part.open("ab") as file:
            yield file
        return
    while True:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held the lock may have renamed or removed the file that was opened here.
            try:
                same = os.path.samestat(os.fstat(file.fileno()), part.stat())
            except FileNotFoundError:
                same = False
            if same:
                yield file
                return


def _why(error: Exception, url: str, part: Path) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{url} answered {error.code} {error.reason}"
    cause = getattr(error, "reason", None) or error
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if part.is_file() and part.stat().st_size:
        return f"the connection to {url} broke ({text}); the next try continues"
    return f"the network was not reached ({text})"
