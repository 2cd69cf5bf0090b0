"""Decoding in processes of their own, for files that nobody vouches for.

Decoders are written in C, and a crafted file may crash one, hang it or make it take all memory. In
a thread that ends the whole program; here it costs one picture. A decoding process gets the bytes
of a file through a pipe and answers with pixels through another: it opens nothing itself, and what
it says is checked, not unpickled. It limits itself: the memory it may map, and the time that one
picture may take, after which the kernel ends it, even if the program that started it is gone.

(A pipe that holds a photograph, 1 MB, copies once more than shared memory would, but nothing is
left behind by a kill.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any

import numpy as np

from camcli.data.decode.images import (
    MAX_PIXELS,
    Enough,
    Picture,
    decode_picture,
    printable,
    read_bytes,
)
from camcli.data.decode.memory_budget import BUDGET, asking
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, ImageError, UsageError, stage

SECONDS = 30.0
"""CPU time that one picture may take."""

CLOCK = 300.0
"""Seconds by the clock that it may take: longer, as a busy machine is nobody's fault."""

MEMORY = 4 << 30
"""Bytes that a decoding process may map: the largest picture that is read takes about 3 GB."""

_PIPE = 1 << 20
_HAS_LIMITS = sys.platform != "win32"
# What ends a process whose time is over, of the processor or by the clock.
_BUSY, _LATE = (getattr(signal, name, 0) for name in ("SIGPROF", "SIGALRM"))
# The answer to a decoder that needs room, and the most bytes a pixel that it may ask for.
_GO, _MOST = b"go\n", 16
_LONGEST_LINE = 1 << 16


class Isolated:
    """Reads pictures as `images.load_picture` does, decoding elsewhere; thread-safe.

    As many processes are started as threads call at once.

    Example:
        >>> with Isolated() as load:                             # doctest: +SKIP
        ...     rgb, width, height = load(Path("cat.jpg"))
    """

    def __init__(
        self,
        enough: Enough | None = None,
        *,
        seconds: float = SECONDS,
        clock: float = CLOCK,
        memory: int = MEMORY,
        serve: str = "camcli.data.decode.isolate:serve",
    ) -> None:
        """Nothing is started yet.

        Args:
            enough: how many pixels are enough; None for all of them.
            seconds: of CPU time for one picture.
            clock: seconds by the clock for it.
            memory: bytes that a process may map.
            serve: what runs in a process, as ``module:function``.

        Raises:
            UsageError: the system has no such limits.
        """
        if not _HAS_LIMITS:
            raise UsageError("Decoding in separate processes (--isolate) needs Linux or macOS.")
        self._enough, self._seconds = enough, seconds
        module, _, function = serve.partition(":")
        self._command = [
            sys.executable,
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from {module} import {function} as serve; "
            f"serve({seconds!r}, {clock!r}, {memory!r})",
        ]
        self._idle: SimpleQueue[_Process] = SimpleQueue()

    def __call__(self, image: Path | ImageRef) -> Picture:
        """Read one picture.

        Raises:
            ImageError: as `load_picture` does, or decoding it crashed or took too long.
            CamcliError: no process can be started.
        """
        with stage("read"):
            name, data = read_bytes(image)
        with BUDGET.held():
            return self._tried(name, data)

    def _tried(self, name: str, data: bytes) -> Picture:
        """Decode, with a second process where the first one died."""
        try:
            try:
                return self._decode(name, data)
            except _DiedError:  # once more, for it may have been killed for another's sins
                return self._decode(name, data)
        except _TookTooLongError as error:
            raise ImageError(
                f"{printable(name)}: decoding took more than {self._seconds:g} seconds, so it was "
                "stopped; the file is damaged, or made to harm."
            ) from error
        except _DiedError as error:
            raise ImageError(
                f"{printable(name)}: the decoder failed on it twice ({error}); the file is "
                "damaged, or made to harm."
            ) from error

    def _decode(self, name: str, data: bytes) -> Picture:
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = _Process(self._command)
        try:
            picture = process.decode(name, data, self._enough)
        except ImageError:
            self._idle.put(process)
            raise
        except BaseException:
            process.kill()
            raise
        self._idle.put(process)
        return picture

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        while not self._idle.empty():
            self._idle.get().kill()


class _DiedError(Exception):
    """The process ended before it answered, or answered nonsense."""


class _TookTooLongError(Exception):
    """It ended because its CPU time was over."""


