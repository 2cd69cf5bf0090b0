"""Messages and progress bars on stderr, for commands that work through several stages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from camcli.cli.terminal.closing import hanging
from camcli.cli.terminal.console import say, slow, warn
from camcli.locks import no_semaphores
from camcli.train.progress import Bar, Listener

if TYPE_CHECKING:
    from tqdm import tqdm

LINES = ("epoch", "solve", "candidate")
"""Units each of which is told in a line of its own."""
BRIEF = ("file",)
"""Units that mostly pass in a moment."""


class TerminalListener(Listener):
    """Draws what a run tells."""

    def __init__(self) -> None:
        no_semaphores()  # before torch draws a bar
        self._bar: tqdm[Any] | None = None

    def say(self, text: str) -> None:
        """One line; in a terminal as many as it takes, broken between words."""
        words = text.lstrip(" ")
        indent = text[: len(text) - len(words)]
        self._above(lambda: hanging(indent, words) if sys.stderr.isatty() else say(text))

    def warn(self, text: str) -> None:
        """One line that stands out."""
        self._above(lambda: warn(text))

    def _above(self, speak: Callable[[], None]) -> None:
        """Without tearing a bar that is being drawn."""
        bar = self._bar
        if bar is None or bar._time() - bar.start_t < bar.delay:  # not drawn yet
            speak()
            return
        with bar.external_write_mode(file=sys.stderr):
            speak()

    @contextmanager
    def slow(self, text: str) -> Iterator[None]:
        """Say what is going on, if it goes on for more than a second."""
        with slow(text):
            yield

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """A bar while the work goes on; none for no work, nor a line for what ends unforeseen."""
        told = unit in LINES  # and so needs no bar in a file, nor when it is over
        if (total is None or told) and not sys.stderr.isatty():
            yield Bar()
            return
        passes = told or total is None or unit in BRIEF
        after = 1.0 if told or unit in BRIEF else 0.0
        with self._drawn(title, total, unit, leave=not passes, after=after) as bar:
            yield bar

    @contextmanager
    def passing(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """A bar in a terminal while the work takes more than a moment."""
        with self._drawn(title, total, unit, leave=False, after=1.0) as bar:
            yield bar

    @contextmanager
    def _drawn(
        self, title: str, total: int | None, unit: str, *, leave: bool, after: float
    ) -> Iterator[Bar]:
        from camcli.cli.terminal.bars import bar

        if total == 0:
            yield Bar()
            return
        with bar(total, title=title, unit=unit, leave=leave, after=after) as drawn:
            self._bar = drawn
            try:
                yield _TqdmBar(drawn)
            finally:
                self._bar = None


class _TqdmBar(Bar):
    def __init__(self, drawn: tqdm[Any]) -> None:
        self._drawn = drawn

    def advance(self, count: int) -> None:
        """`count` more are done."""
        self._drawn.update(count)

    def skip(self, count: int) -> None:
        """`count` more were done before."""
        from camcli.cli.terminal.bars import skip

        if count and count == self._drawn.total:  # nothing is left to be told
            self._drawn.leave = False
        skip(self._drawn, count)

    def show(self, **numbers: float) -> None:
        """The numbers at the end of the bar."""
        told = {name: f"{value:.4f}" for name, value in numbers.items()}
        self._drawn.set_postfix(told, refresh=False)
