"""How sure a head should be: logits divided by the temperature that predicts best.

After Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. One number changes no
decision, and cannot learn images by heart.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.train.fitting.losses import known_labels, label_loss
from camcli.train.run_folder.metrics import calibration_error

FEWEST = 20
"""Images from which on a temperature is chosen by them."""
HOTTEST = 20.0
"""The greatest temperature; the least is its inverse."""
SPREAD = 0.5
"""Of log T before anything is seen: heads are rarely off by more than a factor of three."""
_STEPS = 16


def best_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature T with the least log-loss of ``logits / T``; of labels, of those known.

    It is held near 1 as if log T were drawn from a normal distribution of `SPREAD`, of which little
    is left with many images: where all of a few are right, the best would be to be infinitely sure.
    On these images the log-loss never becomes greater.

    Args:
        logits: (N, C) of images that the head has not learnt from.
        targets: (N,) classes, or (N, C) of labels, NaN for unknown.

    Returns:
        1 for fewer images than `FEWEST`.
    """
    z, truth = logits.cpu().double(), targets.cpu()
    if len(truth) < FEWEST:
        return 1.0
    if truth.ndim > 1:
        known, there = known_labels(truth.double())
        z, there = z[known], there[known]

    def loss(log_t: float) -> float:
        scaled = z * math.exp(-log_t)
        if truth.ndim == 1:
            lost = float(F.cross_entropy(scaled, truth, reduction="sum"))
        else:
            lost = float(F.binary_cross_entropy_with_logits(scaled, there, reduction="sum"))
        return lost + 0.5 * (log_t / SPREAD) ** 2

    most = math.log(HOTTEST)
    grid = [most * n / _STEPS for n in range(-_STEPS, _STEPS + 1)]
    middle = min(grid, key=loss)
    low, high = middle - most / _STEPS, middle + most / _STEPS
    for _ in range(_STEPS):
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    found = (low + high) / 2
    return math.exp(found) if loss(found) < loss(0.0) else 1.0


def reliability(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """``log_loss`` in nats, and ``ece``, the expected calibration error.

    Of labels the loss is the mean over them, and the error that of each label's own probability.
    """
    z, truth = logits.cpu().double(), targets.cpu()
    if truth.ndim == 1:
        sure, best = z.softmax(1).max(1)
        return {
            "log_loss": float(F.cross_entropy(z, truth)),
            "ece": calibration_error(sure, best == truth),
        }
    known, there = known_labels(truth)
    yes = z[known].sigmoid()
    said = yes > 0.5
    right = said == (there[known] == 1)
    return {
        "log_loss": label_loss(z, truth),
        "ece": calibration_error(torch.where(said, yes, 1 - yes), right),
    }
