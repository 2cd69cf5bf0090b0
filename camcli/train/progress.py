"""How a run tells what it is doing; the command line draws bars, a library user hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
    def bar(self, title: str, total: int, unit: str) -> Iterator[Bar]:
        """Wrap a piece of work that counts up to `total`."""
        yield Bar()
