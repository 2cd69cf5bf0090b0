"""The same photograph twice: the same file, the same pixels, or a copy that was changed.

Copies are looked for among the nearest by features, proved by their pixels, and put in groups, so
that a thousand frames of a video are a thousand rows and not a million pairs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from camcli.data.decode.images import load_image
from camcli.data.decode.same_picture import FINE, Laid, grey, laid, same
from camcli.errors import ImageError
from camcli.evaluate.check.issue import CheckIssue
from camcli.evaluate.check.looking import Prints
from camcli.evaluate.findings.clock import Clock
from camcli.models.runtime.openvino import available_cores
from camcli.train.judging.neighbours import nearest
from camcli.train.progress import Listener

NEIGHBOURS = 5
"""So many of each photograph's nearest are compared with it."""
ALL = 64
"""Up to so many photographs each is compared with each."""
_NEAR = 0.55  # cosine of features below which two photographs are not compared
_TRIES = 6  # failed comparisons of a photograph, after which it has no copy
_KEPT = 4000  # pictures of FINE x FINE in memory, 100 MB
_AT_ONCE = 256
_ORDER = ("train", "val", "test")


class Groups:
    """Photographs that are the same one, as they are found: a forest of unions."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self.score: dict[int, float] = {}
        """How surely a photograph is a copy of another of its group, by its number."""

    def of(self, i: int) -> int:
        """The number of the group of a photograph."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int, score: float) -> None:
        """The two are the same."""
        for each in (i, j):
            self.score[each] = max(self.score.get(each, 0.0), score)
        a, b = sorted((self.of(i), self.of(j)))
        self._parent[b] = a

    def numbers(self) -> np.ndarray:
        """(N,) the group of each."""
        return np.array([self.of(i) for i in range(len(self._parent))], np.int64)


def exact(seen: Prints) -> Groups:
    """Files of the same bytes, and of the same pixels."""
    groups = Groups(len(seen.prints))
    for key in ("content", "pixels"):
        first: dict[str | bytes, int] = {}
        for i, each in enumerate(seen.prints):
            j = first.setdefault(getattr(each, key), i)
            if j != i:
                groups.join(j, i, 1.0)
    return groups


def near(
    seen: Prints, points: np.ndarray, same_files: Groups, clock: Clock, listener: Listener
) -> Groups:
    """Groups of copies, those of `same_files` included.

    Args:
        seen: the photographs.
        points: (N, D) reduced features.
        same_files: what `exact` found.
        clock: when it is over, what is found stands, and the rest is named as not looked at.
        listener: shown a bar.
    """
    groups = Groups(len(points))
    numbers = same_files.numbers()
    for i, j in enumerate(numbers):
        if i != j:
            groups.join(int(j), i, 1.0)
    ones = np.unique(numbers)
    pairs = _pairs(points[ones], clock)
    tries: Counter[int] = Counter()
    pictures = _Pictures(seen)
    queue = iter([(int(ones[i]), int(ones[j])) for i, j in pairs])
    pool = ThreadPoolExecutor(max(2, available_cores()))
    try:
        with listener.bar("compare", len(pairs), "pair") as bar:
            while some := list(islice(queue, _AT_ONCE)):
                if clock.over:
                    clock.skip("near duplicates: there was no time to compare all photographs")
                    break
                wanted = [
                    (i, j)
                    for i, j in some
                    if groups.of(i) != groups.of(j) and max(tries[i], tries[j]) < _TRIES
                ]
                smalls = [(seen.prints[i].small, seen.prints[j].small) for i, j in wanted]
                lying = pool.map(lambda pair: laid(*pair), smalls)
                for (i, j), how in zip(wanted, lying, strict=True):
                    if groups.of(i) == groups.of(j):
                        continue
                    score = pictures.same(i, j, how) if how else 0.0
                    if score:
                        groups.join(i, j, score)
                    else:
                        tries[i] += 1
                        tries[j] += 1
                bar.advance(len(some))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return groups


def _pairs(points: np.ndarray, clock: Clock) -> list[tuple[int, int]]:
    """Which photographs to compare, the most alike first."""
    count = len(points)
    if count < 2:
        return []
    k = count - 1 if count <= ALL else NEIGHBOURS
    found = nearest(points, k, lambda: not clock.over)
    if found is None:
        clock.skip("near duplicates: there was no time to compare all photographs")
        return []
    which, cosines = found
    least = -2.0 if count <= ALL else _NEAR
    rows, columns = np.nonzero(cosines >= least)
    ends = np.sort(np.stack([rows, which[rows, columns]], 1), 1)
    ends, places = np.unique(ends, axis=0, return_index=True)
    order = np.argsort(-cosines[rows, columns][places], kind="stable")
    return [(int(i), int(j)) for i, j in ends[order]]


