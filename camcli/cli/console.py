"""What every command shares: messages on stderr, exit codes, interrupts."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from camcli.errors import CamcliError

OK, FATAL, USAGE, SOME_FAILED, UNAVAILABLE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


# With this variable set, an unexpected error shows its traceback.
DEBUG = "CAMCLI_DEBUG"


class Terminated(BaseException):
    """SIGTERM, turned into an exception so that files are closed and the run can be resumed."""


class Friendly(TyperGroup):
    """Turns errors into one message and an exit code; a user's mistake never shows a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with _sigterm_raises():
                return super().invoke(ctx)
        except CamcliError as error:
            fail(str(error), error.exit_code)
        except BrokenPipeError:
            # `camcli ... | head`: the reader has what it wanted. Python would complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OK) from None
        except KeyboardInterrupt:
            fail("Interrupted.", INTERRUPTED)
        except Terminated:
            fail("Terminated.", TERMINATED)
        except Exception as error:
            # Typer's own (Exit, bad options) are its business; anything else is a bug of ours.
            if type(error).__module__.startswith(("typer", "click")) or os.environ.get(DEBUG):
                raise
            fail(
                f"Unexpected {type(error).__name__}: {error}. This is a mistake in camcli; "
                f"{DEBUG}=1 shows where.",
                FATAL,
            )


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
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGTERM, before)


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
        Terminated: after the block, if SIGTERM asked.
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
        os.write(2, b"\nFinishing what has begun; once more to stop at once.\n")

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
    if asked:
        raise KeyboardInterrupt if asked[0] == signal.SIGINT else Terminated


def say(text: str) -> None:
    """One line on stderr."""
    typer.echo(text, err=True)


def warn(text: str) -> None:
    """A warning on stderr."""
    say(typer.style("warning: ", fg="yellow", bold=True) + text)


def fail(text: str, code: int) -> NoReturn:
    """An error on stderr, then leave."""
    say(typer.style("error: ", fg="red", bold=True) + text)
    raise typer.Exit(code)
