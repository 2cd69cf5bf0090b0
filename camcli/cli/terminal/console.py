"""What every command shares: messages on stderr, exit codes, interrupts."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, NoReturn, TextIO, cast

import typer
from typer.core import TyperGroup

from camcli.cli.terminal.streams import ReaderGoneError, tolerated
from camcli.errors import DEBUG, CamcliError, UsageError, out_of_memory
from camcli.ours import finite
from camcli.printable import harmless

if TYPE_CHECKING:
    from rich.console import Console

OK, FATAL, USAGE, SOME_FAILED, UNAVAILABLE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


class Terminated(BaseException):
    """SIGTERM and its like as an exception, so that files are closed and a run can be resumed."""


def _ending() -> list[signal.Signals]:
    """The signals that ask this process to end, but for Ctrl-C.

    Also that of a terminal that is closed, unless ``nohup`` has said to ignore it, and Windows'
    Ctrl-Break, which is what a parent process can send there.
    """
    found = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGBREAK")]
    there = [number for number in found if number is not None]
    return [n for n in there if n == signal.SIGTERM or signal.getsignal(n) != signal.SIG_IGN]


class Friendly(TyperGroup):
    """Turns errors into one message and an exit code; a user's mistake never shows a traceback."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of that name.

        Raises:
            UsageError: it is a picture or a folder, whose command was left out; or ``help``.
        """
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            if name == "help":
                raise UsageError("Help is an option: camcli --help, or camcli explain --help.")
            quoted = shlex.quote(name)
            if Path(name).is_dir():
                raise UsageError(f"A folder is explained by: camcli batch {quoted} --out run")
            if Path(name).is_file():
                raise UsageError(f"A picture is explained by: camcli explain {quoted}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with _sigterm_raises():
                return super().invoke(ctx)
        except CamcliError as error:
            fail(str(error), error.exit_code)
        except ReaderGoneError:
            # `camcli ... | head`: the reader has what it wanted.
            raise typer.Exit(OK) from None
        except KeyboardInterrupt:
            fail("Interrupted.", INTERRUPTED)
        except Terminated:
            fail("Terminated.", TERMINATED)
        except Exception as error:
            # Typer's own (Exit, bad options) are its business.
            if type(error).__module__.startswith(("typer", "click")) or os.environ.get(DEBUG):
                raise
            if told := refusal(error):
                fail(told, FATAL)
            fail(
                f"Unexpected {type(error).__name__}: {error}. This is a mistake in camcli; "
                f"{DEBUG}=1 shows where.",
                FATAL,
            )


_ADVICE = {
    errno.EMFILE: "raise the limit ('ulimit -n 1024'), or lower --workers",
    errno.ENFILE: "close other programs",
    errno.ENOSPC: "make room, and run the command again",
    errno.EDQUOT: "make room, and run the command again",
    errno.ENOMEM: "close other programs, raise 'ulimit -v', or lower --batch-size and --workers",
    errno.EAGAIN: "the limit on processes and threads is reached: raise 'ulimit -u', or lower "
    "--workers",
    errno.EIO: "the disk or the network drive does not answer as it should",
    errno.EACCES: "give this user the permission, or choose another place",
    errno.EPERM: "give this user the permission, or choose another place",
    errno.EROFS: "it is mounted for reading only: choose another place",
    errno.ENAMETOOLONG: "the name is longer than this disk takes: choose a shorter one",
    errno.ENOENT: "it is not there, or was removed meanwhile",
    errno.ESTALE: "it was removed meanwhile",
}


def refusal(error: Exception) -> str | None:
    """What the machine refused, in a sentence; None for an error that only camcli can explain.

    Args:
        error: that nobody has caught where more was known about it.
    """
    if out_of_memory(error):
        return f"There is not enough memory: {_ADVICE[errno.ENOMEM]}."
    # A module that is missing or a library that does not load is the installation's mistake.
    if isinstance(error, ImportError) and not (error.name or "").startswith("camcli"):
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError) and cause.errno in _ADVICE:
            return refusal(cause)
        return f"A library that camcli needs cannot be loaded: {error}. Install camcli anew."
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.errno == errno.ENOENT and error.filename is None and not _has_folder():
        return "The current folder was removed: change to another one."
    where = f"{printed(error.filename)}: " if error.filename is not None else ""
    advice = _ADVICE.get(error.errno)
    return f"{where}{error.strerror}" + (f"; {advice}." if advice else ".")


def _has_folder() -> bool:
    """Whether the current folder still is one."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    first: list[float] = []
    ended = threading.Event()

    def handler(number: int, frame: FrameType | None) -> None:
        if first:  # `timeout` sends it twice at once, which is no second wish
            if time.monotonic() - first[0] > 1:
                os._exit(TERMINATED)
            return
        first.append(time.monotonic())
        end_hard(ended)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever calls from another keeps theirs
        return
    before = {number: signal.signal(number, handler) for number in _ending()}
    try:
        yield
    finally:
        ended.set()
        for number, earlier in before.items():
            signal.signal(number, earlier)


