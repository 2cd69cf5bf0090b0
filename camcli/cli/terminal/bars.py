"""Progress bars on stderr: drawn in a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


class _Lines(tqdm):
    """Whole lines, with nothing to be rubbed out, which a file could not do."""

    def __init__(self, **options: Any) -> None:
        self._said = -1.0
        super().__init__(
            mininterval=10,
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
) -> tqdm[Any]:
    """A bar on stderr; a context manager.

    Args:
        total: what it counts up to; None if nobody knows.
        unit: what is counted; B for bytes.
        title: in front of it.
        initial: what it starts from.
        quiet: show nothing.
        leave: keep the last state on the screen.
    """
    options: dict[str, Any] = {
        "total": total, "unit": unit, "desc": title, "initial": initial, "disable": quiet,
        "file": sys.stderr, "leave": leave, "unit_scale": unit == "B",
    }  # fmt: skip
    return tqdm(dynamic_ncols=True, **options) if sys.stderr.isatty() else _Lines(**options)
