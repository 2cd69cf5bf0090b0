"""One run on many machines: each takes every n-th image, and `camcli merge` joins their tables.

All shards write into one run directory: overlays into the common tree, rows and description into
files of their own (``predictions.2-of-8.csv``). Which shard takes which image depends on the order
of the source alone, so no machine talks to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from camcli.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"

    def take(self, items: Iterable[T]) -> Iterator[T]:
        """This shard's items: every `of`-th."""
        return islice(items, self.number - 1, None, self.of)

    def count(self, total: int) -> int:
        """How many of `total` items are this shard's."""
        return len(range(self.number - 1, total, self.of))


def parse_shard(text: str) -> Shard:
    """``2/8`` as a shard.

    Raises:
        UsageError: it is not i/n with 1 <= i <= n.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            f"--shard takes i/n with i from 1 to n, such as 2/8 for the second of eight parts; "
            f"not {text!r}."
        )
    return Shard(int(match[1]), int(match[2]))
