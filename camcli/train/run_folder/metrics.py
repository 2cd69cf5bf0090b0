"""What a classifier's logits are worth: accuracy, ranking, and how honest its confidence is.

All in float64, from logits (N, C) and true classes (N,); tested against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.models import label_metrics
from camcli.models.outputs import Output, log_probabilities

SOFTMAX = Output()
BINS = 15
"""Equal-width confidence bins of the calibration error, as in Guo et al. 2017."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How one class did; a value without a meaning (no image of it) is None.

    Attributes:
        name: of the class.
        support: images of it.
        precision: of the images predicted as it, the share that is; None if none was.
        recall: of its images, the share that was predicted; None without images.
        average_precision: area under its precision-recall curve, one against the rest.
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    average_precision: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How a classifier did on a split.

    Attributes:
        count: images.
        top1: share with the right class first.
        top5: share with it among the first five (or all classes, if there are fewer).
        mean_ap: mean of the classes' average precision, over those with images.
        log_loss: mean -log p of the true class, in nats.
        ece: expected calibration error: the mean gap between confidence and accuracy over `BINS`
            bins of confidence, weighted by their images.
        classes: one entry a class.
        confusion: (C, C) int64; row: the true class, column: the predicted one.
    """

    count: int
    top1: float
    top5: float
    mean_ap: float
    log_loss: float
    ece: float
    classes: tuple[ClassScores, ...]
    confusion: Tensor

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole split, for JSON."""
        names = ("count", "top1", "top5", "mean_ap", "log_loss", "ece")
        return {name: getattr(self, name) for name in names}


def score(
    logits: Tensor, truth: Tensor, classes: Sequence[str], output: Output = SOFTMAX
) -> Scores:
    """Judge logits.

    Args:
        logits: (N, C), N at least 1.
        truth: (N,) int64.
        classes: the C names.
        output: what the logits are.

    Example:
        >>> score(torch.eye(2) * 9, torch.tensor([0, 1]), ("cat", "dog")).top1
        1.0
    """
    logits, truth = logits.cpu().double(), truth.cpu()
    log_p = log_probabilities(logits, output.kind)
    predicted = predictions(logits, output)
    confidence = log_p.exp().gather(1, predicted[:, None])[:, 0]
    right = predicted == truth
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices == truth[:, None]
    counts = confusion(truth, predicted, len(classes))
    each = tuple(
        _class_scores(name, c, log_p[:, c], truth, counts) for c, name in enumerate(classes)
    )
    known = [c.average_precision for c in each if c.average_precision is not None]
    return Scores(
        count=len(truth),
        top1=float(right.double().mean()),
        top5=float(top5.any(1).double().mean()),
        mean_ap=sum(known) / len(known),
        log_loss=float(F.nll_loss(log_p, truth)),
        ece=calibration_error(confidence, right),
        classes=each,
        confusion=counts,
    )


def predictions(logits: Tensor, output: Output = SOFTMAX) -> Tensor:
    """The predicted class of each of (N, C) logits: the best one, of two by their threshold."""
    return output.best(logits, 1)[:, 0] if output.thresholds else logits.argmax(1)


def confusion(truth: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """(C, C) int64 counts: row the true class, column the predicted one."""
    cells = truth * classes + predicted
    return torch.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def average_precision(scores: Tensor, positive: Tensor) -> float | None:
    """Σ (R_n - R_{n-1}) P_n over the distinct thresholds, without interpolation.

    Args:
        scores: (N,); equal scores share one threshold, so their order does not matter.
        positive: (N,) bool.

    Returns:
        In [0, 1]; None without a positive.
    """
    return label_metrics.average_precision(positive.cpu().numpy(), scores.double().cpu().numpy())


def calibration_error(confidence: Tensor, right: Tensor, bins: int = BINS) -> float:
    """Expected calibration error.

    Args:
        confidence: (N,) probability of the predicted class.
        right: (N,) bool.
        bins: of equal width; a bin holds its upper edge, the first also 0.
    """
    index = (confidence.double() * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.double)
    gap.index_add_(0, index, confidence.double() - right.double())
    return float(gap.abs().sum() / len(confidence))


def most_confused(counts: Tensor, classes: Sequence[str], most: int = 20) -> list[dict[str, Any]]:
    """The pairs of classes that were mistaken most often.

    Args:
        counts: (C, C), as `confusion` makes it.
        classes: the C names.
        most: how many pairs.

    Returns:
        ``true``, ``predicted``, ``count`` and ``share`` of the true class's images, worst first.
    """
    wrong = counts.clone().fill_diagonal_(0)
    cells = wrong.flatten().argsort(descending=True, stable=True)[:most].tolist()
    pairs = [(cell // len(classes), cell % len(classes)) for cell in cells]
    return [
        {
            "true": classes[t],
            "predicted": classes[p],
            "count": int(wrong[t, p]),
            "share": int(wrong[t, p]) / int(counts[t].sum()),
        }
        for t, p in pairs
        if wrong[t, p]
    ]


def _class_scores(name: str, c: int, scores: Tensor, truth: Tensor, counts: Tensor) -> ClassScores:
    hit, support, predicted = int(counts[c, c]), int(counts[c].sum()), int(counts[:, c].sum())
    return ClassScores(
        name,
        support,
        hit / predicted if predicted else None,
        hit / support if support else None,
        average_precision(scores, truth == c),
    )
