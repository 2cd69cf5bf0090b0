"""How much time there is left, and what was not looked at for want of it."""

from __future__ import annotations

import time


class Clock:
    """Started when it is made.

    Args:
        seconds: how long work may take; None for as long as it takes.

    Attributes:
        skipped: what was not looked at, and why, a sentence each.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self.skipped: list[str] = []

    def part(self, share: float) -> Clock:
        """A clock for a piece of work that may take so much of what is left; skips are shared."""
        clock = Clock()
        if self._end is not None:
            now = time.monotonic()
            clock._end = now + share * max(self._end - now, 0)
        clock.skipped = self.skipped
        return clock

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self._end is not None and time.monotonic() >= self._end

    def skip(self, what: str) -> None:
        """Remember what was not looked at; said once."""
        if what not in self.skipped:
            self.skipped.append(what)
