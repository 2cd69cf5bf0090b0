"""What judging leaves in a run's folder: predictions that were held out, the curve, copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from camcli.data.datasets.dataset import Item
from camcli.data.sources.label_tables import join_labels
from camcli.data.sources.splits import Split
from camcli.models.classes.thresholds import USUAL
from camcli.render.plots import size_curve
from camcli.train.feature_pass.examples import Examples
from camcli.train.judging.curve import LearningCurve, in_words
from camcli.train.judging.folds import ALWAYS
from camcli.train.judging.judge import Judgement
from camcli.train.run_folder.rundir import CROSSING, CURVE_TABLE, OUT_OF_FOLD, TrainDirectory

CURVE_CHART = "learning_curve.png"
MOST = 4_000_000
"""Up to so many numbers the table has the probabilities of all classes."""


def write_judgement(
    directory: TrainDirectory,
    found: Judgement,
    splits: Mapping[Split, Examples],
    judged: Mapping[Split, tuple[Sequence[Item], Tensor]],
    classes: Sequence[str],
    thresholds: Sequence[float] | None,
    title: str,
) -> None:
    """Write the tables and the chart of what there is.

    Args:
        directory: where to.
        found: what judging gave.
        splits: the images.
        judged: by held-out split its items and the run's logits (M, C).
        classes: the C names.
        thresholds: of labels the probability above which each is predicted; None for one half.
        title: of the chart.
    """
    if found.logits is not None and found.fold is not None:
        rows = _rows(found, splits, judged, classes, thresholds)
        directory.write_csv(OUT_OF_FOLD, rows)
    if found.curve:
        directory.write_csv(CURVE_TABLE, _curve_rows(found.curve))
        directory.write(CURVE_CHART, _chart(found.curve, title))
    if found.crossed:
        directory.write_csv(CROSSING, [x.row() for x in found.crossed])


def _rows(
    found: Judgement,
    splits: Mapping[Split, Examples],
    judged: Mapping[Split, tuple[Sequence[Item], Tensor]],
    classes: Sequence[str],
    thresholds: Sequence[float] | None,
) -> Iterator[dict[str, Any]]:
    """Every image, by a head that has not seen it; those that always train are left out."""
    assert found.fold is not None
    assert found.logits is not None
    train = splits["train"]
    contents = {
        (item.split, item.ref.rel): content
        for own in splits.values()
        for item, content in zip(own.items, own.contents, strict=True)
    }
    kept = (found.fold != ALWAYS).nonzero()[:, 0]
    sets: list[tuple[Sequence[Item], Tensor, list[int | None]]] = [
        ([train.items[i] for i in kept.tolist()], found.logits[kept], found.fold[kept].tolist())
    ]
    sets += [(items, logits, [None] * len(items)) for items, logits in judged.values()]
    full = sum(len(items) for items, _, _ in sets) * len(classes) <= MOST
    several = train.labels > 0
    least = list(thresholds or [USUAL] * len(classes))
    for items, logits, folds in sets:
        if not len(items):
            continue
        z = logits.double()
        all_of_them = z.sigmoid() if several else z.softmax(1)
        for item, probs, fold in zip(items, all_of_them.tolist(), folds, strict=True):
            best = max(range(len(classes)), key=lambda c: probs[c])
            row: dict[str, Any] = {
                "path": item.ref.rel,
                "split": item.split,
                "fold": "" if fold is None else fold + 1,
                "content": contents[item.split, item.ref.rel],
            }
            if several:
                said = {c for c in range(len(classes)) if probs[c] > least[c]}
                row |= {
                    "labels": join_labels(
                        (classes[c] for c in item.labels), (classes[c] for c in item.unknown)
                    ),
                    "positives": join_labels(classes[c] for c in sorted(said)),
                    "correct": int(said - {*item.unknown} == {*item.labels}),
                }
            else:
                row |= {
                    "label": classes[item.target],
                    "pred": classes[best],
                    "prob": f"{probs[best]:.6f}",
                    "correct": int(best == item.target),
                }
            if full:
                row |= {f"prob {name}": f"{p:.6f}" for name, p in zip(classes, probs, strict=True)}
            yield row


def _curve_rows(curve: LearningCurve) -> Iterator[dict[str, str | int]]:
    """The points, and what the law says of them and of all, and of twice as many."""
    points = zip(curve.sizes, curve.errors, curve.lows, curve.highs, strict=True)
    for images, error, low, high in points:
        yield {
            "images": images, "error": f"{error:.6f}", "low": f"{low:.6f}", "high": f"{high:.6f}",
            "law": f"{curve.at(images):.6f}",
        }  # fmt: skip
    for images in (curve.images, 2 * curve.images):
        blank = {"error": "", "low": "", "high": ""}
        yield {"images": images, **blank, "law": f"{curve.at(images):.6f}"}


def _chart(curve: LearningCurve, title: str) -> bytes:
    points = [*zip(curve.sizes, curve.errors, curve.lows, curve.highs, strict=True)]
    first, last = curve.sizes[0], 2 * curve.images
    steps = [first * (last / first) ** (n / 40) for n in range(41)]
    law = [(n, curve.at(n)) for n in steps]
    return size_curve(points, law, curve.images, [title, in_words(curve)])