class _Process:
    """The near end of one decoding process."""

    def __init__(self, command: list[str]) -> None:
        # A session of its own: Ctrl-C is for the program, which finishes what is in flight.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for pipe in (self._in, self._out):
            _widen(pipe)
        if self._out.readline(_LONGEST_LINE) != b"ready\n":
            self.kill()
            raise CamcliError(
                "A process to decode pictures in cannot be started (--isolate): it ended with "
                f"status {self._process.returncode}. Is there enough memory?"
            )

    def decode(self, name: str, data: bytes, enough: Enough | None) -> Picture:
        """Send one file and wait for its pixels.

        Raises:
            ImageError: what the decoder says is wrong with the file.
            _DiedError: it says nothing, or nonsense.
            _TookTooLongError: its time was over.
        """
        try:
            _send(self._in, {"name": name, "bytes": len(data), "enough": enough}, data)
            line = self._out.readline(_LONGEST_LINE)
            if not line:
                raise EOFError
            answer = json.loads(line)
            if "needs" in answer:  # once: it has seen the header and waits
                if not 0 <= answer["needs"] <= MAX_PIXELS * _MOST:
                    raise ValueError
                BUDGET.take(answer["needs"])
                self._in.write(_GO)
                self._in.flush()
                line = self._out.readline(_LONGEST_LINE)
                if not line:
                    raise EOFError
                answer = json.loads(line)
            if "error" in answer:
                raise ImageError(printable(answer["error"]))
            h, w, width, height = (int(answer[key]) for key in ("h", "w", "width", "height"))
            if not (0 < h * w <= width * height <= MAX_PIXELS and min(h, w) > 0):
                raise ValueError
            rgb = np.empty((h, w, 3), np.uint8)
            if self._out.readinto(rgb.reshape(-1)) < rgb.size:  # type: ignore[attr-defined]
                raise EOFError
        except (OSError, EOFError) as error:
            code = self._process.wait()  # its end of the pipes is closed: it is ending
            if code == -_BUSY:
                raise _TookTooLongError from error
            cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            if code == -_LATE:
                cause = "no answer in time"
            raise _DiedError(cause) from error
        except (ValueError, KeyError, TypeError) as error:
            raise _DiedError("what it answered makes no sense") from error
        return Picture(rgb, width, height)

    def kill(self) -> None:
        """End it and forget it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out):
            with suppress(OSError):  # what could not be sent any more
                pipe.close()


def serve(
    seconds: float,
    clock: float,
    memory: int,
    decode: Callable[[bytes, str, Enough | None], Picture] = decode_picture,
) -> None:
    """The far end: answer requests on stdin until it is closed.

    Args:
        seconds: of CPU time for one picture.
        clock: seconds by the clock for it.
        memory: bytes that this process may map.
        decode: the whole file, its name, and how many pixels are enough, to a picture.
    """
    if sys.platform == "win32":
        raise AssertionError
    import resource

    # What a library prints must not mix with the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # not on this system, or stricter already
            resource.setrlimit(limit, (value, value))
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)
    out.write(b"ready\n")
    out.flush()

    def room(count: int) -> None:
        """Ask the other end, and wait for as long as it takes."""
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        _send(out, {"needs": count}, b"")
        if requests.readline() != _GO:
            sys.exit()
        signal.setitimer(signal.ITIMER_REAL, left)

    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        if len(data) < request["bytes"]:
            return
        enough = Enough(*request["enough"]) if request["enough"] else None
        # The kernel keeps these, so they hold while the interpreter waits for a decoder in C.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, clock)
        try:
            with asking(room):
                answer, body = _answer(decode(data, request["name"], enough))
        except ImageError as error:
            answer, body = {"error": str(error)[:2000]}, b""
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        _send(out, answer, body)
        del body  # or the pixels would be kept until the next picture is asked for


def _answer(picture: Picture) -> tuple[dict[str, Any], Any]:
    h, w = picture.rgb.shape[:2]
    return {"h": h, "w": w, "width": picture.width, "height": picture.height}, picture.rgb.reshape(
        -1
    )


def _send(pipe: IO[bytes], header: dict[str, Any], body: Any) -> None:
    pipe.write(json.dumps(header).encode() + b"\n")
    pipe.write(body)
    pipe.flush()


def _widen(pipe: IO[bytes]) -> None:
    """A photograph then takes fewer hand-overs; nothing depends on it."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # each user has so many pages for pipes
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
