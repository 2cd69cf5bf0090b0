"""How work tells what it is doing; the command line draws bars, Python has it in its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("camcli")


class Bar:
    """A count that grows."""

    def advance(self, count: int) -> None:
        """`count` more are done."""

    def show(self, **numbers: float) -> None:
        """The latest numbers, such as the loss."""


class Listener:
    """Silent; override what should be seen."""

    def say(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str) -> None:
        """Something that a person should know before believing the result."""

    @contextmanager
    def slow(self, text: str) -> Iterator[None]:
        """Wrap what may take a while; `text` is for those who are still waiting then."""
        yield

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """Wrap a piece of work that counts up to `total`; None where that is not known."""
        yield Bar()


class LogListener(Listener):
    """Tells the logger ``camcli``: warnings are seen in a notebook, news where it is asked for."""

    def say(self, text: str) -> None:
        """One line of news, as INFO."""
        log.info(text)

    def warn(self, text: str) -> None:
        """What should be known before the result is believed, as WARNING."""
        log.warning(text)
