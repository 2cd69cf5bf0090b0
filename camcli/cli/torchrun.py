"""What a command does differently when torchrun starts several of it; read without torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from camcli.cli.terminal.console import FATAL, Terminated
from camcli.train.torchrun import speaks


@contextmanager
def first_speaks(*errors: type[BaseException]) -> Iterator[None]:
    """Of the processes that torchrun started, the first one alone tells what ended them all."""
    try:
        yield
    except errors as error:
        if speaks():
            raise
        if not isinstance(error, (KeyboardInterrupt, Terminated)):
            # torchrun ends all as soon as one is gone: the first one is to speak before that.
            with suppress(KeyboardInterrupt, Terminated):
                time.sleep(5)
        raise typer.Exit(FATAL) from None
