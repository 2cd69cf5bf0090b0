"""What every command shares: messages on stderr, exit codes, interrupts."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
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
    def handler(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever calls from another keeps theirs
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
