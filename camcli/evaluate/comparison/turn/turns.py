"""A bar for each time that photographs are looked at: one look may cost a hundred times another."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from camcli.train.progress import Bar, Listener


class Turns(ExitStack):
    """Bars one after the other, so that each tells how long it itself will take.

    Attributes:
        listener: shows them.
        name: of the network.
        count: photographs.
    """

    def __init__(self, listener: Listener, name: str, count: int) -> None:
        super().__init__()
        self.listener, self.name, self.count = listener, name, count
        self._bar = Bar()

    def __enter__(self) -> Self:
        self.begin("")
        return super().__enter__()

    def begin(self, words: str) -> None:
        """The photographs are looked at once more, for what the words say."""
        self.close()
        title = f"{self.name}, {words}" if words else self.name
        self._bar = self.enter_context(self.listener.bar(title, self.count, "image"))

    def advance(self) -> None:
        """One photograph is done."""
        self._bar.advance(1)
