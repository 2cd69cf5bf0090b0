"""What stands out in a finished run: its mistakes, and the classes that it knows least of."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from camcli.data.sources.label_tables import split_labels
from camcli.models.classes.label_index import label_index
from camcli.models.outputs import Output

FIVE, THREE = 5, 3
"""So many images, and so many classes, are named."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """An image that is worth a look.

    Attributes:
        path: as the table has it.
        pred: what was predicted.
        number: its probability; of a network that measures its value.
        label: as it was given; empty where it is not known.
    """

    path: str
    pred: str
    number: float
    label: str


@dataclass(frozen=True, slots=True)
class WeakClass:
    """A class, or a label, of which much is not recognised.

    Attributes:
        name: its.
        right: how many of its images were recognised.
        images: how many there are.
        other: what the others were mostly taken for; empty of labels, which exclude no other.
        times: how many of them.
        f1: of a label, in place of `right`; None of a class.
    """

    name: str
    right: int
    images: int
    other: str = ""
    times: int = 0
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Highlights:
    """What stands out.

    Attributes:
        mistakes: the most confident ones first; of values those that are farthest off.
        unsure: the images with the least probable predictions, the least first.
        weakest: classes, the surest to be weak first.
        predicted: classes and how often each was predicted, the most frequent first.
        pairs: of all images whose label names a class: (true, predicted) -> count.
    """

    mistakes: list[Highlight] = field(default_factory=list)
    unsure: list[Highlight] = field(default_factory=list)
    weakest: list[WeakClass] = field(default_factory=list)
    predicted: list[tuple[str, int]] = field(default_factory=list)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)


def highlights(
    rows: Iterable[Mapping[str, str]],
    classes: tuple[str, ...],
    output: Output,
    labels: Mapping[str, Any] | None = None,
) -> Highlights:
    """Go through a run's table once, in bounded memory.

    Args:
        rows: of its table.
        classes: the network's C class names.
        output: what its numbers are.
        labels: of a network of labels what `camcli.batch.label_summary.recorded` gives.
    """
    if output.measures:
        return Highlights(mistakes=_farthest(rows))
    known: dict[str, int | None] = {}
    pairs, predicted = Counter[tuple[int, int]](), Counter[str]()
    wrong: list[tuple[float, int, Highlight]] = []
    unsure: list[tuple[float, int, Highlight]] = []
    for number, row in enumerate(rows):
        if row["status"] == "error":
            continue
        told = Highlight(row["path"], row["pred"], _number(row["prob"]) or 0.0, row["label"])
        predicted[told.pred] += 1
        _keep(unsure, (-told.number, -number, told))
        if row["correct"] == "":
            continue
        if output.multi_label:
            # Of those in which not even the likeliest label is right.
            mistaken = row["correct"] == "0" and told.pred not in split_labels(row["labels"])
        else:
            mistaken = row["correct"] == "0"
            for name in (told.label, told.pred):
                if name not in known:
                    known[name] = label_index(name, classes)
            true, pred = known[told.label], known[told.pred]
            if true is not None and pred is not None:
                pairs[true, pred] += 1
        if mistaken:
            _keep(wrong, (told.number, -number, told))
    weakest = _weak_labels(labels) if output.multi_label else _weak_classes(pairs, classes)
    return Highlights(
        mistakes=_best_first(wrong),
        unsure=_best_first(unsure),
        weakest=weakest,
        predicted=predicted.most_common(THREE),
        pairs=pairs,
    )


def _keep(heap: list[tuple[float, int, Highlight]], item: tuple[float, int, Highlight]) -> None:
    """The largest few; of equal ones the first."""
    heapq.heappush(heap, item)
    if len(heap) > FIVE:
        heapq.heappop(heap)


def _best_first(heap: Sequence[tuple[float, int, Highlight]]) -> list[Highlight]:
    return [told for _, _, told in sorted(heap, reverse=True)]


def _farthest(rows: Iterable[Mapping[str, str]]) -> list[Highlight]:
    """Images whose value is farthest from a label that is a number."""
    heap: list[tuple[float, int, Highlight]] = []
    for n, row in enumerate(rows):
        value, label = _number(row.get("value")), _number(row["label"])
        if value is not None and label is not None and value != label:
            told = Highlight(row["path"], row["target"], value, row["label"])
            _keep(heap, (abs(value - label), -n, told))
    return _best_first(heap)


def _weak_classes(pairs: Counter[tuple[int, int]], classes: Sequence[str]) -> list[WeakClass]:
    """Classes of which something was missed, by what their recall is at best.

    By Wilson's upper bound at 95%: 4 of 10 is surer to be weak than 0 of 1.
    """
    answers: dict[int, Counter[int]] = defaultdict(Counter)
    for (true, pred), count in pairs.items():
        answers[true][pred] += count
    found = []
    for true, own in answers.items():
        images, right = own.total(), own[true]
        if right == images:
            continue
        other, times = max(
            ((pred, n) for pred, n in own.items() if pred != true), key=lambda one: one[1]
        )
        weak = WeakClass(classes[true], right, images, classes[other], times)
        found.append((_at_best(right, images), -images, weak.name, weak))
    return [weak for *_, weak in heapq.nsmallest(THREE, found, key=lambda one: one[:3])]


def _at_best(right: int, images: int) -> float:
    z, share = 1.96, right / images
    spread = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    return (share + z * z / (2 * images) + spread) / (1 + z * z / images)


def _weak_labels(labels: Mapping[str, Any] | None) -> list[WeakClass]:
    """The labels with the least F1, of those that some image has."""
    found = [
        (one["f1"], -one["images"], name)
        for name, one in (labels or {"classes": {}})["classes"].items()
        if one["images"] and one["f1"] is not None and one["f1"] < 1
    ]
    return [
        WeakClass(name, 0, -images, f1=f1) for f1, images, name in heapq.nsmallest(THREE, found)
    ]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
