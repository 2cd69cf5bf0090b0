"""Are the labels right, of which a photograph has any number? With the intervals of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camcli.models.label_metrics import label_metrics
from camcli.models.outputs import Output, probabilities


class LabelPredictions:
    """Predictions of photographs whose labels are known."""

    def __init__(
        self,
        logits: Tensor,
        truth: np.ndarray,
        classes: Sequence[str],
        output: Output,
        *,
        unlabelled: int = 0,
        known: np.ndarray | None = None,
    ) -> None:
        """Judge logits.

        Args:
            logits: (N, C), N at least 1.
            truth: (N, C) bool.
            classes: the C names.
            output: what the logits are, with the thresholds of labels.
            unlabelled: photographs whose labels are not known, for `record`.
            known: (N, C) bool, whether `truth` says anything of a pair: others count nowhere; None
                where it does everywhere.
        """
        told = np.ones_like(truth) if known is None else known
        self._classes, self._unlabelled, self._truth = classes, unlabelled, truth & told
        probs = probabilities(logits.cpu().double(), output.kind).numpy()
        self._predicted = np.zeros_like(truth)
        for row, own in zip(self._predicted, probs.tolist(), strict=True):
            row[output.positives(own)] = True
        self._predicted &= told
        self._found = label_metrics(truth, probs, self._predicted, told)
        self._thresholds = output.thresholds or (0.5,) * len(classes)
        # Of each label: the photographs of which it is known from the likeliest down, and where
        # equal ones end.
        self._ranked = [_ranked(probs[:, c], told[:, c]) for c in range(len(classes))]

    def __len__(self) -> int:
        return len(self._truth)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """``exact``, ``f1_micro``, ``f1_macro`` and, where a photograph has a label, ``map``.

        Args:
            weights: (N,) of the photographs; equal by default. A label whose photographs all have
                the weight 0 is no part of ``map``.
        """
        w = np.ones(len(self)) if weights is None else weights.astype(np.float64)
        truth, said = self._truth, self._predicted
        both, right, claimed = w @ (truth & said), w @ truth, w @ said
        f1 = np.divide(
            2 * both, right + claimed, out=np.zeros(len(both)), where=right + claimed > 0
        )
        found = {
            "exact": float(w @ (truth == said).all(1) / w.sum()),
            "f1_micro": float(2 * both.sum() / max((right + claimed).sum(), 1e-12)),
            "f1_macro": float(f1.mean()),
        }
        known = [self._precision(c, w) for c in np.flatnonzero(right > 0).tolist()]
        return {**found, "map": float(np.mean(known))} if known else found

    def _precision(self, c: int, w: np.ndarray) -> float:
        """Average precision of a label that has some weight."""
        order, ends = self._ranked[c]
        hits = np.cumsum(w[order] * self._truth[order, c])[ends]
        seen = np.maximum(np.cumsum(w[order])[ends], 1e-12)
        return float((np.diff(hits, prepend=0.0) / hits[-1] * (hits / seen)).sum())

    def record(self) -> dict[str, Any]:
        """Everything, for JSON: the numbers, and those of each label."""
        found = self._found
        return {
            "count": found.images,
            "unlabelled": self._unlabelled,
            **self.compute(),
            "labels": [
                {
                    "label": name, "count": support, "average_precision": ap, "f1": f1,
                    "threshold": threshold,
                }
                for name, (ap, f1, support), threshold in zip(
                    self._classes, found.per_class, self._thresholds, strict=True
                )
            ],
        }  # fmt: skip


def _ranked(probs: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of those that are known by probability (N,), and where equal ones end among them."""
    order = np.argsort(-probs, kind="stable")
    order = order[known[order]]
    return order, np.append(np.flatnonzero(np.diff(probs[order])), len(order) - 1)


def labels_judged(
    logits: Sequence[Tensor],
    labels: Sequence[frozenset[int] | None],
    classes: Sequence[str],
    output: Output,
    doubtful: Sequence[frozenset[int]] = (),
) -> LabelPredictions | None:
    """The photographs whose labels are known; None when there are none.

    Args:
        logits: (C,) of each photograph.
        labels: their true labels; None where unknown.
        classes: the C names.
        output: what the logits are.
        doubtful: of each photograph the labels of which nobody knows whether they are true; none
            by default.
    """
    known = [n for n, own in enumerate(labels) if own is not None]
    if not known:
        return None
    truth = np.zeros((len(known), len(classes)), bool)
    for row, n in zip(truth, known, strict=True):
        row[list(labels[n] or ())] = True
    told = np.ones_like(truth)
    for row, n in zip(told, known, strict=True):
        row[list(doubtful[n]) if doubtful else []] = False
    return LabelPredictions(
        torch.stack([logits[n] for n in known]), truth, classes, output,
        unlabelled=len(labels) - len(known), known=told,
    )  # fmt: skip