def end_hard(unless: threading.Event, seconds: float = 10.0) -> None:
    """End the process in a while, though a thread of it waits for a dead disk and never ends.

    Files are written whole or not at all, so nothing is lost by it.

    Args:
        unless: set it, and nothing happens.
        seconds: that the process has to end by itself.
    """

    def wait() -> None:
        if not unless.wait(seconds):
            os.write(2, b"error: Terminated, though something did not end by itself.\n")
            os._exit(TERMINATED)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def stops_gently(stop: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM only asks the block to come to an end; the next one ends it.

    Args:
        stop: asks; called in the main thread, at any moment.

    Raises:
        KeyboardInterrupt: after the block, if Ctrl-C asked.
        Terminated: after the block, if another signal asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        restore()
        asked.append(number)
        stop()
        # Not through sys.stderr, which may be in the middle of a line.
        with suppress(OSError):
            os.write(2, b"\nFinishing what has begun; once more to stop at once.\n")

    for number in (signal.SIGINT, *_ending()):
        before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
    if asked:
        raise KeyboardInterrupt if asked[0] == signal.SIGINT else Terminated


def say(text: str, before: str = "") -> None:
    """One line on stderr.

    Args:
        text: what controls a terminal in it, from a file's name perhaps, is shown in place of done.
        before: of ours, and shown as it is.
    """
    stream = sys.stderr
    if stream is None:  # a program without a console, which calls this from Python
        return
    text = before + harmless(text)
    with suppress(OSError, ValueError):  # nobody is there to read it
        try:
            stream.write(f"{text}\n")
        except UnicodeEncodeError:
            stream.write(f"{tolerated(text, stream.encoding)}\n")
        stream.flush()


@contextmanager
def slow(text: str, *, after: float = 1.0, quiet: bool = False) -> Iterator[None]:
    """Say what is going on, if it goes on for longer than this; nobody waits before a blank screen.

    Args:
        text: one line.
        after: seconds.
        quiet: say nothing.
    """
    if quiet:
        yield
        return
    timer = threading.Timer(after, say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def warn(text: str) -> None:
    """A warning on stderr."""
    say(text, styled("warning: ", fg="yellow", bold=True))


def failed(text: object) -> None:
    """An image that could not be done, on stderr."""
    say(str(text), styled("failed: ", fg="red"))


def fail(text: str, code: int) -> NoReturn:
    """An error on stderr, then leave."""
    say(text, styled("error: ", fg="red", bold=True))
    raise typer.Exit(code)


def styled(text: str, **style: Any) -> str:
    """A text for stderr, in colour where that is a terminal that has and may show any."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or sys.stderr is None:
        return text
    shown = os.environ.get("FORCE_COLOR") or sys.stderr.isatty()
    return typer.style(text, **style) if shown else text


def emit(text: object, end: str = "\n") -> None:
    """Data on stdout.

    Raises:
        UnwritableError: it cannot be written.
        ReaderGoneError: nobody reads it.
    """
    line = f"{text}{end}"
    try:
        sys.stdout.write(line)
    except UnicodeEncodeError:
        sys.stdout.write(tolerated(line, sys.stdout.encoding))
    sys.stdout.flush()


class _Tolerant:
    """A stream that writes what its encoding has not in another way, whoever made it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Take a text."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            return self._stream.write(tolerated(text, self._stream.encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def tables() -> Console:
    """What draws tables on stdout."""
    from rich.console import Console

    return Console(file=cast(IO[str], _Tolerant(sys.stdout)), highlight=False)


def emit_json(value: Any, *, indent: int | None = None) -> None:
    """A JSON text on stdout: always valid, whatever is in it and whatever stdout can encode.

    A number that is not finite becomes null. Where a name is not UTF-8, or stdout is not, all that
    is not ASCII is escaped.
    """
    value = finite(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, ensure_ascii=True, allow_nan=False)
    emit(text)


def printed(name: Any) -> str:
    """A file's name for the middle of a sentence."""
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
