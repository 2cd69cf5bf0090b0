"""Photographs that are in two splits: the same file, or a copy of it; and frames of one sequence.

What was trained on is known by heart, so a number over such photographs says too much.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from camcli.data.datasets.dataset import Item
from camcli.data.decode.images import load_image
from camcli.data.decode.same_picture import FINE, SMALL, grey, laid, same
from camcli.data.sources.splits import Split
from camcli.errors import ImageError
from camcli.models.runtime.openvino import available_cores
from camcli.train.feature_pass.examples import Examples
from camcli.train.judging.neighbours import reduced

PAIRS: tuple[tuple[Split, Split], ...] = (("val", "train"), ("test", "train"), ("test", "val"))
"""Which split is looked at for photographs of which other one."""
_NEAR = 0.7  # cosine of reduced features below which two photographs are not compared
_TRIES = 300  # pairs that are compared by their pixels, the most alike first
_FAILED = 40  # so many in a row that are no copies end it
_BLOCK = 1024
_AXES = 128
# Of a sequence: held-out images whose nearest is a neighbour by name, above what chance gives.
_NEXT = 2
_SEQUENCE_SHARE, _SEQUENCE_Z = 0.3, 5.0


@dataclass(frozen=True, slots=True)
class SplitCopy:
    """A photograph that is in two splits.

    Attributes:
        path: relative, of the one that judges.
        split: its split.
        copy_of: relative path of the other.
        copy_split: its split.
        kind: ``same file`` or ``same photograph``.
        score: how surely, 1 for the same file.
        same_labels: whether both are labelled alike.
    """

    path: str
    split: str
    copy_of: str
    copy_split: str
    kind: str
    score: float
    same_labels: bool

    def row(self) -> dict[str, str | int]:
        """For a table."""
        return {
            "path": self.path, "split": self.split, "copy_of": self.copy_of,
            "copy_split": self.copy_split, "kind": self.kind, "score": f"{self.score:.3f}",
            "same_labels": int(self.same_labels),
        }  # fmt: skip


def crossings(
    splits: Mapping[Split, Examples],
    features: Mapping[Split, Tensor],
    advance: Callable[[int], object] = lambda count: None,
) -> list[SplitCopy]:
    """Photographs of validation and test that train as well, or of test that validate.

    Args:
        splits: the images.
        features: (N, K) of each split's, as they are.
        advance: called with a number of compared pairs.
    """
    found: dict[tuple[str, int], SplitCopy] = {}
    for split, other in PAIRS:
        there = splits[other]
        where = {content: i for i, content in reversed([*enumerate(there.contents)])}
        for i, content in enumerate(splits[split].contents):
            if content in where and (split, i) not in found:
                pair = splits[split].items[i], there.items[where[content]]
                found[split, i] = _crossing(*pair, "same file", 1.0)
    points = _points(features)
    for split, other in PAIRS:
        if not len(features.get(split, ())) or not len(features.get(other, ())):
            continue
        which, cosines = nearest_of(points[split], points[other])
        order = [
            i
            for i in cosines.argsort(descending=True).tolist()
            if cosines[i] >= _NEAR and (split, i) not in found
        ][:_TRIES]
        pairs = [(splits[split].items[i], splits[other].items[int(which[i])]) for i in order]
        for i, score in zip(order, _compared(pairs, advance), strict=False):
            if score:
                pair = splits[split].items[i], splits[other].items[int(which[i])]
                found[split, i] = _crossing(*pair, "same photograph", score)
    return [found[key] for key in sorted(found)]


def _crossing(item: Item, other: Item, kind: str, score: float) -> SplitCopy:
    return SplitCopy(
        item.ref.rel, item.split, other.ref.rel, other.split, kind, score,
        item.labels == other.labels,
    )  # fmt: skip


def _points(features: Mapping[Split, Tensor]) -> dict[Split, Tensor]:
    """The splits' features on axes that all share."""
    some = {name: rows for name, rows in features.items() if len(rows)}
    joined = torch.from_numpy(reduced(torch.cat([*some.values()]).numpy(), _AXES))
    parts = joined.split([len(rows) for rows in some.values()])
    return dict(zip(some, parts, strict=True))


