"""A bar for each time that photographs are looked at: one look may cost a hundred times another."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from camcli.train.progress import Bar, Listener


class Turns:
    """Bars one after the other, so that each tells how long it itself will take.

    Attributes:
        listener: shows them.
        name: of the network.
        count: photographs.
    """

    def __init__(self, listener: Listener, name: str, count: int) -> None:
        self.listener, self.name, self.count = listener, name, count
        self._open = ExitStack()
        self._bar = Bar()

    def __enter__(self) -> Turns:
        self.begin("")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._open.__exit__(kind, error, trace)

    def begin(self, words: str) -> None:
        """The photographs are looked at once more, for what the words say."""
        self._open.close()
        title = f"{self.name}, {words}" if words else self.name
        self._bar = self._open.enter_context(self.listener.bar(title, self.count, "image"))

    def advance(self) -> None:
        """One photograph is done."""
        self._bar.advance(1)
