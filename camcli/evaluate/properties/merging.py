"""What follows from the same cause is told once: the strongest, with the others beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.properties.catalogue import INVISIBLE, Name, Number, family
from camcli.evaluate.properties.statistics import ranks

TOGETHER = 0.6  # rank correlation within classes from which two properties are one
_CLOSE = 0.1  # of two effects that differ by less, the likelier cause is the stronger
_LEAST = 20  # photographs, to correlate anything


@dataclass(frozen=True, slots=True, eq=False)
class Telling:
    """A property that tells one class from the others.

    Attributes:
        which: the property.
        number: of the class.
        effect: of the association, signed: positive where the class has more of it.
        values: (N,) of all photographs; NaN where one has none.
        own: (N,) which photographs of the class have it.
        elsewhere: (N,) which of the other classes have it.
        without: (N,) which of the other classes have it not.
        text: the name, where the property is a name.
    """

    which: Number | Name
    number: int
    effect: float
    values: np.ndarray
    own: np.ndarray
    elsewhere: np.ndarray
    without: np.ndarray
    text: str = ""

    @property
    def kind(self) -> str:
        """One of `finding.KINDS`."""
        return self.which.kind

    @property
    def way(self) -> str:
        """The kind, or by which way of it photographs are changed."""
        return (isinstance(self.which, Number) and self.which.way) or self.which.kind


def merged(
    found: Sequence[tuple[Telling, float]], classes: int
) -> Iterator[tuple[Telling, list[Telling], float]]:
    """The strongest of what belongs together, the others, and its p; the strongest first.

    Args:
        found: what tells classes apart, with p.
        classes: how many there are. Of two, what one has more of, the other has less of: both
            belong together.
    """
    left = sorted(found, key=lambda each: -abs(each[0].effect))
    while left:
        first = left[0][0]
        close = [
            each
            for each in left
            if (each[0].number == first.number or classes == 2)
            and each[0].kind in family(first.kind)
            and abs(each[0].effect) >= abs(first.effect) - _CLOSE
        ]
        best, chance = min(close, key=_likeliest)
        others = [each for each, _ in left if each is not best and _belongs(each, best, classes)]
        taken = {id(best), *map(id, others)}
        left = [each for each in left if id(each[0]) not in taken]
        yield best, others, chance


def _likeliest(each: tuple[Telling, float]) -> tuple[bool, bool, int, float, int]:
    """What sorts the likelier cause first: of two names for one difference, the rarer.

    Blur takes noise away; noise makes edges finer.
    """
    telling = each[0]
    name = telling.which if isinstance(telling.which, Name) else None
    return (
        name is not None and name.detail,
        telling.kind == "blur" and telling.effect < 0,
        family(telling.kind).index(telling.kind),
        -round(abs(telling.effect), 2),
        int((telling.own | telling.elsewhere).sum()) if name else 0,
    )


def _belongs(other: Telling, best: Telling, classes: int) -> bool:
    """Whether one follows from the other, or both from the same cause."""
    if other.number != best.number and classes > 2:
        return False
    if other.kind in family(best.kind):
        return True
    # What pixels show can be tried on the network: it is never hidden behind what they do not.
    if (best.kind in INVISIBLE) != (other.kind in INVISIBLE):
        return False
    return _correlation(other, best) >= TOGETHER


def _correlation(one: Telling, two: Telling) -> float:
    """|Rank correlation| of two properties among photographs that have the second, or have not."""
    known = np.isfinite(one.values) & np.isfinite(two.values)
    found = []
    for group in (known & two.own, known & two.without):
        if group.sum() < _LEAST:
            continue
        first, second = ranks(one.values[group])[0], ranks(two.values[group])[0]
        if first.std() and second.std():
            found.append(abs(float(np.corrcoef(first, second)[0, 1])))
    return max(found, default=0.0)
