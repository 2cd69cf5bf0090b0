"""What a head must be better than: the nearest neighbours, and always the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from camcli.train.fitting.losses import known_labels
from camcli.train.judging.intervals import Interval, Z

NEIGHBOURS = 5
_BLOCK = 1024


class Majority(NamedTuple):
    """Always the same answer.

    Attributes:
        said: (C,) of labels whether each is said to be there; of classes 1 for the one that is.
        right: (N,) share of right decisions of each image.
    """

    said: Tensor
    right: np.ndarray


def right_share(logits: Tensor, targets: Tensor) -> np.ndarray:
    """(N,) 1 where the best class is the target; of labels the share decided rightly.

    What nobody knows of an image does not count; where that is all of it, nothing was wrong.

    Args:
        logits: (N, C).
        targets: (N,), or (N, C) of labels, NaN for unknown.
    """
    if targets.ndim == 1:
        return np.asarray((logits.argmax(1) == targets).double().cpu().numpy())
    known, truth = known_labels(targets)
    wrong = ((logits > 0) != (truth == 1)) & known
    share = wrong.sum(1).double() / known.sum(1).clamp(min=1)
    return np.asarray((1 - share).cpu().numpy())


def majority(targets: Tensor, classes: int) -> Majority:
    """The most frequent class; of each label whether it is more often there than not."""
    if targets.ndim == 1:
        best = int(torch.bincount(targets, minlength=classes).argmax())
        logits = torch.zeros(classes)
        logits[best] = 1
    else:
        known, truth = known_labels(targets)
        logits = truth.sum(0) / known.sum(0).clamp(min=1) - 0.5
    right = right_share(logits.expand(len(targets), -1), targets)
    return Majority((logits > 0).float(), right)


def neighbours(
    points: Tensor, targets: Tensor, classes: int, fold: Tensor, judge: Tensor, k: int = NEIGHBOURS
) -> Tensor:
    """What the nearest training images of other folds say of each.

    Args:
        points: (N, D) features, compared by their cosine.
        targets: (N,), or (N, C) of labels, NaN for unknown.
        classes: C.
        fold: (N,) as `camcli.train.judging.folds.folds` gives them.
        judge: (M,) indices of the images to judge.
        k: so many vote.

    Returns:
        (M, C) above 0 where the vote is for a label; of classes the greatest is the answer, and
        the nearest decides where votes are equal.
    """
    unit = torch.nn.functional.normalize(points.float(), dim=1)
    votes = torch.zeros(len(judge), classes)
    for n in fold[judge].unique().tolist():
        base = (fold != n).nonzero()[:, 0]
        rows = (fold[judge] == n).nonzero()[:, 0]
        for some in rows.split(_BLOCK):
            cosines = unit[judge[some]] @ unit[base].T
            found = base[cosines.topk(min(k, len(base)), dim=1).indices]  # the nearest first
            if targets.ndim == 1:
                order = 1 + torch.arange(found.shape[1], 0, -1) / (10.0 * k * k)
                each = torch.zeros(len(some), classes)
                votes[some] = each.scatter_add_(1, targets[found], order.expand(found.shape))
            else:
                known, truth = known_labels(targets[found])
                votes[some] = truth.sum(1) / known.sum(1).clamp(min=1) - 0.5
    return votes


def better(one: np.ndarray, other: np.ndarray, groups: Sequence[int]) -> Interval:
    """By how much the mean of scores of the same images is higher, with its 95% interval.

    Args:
        one: (N,) scores.
        other: likewise.
        groups: (N,) equal for images that are not independent.
    """
    difference = one - other
    value = float(difference.mean())
    keys = np.unique(groups, return_inverse=True)[1]
    count = int(keys.max()) + 1
    sums = np.bincount(keys, difference - value, count)
    spread = float(np.sqrt(np.square(sums).sum() * count / max(count - 1, 1))) / len(one)
    return Interval(value, value - Z * spread, value + Z * spread)
