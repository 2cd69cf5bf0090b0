"""What logits of labels are worth, each of which is in an image or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from camcli.models.classes.thresholds import USUAL
from camcli.models.label_metrics import label_metrics
from camcli.train.fitting.losses import label_loss

FEWEST = 5
"""Positives, and negatives, from which on a threshold is chosen by them."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How one label did; a value without a meaning is None.

    Attributes:
        name: of the label.
        support: images that have it.
        precision: of the images predicted to have it, the share that does; None if none was.
        recall: of its images, the share that was predicted; None without images.
        f1: their harmonic mean, 0 where neither is.
        average_precision: area under its precision-recall curve; None without images.
        threshold: the probability above which it was predicted.
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float
    average_precision: float | None
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class SplitLabelScores:
    """How a network of labels did on a split.

    Attributes:
        count: images.
        exact: share with exactly their labels predicted.
        mean_ap: mean of the labels' average precision, over those that an image has; None if none.
        micro_ap: average precision of all pairs of an image and a label in one list.
        f1_macro: mean of the labels' F1.
        f1_micro: F1 of all pairs together.
        log_loss: mean binary cross-entropy of a pair, in nats.
        labels: one entry a label.
    """

    count: int
    exact: float
    mean_ap: float | None
    micro_ap: float | None
    f1_macro: float
    f1_micro: float
    log_loss: float
    labels: tuple[LabelScore, ...]

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole split, for JSON."""
        names = ("count", "exact", "mean_ap", "micro_ap", "f1_macro", "f1_micro", "log_loss")
        return {name: getattr(self, name) for name in names}


def score_labels(
    logits: Tensor, truth: Tensor, classes: Sequence[str], thresholds: Sequence[float] | None = None
) -> SplitLabelScores:
    """Judge logits of labels.

    Args:
        logits: (N, C), N at least 1.
        truth: (N, C) zeros and ones, NaN where nobody knows: that counts nowhere.
        classes: the C names.
        thresholds: the probability above which each is predicted; None for one half.
    """
    logits, truth = logits.cpu().double(), truth.cpu().double()
    known = truth.isfinite().numpy()
    least = np.array(thresholds or [USUAL] * len(classes))
    probs, there = logits.sigmoid().numpy(), (truth == 1).numpy()
    predicted = (probs > least) & known
    found = label_metrics(there, probs, predicted, known)
    both, said = (there & predicted).sum(0), predicted.sum(0)
    each = tuple(
        LabelScore(
            name, support, int(both[c]) / int(said[c]) if said[c] else None,
            int(both[c]) / support if support else None, f1, ap, float(least[c]),
        )
        for c, (name, (ap, f1, support)) in enumerate(zip(classes, found.per_class, strict=True))
    )  # fmt: skip
    return SplitLabelScores(
        found.images, found.exact / found.images, found.map_macro, found.map_micro, found.f1_macro,
        found.f1_micro, label_loss(logits, truth), each,
    )  # fmt: skip


def best_thresholds(logits: Tensor, truth: Tensor) -> tuple[float, ...]:
    """For each label the threshold with the greatest F1, half where there is too little to say so.

    Of equally good ones it is the one nearest to one half, midway between two probabilities.

    Args:
        logits: (N, C) of validation images.
        truth: (N, C) zeros and ones, NaN where nobody knows.
    """
    probs, there = logits.cpu().double().sigmoid().numpy(), truth.cpu().numpy()
    known = np.isfinite(there)
    return tuple(
        _best(probs[known[:, c], c], there[known[:, c], c] == 1) for c in range(probs.shape[1])
    )


def _best(probs: np.ndarray, there: np.ndarray) -> float:
    total = int(there.sum())
    if min(total, len(there) - total) < FEWEST:
        return USUAL
    order = np.argsort(-probs, kind="stable")
    ranked, hits = probs[order], np.cumsum(there[order])
    said = np.arange(1, len(order) + 1)
    # Cuts lie between different probabilities, and below the last one.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(order) - 1)
    f1 = 2 * hits[ends] / (said[ends] + total)
    below = np.append(ranked[1:], 0.0)[ends]
    # Of neighbours among the floats the middle is the upper one, which would be left out.
    cuts = np.minimum((ranked[ends] + below) / 2, np.nextafter(ranked[ends], 0))
    # One half itself, where it cuts at the same place.
    cuts = np.where((below <= USUAL) & (ranked[ends] > USUAL), USUAL, cuts)
    best = np.flatnonzero(np.isclose(f1, f1.max(), rtol=0, atol=1e-12))
    chosen = cuts[best[np.argmin(np.abs(cuts[best] - USUAL))]]
    return float(min(max(chosen, 1e-6), 1 - 1e-6))
