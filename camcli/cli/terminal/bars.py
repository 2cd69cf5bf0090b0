"""Progress bars on stderr: drawn in a terminal, a line now and then in a log file.

Both tell how fast it goes and how long it will take; what was done before counts for neither.
"""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from camcli.locks import no_semaphores

no_semaphores()

FIRST, MOST = 10.0, 300.0
"""Seconds between two lines of a log file: at the start, and at most."""
OFTEN = 0.05
"""Share of the time so far that passes before the next line: of hours nobody reads thousands."""


class _Bar(tqdm):
    """Writes ``88.0 img/s``, and ``5.0s/img`` where it is slow."""

    @staticmethod
    def format_meter(*values: Any, unit: str = "it", **more: Any) -> str:
        """The line."""
        line = tqdm.format_meter(*values, unit=unit, **more)
        return str(line).replace(f"s/{unit}", f"s/{unit.strip()}")


class _Lines(_Bar):
    """Whole lines, with nothing to be rubbed out, which a file could not do."""

    def __init__(self, **options: Any) -> None:
        self._said = -1.0
        super().__init__(
            mininterval=FIRST,
            smoothing=0,  # the whole run so far
            bar_format="{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            **options,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """One line, unless there was one a moment ago."""
        if self._said < 0:  # at the start, when there is nothing to say
            self._said = self._time()
        elif self._time() - self._said >= self.mininterval:
            self._line()
            past = self._said - self.start_t
            self.mininterval: float = min(MOST, max(FIRST, OFTEN * past))
        return True

    def _line(self) -> None:
        self._said = self._time()
        self.fp.write(f"{self}\n")

    def clear(self, nolock: bool = False) -> None:
        """A line stays where it is."""

    def close(self) -> None:
        """The last line."""
        if not self.disable:  # closed before, or quiet
            if self.leave:
                self._line()
            self.disable: bool = True
            self._decr_instances(self)


def bar(
    total: int | None,
    *,
    unit: str,
    title: str | None = None,
    initial: int = 0,
    quiet: bool = False,
    leave: bool = True,
    after: float = 0.0,
) -> tqdm[Any]:
    """A bar on stderr; a context manager.

    Args:
        total: what it counts up to; None if nobody knows.
        unit: what is counted; B for bytes.
        title: in front of it.
        initial: what it starts from.
        quiet: show nothing.
        leave: keep the last state on the screen.
        after: seconds before which nothing is drawn in a terminal.
    """
    options: dict[str, Any] = {
        "total": total, "unit": unit if unit == "B" else f" {unit}", "desc": title,
        "initial": initial, "disable": quiet, "file": sys.stderr, "leave": leave,
        "unit_scale": unit == "B", "delay": after,
    }  # fmt: skip
    return _Bar(dynamic_ncols=True, **options) if sys.stderr.isatty() else _Lines(**options)


def skip(drawn: tqdm[Any], count: int) -> None:
    """Let a bar know that `count` more were done before, in no time.

    A rate with them in it would promise that the rest takes no time either.

    Args:
        drawn: a bar of `bar`.
        count: how many.
    """
    drawn.initial += count
    drawn.n += count
    drawn.last_print_n += count
    if drawn.delay <= drawn._time() - drawn.start_t:
        drawn.refresh()
