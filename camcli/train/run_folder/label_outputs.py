"""What a run of labels leaves in its folder: tables and charts of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from camcli.data.datasets.load import Item
from camcli.data.sources.label_tables import join_labels
from camcli.data.sources.splits import Split
from camcli.models.classes.thresholds import USUAL
from camcli.printable import counted
from camcli.render.plots import MAX_CLASSES, label_bars, learning_curves
from camcli.train.feature_pass.examples import of_labels
from camcli.train.run_folder.label_scores import SplitLabelScores, score_labels
from camcli.train.run_folder.rundir import CURVES, SPLIT_WORDS, TrainDirectory, decimal


def write_label_results(
    directory: TrainDirectory,
    judged: Mapping[Split, tuple[list[Item], Tensor]],
    classes: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    title: str,
    thresholds: Sequence[float] | None,
) -> dict[str, SplitLabelScores]:
    """Judge each split and write down what there is to see; as `write_results` does for classes.

    Args:
        directory: where to.
        judged: by split: N items and their logits (N, C). Splits without items are left out.
        classes: the C names.
        rows: the epochs.
        title: of the charts.
        thresholds: the probability above which each label is predicted; None for one half.
    """
    least = list(thresholds or [USUAL] * len(classes))
    results: dict[str, SplitLabelScores] = {}
    predictions: list[dict[str, Any]] = []
    for split, (items, logits) in judged.items():
        if not items:
            continue
        predictions += _predictions(split, items, logits, classes, least)
        truth = of_labels(items, len(classes))
        results[split] = found = score_labels(logits, truth, classes, least)
        _write_split(directory, split, found, title)
    if predictions:
        directory.write_csv("predictions.csv", predictions)
    directory.write_csv(
        "thresholds.csv",
        ({"class": name, "threshold": f"{t:.6f}"} for name, t in zip(classes, least, strict=True)),
    )
    directory.write(CURVES, learning_curves(rows, title))
    return results


def _write_split(
    directory: TrainDirectory, split: str, found: SplitLabelScores, title: str
) -> None:
    directory.write_csv(
        f"per_class-{split}.csv",
        (
            {
                "class": each.name,
                "support": each.support,
                "precision": decimal(each.precision),
                "recall": decimal(each.recall),
                "f1": decimal(each.f1),
                "average_precision": decimal(each.average_precision),
                "threshold": decimal(each.threshold),
            }
            for each in found.labels
        ),
    )
    if len(found.labels) <= MAX_CLASSES:
        shown = "" if found.mean_ap is None else f"mAP {found.mean_ap:.3f}, "
        words = (
            f"{title}\n{SPLIT_WORDS[split]}: {shown}F1 {found.f1_micro:.3f} of "
            f"{counted(found.count, 'image')}"
        )
        bars = [(x.name, x.support, x.average_precision, x.f1) for x in found.labels]
        directory.write(f"labels-{split}.png", label_bars(bars, words))


def _predictions(
    split: str,
    items: Sequence[Item],
    logits: Tensor,
    classes: Sequence[str],
    thresholds: Sequence[float],
) -> list[dict[str, Any]]:
    rows = []
    for item, probs in zip(items, logits.double().sigmoid().tolist(), strict=True):
        order = sorted(range(len(classes)), key=lambda c: -probs[c])
        said = [c for c in order if probs[c] > thresholds[c]]
        rows.append(
            {
                "path": item.ref.rel,
                "split": split,
                "labels": join_labels(
                    (classes[c] for c in item.labels), (classes[c] for c in item.unknown)
                ),
                "positives": join_labels(classes[c] for c in said),
                "pred": classes[order[0]],
                "prob": f"{probs[order[0]]:.6f}",
                "correct": int({*said} - {*item.unknown} == {*item.labels}),
                **{f"prob {name}": f"{p:.6f}" for name, p in zip(classes, probs, strict=True)},
            }
        )
    return rows
