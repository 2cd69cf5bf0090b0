"""What stands out in a finished run: its mistakes, and the classes that it knows least of."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camcli.batch.tables.reading import NEEDED, header, read_rows
from camcli.data.sources.label_tables import split_labels
from camcli.models.classes.label_index import label_index
from camcli.models.outputs import Output
from camcli.models.spec import OutputKind
from camcli.ours import finite_number
from camcli.result import Result

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


_Ranked = tuple[float, int, Highlight]


class Highlighter:
    """Finds what stands out, one image after the other, in bounded memory."""

    def __init__(self, classes: tuple[str, ...], output: Output) -> None:
        """Of a run that is about to begin.

        Args:
            classes: the network's C class names.
            output: what its numbers are.
        """
        self._classes, self._output = classes, output
        self._known: dict[str, int | None] = {}
        self._pairs, self._predicted = Counter[tuple[int, int]](), Counter[str]()
        self._wrong: list[_Ranked] = []
        self._unsure: list[_Ranked] = []
        self._number = 0

    def add_row(self, row: Mapping[str, str]) -> None:
        """An image by its row in the table, which need not have all columns."""
        if row.get("status") == "error":
            return
        path, label = row.get("path", ""), row.get("label", "")
        if self._output.measures:
            self._add_value(path, row.get("target", ""), finite_number(row.get("value")), label)
            return
        told = Highlight(path, row.get("pred", ""), finite_number(row.get("prob")) or 0.0, label)
        correct = None if not row.get("correct") else row["correct"] == "1"
        self._add(told, correct, split_labels(row.get("labels") or ""))

    def add(self, result: Result) -> None:
        """An image by its Result."""
        label = result.ref.label or ""
        if result.status == "error":
            return
        if self._output.measures:
            target = result.heats[0].target if result.heats else ""
            self._add_value(result.ref.rel, target, result.value, label)
            return
        told = Highlight(result.ref.rel, result.pred or "", result.prob or 0.0, label)
        self._add(told, result.correct, result.labels or ())

    def _add(self, told: Highlight, correct: bool | None, labels: Sequence[str]) -> None:
        self._number += 1
        self._predicted[told.pred] += 1
        _keep(self._unsure, (-told.number, -self._number, told))
        if correct is None:
            return
        mistaken = not correct
        if self._output.multi_label:
            # Of those in which not even the likeliest label is right.
            mistaken = mistaken and told.pred not in labels
        else:
            true, pred = self._index(told.label), self._index(told.pred)
            if true is not None and pred is not None:
                self._pairs[true, pred] += 1
        if mistaken:
            _keep(self._wrong, (told.number, -self._number, told))

    def _add_value(self, path: str, target: str, value: float | None, label: str) -> None:
        """Kept are those that are farthest from a label that is a number."""
        self._number += 1
        true = finite_number(label)
        if value is not None and math.isfinite(value) and true is not None and value != true:
            told = Highlight(path, target, value, label)
            _keep(self._wrong, (abs(value - true), -self._number, told))

    def _index(self, name: str) -> int | None:
        if name not in self._known:
            self._known[name] = label_index(name, self._classes)
        return self._known[name]

    def found(self, labels: Mapping[str, Any] | None = None) -> Highlights:
        """What stands out so far.

        Args:
            labels: of a network of labels what `camcli.batch.summary.label_summary.recorded` gives.
        """
        if self._output.multi_label:
            weakest = _weak_labels(labels)
        else:
            weakest = _weak_classes(self._pairs, self._classes)
        return Highlights(
            mistakes=_best_first(self._wrong),
            unsure=_best_first(self._unsure),
            weakest=weakest,
            predicted=self._predicted.most_common(THREE),
            pairs=self._pairs,
        )


def highlights(
    rows: Iterable[Mapping[str, str]],
    classes: tuple[str, ...],
    output: Output,
    labels: Mapping[str, Any] | None = None,
) -> Highlights:
    """Go through a run's table once.

    Args:
        rows: of its table.
        classes: see `Highlighter`.
        output: see there.
        labels: see `Highlighter.found`.
    """
    highlighter = Highlighter(classes, output)
    for row in rows:
        highlighter.add_row(row)
    return highlighter.found(labels)


def of_table(table: Path, labels: Mapping[str, Any] | None = None) -> tuple[Highlights, Output]:
    """The same of a table alone, whose network nobody has loaded.

    Args:
        table: ``predictions.csv``.
        labels: see `Highlighter.found`.

    Returns:
        What stands out, and what the network's numbers are, as the columns tell.
    """
    columns = header(table)
    kind: OutputKind = "softmax"
    if "positives" in columns:
        kind = "sigmoid"
    elif "value" in columns:
        kind = "none"
    # What is predicted is a class; a label that never is may be one, and is not recognised then.
    predicted: dict[str, None] = {}
    labelled: dict[str, None] = {}
    for row in read_rows(table, NEEDED) if kind == "softmax" else ():
        predicted[row["pred"]] = None
        if row.get("correct"):
            labelled[row.get("label", "")] = None
    known = tuple(predicted)
    names = (*known, *(name for name in labelled if label_index(name, known) is None))
    output = Output(kind)
    return highlights(read_rows(table, NEEDED), names, output, labels), output


def _keep(heap: list[_Ranked], item: _Ranked) -> None:
    """The largest few; of equal ones the first."""
    heapq.heappush(heap, item)
    if len(heap) > FIVE:
        heapq.heappop(heap)


def _best_first(heap: Sequence[_Ranked]) -> list[Highlight]:
    return [told for _, _, told in sorted(heap, reverse=True)]


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
