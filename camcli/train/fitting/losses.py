"""What is minimised: cross-entropy of classes or labels, focal, or the errors of values.

Targets are (N,) indices of classes; of labels (N, C) zeros and ones; of values (N, C) numbers,
which were standardised. NaN is what nobody knows, and part of no loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.train.ranges import Objective

HUBER = 1.345
"""Errors beyond so many (robust) deviations of the values count less: with normal errors this loses
a twentieth of what squares know, and a gross one then moves nothing (Huber 1964)."""


def cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None, smoothing: float, gamma: float
) -> Tensor:
    """Of classes that exclude each other, (N,): each image's, times the weight of its class.

    Args:
        logits: (N, C).
        targets: (N,) int64.
        weight: (C,), or None for equal ones.
        smoothing: share of the target that is spread over all classes.
        gamma: of the focal loss (Lin et al. 2017): what is right already, with probability p,
            counts (1 - p)^gamma; 0 is cross-entropy.
    """
    if not gamma:
        return F.cross_entropy(logits, targets, weight, reduction="none", label_smoothing=smoothing)
    log_p = logits.log_softmax(1)
    each = -((1 - log_p.exp()) ** gamma) * log_p
    each = each if weight is None else each * weight
    own = each.gather(1, targets[:, None])[:, 0]
    return (1 - smoothing) * own + smoothing * each.mean(1)


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None, smoothing: float, gamma: float
) -> Tensor:
    """Of labels, each a yes or no, (N, C); 0 where nobody knows.

    Args:
        logits: (N, C).
        targets: (N, C).
        weight: (C,) of each label's positives, or None for 1.
        smoothing: as if so much of each target were drawn.
        gamma: as for `cross_entropy`.
    """
    known, truth = known_labels(targets.to(logits))
    truth = truth * (1 - smoothing) + smoothing / 2
    if not gamma:
        return F.binary_cross_entropy_with_logits(
            logits, truth, known.to(logits), pos_weight=weight, reduction="none"
        )
    # log p and log (1 - p), of which neither is infinite; 1 - p is p of the other sign.
    yes = -(logits.neg().sigmoid() ** gamma) * F.logsigmoid(logits)
    no = -(logits.sigmoid() ** gamma) * F.logsigmoid(logits.neg())
    yes = yes if weight is None else yes * weight
    return (truth * yes + (1 - truth) * no) * known


def value_errors(values: Tensor, targets: Tensor, objective: Objective) -> Tensor:
    """Half the squared error of each value, (N, C), or Huber's; 0 where nobody knows.

    Args:
        values: (N, C), standardised.
        targets: (N, C), likewise.
        objective: one of `VALUE_LOSSES`.
    """
    known, truth = known_labels(targets.to(values))
    delta = HUBER if objective == "huber" else torch.inf
    off = (values - truth).abs()
    each = 0.5 * off.square() if delta == torch.inf else _huber(off, delta)
    return each.where(known, 0)


def _huber(off: Tensor, delta: float) -> Tensor:
    near = off.clamp(max=delta)
    return near * (off - 0.5 * near)


def known_labels(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Of targets (N, C) where they are known, bool, and what they are: 0 where they are not."""
    known = ~targets.isnan()
    return known, targets.where(known, 0)


def label_loss(logits: Tensor, targets: Tensor) -> float:
    """Mean binary cross-entropy, in nats, over all known pairs of an image and a label.

    Args:
        logits: (N, C).
        targets: (N, C) zeros and ones, NaN for unknown.
    """
    known, truth = known_labels(targets.to(logits))
    return float(F.binary_cross_entropy_with_logits(logits[known], truth[known]))


def value_scores(values: Tensor, targets: Tensor, objective: Objective = "mse") -> dict[str, float]:
    """``val_loss``, the mean error as it is minimised, and ``val_r2``, the mean R² of the values.

    Args:
        values: (N, C), standardised.
        targets: (N, C), likewise; NaN for unknown.
        objective: what is minimised.
    """
    known, truth = known_labels(targets.to(values))
    total = value_errors(values, targets, objective).double().sum()
    square = (values - truth).square().where(known, 0).double()
    count = known.sum(0).clamp(min=1)
    mean = truth.double().sum(0) / count
    spread = (truth - mean).square().where(known, 0).sum(0)
    found = {"val_loss": float(total / known.sum().clamp(min=1))}
    varies = spread > 0
    if varies.any():
        found["val_r2"] = float((1 - square.sum(0) / spread)[varies].mean())
    return found


def told(loss: float, targets: Tensor) -> float:
    """A mean loss as it is shown: of labels and values the mean over all that is known of them."""
    if targets.ndim == 1:
        return loss
    return loss * len(targets) / max(int(known_labels(targets)[0].sum()), 1)


def hits(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,) bool: whether the best class is the target, or exactly the labels above one half are.

    What nobody knows may be above or below it.
    """
    if targets.ndim == 1:
        return logits.argmax(1) == targets
    known, truth = known_labels(targets)
    return (((logits > 0) == (truth == 1)) | ~known).all(1)
