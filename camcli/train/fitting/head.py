"""The head: GAP + linear with cross-entropy (of labels, each its own), trained on pooled features.

The features are centred and divided by one number for all channels (of several statistics, by one
for all channels of each) while training, which changes what AdamW and SGD do (they then need no
tuning for each backbone) and nothing else: both are folded into the weights and the bias
afterwards, so the head is GAP + linear again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from camcli.models.cutting.types import Head, LinearHead
from camcli.models.label_metrics import average_precision
from camcli.train.fitting.loop import (
    RateGroup,
    Recipe,
    StageState,
    hits,
    make_optimizer,
    run_epochs,
    told,
)
from camcli.train.fitting.losses import label_loss, value_scores
from camcli.train.fitting.optimum import Problem
from camcli.train.fitting.values import VALUE_GRID, ValueProblem
from camcli.train.ranges import Objective

L2_GRID = tuple(10.0 ** (-e / 2) for e in range(1, 9))
"""Strengths tried by L-BFGS, strong to weak: each start is the end of the one before."""

USUAL_L2 = 1e-3
"""The strength where there are no validation images to choose one by."""
DEFAULT_LR = {"adamw": 1e-3, "sgd": 3e-3}

_AT_ONCE = 4096  # rows in float64, four times as large as they lie there


class FeatureScale(NamedTuple):
    """The affine map of features during training: (x - mean) / unit.

    Attributes:
        mean: (K,).
        unit: one number for all channels; of several statistics (K,), one for all of each.
    """

    mean: Tensor
    unit: Tensor

    @classmethod
    def of(cls, features: Tensor, blocks: Sequence[int] = ()) -> FeatureScale:
        """The mean of features (N, K), and how far from it they are.

        Args:
            features: those that are trained on.
            blocks: how many channels each statistic has, in order; after the scaling each weighs
                the same, however many channels it has: maxima are ten times as large as means, and
                the last map has ten times as many channels as the first.
        """
        mean = _mean_of_rows(features, lambda rows: rows)
        square = _mean_of_rows(features, lambda rows: (rows - mean).square())
        sizes = list(blocks) or [len(square)]
        units = []
        for size, own in zip(sizes, square.split(sizes), strict=True):
            share = len(square) / (len(sizes) * size)
            units.append((own.mean() / share).sqrt().expand(size))
        unit = torch.cat(units) if len(sizes) > 1 else units[0][:1]
        return cls(mean.float(), torch.where(unit > 0, unit, 1.0).float())

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, K) of any precision -> float32."""
        scaled = features.to(
            torch.float32, copy=True
        )  # one copy, of what may be most of the memory
        return scaled.sub_(self.mean.to(features.device)).div_(self.unit.to(features.device))

    def fold(self, weight: Tensor, bias: Tensor) -> LinearHead:
        """The head on plain features that gives the same logits."""
        plain = weight.cpu().double() / self.unit.double()
        shifted = bias.cpu().double() - plain @ self.mean.double()
        return LinearHead(plain.float(), shifted.float())


