"""Whether fine-tuning was worth it: the same pictures, judged by the head alone and after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.printable import counted
from camcli.train.fitting.head import judged
from camcli.train.fitting.losses import hits, known_labels, value_errors, value_scores
from camcli.train.ranges import Objective

Z = 1.959964
"""Of 95%."""


@dataclass(frozen=True)
class TuneVerdict:
    """Fine-tuning beside the head that it began with, on the validation images.

    Attributes:
        count: N images.
        before: share of them that the head alone gets right (of labels, all of an image's).
        after: and the best epoch of fine-tuning.
        gained: images that only the latter gets right.
        lost: images that only the former gets right.
        low: of the 95% interval of ``after - before``.
        high: its other end.
        loss: change of the log-loss.
        loss_low: of its 95% interval.
        loss_high: its other end.
        kept: whether the fine-tuned network is kept.
        precision: of labels, the mean average precision of both.
    """

    count: int
    before: float
    after: float
    gained: int
    lost: int
    low: float
    high: float
    loss: float
    loss_low: float
    loss_high: float
    kept: bool
    precision: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        head: Tensor,
        tuned: Tensor,
        targets: Tensor,
        kept: bool,
        groups: Sequence[int] | None = None,
    ) -> TuneVerdict:
        """Compare.

        Args:
            head: logits (N, C) of the head alone.
            tuned: logits (N, C) after fine-tuning.
            targets: (N,), or (N, C) of labels.
            kept: whether the fine-tuned network is kept.
            groups: of each image, equal for those that show the same thing and so are right or
                wrong together; None for images of their own.
        """
        first, second = hits(head, targets).cpu(), hits(tuned, targets).cpu()
        n = len(targets)
        gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
        before, after = float(first.double().mean()), float(second.double().mean())
        alone = groups is None or len(set(groups)) == n
        whose = torch.arange(n) if groups is None else torch.tensor(groups)
        low, high = paired_interval(gained, lost, n)
        if not alone:
            spread = _spread(second.double() - first.double(), whose)
            low, high = max(-1.0, after - before - spread), min(1.0, after - before + spread)
        change = (each_loss(tuned, targets) - each_loss(head, targets)).double()
        mean, spread = float(change.mean()), _spread(change, whose)
        maps = [judged(logits, targets).get("val_map") for logits in (head, tuned)]
        precision = (maps[0], maps[1]) if maps[0] is not None and maps[1] is not None else None
        return cls(
            n, before, after, gained, lost, low, high, mean, mean - spread, mean + spread, kept,
            precision,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``run.json``."""
        return {
            "images": self.count,
            "head_alone": round(self.before, 6),
            "fine_tuned": round(self.after, 6),
            "gained": self.gained,
            "lost": self.lost,
            "difference": [round(x, 6) for x in (self.after - self.before, self.low, self.high)],
            "log_loss": [round(x, 6) for x in (self.loss, self.loss_low, self.loss_high)],
            **({"mean_ap": [round(x, 6) for x in self.precision]} if self.precision else {}),
            "kept": "fine-tuned" if self.kept else "head alone",
            "told": self.sentence(),
        }

    def sentence(self) -> str:
        """What to tell a person."""
        kept = "The fine-tuned network is kept." if self.kept else "The head alone is kept."
        if self.precision:  # which is what epochs of labels are compared by
            low, high = self.loss_low, self.loss_high
            found = _words(-high, -low)
            before, after = self.precision
            return (
                f"{found}: mAP {after:.4f} on validation, the head alone {before:.4f}; log-loss "
                f"{self.loss:+.4f} (95%: {low:+.4f} to {high:+.4f} of "
                f"{counted(self.count, 'image')}). {kept}"
            )
        points = f"{100 * (self.after - self.before):+.1f} points"
        interval = f"95%: {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        numbers = f"{self.after:.4f} on validation, the head alone {self.before:.4f}"
        changed = f"{self.gained} won, {self.lost} lost of {counted(self.count, 'image')}"
        found = _words(self.low, self.high)
        if self.low <= 0 <= self.high and self.loss_high < 0:
            found = "Fine-tuning is surer than the head alone, if no more often right"
        return f"{found}: {numbers}, {points} ({interval}; {changed}). {kept}"


@dataclass(frozen=True)
class ValueVerdict:
    """Fine-tuning beside the head that it began with, on validation images that have values.

    Attributes:
        count: N images.
        before: mean R² of the head alone.
        after: and of the best epoch of fine-tuning.
        loss: change of the mean error as it is minimised, over that of the head alone.
        loss_low: of its 95% interval.
        loss_high: its other end.
        kept: whether the fine-tuned network is kept.
    """

    count: int
    before: float
    after: float
    loss: float
    loss_low: float
    loss_high: float
    kept: bool

    @classmethod
    def of(
        cls,
        head: Tensor,
        tuned: Tensor,
        targets: Tensor,
        objective: Objective,
        kept: bool,
        groups: Sequence[int] | None = None,
    ) -> ValueVerdict:
        """Compare.

        Args:
            head: values (N, C) of the head alone, standardised.
            tuned: after fine-tuning, likewise.
            targets: (N, C).
            objective: what is minimised.
            kept: whether the fine-tuned network is kept.
            groups: as for `TuneVerdict.of`.
        """
        n, r2 = len(targets), []
        errors = []
        for each in (head, tuned):
            values = each.float().cpu()
            r2.append(value_scores(values, targets, objective).get("val_r2", math.nan))
            errors.append(value_errors(values, targets, objective).sum(1).double())
        whole = max(float(errors[0].mean()), 1e-30)
        change = (errors[1] - errors[0]) / whole
        mean = float(change.mean())
        spread = _spread(change, torch.tensor(list(range(n) if groups is None else groups)))
        return cls(n, r2[0], r2[1], mean, mean - spread, mean + spread, kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``run.json``."""
        return {
            "images": self.count,
            "head_alone": round(self.before, 6),
            "fine_tuned": round(self.after, 6),
            "error": [round(x, 6) for x in (self.loss, self.loss_low, self.loss_high)],
            "kept": "fine-tuned" if self.kept else "head alone",
            "told": self.sentence(),
        }

    def sentence(self) -> str:
        """What to tell a person."""
        found = _words(-self.loss_high, -self.loss_low)
        kept = "The fine-tuned network is kept." if self.kept else "The head alone is kept."
        return (
            f"{found}: R² {self.after:.4f} on validation, the head alone {self.before:.4f}; its "
            f"error {self.loss:+.0%} (95%: {self.loss_low:+.0%} to {self.loss_high:+.0%} of "
            f"{counted(self.count, 'image')}). {kept}"
        )


def _words(low: float, high: float) -> str:
    """What the interval of a gain says."""
    if low > 0:
        return "Fine-tuning beats the head alone"
    if high < 0:
        return "Fine-tuning is worse than the head alone"
    return "Fine-tuning does not clearly beat the head alone"


def paired_interval(gained: int, lost: int, count: int) -> tuple[float, float]:
    """95% interval of a difference of two shares of the same images (Bonett and Price 2012).

    Args:
        gained: images that count for the second share alone.
        lost: for the first one alone.
        count: all images.
    """
    up, down = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    spread = Z * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    return max(-1.0, up - down - spread), min(1.0, up - down + spread)


def _spread(values: Tensor, groups: Tensor) -> float:
    """Half of the 95% interval of the mean of `values` (N,), whole groups of which were drawn."""
    _, number = groups.unique(return_inverse=True)
    count = int(number.max()) + 1
    if count < 2:
        return math.inf
    sums = torch.zeros(count, dtype=values.dtype).index_add_(0, number, values - values.mean())
    return Z * math.sqrt(float(sums.square().sum()) * count / (count - 1)) / len(values)


def each_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-loss (N,) of each image; of labels the mean over those that are known of it, or 0."""
    logits = logits.float().cpu()
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets.cpu(), reduction="none")
    known, truth = known_labels(targets.to(logits))
    each = F.binary_cross_entropy_with_logits(
        logits, truth, known.to(logits), reduction="none"
    ).sum(1)
    return each / known.sum(1).clamp(min=1)
