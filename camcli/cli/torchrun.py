"""What a command does differently when torchrun starts several of it; read without torch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from camcli.cli.terminal.console import FATAL, Terminated


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


def speaks() -> bool:
    """Whether this process is the one, or the first of several, that tells a person something."""
    return not several() or os.environ.get("RANK", "0") == "0"


def several() -> bool:
    """Whether torchrun started this process, and others with it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