def nearest_of(points: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of (N, D) points among (M, D) others by the cosine: (N,) indices and cosines."""
    unit = torch.nn.functional.normalize(base, dim=1).T
    best = [
        (torch.nn.functional.normalize(some, dim=1) @ unit).max(1) for some in points.split(_BLOCK)
    ]
    return torch.cat([x.indices for x in best]), torch.cat([x.values for x in best])


def _compared(pairs: Sequence[tuple[Item, Item]], advance: Callable[[int], object]) -> list[float]:
    """How surely the two of each pair are one photograph, until many in a row are not."""

    def compare(pair: tuple[Item, Item]) -> float:
        try:
            one, other = (load_image(item.ref) for item in pair)
        except ImageError:  # it could be read a while ago
            return 0.0
        how = laid(grey(one, SMALL), grey(other, SMALL))
        return same(grey(one, FINE), grey(other, FINE), how) if how else 0.0

    scores: list[float] = []
    failed = 0
    pool = ThreadPoolExecutor(max(2, available_cores()))
    try:
        for start in range(0, len(pairs), 16):
            for score in pool.map(compare, pairs[start : start + 16]):
                scores.append(score)
                failed = 0 if score else failed + 1
            advance(16)
            if failed >= _FAILED:
                break
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return scores


def in_sequence(
    held: Sequence[Item], train: Sequence[Item], nearest: Sequence[int]
) -> tuple[int, float] | None:
    """Whether held-out images look most like their neighbours by name: frames, or a burst.

    Args:
        held: N images.
        train: others.
        nearest: (N,) the place of each one's nearest in `train`, by features.

    Returns:
        How many do, and how many would by chance; None where that is not clearly more.
    """
    folders: dict[str, list[tuple[tuple[str | int, ...], int]]] = defaultdict(list)
    names = [*(item.ref.rel for item in train), *(item.ref.rel for item in held)]
    for n, rel in enumerate(names):
        folder, _, name = rel.rpartition("/")
        folders[folder].append((_natural(name), n))
    place, inside, beside = {}, {}, {}
    for members in folders.values():
        members.sort(key=lambda one: one[0])
        order = [n for _, n in members]
        trained = sum(n < len(train) for n in order)
        for at, n in enumerate(order):
            place[n], inside[n] = at, trained
            near = order[max(0, at - _NEXT) : at] + order[at + 1 : at + 1 + _NEXT]
            beside[n] = sum(other < len(train) for other in near)
    hits, expected, variance = 0, 0.0, 0.0
    for i, j in enumerate(nearest):
        n = len(train) + i
        if held[i].ref.rel.rpartition("/")[0] != train[j].ref.rel.rpartition("/")[0]:
            continue
        chance = beside[n] / max(inside[n], 1)
        hits += abs(place[n] - place[j]) <= _NEXT
        expected += chance
        variance += chance * (1 - chance)
    clear = hits - expected > _SEQUENCE_Z * math.sqrt(max(variance, 1.0))
    return (hits, expected) if clear and hits >= _SEQUENCE_SHARE * len(held) else None


def _natural(name: str) -> tuple[str | int, ...]:
    """So that frame 10 comes after frame 9; texts and numbers take turns."""
    parts = re.split(r"(\d{1,18})", name)
    return tuple(int(x) if n % 2 else x for n, x in enumerate(parts))


def without(right: np.ndarray, items: Sequence[Item], found: Sequence[SplitCopy]) -> np.ndarray:
    """The scores (N,) of the items that are in no other split."""
    crossed = {(x.split, x.path) for x in found}
    keep = [(item.split, item.ref.rel) not in crossed for item in items]
    return right[np.array(keep, bool)]
