"""Predictions for every training image by a head that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.by_examples import solve_by_examples
from camcli.train.fitting.head import (
    USUAL_L2,
    FeatureScale,
    LabelledFeatures,
    linear,
    logits_of,
)
from camcli.train.fitting.head_stage import Views, train_heads
from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.optimum import Problem

HeldOut = Callable[[Tensor, Tensor], Tensor]
"""Indices of images to learn from and of those to judge -> logits (M, C) of the latter."""


@dataclass(frozen=True)
class HeadTrials:
    """Heads that are trained as the run's own was, on some of its images.

    Attributes:
        views: features (N, K) of all training images, one tensor for each view that is learnt from.
        plain: (N, K) of the images as they are, by which they are judged.
        targets: (N,), or (N, C) of labels.
        classes: C.
        recipe: of the run's head.
        heads: how many are averaged.
        l2: the strength that the run's head has; None where it has none.
        blocks: how many channels each statistic has, see `FeatureScale.of`.
        kind: of head, `camcli.train.ranges.HeadKind`.
        start: the run's head, from which an optimum on most of its images is not far.
    """

    views: Sequence[Tensor]
    plain: Tensor
    targets: Tensor
    classes: int
    recipe: Recipe
    heads: int = 1
    l2: float | None = None
    blocks: Sequence[int] = ()
    kind: str = "linear"
    start: LinearHead | None = None

    def __call__(self, learn: Tensor, judge: Tensor) -> Tensor:
        """Logits (M, C) of the images `judge` by a head that learnt from the images `learn`."""
        if self.kind != "linear":
            seen = torch.cat([view[learn] for view in self.views])
            truth = torch.cat([self.targets[learn]] * len(self.views))
            made, _ = solve_by_examples(
                self.kind, LabelledFeatures(seen, truth), self.classes, self.blocks,
                views=len(self.views), seed=self.recipe.seed,
            )  # fmt: skip
            return logits_of(made, self.plain[judge])
        if self.recipe.solver == "lbfgs" and self.heads == 1:
            return linear(self._solved(learn), self.plain[judge])
        some = Views(lambda v: self.views[v][learn], len(self.views), self.recipe.seed)
        nothing = LabelledFeatures(self.plain[:0], self.targets[:0])
        head, _, _ = train_heads(
            some, self.targets[learn], nothing, self.classes, replace(self.recipe, patience=0),
            members=self.heads, l2=self.l2, blocks=self.blocks,
        )  # fmt: skip
        return linear(head, self.plain[judge])

    def _solved(self, learn: Tensor) -> LinearHead:
        """The optimum on some of the images."""
        features = torch.cat([view[learn] for view in self.views])
        targets = torch.cat([self.targets[learn]] * len(self.views))
        scale = FeatureScale.of(features, self.blocks)
        problem = Problem(scale(features), targets, self.classes, self.recipe)
        if self.start is not None:
            weight = self.start.weight.float()
            problem.begin_at(weight * scale.unit, self.start.bias.float() + weight @ scale.mean)
        problem.solve(self.l2 if self.l2 is not None else USUAL_L2)
        return scale.fold(*problem.solution())


def out_of_fold(
    held_out: HeldOut,
    fold: Tensor,
    classes: int,
    advance: Callable[[int], object] = lambda count: None,
    first: int | None = None,
) -> Tensor:
    """Logits (N, C) of each image by a head that learnt from the other folds; NaN for `ALWAYS`.

    Args:
        held_out: trains and judges.
        fold: (N,) as `camcli.train.judging.folds.folds` gives them.
        classes: C.
        advance: called with 1 after each fold.
        first: only so many folds are judged; NaN for the others.
    """
    logits = torch.full((len(fold), classes), torch.nan)
    count = int(fold.max()) + 1 if len(fold) else 0
    for k in range(count if first is None else min(first, count)):
        judge = (fold == k).nonzero()[:, 0]
        logits[judge] = held_out((fold != k).nonzero()[:, 0], judge).float().cpu()
        advance(1)
    return logits
