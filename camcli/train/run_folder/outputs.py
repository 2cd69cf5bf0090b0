"""What a run leaves in its folder besides the checkpoints: numbers, tables, charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from camcli.data.datasets.load import Item
from camcli.data.sources.splits import Split
from camcli.printable import counted, percent
from camcli.render.plots import MAX_CLASSES, confusion_matrix, learning_curves
from camcli.train.run_folder.label_outputs import write_label_results
from camcli.train.run_folder.label_scores import SplitLabelScores
from camcli.train.run_folder.metrics import Scores, most_confused, score
from camcli.train.run_folder.rundir import (
    CURVES,
    EPOCHS,
    SPLIT_WORDS,
    TrainDirectory,
    decimal,
)
from camcli.train.run_folder.value_outputs import write_value_results
from camcli.train.run_folder.value_scores import SplitValueScores


def write_epochs(directory: TrainDirectory, rows: Sequence[Mapping[str, Any]]) -> None:
    """``metrics.csv``: one row an epoch."""
    directory.write_csv(EPOCHS, rows)


def write_results(
    directory: TrainDirectory,
    judged: Mapping[Split, tuple[list[Item], Tensor]],
    classes: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    title: str,
    *,
    several: bool = False,
    thresholds: Sequence[float] | None = None,
    measured: bool = False,
) -> dict[str, Scores] | dict[str, SplitLabelScores] | dict[str, SplitValueScores]:
    """Judge each split and write down what there is to see.

    Args:
        directory: where to.
        judged: by split: N items and their logits (N, C). Splits without items are left out.
        classes: the C names.
        rows: the epochs.
        title: of the charts.
        several: whether an image can have several of the classes, or none.
        thresholds: then the probability above which each is predicted; None for one half.
        measured: whether the logits are values.

    Returns:
        The scores by split.
    """
    if measured:
        return write_value_results(directory, judged, classes, rows, title)
    if several:
        return write_label_results(directory, judged, classes, rows, title, thresholds)
    results: dict[str, Scores] = {}
    predictions: list[dict[str, Any]] = []
    for split, (items, logits) in judged.items():
        if not items:
            continue
        predictions += _predictions(split, items, logits, classes)
        targets = Tensor.new_tensor(logits, [item.target for item in items]).long()
        results[split] = found = score(logits, targets, classes)
        _write_split(directory, split, found, classes, title)
    if predictions:
        directory.write_csv("predictions.csv", predictions)
    directory.write(CURVES, learning_curves(rows, title))
    return results


def _write_split(
    directory: TrainDirectory, split: str, found: Scores, classes: Sequence[str], title: str
) -> None:
    directory.write_csv(
        f"per_class-{split}.csv",
        (
            {
                "class": c.name,
                "support": c.support,
                "precision": decimal(c.precision),
                "recall": decimal(c.recall),
                "average_precision": decimal(c.average_precision),
            }
            for c in found.classes
        ),
    )
    counts = found.confusion.numpy()
    # The prefix keeps a class called "true" out of the first column.
    cells = (
        {"true": name, **{f"predicted {p}": int(n) for p, n in zip(classes, row, strict=True)}}
        for name, row in zip(classes, counts, strict=True)
    )
    directory.write_csv(f"confusion-{split}.csv", cells)
    pairs = most_confused(found.confusion, classes)
    if pairs:
        directory.write_csv(f"confused-{split}.csv", pairs)
    if len(classes) <= MAX_CLASSES:
        right = f"{percent(found.top1, 1)} of {counted(found.count, 'image')}"
        words = f"{title}\n{SPLIT_WORDS[split]}: {right}"
        directory.write(f"confusion-{split}.png", confusion_matrix(counts, classes, words))


def _predictions(
    split: str, items: Sequence[Item], logits: Tensor, classes: Sequence[str]
) -> list[dict[str, Any]]:
    probs, best = logits.softmax(1).max(1)
    return [
        {
            "path": item.ref.rel,
            "split": split,
            "label": classes[item.target],
            "pred": classes[p],
            "prob": f"{prob:.6f}",
            "correct": int(p == item.target),
        }
        for item, p, prob in zip(items, best.tolist(), probs.tolist(), strict=True)
    ]
