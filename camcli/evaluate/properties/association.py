"""Which properties tell which classes apart, by prediction and by label.

Each number is tested with Mann and Whitney's test, each name with Fisher's, for each class against
all others; p is corrected after Holm for everything that was tested. What is listed differs much:
in random splits, and between cats and dogs, nothing does. What follows from the same cause is one
suspect, the strongest, which names the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.properties.catalogue import NAMES, NUMBERS, Name, Number
from camcli.evaluate.properties.changes import change_of
from camcli.evaluate.properties.measure import PhotoProperties
from camcli.evaluate.properties.merging import Telling, merged
from camcli.evaluate.properties.statistics import best_threshold, fisher, holm, rank_tests
from camcli.evaluate.properties.words import in_words

LEAST_EFFECT = 0.42
"""|2 AUC - 1| of a number, from which it tells a class: of two photographs, one of the class and
one of another, the number says which is which in 71 of 100 pairs."""
LEAST_SHARE = 0.35
"""Share of a class that has a name, less that of all others."""
_PREDICTED = 0.6
"""Where labels are known, the prediction may go with it by this much less than the label: a network
is wrong at times. What it does not go with at all, the network cannot be said to use."""
LEAST_PHOTOGRAPHS = 10
"""Of a class, and of all others, so that they are compared."""
CHANCE = 0.01
"""Largest corrected p."""
MOST_CLASSES = 10
"""That one property tells: in more, things differ by it, as fruits do by their colour."""


@dataclass(frozen=True, slots=True)
class _Groups:
    """Photographs by class, in two ways.

    Attributes:
        names: of the classes.
        predicted: (N,) class of each photograph, by prediction.
        labelled: (N,) class by label, -1 where that is not known or no class.
    """

    names: list[str]
    predicted: np.ndarray
    labelled: np.ndarray

    def labels_known(self, number: int) -> bool:
        """Whether enough photographs are labelled as a class, and as others, to ask that, too."""
        own = int((self.labelled == number).sum())
        others = int((self.labelled >= 0).sum()) - own
        return own >= LEAST_PHOTOGRAPHS and others >= LEAST_PHOTOGRAPHS


def telling_properties(
    properties: Mapping[str, PhotoProperties],
    predicted: Mapping[str, str],
    labels: Mapping[str, str | None],
    clock: Clock,
) -> list[Suspect]:
    """Properties that photographs of a class have, and others have not.

    Args:
        properties: by relative path.
        predicted: class that the network said; for data without a network, the labels.
        labels: true class, None or absent where it is not known. Where those of a class are known,
            an association must hold with them as well: what a network says of photographs that it
            gets wrong may go with anything.
        clock: what is left of it may end the search.

    Returns:
        The strongest first.
    """
    rels = [rel for rel in properties if rel in predicted]
    names = sorted({predicted[rel] for rel in rels})
    place = {name: n for n, name in enumerate(names)}
    groups = _Groups(
        names,
        np.array([place[predicted[rel]] for rel in rels], int),
        np.array([place.get(labels.get(rel) or "", -1) for rel in rels], int),
    )
    photographs = [properties[rel] for rel in rels]
    found: list[Telling] = []
    chances: list[float] = []
    tests = 0
    for each in (*NUMBERS, *NAMES):
        if clock.over:
            clock.skip("some properties of whole photographs, for want of time")
            break
        look = _by_number if isinstance(each, Number) else _by_name
        more, tried = look(each, photographs, groups)  # type: ignore[arg-type]
        tests += tried
        found += [telling for telling, _ in more]
        chances += [chance for _, chance in more]
    corrected = holm(np.array(chances), tests)
    kept = [
        (telling, float(chance))
        for telling, chance in zip(found, corrected, strict=True)
        if chance <= CHANCE
    ]
    return [
        _suspect(telling, others, chance, rels, photographs, groups)
        for telling, others, chance in merged(kept, len(names))
    ]


def _by_number(
    number: Number, photographs: Sequence[PhotoProperties], groups: _Groups
) -> tuple[list[tuple[Telling, float]], int]:
    """Classes that have more or less of it, with p; and how many were compared."""
    values = np.array([_or_nan(number.value(each)) for each in photographs])
    tests = 0
    found: list[tuple[Telling, float]] = []
    left = np.isfinite(values)  # without the classes that were found: theirs is not the others'
    candidates: set[int] | None = None
    while len(found) < MOST_CLASSES:
        effects, chances, able = _rank_tests(values, groups, left)
        if candidates is None:
            candidates, tests = set(able), len(able)
        strong = [n for n in able if n in candidates and abs(effects[n]) >= LEAST_EFFECT]
        if not strong:
            return found, tests
        medians = {n: float(np.median(values[left & (groups.predicted == n)])) for n in strong}
        most = max(abs(effects[n]) for n in strong)
        best = max(
            (n for n in strong if abs(effects[n]) >= most - 0.05),
            key=lambda n: (number.odd(medians[n]), abs(effects[n])),
        )
        sign = 1 if effects[best] > 0 else -1
        own = left & (groups.predicted == best)
        rest = left & (groups.predicted != best)
        if abs(medians[best] - float(np.median(values[rest]))) < number.least:
            candidates.discard(best)
            continue
        threshold = best_threshold(sign * values[own], sign * values[rest])
        has = left & (sign * values > threshold)
        telling = Telling(
            number, best, float(effects[best]), values, own & has, rest & has, rest & ~has
        )
        found.append((telling, float(chances[best])))
        left = left & (groups.predicted != best)
        candidates.discard(best)
    return found, tests


def _rank_tests(
    values: np.ndarray, groups: _Groups, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Effects and p of the classes that can be compared among what is left, and which they are."""
    count = len(groups.names)
    effects, chances = rank_tests(values[left], groups.predicted[left], count)
    own = np.bincount(groups.predicted[left], minlength=count)
    able = [
        n
        for n in range(count)
        if own[n] >= LEAST_PHOTOGRAPHS and left.sum() - own[n] >= LEAST_PHOTOGRAPHS
    ]
    known = left & (groups.labelled >= 0)
    by_label, chances_by_label = rank_tests(values[known], groups.labelled[known], count)
    for n in able:
        if groups.labels_known(n):
            agree = effects[n] * by_label[n] > 0
            weaker = min(abs(effects[n]) / _PREDICTED, abs(by_label[n])) if agree else 0.0
            effects[n] = np.copysign(weaker, effects[n])
            chances[n] = max(chances[n], chances_by_label[n])
    return effects, chances, able


