"""How much memory decoded pictures may take at a time, whatever the number of threads.

A picture of 164 kB may have 170 million pixels. Who decodes asks for room as soon as the header
has told the size, before anything is allocated, and keeps it while the pixels are in use.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

BYTES = 2 << 30
"""Of decoded pictures in flight in this process, 2 GiB: eleven photographs of 24 megapixels."""


class Budget:
    """Bytes that are handed out, first come, first served; thread-safe.

    More than all of it is given to who is alone, so that nobody waits for ever.

    Example:
        >>> budget = Budget(1000)
        >>> with budget.held():
        ...     budget.take(600)  # waits while others have more than 400
    """

    def __init__(self, total: int = BYTES) -> None:
        self.total = total
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        # What the block of `held` around the caller has, in its own thread.
        self._held: ContextVar[list[int] | None] = ContextVar("held", default=None)

    @contextmanager
    def held(self, least: int = 0) -> Iterator[None]:
        """What is taken inside is given back at the end; a block within a block is one with it.

        Args:
            least: take so many bytes at once.
        """
        if self._held.get() is not None:
            yield
            return
        amount = [0]
        token = self._held.set(amount)
        try:
            if least:
                self.take(least)
            yield
        finally:
            self._held.reset(token)
            with self._changed:
                self._taken -= amount[0]
                self._changed.notify_all()

    def take(self, count: int) -> None:
        """Wait until there is room for `count` bytes in all, and keep it until the block's end.

        Who has some already gets more without waiting: two who wait for one another would do so
        for ever. Outside `held` nothing happens.
        """
        amount = self._held.get()
        if amount is None or count <= amount[0]:
            return
        more = count - amount[0]
        with self._changed:
            if amount[0] == 0:
                ticket = object()
                self._waiting.append(ticket)
                try:
                    self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(more))
                finally:
                    self._waiting.remove(ticket)
                    self._changed.notify_all()
            self._taken += more
            amount[0] = count

    def _fits(self, count: int) -> bool:
        return self._taken == 0 or self._taken + count <= self.total


BUDGET = Budget()
"""This process's own."""

_ASK: ContextVar[Callable[[int], object]] = ContextVar("ask", default=BUDGET.take)


def ask(count: int) -> None:
    """Ask for room for `count` bytes: of `BUDGET`, or of whom `asking` names."""
    _ASK.get()(count)


@contextmanager
def asking(whom: Callable[[int], object]) -> Iterator[None]:
    """Inside, `ask` asks `whom`: a decoding process asks the program that started it."""
    token = _ASK.set(whom)
    try:
        yield
    finally:
        _ASK.reset(token)
