"""Messages and progress bars on stderr, for commands that work through several stages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from camcli.cli.terminal.console import say, slow, warn
from camcli.train.progress import Bar, Listener

if TYPE_CHECKING:
    from tqdm import tqdm


class TerminalListener(Listener):
    """Draws what a run tells."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def say(self, text: str) -> None:
        """One line."""
        self._above(lambda: say(text))

    def warn(self, text: str) -> None:
        """One line that stands out."""
        self._above(lambda: warn(text))

    def _above(self, speak: Callable[[], None]) -> None:
        """Without tearing a bar that is being drawn."""
        if self._bar is None:
            speak()
            return
        with self._bar.external_write_mode(file=sys.stderr):
            speak()

    @contextmanager
    def slow(self, text: str) -> Iterator[None]:
        """Say what is going on, if it goes on for more than a second."""
        with slow(text):
            yield

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """A bar while the work goes on; none for no work, nor a line for what ends unforeseen."""
        from camcli.cli.terminal.bars import bar

        # Each epoch is a line, see `camcli.train.progress.epoch_line`.
        lines = unit in ("epoch", "solve")
        if total == 0 or lines or (total is None and not sys.stderr.isatty()):
            yield Bar()
            return
        with bar(total, title=title, unit=unit, leave=total is not None) as drawn:
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

    def show(self, **numbers: float) -> None:
        """The numbers at the end of the bar."""
        self._drawn.set_postfix({name: f"{value:.4f}" for name, value in numbers.items()})