def _by_name(
    name: Name, photographs: Sequence[PhotoProperties], groups: _Groups
) -> tuple[list[tuple[Telling, float]], int]:
    """Classes that have a name more often, with p; and how many were compared."""
    said = [name.value(each) for each in photographs]
    there = np.array([each is not None for each in said], bool)
    count = len(groups.names)
    own = np.bincount(groups.predicted[there], minlength=count)
    total = int(there.sum())
    able = [n for n in range(count) if min(own[n], total - own[n]) >= LEAST_PHOTOGRAPHS]
    tests = 0
    found: list[tuple[Telling, float]] = []
    texts, place, counts = np.unique(
        np.array([each or "" for each in said], str), return_inverse=True, return_counts=True
    )
    place = place.reshape(-1)
    for number, text in enumerate(texts.tolist()):
        if not text or counts[number] < LEAST_PHOTOGRAPHS:
            continue
        tests += len(able)
        has = place == number
        of_class = np.bincount(groups.predicted[has], minlength=count)
        shares = of_class / np.maximum(own, 1)
        shares -= (counts[number] - of_class) / np.maximum(total - own, 1)
        for n in (n for n in able if shares[n] >= LEAST_SHARE * _PREDICTED):
            mine = there & (groups.predicted == n)
            others = there & (groups.predicted != n)
            share, chance = _compared(has, mine, others)
            if groups.labels_known(n):
                by_label, chance_by_label = _compared(
                    has, there & (groups.labelled == n), there & _other(groups.labelled, n)
                )
                share = min(share / _PREDICTED, by_label)
                chance = max(chance, chance_by_label)
            if share >= LEAST_SHARE:
                values = np.where(there, has, np.nan)
                telling = Telling(
                    name, n, share, values, mine & has, others & has, others & ~has, text
                )
                found.append((telling, chance))
    return found, tests


def _compared(has: np.ndarray, mine: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """By how much more often photographs have something than others, and p."""
    own, rest = int((mine & has).sum()), int((others & has).sum())
    of_own, of_rest = int(mine.sum()), int(others.sum())
    if not of_own or not of_rest:
        return 0.0, 1.0
    return own / of_own - rest / of_rest, fisher(own, of_own, rest, of_rest)


def _other(labelled: np.ndarray, number: int) -> np.ndarray:
    return (labelled >= 0) & (labelled != number)


def _suspect(
    telling: Telling,
    others: Sequence[Telling],
    chance: float,
    rels: Sequence[str],
    photographs: Sequence[PhotoProperties],
    groups: _Groups,
) -> Suspect:
    """What was found, as everybody speaks of it."""
    having = [photographs[n] for n in _places(telling.own)]
    without = [photographs[n] for n in _places(telling.without)]
    looked = groups.predicted == telling.number
    return Suspect(
        kind=telling.kind,
        label=groups.names[telling.number],
        what=in_words(telling, others, having, without),
        regions={rels[n]: None for n in _places(telling.own)},
        looked=int(looked.sum()),
        elsewhere=int(telling.elsewhere.sum()),
        elsewhere_looked=int((~looked).sum()),
        effect=abs(telling.effect),
        p=chance,
        change=change_of(telling.way, having, without),
        having=frozenset(rels[n] for n in _places(telling.elsewhere)),
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _places(chosen: np.ndarray) -> list[int]:
    return [int(n) for n in np.flatnonzero(chosen)]
