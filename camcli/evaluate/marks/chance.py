"""How often chance would give what was counted."""

from __future__ import annotations

import math


def more_than_chance(present: int, looked: int, elsewhere: int, elsewhere_looked: int) -> float:
    """One-sided p of Fisher's exact test: as large a share of the one as this, by chance.

    Args:
        present: photographs of a class that have something.
        looked: photographs of it that were looked at.
        elsewhere: other photographs that have it.
        elsewhere_looked: other photographs that were looked at.
    """
    having, everyone = present + elsewhere, looked + elsewhere_looked

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    total = log_choose(everyone, looked)
    terms = [
        math.exp(log_choose(having, k) + log_choose(everyone - having, looked - k) - total)
        for k in range(max(present, looked - (everyone - having)), min(having, looked) + 1)
    ]
    return min(1.0, math.fsum(terms))
