"""What a page says about a run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camcli.render.report.rows.heat import MeanMap
from camcli.render.report.rows.image_rows import (
    ERROR,
    MISSING,
    RIGHT,
    UNKNOWN,
    WRONG,
    ImageRow,
    Side,
)

BINS = 20
# A confusion matrix with more classes is unreadable; the most confused ones are shown.
MATRIX = 24
PAIRS = 40


@dataclass(slots=True)
class ClassStats:
    """How a class fares.

    Attributes:
        labelled: images that show it and were judged.
        right: of these, recognised.
        predicted: images that were taken for it.
        judged: of these, those whose label is known.
        prob: sum of the probabilities with which it was predicted.
        heat: where the network looks when it predicts it.
        numbers: of a value, each one.
    """

    labelled: int = 0
    right: int = 0
    predicted: int = 0
    judged: int = 0
    prob: float = 0.0
    heat: MeanMap = field(default_factory=MeanMap)
    numbers: list[float] = field(default_factory=list)

    @property
    def spread(self) -> tuple[float, float, float] | None:
        """Of a value, the least, the mean and the largest; None if there are none."""
        own = self.numbers
        # Each is divided first: the sum of many large ones is not finite.
        return (min(own), sum(n / len(own) for n in own), max(own)) if own else None


@dataclass(slots=True)
class Summary:
    """Counts over one side of all rows.

    Attributes:
        counts: rows by verdict, and ``empty``.
        bins: rows by probability of the prediction, in `BINS` equal steps, by verdict.
        classes: by class number.
        confused: (true, predicted) -> rows, wrong ones only.
        on_object: rows by the share of the heat on the object, as `bins`.
        shares: those shares, one for each row that has one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bins: dict[str, list[int]] = field(
        default_factory=lambda: {v: [0] * BINS for v in (RIGHT, WRONG, UNKNOWN)}
    )
    classes: dict[int, ClassStats] = field(default_factory=dict)
    confused: Counter[tuple[int, int]] = field(default_factory=Counter)
    on_object: dict[str, list[int]] = field(
        default_factory=lambda: {v: [0] * BINS for v in (RIGHT, WRONG, UNKNOWN)}
    )
    shares: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Rows of this run."""
        return sum(self.counts[v] for v in (RIGHT, WRONG, UNKNOWN, ERROR))

    @property
    def judged(self) -> int:
        """Rows that are known to be right or wrong."""
        return self.counts[RIGHT] + self.counts[WRONG]

    @property
    def confidence(self) -> float | None:
        """Mean probability of the predictions; None if there are none."""
        predicted = sum(c.predicted for c in self.classes.values())
        return sum(c.prob for c in self.classes.values()) / predicted if predicted else None

    @property
    def heat(self) -> float | None:
        """Mean share of the heat that lies on the object; None where no object is known."""
        return sum(self.shares) / len(self.shares) if self.shares else None

    @property
    def accuracy(self) -> float | None:
        """Share of the right ones among the judged; None if there are none."""
        return self.counts[RIGHT] / self.judged if self.judged else None


def summarise(rows: Sequence[ImageRow], side: int = 0) -> Summary:
    """Count.

    Args:
        rows: of a page.
        side: which of their sides.
    """
    summary = Summary()
    for row in rows:
        it = row.sides[side]
        summary.counts[it.verdict] += 1
        if it.verdict in (ERROR, MISSING):
            continue
        summary.counts["empty"] += it.empty
        if it.on_object is not None:
            summary.on_object[it.verdict][min(BINS - 1, int(it.on_object * BINS))] += 1
            summary.shares.append(it.on_object)
        if it.value is None:
            summary.bins[it.verdict][min(BINS - 1, max(0, int(it.prob * BINS)))] += 1
        if it.positives is not None:
            _add_labels(summary, row.labels_of(side), it)
            continue
        predicted = summary.classes.setdefault(it.pred, ClassStats())
        predicted.predicted += 1
        predicted.prob += it.prob
        if it.number is not None:
            predicted.numbers.append(it.number)
        if it.maps and it.maps[0].cells is not None:
            predicted.heat.add(it.maps[0].cells)
        if it.verdict == UNKNOWN:
            continue
        predicted.judged += 1
        label = row.label_of(side)
        true = summary.classes.setdefault(label, ClassStats())
        true.labelled += 1
        if it.verdict == RIGHT:
            true.right += 1
        else:
            summary.confused[label, it.pred] += 1
    return summary


def _add_labels(summary: Summary, labels: list[int] | None, it: Side) -> None:
    """A row whose labels do not exclude each other: each counts for itself."""
    assert it.positives is not None
    known = dict([(it.pred, it.prob), *it.top])
    maps = {one.target: one for one in it.maps}
    for label in it.positives:
        predicted = summary.classes.setdefault(label, ClassStats())
        predicted.predicted += 1
        predicted.prob += known.get(label, 0.0)
        predicted.judged += labels is not None
        if label in maps and (cells := maps[label].cells) is not None:
            predicted.heat.add(cells)
    for label in labels or ():
        true = summary.classes.setdefault(label, ClassStats())
        true.labelled += 1
        true.right += label in it.positives


def for_page(summary: Summary, signed: bool = False) -> dict[str, Any]:
    """A summary as plain values for the page's scripts, with maps as the page draws them."""
    return {
        "counts": {v: summary.counts[v] for v in (RIGHT, WRONG, UNKNOWN, ERROR, "empty")},
        "accuracy": summary.accuracy,
        "bins": summary.bins,
        "classes": [
            [number, c.labelled, c.right, c.predicted, c.judged,
             round(c.prob / c.predicted, 4) if c.predicted else None, c.heat.text(signed),
             c.spread]
            for number, c in sorted(summary.classes.items())
        ],
        "pairs": [[a, b, n] for (a, b), n in summary.confused.most_common(PAIRS)],
        "matrix": _matrix(summary),
        "values": _value_bins(summary),
        "onObject": {"bins": summary.on_object, "count": len(summary.shares), "mean": summary.heat}
        if summary.shares
        else None,
    }  # fmt: skip


def _value_bins(summary: Summary) -> dict[str, Any] | None:
    """How often each range of a value occurs; None where there is none, or several kinds of it."""
    found = [c for c in summary.classes.values() if c.spread]
    if len(found) != 1:
        return None
    counts, edges = np.histogram(np.asarray(found[0].numbers, np.float64) / 2, BINS)  # no overflow
    return {"bins": counts.tolist(), "edges": [float(f"{2 * edge:.6g}") for edge in edges]}


def _matrix(summary: Summary) -> dict[str, Any]:
    """The classes that are most often confused, and how often each is taken for each."""
    involved: Counter[int] = Counter()
    for (true, pred), count in summary.confused.items():
        involved[true] += count
        involved[pred] += count
    known = {number for number, c in summary.classes.items() if c.labelled or c.judged}
    if len(known) <= MATRIX:
        chosen = sorted(known)
    else:
        chosen = sorted(number for number, _ in involved.most_common(MATRIX))
    cells = [
        [
            summary.classes[true].right if true == pred else summary.confused[true, pred]
            for pred in chosen
        ]
        for true in chosen
    ]
    return {"classes": chosen, "cells": cells, "all": len(known) <= MATRIX}
