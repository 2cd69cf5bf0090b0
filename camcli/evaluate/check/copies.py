"""Which of many photographs are copies: looked for among the most alike, proved by their pixels.

Found ones are put in groups, so that a thousand frames of a video are a thousand rows and not a
million pairs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from camcli.data.decode.images import load_image
from camcli.data.decode.same_picture import COARSE, FINE, Laid, grey, laid, same, upright
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError
from camcli.evaluate.findings.clock import Clock
from camcli.models.runtime.openvino import available_cores
from camcli.train.judging.neighbours import nearest, reduced
from camcli.train.progress import Listener

NEIGHBOURS = 5
"""So many of each photograph's nearest are compared with it."""
TRIES = 6
"""Failed comparisons of a photograph, after which it has no copy."""
ALL = 64
"""Up to so many photographs each is compared with each."""
_NEAR = 0.55  # cosine of features below which two photographs are not compared
_KEPT = 4000  # pictures of FINE x FINE in memory, 100 MB
_AT_ONCE = 256
_BLOCK = 4096


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


class GreyPictures:
    """Grey pictures of FINE x FINE, the latest kept."""

    def __init__(self, refs: Sequence[ImageRef]) -> None:
        """Nothing is read yet."""
        self._refs = refs
        self._kept: OrderedDict[int, np.ndarray | None] = OrderedDict()

    def __call__(self, i: int) -> np.ndarray | None:
        """The picture of a photograph; None where it cannot be read any more."""
        if i not in self._kept:
            try:
                self._kept[i] = grey(load_image(self._refs[i]), FINE)
            except ImageError:  # it could be read a while ago
                self._kept[i] = None
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(i)
        return self._kept[i]

    def same(self, i: int, j: int, how: Laid) -> float:
        """How surely two are one photograph, 0 where they are not; see `same_picture.same`."""
        one, other = self(i), self(j)
        return 0.0 if one is None or other is None else same(one, other, how)


def join_copies(
    groups: Groups,
    among: np.ndarray,
    smalls: np.ndarray,
    points: np.ndarray,
    pictures: GreyPictures,
    clock: Clock,
    listener: Listener,
) -> None:
    """Join those that are copies of each other.

    Args:
        groups: of N photographs; gets what is found.
        among: numbers of those that are looked at.
        smalls: (N, SMALL, SMALL) uint8, as `grey` makes them.
        points: (N, D) reduced features.
        pictures: of the N.
        clock: when it is over, what is found stands, and the rest is named as not looked at.
        listener: shown a bar.
    """
    pairs = [(int(among[i]), int(among[j])) for i, j in _pairs(smalls[among], points[among], clock)]
    with listener.bar("compare", len(pairs), "pair") as bar:
        queue = iter(pairs)
        tries: Counter[int] = Counter()
        while some := list(islice(queue, _AT_ONCE)):
            if clock.over:
                clock.skip("near duplicates: there was no time to compare all photographs")
                break
            prove(groups, some, smalls, pictures, tries)
            bar.advance(len(some))


def prove(
    groups: Groups,
    pairs: Sequence[tuple[int, int]],
    smalls: np.ndarray,
    pictures: GreyPictures,
    tries: Counter[int],
) -> None:
    """Join the pairs that are copies.

    Args:
        groups: gets what is found; those of one group are not compared again.
        pairs: of numbers, the most alike first.
        smalls: (N, SMALL, SMALL) uint8.
        pictures: of the N.
        tries: failed ones of each; of too many there are no more.
    """
    wanted = [
        (i, j) for i, j in pairs if groups.of(i) != groups.of(j) and max(tries[i], tries[j]) < TRIES
    ]
    with ThreadPoolExecutor(max(2, available_cores())) as pool:
        lying = pool.map(lambda pair: laid(smalls[pair[0]], smalls[pair[1]]), wanted)
        for (i, j), how in zip(wanted, lying, strict=True):
            if groups.of(i) == groups.of(j):
                continue
            score = pictures.same(i, j, how) if how else 0.0
            if score:
                groups.join(i, j, score)
            else:
                tries[i] += 1
                tries[j] += 1


def _pairs(smalls: np.ndarray, points: np.ndarray, clock: Clock) -> list[tuple[int, int]]:
    """Which photographs to compare, the most alike first.

    Those whose small pictures are alike come first: of fabrics, whose features are all alike, it
    tells copies that the features do not; these find what was cropped.
    """
    count = len(points)
    if count < 2:
        return []
    found: dict[tuple[int, int], None] = {}
    k = count - 1 if count <= ALL else NEIGHBOURS
    for rows, least in (
        (reduced(_flat(smalls), centred=False), COARSE),
        (points, -2.0 if count <= ALL else _NEAR),
    ):
        near = nearest(rows, k, lambda: not clock.over)
        if near is None:
            clock.skip("near duplicates: there was no time to compare all photographs")
            break
        which, cosines = near
        ones, places = np.nonzero(cosines >= least)
        order = np.argsort(-cosines[ones, places], kind="stable")
        ends = np.sort(np.stack([ones, which[ones, places]], 1), 1)[order]
        found.update(dict.fromkeys((int(i), int(j)) for i, j in ends))
    return list(found)


def alike(smalls: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """Which of some photographs to compare with which of others, by their small pictures.

    Args:
        smalls: (N, SMALL, SMALL) uint8.
        others: (M, SMALL, SMALL) uint8.

    Returns:
        Numbers of both, the most alike first; a few of each of the N.
    """
    if not len(smalls) or not len(others):
        return []
    mine, found = _flat(smalls), []
    for start in range(0, len(others), _BLOCK):
        cosines = mine @ _flat(others[start : start + _BLOCK]).T
        k = min(NEIGHBOURS, cosines.shape[1])
        top = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosines, top, 1)
        for i, n in zip(*np.nonzero(values >= COARSE), strict=True):
            found.append((float(values[i, n]), int(i), start + int(top[i, n])))
    return [(i, j) for _, i, j in sorted(found, key=lambda one: -one[0])]


def _flat(smalls: np.ndarray) -> np.ndarray:
    """(N, S, S) uint8 -> (N, S²/4) float32: upright, mean 0, length 1; blank ones are 0."""
    whole = smalls.astype(np.uint16)
    half = whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    rows = upright(half).reshape(len(smalls), -1)
    rows -= rows.mean(1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3))
