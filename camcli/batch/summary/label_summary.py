"""How good a run's network is at labels, from the run's table: mean average precision and F1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camcli.batch.tables.reading import header, read_rows
from camcli.data.sources.label_tables import split_labels, unknown_labels
from camcli.models.label_metrics import LabelMetrics, label_metrics

LABELS = "label_metrics"
"""What ``run.json`` calls it."""

# More probabilities than this are not read into memory at once.
_MOST = 200_000_000
_PROB = "prob_"


@dataclass(frozen=True, slots=True)
class TableScores:
    """What a table says of the images whose labels are known.

    Attributes:
        names: of the labels, C.
        truth: (N, C) bool.
        probs: (N, C) float32.
        predicted: (N, C) bool.
        known: (N, C) bool, whether `truth` says anything; None where it does everywhere.
    """

    names: tuple[str, ...]
    truth: np.ndarray
    probs: np.ndarray
    predicted: np.ndarray
    known: np.ndarray | None = None

    def metrics(self) -> LabelMetrics:
        """Average precision and F1."""
        return label_metrics(self.truth, self.probs, self.predicted, self.known)


def label_names(columns: Sequence[str]) -> tuple[str, ...]:
    """The labels of which a table has a column each; none of a network of exclusive classes."""
    if "positives" not in columns:
        return ()
    return tuple(name.removeprefix(_PROB) for name in columns if name.startswith(_PROB))


def scores_of(rows: Iterable[Mapping[str, str]], names: Sequence[str]) -> TableScores | None:
    """Labels and probabilities of a table's rows.

    Args:
        rows: of a run of a network of labels, as `read_rows` gives them.
        names: of the labels.

    Returns:
        None where no row has known labels, or there are too many to hold.
    """
    place = {name: number for number, name in enumerate(names)}
    truth: list[list[int]] = []
    said: list[list[int]] = []
    untold: list[list[int]] = []
    probs: list[np.ndarray] = []
    for row in rows:
        if row["correct"] == "":  # the labels are not known, or the image failed
            continue
        if len(truth) * len(names) > _MOST:
            return None
        truth.append([place[name] for name in split_labels(row["labels"]) if name in place])
        untold.append([place[name] for name in unknown_labels(row["labels"]) if name in place])
        said.append([place[name] for name in split_labels(row["positives"]) if name in place])
        probs.append(np.array([float(row[_PROB + name] or 0) for name in names], np.float32))
    if not truth:
        return None
    return TableScores(
        tuple(names), _marked(truth, len(names)), np.stack(probs), _marked(said, len(names)),
        ~_marked(untold, len(names)) if any(untold) else None,
    )  # fmt: skip


def label_summary(table: Path) -> tuple[LabelMetrics, tuple[str, ...]] | None:
    """The numbers of a run's table, and the labels' names.

    Args:
        table: ``predictions.csv``.

    Returns:
        None where it is not of a network of labels, no labels are known, or there are too many.
    """
    names = label_names(header(table)) if table.exists() else ()
    found = scores_of(read_rows(table, ("correct", "labels")), names) if names else None
    return None if found is None else (found.metrics(), found.names)


def recorded(metrics: LabelMetrics, names: Sequence[str]) -> dict[str, Any]:
    """The numbers for ``run.json``."""

    def short(value: float | None) -> float | None:
        return None if value is None else round(value, 6)

    return {
        "images": metrics.images,
        "exact_match": short(metrics.exact / metrics.images),
        "map_macro": short(metrics.map_macro),
        "map_micro": short(metrics.map_micro),
        "f1_macro": short(metrics.f1_macro),
        "f1_micro": short(metrics.f1_micro),
        "classes": {
            name: {"average_precision": short(ap), "f1": short(f1), "images": images}
            for name, (ap, f1, images) in zip(names, metrics.per_class, strict=True)
        },
    }


def told(record: Mapping[str, Any]) -> str:
    """One line of what `recorded` holds, for a person."""
    classes = record["classes"]
    there = sum(one["images"] > 0 for one in classes.values())
    of = "" if there == len(classes) else f" over the {there} of {len(classes)} labels that occur"
    precision = (
        "mAP unknown, as no image has any of the labels"
        if record["map_macro"] is None
        else f"mAP {record['map_macro']:.4f} (macro{of}), {record['map_micro']:.4f} (micro)"
    )
    return (
        f"{precision}; F1 {record['f1_macro']:.4f} (macro), {record['f1_micro']:.4f} (micro); "
        f"exact match {record['exact_match']:.4f}"
    )


def _marked(rows: list[list[int]], width: int) -> np.ndarray:
    marked = np.zeros((len(rows), width), bool)
    for row, places in zip(marked, rows, strict=True):
        row[places] = True
    return marked
