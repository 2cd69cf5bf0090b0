"""Are the predictions right? Classification metrics with the intervals that the maps' have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camcli.models.outputs import Output, log_probabilities
from camcli.train.run_folder.metrics import most_confused, predictions, score

SOFTMAX = Output()
MOST = 4000  # photographs up to which mean_ap is resampled: every two of them are compared


class Predictions:
    """Predictions of photographs whose true class is known."""

    def __init__(
        self,
        logits: Tensor,
        truth: Tensor,
        classes: Sequence[str],
        *,
        confidence: float | None = None,
        unlabelled: int = 0,
        output: Output = SOFTMAX,
    ) -> None:
        """Judge logits.

        Args:
            logits: (N, C), N at least 1.
            truth: (N,) int64.
            classes: the C names.
            confidence: also judge those of at least this probability alone.
            unlabelled: photographs whose class is not known, for `record`.
            output: what the logits are.
        """
        self._classes, self._confidence, self._unlabelled = classes, confidence, unlabelled
        self._scores = score(logits, truth, classes, output)
        log_p = log_probabilities(logits.cpu().double(), output.kind)
        predicted = predictions(logits.cpu(), output)
        p = log_p.exp().gather(1, predicted[:, None])[:, 0]
        self._truth = truth.numpy()
        self._right = (predicted == truth).double().numpy()
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        # Of two classes the ranking by the second one's logit, with the places where ties end.
        self._margin = None
        if logits.shape[1] == 2:
            self._margin = (log_p[:, 1] - log_p[:, 0]).numpy()
        self._top5 = (best == truth[:, None]).any(1).double().numpy()
        self._sure = None if confidence is None else (p >= confidence).double().numpy()
        # Row i, column m: is m ranked at or above i when the class of i is looked for? Then the
        # precision at each positive is a ratio of two products with the weights, ties shared.
        self._above = self._hits = np.zeros((0, 0), np.float32)
        if len(truth) <= MOST:
            wanted = log_p[:, truth].T
            self._above = (wanted >= wanted.diagonal()[:, None]).float().numpy()
            self._hits = self._above * (self._truth[:, None] == self._truth)

    def __len__(self) -> int:
        return len(self._truth)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """``top1``, ``top5``, ``mean_ap`` and, with a confidence, the two of the sure ones.

        Of two classes also ``auc``, the area under the ROC curve, where there are both.

        Args:
            weights: (N,) of the photographs; equal by default. A class whose photographs all have
                the weight 0 is no part of ``mean_ap``, which is left out above `MOST` photographs.
        """
        if weights is None:
            mean_ap: float | None = self._scores.mean_ap
            weights = np.ones(len(self))
        else:
            mean_ap = self._mean_ap(weights) if len(self._above) else None
        total = weights.sum()
        found = {
            "top1": float(weights @ self._right / total),
            "top5": float(weights @ self._top5 / total),
        }
        if mean_ap is not None:
            found["mean_ap"] = mean_ap
        if self._margin is not None:
            auc = area_under_roc(self._margin, self._truth == 1, weights)
            if auc is not None:
                found["auc"] = auc
        if self._sure is not None:
            sure = weights * self._sure
            found["share_confident"] = float(sure.sum() / total)
            if sure.any():
                found["top1_confident"] = float(sure @ self._right / sure.sum())
        return found

    def _mean_ap(self, weights: np.ndarray) -> float:
        w = weights.astype(np.float32)
        n = np.maximum(self._above @ w, 1e-9)
        gained = weights * (self._hits @ w) / n
        own = np.bincount(self._truth, weights)
        known = own > 0
        return float(np.mean(np.bincount(self._truth, gained)[known] / own[known]))

    def record(self) -> dict[str, Any]:
        """Everything, for JSON: numbers, the confusion's cells that are not 0, the worst pairs."""
        cells = self._scores.confusion
        found: dict[str, Any] = {**self._scores.summary(), "unlabelled": self._unlabelled}
        found["confusion"] = [
            {"true": self._classes[t], "predicted": self._classes[p], "count": int(cells[t, p])}
            for t, p in cells.nonzero().tolist()
        ]
        found["most_confused"] = most_confused(cells, self._classes, 10)
        if self._confidence is not None:
            numbers = self.compute()
            found["at_confidence"] = {
                "confidence": self._confidence,
                "share": numbers["share_confident"],
                "top1": numbers.get("top1_confident"),
            }
        return found


def area_under_roc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float | None:
    """How often a positive has the greater score than a negative, ties counted half.

    Args:
        scores: (N,).
        positive: (N,) bool.
        weights: (N,).

    Returns:
        In [0, 1]; None without weight on either side.
    """
    values, place = np.unique(scores, return_inverse=True)
    ups = np.bincount(place, weights * positive, len(values))
    downs = np.bincount(place, weights * ~positive, len(values))
    pairs = ups.sum() * downs.sum()
    if pairs <= 0:
        return None
    below = np.cumsum(downs) - downs
    return float((ups * (below + downs / 2)).sum() / pairs)


def judged(
    logits: Sequence[Tensor],
    labels: Sequence[int],
    classes: Sequence[str],
    confidence: float | None = None,
    *,
    output: Output = SOFTMAX,
) -> Predictions | None:
    """The photographs whose label names a class of the network; None when there are none.

    Args:
        logits: (C,) of each photograph.
        labels: their true classes, -1 where unknown.
        classes: the C names.
        confidence: see `Predictions`.
        output: what the logits are.
    """
    truth = torch.tensor(labels, dtype=torch.int64)
    known = truth >= 0
    if not known.any():
        return None
    return Predictions(
        torch.stack(list(logits))[known], truth[known], classes, confidence=confidence,
        unlabelled=int((~known).sum()), output=output,
    )  # fmt: skip