class _Pictures:
    """Grey pictures of FINE x FINE, the latest kept."""

    def __init__(self, seen: Prints) -> None:
        self._seen = seen
        self._kept: OrderedDict[int, np.ndarray | None] = OrderedDict()

    def __call__(self, i: int) -> np.ndarray | None:
        if i not in self._kept:
            try:
                self._kept[i] = grey(load_image(self._seen.photos[i].ref), FINE)
            except ImageError:  # it could be read a while ago
                self._kept[i] = None
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(i)
        return self._kept[i]

    def same(self, i: int, j: int, how: Laid) -> float:
        one, other = self(i), self(j)
        return 0.0 if one is None or other is None else same(one, other, how)


def duplicate_issues(seen: Prints, same_files: Groups, groups: Groups) -> list[CheckIssue]:
    """Rows on all copies but the one of each group that is to be kept."""
    issues: list[CheckIssue] = []
    numbers = same_files.numbers()
    for members in _sets(groups.numbers()):
        keep = min(members, key=lambda i: _rank(seen, i))
        for own in _sets(numbers[members]):
            same_as = [members[i] for i in own]
            first = min(same_as, key=lambda i: (i != keep, _rank(seen, i)))
            issues += [_exact(seen, i, first) for i in same_as if i != first]
        for i in sorted({int(numbers[i]) for i in members}):
            if i == int(numbers[keep]):
                continue
            first = min((m for m in members if numbers[m] == i), key=lambda m: _rank(seen, m))
            issues.append(_near(seen, first, keep, groups.score.get(first, 1.0), len(members)))
        issues += _across(seen, members, groups) + _labelled_otherwise(seen, members, keep, groups)
    return sorted(issues, key=lambda issue: (-issue.score, issue.rel or ""))


def _sets(numbers: np.ndarray) -> list[list[int]]:
    """Places of each number that occurs more than once."""
    found = defaultdict(list)
    for place, number in enumerate(numbers.tolist()):
        found[number].append(place)
    return [places for places in found.values() if len(places) > 1]


def _rank(seen: Prints, i: int) -> tuple[int, float, str]:
    """Which of some copies is kept: one that trains, the largest, the first by name."""
    photo, what = seen.photos[i], seen.prints[i].properties
    return _ORDER.index(photo.split or "train"), -what.side, photo.rel


def _exact(seen: Prints, i: int, first: int) -> CheckIssue:
    one, other = seen.prints[i], seen.prints[first]
    what = "the same file" if one.content == other.content else "the same pixels in another file"
    return CheckIssue(
        "exact duplicate", seen.photos[i].rel, 1.0, what, seen.photos[i].label,
        seen.photos[first].rel, "remove it",
    )  # fmt: skip


def _near(seen: Prints, i: int, keep: int, score: float, size: int) -> CheckIssue:
    many = f", one of {size} alike: frames of a video?" if size > 10 else ""
    return CheckIssue(
        "near duplicate", seen.photos[i].rel, score, f"a copy, or the next frame{many}",
        seen.photos[i].label, seen.photos[keep].rel, "keep one of both",
    )  # fmt: skip


def _across(seen: Prints, members: Sequence[int], groups: Groups) -> list[CheckIssue]:
    """Copies of which one trains and another one tests."""
    by_split: dict[str, int] = {}
    for i in sorted(members, key=lambda i: _rank(seen, i)):
        by_split.setdefault(seen.photos[i].split or "", i)
    if len(by_split) < 2:
        return []
    first = next(iter(by_split.values()))
    split = seen.photos[first].split
    return [
        CheckIssue(
            "duplicate across splits", seen.photos[i].rel, groups.score.get(i, 1.0),
            f"in {seen.photos[i].split}, and a copy in {split}", seen.photos[i].label,
            seen.photos[first].rel, f"remove it from {seen.photos[i].split}",
        )
        for i in members
        if seen.photos[i].split != split
    ]  # fmt: skip


def _labelled_otherwise(
    seen: Prints, members: Sequence[int], keep: int, groups: Groups
) -> list[CheckIssue]:
    """Copies with another label than most of them have."""
    labelled = [i for i in members if seen.photos[i].labels]
    counts = Counter(seen.photos[i].labels for i in labelled)
    if len(counts) < 2:
        return []
    most = max(counts.values())
    usual = [names for names, count in counts.items() if count == most]
    kept = seen.photos[keep].labels
    reference = kept if kept in usual else sorted(usual)[0]
    other = min((i for i in labelled if seen.photos[i].labels == reference),
                key=lambda i: _rank(seen, i))  # fmt: skip
    return [
        CheckIssue(
            "duplicate of another label", seen.photos[i].rel, groups.score.get(i, 1.0),
            f"labelled {seen.photos[i].label}, and a copy is labelled {seen.photos[other].label}",
            seen.photos[i].label, seen.photos[other].rel, seen.photos[other].label or "",
        )
        for i in labelled
        if seen.photos[i].labels != reference
    ]  # fmt: skip


def duplicate_free(groups: Groups) -> np.ndarray:
    """Indices of one photograph of each group."""
    return np.unique(groups.numbers())
