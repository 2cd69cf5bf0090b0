"""One big file over HTTP, continued where it stopped, even in another process."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from camcli.errors import CamcliError, UnavailableError

Progress = Callable[[int, int | None], object]
"""Called with (bytes so far, bytes in all or None)."""

_BLOCK = 1 << 18
_TIMEOUT = 30.0


def download(
    url: str, part: Path, *, tries: int = 5, pause: float = 2.0, progress: Progress | None = None
) -> None:
    """Fetch a file; a broken connection is taken up again.

    Bytes are appended to `part`; the server's entity tag is kept beside it (``.etag``), so that
    a file that has changed in the meantime starts anew instead of being glued to the old half.

    Args:
        url: ``http`` or ``https``.
        part: where the bytes go; complete on return.
        tries: attempts in a row that bring nothing before giving up.
        pause: seconds before another attempt, doubled each time.
        progress: called after every block.

    Raises:
        UnavailableError: not there, or the connection keeps breaking; what came is kept.
        CamcliError: it cannot be written, for example because the disk is full.
    """
    fruitless = 0
    while True:
        before = _size(part)
        try:
            if _attempt(url, part, progress):
                return
            reason = "the connection broke"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # what is here is not a beginning of what is there
                part.unlink(missing_ok=True)
                reason = "it changed in the meantime"
            elif error.code < 500 and error.code not in (408, 429):
                raise UnavailableError(f"{url} answered {error.code} {error.reason}.") from error
            else:
                reason = f"the server answered {error.code}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            if isinstance(error, urllib.error.URLError) and not _size(part):
                fruitless = tries  # there is no way to it: waiting would only hide that
        except TimeoutError:
            reason = f"nothing came for {_TIMEOUT:.0f} seconds"
        except OSError as error:
            raise CamcliError(
                f"{part} could not be written: {error.strerror or error}; what came is kept."
            ) from error
        fruitless = 0 if _size(part) > before else fruitless + 1
        if fruitless >= tries:
            have = _size(part)
            raise UnavailableError(
                f"{url} could not be fetched ({reason}); "
                + (
                    f"{have:,} bytes are kept, and the same command goes on from there."
                    if have
                    else "check the network, then try again."
                )
            )
        time.sleep(pause * 2 ** max(0, fruitless - 1))


def _attempt(url: str, part: Path, progress: Progress | None) -> bool:
    """One connection; whether the file is complete after it."""
    have, tag_file = _size(part), part.with_name(part.name + ".etag")
    request = urllib.request.Request(url, headers={"User-Agent": "camcli"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if tag_file.exists():
            request.add_header("If-Range", tag_file.read_text())
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        resumed = response.status == 206 and _start(response.headers["Content-Range"]) == have
        if not resumed:
            if response.status == 206:  # some other piece: ask again, for everything
                part.unlink(missing_ok=True)
                return False
            have = 0
            tag = response.headers["ETag"]
            if tag and not tag.startswith("W/"):
                tag_file.write_text(tag)
            else:
                tag_file.unlink(missing_ok=True)
        length = response.headers["Content-Length"]
        total = have + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                have += len(block)
                if progress:
                    progress(have, total)
        if total is not None and have < total:
            return False
    tag_file.unlink(missing_ok=True)
    return True


def _start(content_range: str | None) -> int:
    """The first byte of ``bytes 100-199/1000``; -1 for anything else."""
    first = (content_range or "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
