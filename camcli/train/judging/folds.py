"""Which training images judge which: folds that share no photograph, and no group."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from random import Random

import torch
from torch import Tensor

from camcli.data.datasets.dataset import Item
from camcli.train.feature_pass.examples import Examples

ALWAYS = -1
"""The fold of images that always train: without their group a class would have none left."""


def folds_of(examples: Examples, count: int = 5, seed: int = 0) -> Tensor:
    """`folds` of training images.

    Groups are the set's own (`Item.group`), and files of equal contents are one photograph.

    Args:
        examples: N images.
        count: of folds, at most.
        seed: another seed draws others.
    """
    keys = joined([x.group for x in examples.items], examples.contents)
    return folds([strata(item) for item in examples.items], keys, count, seed)


def strata(item: Item) -> tuple[Hashable, ...]:
    """What an image is dealt out for: its class; each of its labels, or for having none."""
    return item.labels or ("none",)


def joined(groups: Sequence[str], contents: Sequence[str]) -> list[int]:
    """A number for each image, the same for those of one group or of equal contents.

    Also where that takes several steps: a file that is in two groups makes them one.

    Args:
        groups: of N images; empty for an image on its own.
        contents: digests of the N files.

    Example:
        >>> joined(["a", "a", "", "b", ""], ["1", "2", "2", "3", "4"])
        [0, 0, 0, 3, 4]
    """
    parent = list(range(len(groups)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for names in (groups, contents):
        first: dict[str, int] = {}
        for i, name in enumerate(names):
            if name:
                one, other = sorted((root(first.setdefault(name, i)), root(i)))
                parent[other] = one
    return [root(i) for i in range(len(parent))]


def folds(
    classes: Sequence[Sequence[Hashable]], groups: Sequence[int], count: int = 5, seed: int = 0
) -> Tensor:
    """Deal images out to folds, the same share of every class, whole groups at a time.

    Args:
        classes: of each of N images those that it is dealt out for, at least one each.
        groups: of each, equal for those that must stay together.
        count: of folds; fewer come out where there are fewer groups.
        seed: another seed deals otherwise.

    Returns:
        (N,) int64: the fold of each, from 0 and without gaps, or `ALWAYS`. Each class that an image
        of a fold has is also outside of that fold. All are `ALWAYS` where there is one fold only.

    Example:
        >>> folds([["cat"], ["cat"], ["dog"], ["dog"]], [0, 1, 2, 3], 2).tolist().count(0)
        2
    """
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    sizes = Counter(name for names in classes for name in names)
    inside = {g: Counter(name for i in own for name in classes[i]) for g, own in members.items()}
    order = list(members)
    Random(seed).shuffle(order)
    # Large ones first, as long as there is room beside them; and what is rare, likewise.
    order.sort(key=lambda g: (-len(members[g]), min(sizes[name] for name in inside[g])))
    dealt: list[Counter[Hashable]] = [Counter() for _ in range(count)]
    totals = [0] * count
    fold = [ALWAYS] * len(groups)
    for group in order:
        own = inside[group].items()
        costs = [
            (sum(n * have[name] / sizes[name] for name, n in own), total, k)
            for k, (have, total) in enumerate(zip(dealt, totals, strict=True))
        ]
        k = min(costs)[2]
        dealt[k].update(inside[group])
        totals[k] += len(members[group])
        for i in members[group]:
            fold[i] = k
    # A class of which a fold has all could not be known to the head that this fold judges.
    whole = {(k, c) for k, have in enumerate(dealt) for c, n in have.items() if n == sizes[c]}
    for group, own_members in members.items():
        if any((fold[own_members[0]], name) in whole for name in inside[group]):
            for i in own_members:
                fold[i] = ALWAYS
    there = sorted({k for k in fold if k != ALWAYS})
    number = {k: n for n, k in enumerate(there)} if len(there) > 1 else {}
    return torch.tensor([number.get(k, ALWAYS) for k in fold], dtype=torch.int64)
