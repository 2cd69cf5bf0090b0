"""What a head on some features is worth: its loss on each image, by heads that never saw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.train.fitting.by_examples import solve_by_examples
from camcli.train.fitting.head import FeatureScale, LabelledFeatures, logits_of
from camcli.train.fitting.loop import DivergedError, Recipe, hits, known_labels
from camcli.train.fitting.optimum import truth_of
from camcli.train.search.path import Folded, Path

GRID = tuple(10.0 ** (e / 2) for e in range(3, -10, -1))
"""Strengths, strong to weak, of features whose channels have a mean square of 1."""
RISES = 2
"""The loss has one valley along the strengths: after so many rises its bottom is behind."""
MARGIN = 4.0
"""Strengths begin at most so much above where the best one was."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A head, judged.

    Attributes:
        l2: the strength with the least loss.
        losses: (N,) log-loss of each image by the head of the folds that it is not in, of labels
            the mean over them; NaN for images of no fold.
        right: (N,) whether it was predicted right; of labels, all of them.
    """

    l2: float
    losses: Tensor
    right: Tensor

    @property
    def loss(self) -> float:
        """Its mean."""
        return float(self.losses.nanmean())

    @property
    def accuracy(self) -> float:
        """Share of the judged images."""
        return float(self.right[~self.losses.isnan()].double().mean())


@dataclass(frozen=True, eq=False)
class Task:
    """What a head is to learn, and who judges it.

    Attributes:
        targets: (N,) int64, or (N, C) of labels.
        classes: C.
        folds: (N,) int64: the fold of each, -1 for those that are in none and always train.
        recipe: gives class weights and label smoothing.
    """

    targets: Tensor
    classes: int
    folds: Tensor
    recipe: Recipe

    def part(self, some: Tensor) -> Task:
        """The same of some of the images."""
        return Task(self.targets[some], self.classes, self.folds[some], self.recipe)

    @property
    def numbers(self) -> list[int]:
        """Of the folds that have images."""
        return sorted(set(self.folds.tolist()) - {-1})

    def folded(self, views: int = 0, *, plain: bool = True) -> Folded:
        """As one problem: what each fold's head is solved for.

        Args:
            views: so many more of each image follow, one whole set behind the other.
            plain: whether the images as they are count.
        """
        targets = torch.cat([self.targets] * (views + 1))
        truth, mass = [], []
        for fold in self.numbers:
            weight = (self.folds != fold).float()
            weight = torch.cat([weight * plain, *[weight] * views])
            T, M = truth_of(targets, self.classes, self.recipe, weight)
            truth.append(T.float())
            mass.append(M.float())
        return Folded(torch.stack(truth, 1), torch.stack(mass, 1), self.targets.ndim > 1)


def judge(
    features: Tensor,
    task: Task,
    blocks: Sequence[int],
    l2: float | None = None,
    near: float | None = None,
    *,
    views: Sequence[Tensor] = (),
    plain: bool = True,
    until: float = math.inf,
) -> Judged | None:
    """Solve along the strengths until the loss on unseen images rises.

    Args:
        features: (N, K) of any precision, of the images as they are, by which heads are judged.
        task: what is to be learnt.
        blocks: how many channels each statistic has.
        l2: the only strength that is tried; None for all.
        near: what was the best one of fewer images: a stronger one is hardly better with more.
        views: (N, K) each, of the same images seen otherwise, which are learnt from besides. A view
            is in the fold of its image.
        plain: whether the images as they are are learnt from, too.
        until: when to stop (`time.perf_counter`), with the best of the strengths so far.

    Returns:
        None where no head could be solved for, or there are fewer than two folds.
    """
    if len(task.numbers) < 2:
        return None
    # The scale is that of all images, folds included: it knows nothing of what they are of.
    seen = torch.cat([features, *views]) if views else features
    scale = FeatureScale.of(seen if plain else seen[len(features) :], blocks)
    path = Path(scale(seen), task.folded(len(views), plain=plain))
    place = {fold: f for f, fold in enumerate(task.numbers)}
    inside = task.folds >= 0
    own = torch.tensor([place.get(int(fold), 0) for fold in task.folds])
    best: Judged | None = None
    worse = 0
    grid = [each for each in GRID if near is None or each < MARGIN * near]
    for strength in grid if l2 is None else (l2,):
        try:
            arrived = path.solve(strength, until)
        except DivergedError:
            break
        if best is not None and not arrived:  # a head on its way says nothing of its strength
            break
        logits = path.logits[torch.arange(len(own)), own]
        if not torch.isfinite(logits).all():
            break
        losses = torch.where(inside, each_loss(logits, task.targets).double(), torch.nan)
        found = Judged(strength, losses, hits(logits, task.targets))
        worse = 0 if best is None or found.loss < best.loss else worse + 1
        if not worse:
            best = found
        elif worse == RISES:
            break
        if not arrived:
            break
    return best


def judge_by_examples(
    kind: str, features: Tensor, task: Task, blocks: Sequence[int]
) -> Judged | None:
    """As `judge`, of heads that are not solved for (`camcli.train.fitting.by_examples`).

    Args:
        kind: ``prototype`` or ``neighbours``.
        features: (N, K).
        task: what is to be learnt.
        blocks: how many channels each statistic has.
    """
    if len(task.numbers) < 2:
        return None
    logits = torch.zeros(len(features), task.classes)
    for fold in task.numbers:
        train, own = task.folds != fold, task.folds == fold
        known = LabelledFeatures(features[train], task.targets[train])
        head, _ = solve_by_examples(kind, known, task.classes, blocks)
        logits[own] = logits_of(head, features[own])
    losses = each_loss(logits, task.targets).double()
    losses = torch.where(task.folds >= 0, losses, torch.nan)
    return Judged(0.0, losses, hits(logits, task.targets))


def each_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,) log-loss of each image; of labels the mean over those that are known, or NaN."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets, reduction="none")
    known, truth = known_labels(targets.to(logits))
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return losses.where(known, torch.nan).nanmean(1)
