"""How good a network is at labels of which several can be right: average precision and F1.

The numbers are scikit-learn's: ``average_precision_score`` and ``f1_score`` of the same data, of
which a class without a single positive has no average precision and is left out of the macro mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """Over images whose labels are known.

    Attributes:
        images: how many.
        exact: of them, predicted exactly: all labels and no other, as far as they are known.
        map_macro: mean average precision over the classes that occur; None if none does.
        map_micro: average precision of all image and label pairs in one list; None likewise.
        f1_macro: mean F1 over all classes, 0 for one that is neither right nor predicted.
        f1_micro: F1 of all pairs together.
        per_class: (average precision or None, F1, positives) of each class.
        without: indices of classes that no image has.
    """

    images: int
    exact: int
    map_macro: float | None
    map_micro: float | None
    f1_macro: float
    f1_micro: float
    per_class: tuple[tuple[float | None, float, int], ...]
    without: tuple[int, ...]


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Σ_n (R_n - R_{n-1}) P_n over the scores' own thresholds, as scikit-learn has it.

    Args:
        truth: (N,) bool.
        scores: (N,), higher for what is likelier true; equal ones are one threshold.

    Returns:
        In [0, 1]; None without a positive.
    """
    total = int(truth.sum())
    if not total:
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    # The last of equal scores: no threshold lies between them.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision, recall = hits[ends] / (ends + 1), hits[ends] / total
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def label_metrics(
    truth: np.ndarray,
    probs: np.ndarray,
    predicted: np.ndarray,
    known: np.ndarray | None = None,
) -> LabelMetrics:
    """The numbers of a set of images.

    Args:
        truth: (N, C) bool, the labels.
        probs: (N, C), their probabilities.
        predicted: (N, C) bool, whether they are above their thresholds.
        known: (N, C) bool, whether `truth` says anything of a pair: others count nowhere; None
            where it does everywhere.
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    told = np.ones(truth.shape, bool) if known is None else np.asarray(known, bool)
    truth, predicted = truth & told, predicted & told
    both, right, said = (truth & predicted).sum(0), truth.sum(0), predicted.sum(0)
    f1 = np.divide(2 * both, right + said, out=np.zeros(len(both)), where=(right + said) > 0)
    each = [
        average_precision(truth[told[:, c], c], probs[told[:, c], c]) for c in range(truth.shape[1])
    ]
    there = [value for value in each if value is not None]
    pairs = int(right.sum() + said.sum())
    return LabelMetrics(
        images=len(truth),
        exact=int((truth == predicted).all(1).sum()),
        map_macro=float(np.mean(there)) if there else None,
        map_micro=average_precision(truth[told], probs[told]),
        f1_macro=float(f1.mean()),
        f1_micro=2 * int(both.sum()) / pairs if pairs else 0.0,
        per_class=tuple((ap, float(f), int(n)) for ap, f, n in zip(each, f1, right, strict=True)),
        without=tuple(int(c) for c in np.flatnonzero(right == 0)),
    )