def _mean_of_rows(features: Tensor, each: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean (K,) of `each` of the rows (N, K), in float64, which not every device has."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for rows in features.split(_AT_ONCE):
        total += each(rows.cpu().double()).sum(0)
    return total / max(len(features), 1)


class LabelledFeatures(NamedTuple):
    """Features (N, K) float16 and targets: (N,) int64, or (N, C) zeros and ones of labels.

    Or (N, C) values, where `values` says what is minimised of them.
    """

    features: Tensor
    targets: Tensor
    values: Objective | None = None


@dataclass(kw_only=True)
class HeadState(StageState):
    """A head in training, and all that is needed to go on with it after a kill.

    Attributes:
        weight: (C, K), on scaled features.
        bias: (C,).
        scale: the scaling.
        best: weight and bias of the best epoch so far.
    """

    weight: Tensor
    bias: Tensor
    scale: FeatureScale
    best: tuple[Tensor, Tensor] | None = None

    @classmethod
    def start(
        cls, features: Tensor, classes: int, seed: int, blocks: Sequence[int] = ()
    ) -> HeadState:
        """Small random weights, the same for the same seed; `features` (N, K) give the scale."""
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(classes, features.shape[1], generator=generator) * 0.01
        scale = FeatureScale.of(features, blocks)
        return cls(weight=weight, bias=torch.zeros(classes), scale=scale)

    def head(self) -> LinearHead:
        """The best head, on plain features."""
        return self.scale.fold(*(self.best or (self.weight, self.bias)))

    def last(self) -> LinearHead:
        """The head as it is now, on plain features."""
        return self.scale.fold(self.weight, self.bias)

    def judge(self, row: dict[str, float], by_loss: bool = False) -> bool:
        """As for any stage; the best weights are remembered."""
        better = StageState.judge(self, row, by_loss)
        if better:
            self.best = (self.weight.detach().clone(), self.bias.detach().clone())
        return better


def train_head(
    fit: HeadState,
    features: Callable[[int], Tensor],
    targets: Tensor,
    val: LabelledFeatures | None,
    recipe: Recipe,
    after_epoch: Callable[[HeadState], object] = lambda fit: None,
) -> HeadState:
    """Train with AdamW or SGD from `fit` to the last epoch, or until patience runs out.

    Args:
        fit: fresh from `HeadState.start`, or restored; changed in place.
        features: (N, K) float16 of one epoch, by its number from 0.
        targets: (N,) int64.
        val: judges the epochs; None: the last one counts.
        recipe: how.
        after_epoch: called with each finished epoch, to save and to show it.
    """
    weight, bias = nn.Parameter(fit.weight), nn.Parameter(fit.bias)
    fit.weight, fit.bias = weight.data, bias.data

    def examples(epoch: int, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        seen = features(epoch)
        return ((batch, seen[batch]) for batch in order)

    def forward(rows: Tensor) -> Tensor:
        return fit.scale(rows) @ weight.T + bias

    def finish(row: dict[str, float]) -> None:
        fit.judge(row | measure(fit.last(), val))
        after_epoch(fit)

    learning = [RateGroup([weight], decays=True), RateGroup([bias], decays=False)]
    optimizer = make_optimizer(learning, recipe)
    run_epochs(fit, recipe, optimizer, targets, examples, forward, finish)
    return fit


def measure(head: LinearHead, split: LabelledFeatures | None) -> dict[str, float]:
    """The numbers of `judged` for a split; empty without data."""
    if split is None or not len(split.targets):
        return {}
    return judged(linear(head, split.features), split.targets, values=split.values)


def judged(logits: Tensor, targets: Tensor, *, values: Objective | None = None) -> dict[str, float]:
    """``val_loss`` (log-loss, without smoothing or weights), ``val_acc`` and, of labels, more.

    Args:
        logits: (N, C).
        targets: (N,), or of labels (N, C), NaN for unknown: there the loss is the mean over all
            that are known, the accuracy the share of images with exactly their labels above one
            half, and ``val_map`` the mean average precision, left out where no image has a label.
        values: of values what is minimised: then ``val_loss`` and ``val_r2``, see `value_scores`.
    """
    if values:
        return value_scores(logits, targets, values)
    right = float(hits(logits, targets).cpu().double().mean())
    if targets.ndim == 1:
        return {"val_loss": float(F.cross_entropy(logits, targets)), "val_acc": right}
    scores, truth = logits.cpu().double().numpy(), targets.cpu().numpy()
    told = np.isfinite(truth)
    each = [
        average_precision(truth[told[:, c], c] == 1, scores[told[:, c], c])
        for c in range(truth.shape[1])
    ]
    known = [one for one in each if one is not None]
    found = {"val_loss": label_loss(logits, targets), "val_acc": right}
    return {**found, "val_map": sum(known) / len(known)} if known else found


def linear(head: LinearHead, features: Tensor) -> Tensor:
    """Logits (N, C) of pooled features (N, K)."""
    return features.float() @ head.weight.T + head.bias


def logits_of(head: Head, features: Tensor) -> Tensor:
    """Logits (N, C) of pooled features (N, K) by a head of any kind."""
    if isinstance(head, LinearHead):
        return linear(head, features)
    return torch.cat([head(some.float()[:, :, None, None]) for some in features.split(256)])


# --- to the optimum ------------------------------------------------------------------------------


def solve_head(
    features: Tensor,
    targets: Tensor,
    classes: int,
    l2: float,
    recipe: Recipe,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    sample_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Minimise mean cross-entropy + l2/2 ‖w‖², a convex problem, to its optimum.

    Of labels each has its own mean and its own weights, as if it were the only one.

    Args:
        features: (N, K), scaled.
        targets: (N,), or (N, C) of labels.
        classes: C.
        l2: strength; the bias is free.
        recipe: gives label smoothing and class weights.
        start: weight (C, K) and bias (C,) to begin with.
        sample_weight: (N,) of each image in the mean.

    Returns:
        Weight and bias, in the features' precision.

    Raises:
        DivergedError: a number on the way is not finite.
    """
    problem = Problem(features, targets, classes, recipe, sample_weight)
    if start is not None:
        problem.begin_at(*start)
    problem.solve(l2)
    weight, bias = problem.solution()
    return weight.to(features), bias.to(features)


def strengths(recipe: Recipe, l2: float | None, *, choose: bool) -> tuple[float, ...]:
    """The strengths of L2 that are tried.

    Args:
        recipe: says of what.
        l2: the only one; None to choose it.
        choose: whether there is something to choose it by; else a usual one is taken.
    """
    if l2 is not None:
        return (l2,)
    if choose:
        return VALUE_GRID if recipe.measures else L2_GRID
    return (1.0,) if recipe.measures else (USUAL_L2,)


def fit_to_optimum(
    fit: HeadState,
    train: LabelledFeatures,
    val: LabelledFeatures | None,
    recipe: Recipe,
    l2: float | None,
    *,
    sample_weight: Tensor | None = None,
    after: Callable[[HeadState], object] = lambda fit: None,
) -> HeadState:
    """Solve for one strength, or for each of `L2_GRID` and keep the best on validation.

    Args:
        fit: fresh from `HeadState.start`, or restored; changed in place.
        train: features and targets.
        val: chooses the strength.
        recipe: gives label smoothing and class weights.
        l2: the strength; None to choose it. Without `val` a usual one, see `strengths`.
        sample_weight: (N,) of each training image.
        after: called after each strength.

    Raises:
        DivergedError: a number is not finite.
    """
    scaled = fit.scale(train.features)
    problem: Problem | ValueProblem = (
        ValueProblem(scaled, train.targets, recipe, sample_weight)
        if recipe.measures
        else Problem(scaled, train.targets, len(fit.bias), recipe, sample_weight)
    )
    if fit.epoch:
        problem.begin_at(fit.weight, fit.bias)
    has_val = val is not None and len(val.targets) > 0
    grid = strengths(recipe, l2, choose=has_val)
    for strength in grid[fit.epoch :]:
        if fit.waited >= 3:  # the loss has a single valley, and the weakest take longest
            break
        problem.solve(strength)
        weight, bias = problem.solution()
        fit.weight, fit.bias = weight.float(), bias.float()
        logits = problem.logits
        row = {
            "epoch": fit.epoch + 1,
            "l2": strength,
            "train_loss": told(float(recipe.loss(logits, train.targets)), train.targets),
        }
        if not recipe.measures:
            row["train_acc"] = float(hits(logits, train.targets).cpu().double().mean())
        # The loss is smooth in the strength, where the accuracy of a small split jumps.
        fit.judge(row | measure(fit.last(), val), by_loss=True)
        fit.epoch += 1
        after(fit)
    return fit
