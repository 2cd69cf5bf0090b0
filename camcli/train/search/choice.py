"""Which candidate wins: the simplest of those that are as good as the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camcli.models.pooling.pooling import Pooling
from camcli.train.ranges import HeadKind
from camcli.train.search.judge import Judged
from camcli.train.search.looks import ImageLook
from camcli.train.search.views import AS_IT_IS, LearntViews


@dataclass(frozen=True, eq=False)
class Contender:
    """A candidate, judged.

    Attributes:
        look: how it looks at images.
        cost: of one look, in any unit: what is dearer has to earn it.
        pooling: what the head is given.
        channels: how many numbers that is.
        images: that it was judged on.
        judged: how.
        seconds: that took.
        head: its kind, as ``--head`` takes it.
        seen: the views that it learns from.
    """

    look: ImageLook
    cost: float
    pooling: Pooling
    channels: int
    images: int
    judged: Judged
    seconds: float
    head: HeadKind = "linear"
    seen: LearntViews = AS_IT_IS

    @property
    def explained(self) -> bool:
        """Whether maps of it add up to its score: of linear heads, which prototypes are, too."""
        return self.head != "neighbours"

    @property
    def simplicity(self) -> tuple[float, int, bool]:
        """The less, the simpler: of as many numbers, means are simpler than others."""
        return self.cost * self.seen.number, self.channels, not self.pooling.plain


def choose(tried: Sequence[Contender], groups: Tensor) -> Contender:
    """The simplest candidate whose loss is within one standard error of the least.

    It is the standard error of the difference, image by image, for all are judged by the same
    images: far smaller than that of either loss.

    Args:
        tried: at least one, all judged on the same images.
        groups: (N,) int64; images of one group stand and fall together.
    """
    best = min(tried, key=lambda each: each.judged.loss)
    for each in sorted(tried, key=lambda each: each.simplicity):
        more, error = excess(each.judged.losses, best.judged.losses, groups)
        if more <= error:
            return each
    return best


def excess(losses: Tensor, best: Tensor, groups: Tensor) -> tuple[float, float]:
    """By how much the first loss is greater, and the standard error of that, over whole groups."""
    known = ~(losses.isnan() | best.isnan())
    more = (losses - best)[known]
    names = groups[known].unique(return_inverse=True)[1]
    mean = float(more.mean())
    sums = torch.zeros(int(names.max()) + 1, dtype=more.dtype).index_add_(0, names, more - mean)
    count = len(sums)
    if count < 2:
        return mean, float("inf")
    return mean, float((sums.square().sum() * count / (count - 1)).sqrt() / len(more))


def better_poolings(tried: Sequence[Contender]) -> dict[ImageLook, dict[Pooling, float]]:
    """The better half of the poolings of each look, best first, and the best strength of each."""
    found: dict[ImageLook, list[Contender]] = {}
    for each in sorted(tried, key=lambda each: each.judged.loss):
        found.setdefault(each.look, []).append(each)
    return {
        look: {each.pooling: each.judged.l2 for each in some[: (len(some) + 1) // 2]}
        for look, some in found.items()
    }


def halve(tried: Sequence[Contender]) -> list[ImageLook]:
    """The better half of the looks, each by the best head on it, best first."""
    least: dict[ImageLook, float] = {}
    for each in tried:
        least[each.look] = min(least.get(each.look, torch.inf), each.judged.loss)
    ranked = sorted(least, key=lambda look: least[look])
    return ranked[: (len(ranked) + 1) // 2]
