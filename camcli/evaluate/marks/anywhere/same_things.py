"""Which matches of photographs are matches of the same thing, and what that thing looks like.

A photograph may have several marks, so photographs that match are not put together, but matches:
two matches are of one thing where they share features in a photograph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.matching.alignment import (
    Alignment,
    chained,
    inverse,
    moved,
    scale_of,
    turn_of,
)
from camcli.evaluate.matching.local_features import LocalFeatures

_SHARED = 0.4  # of the features of the smaller of two matches that are of one thing
_BOXES = 0.5  # intersection over union of the places of two matches that are of one thing
_GAP = 0.22  # of the longer side, without a feature: that is not one thing
_TEACHERS = 24  # photographs that say what a thing looks like
_ALIKE = 3  # descriptions of one feature, for it looks a little different each time
_MODEL = 300  # features of a thing, those that most photographs show
_NEAR = 4.0  # pixels, as looked at, within which features of two photographs are the same


@dataclass(frozen=True, slots=True, eq=False)
class SharedPart:
    """A part of one photograph that is a part of another.

    Attributes:
        one: index of a photograph.
        other: index of another.
        found: how the one lies on the other.
    """

    one: int
    other: int
    found: Alignment


def shared_parts(
    one: int, other: int, found: Alignment, features: LocalFeatures, fewest: int
) -> list[SharedPart]:
    """What an alignment says two photographs share: two things where its features are far apart.

    Args:
        one: index of a photograph.
        other: index of another.
        found: how the one lies on the other.
        features: of the one.
        fewest: features of a part, at the least.
    """
    points = features.points[found.pairs[:, 0]]
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) <= _GAP * max(features.shape)
    sets = Sets(len(points))
    for a, b in np.argwhere(np.triu(near, 1)):
        sets.join(int(a), int(b))
    names = np.array([sets.of(k) for k in range(len(points))])
    return [
        SharedPart(one, other, Alignment(found.matrix, found.pairs[names == name]))
        for name in np.unique(names)
        if (names == name).sum() >= fewest
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """What several photographs have in common.

    Attributes:
        reference: index of the photograph in whose pixels it is described.
        members: index of a photograph -> similarity from its pixels to the reference's.
        features: what it looks like, seen in several photographs, in the reference's pixels.
        matches: those that it was made of.
    """

    reference: int
    members: dict[int, np.ndarray]
    features: LocalFeatures
    matches: list[SharedPart]


class Sets:
    """Elements 0 ... n-1 that are put together.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, element: int) -> int:
        """The element that stands for all that are together with this one."""
        while self._above[element] != element:
            self._above[element] = self._above[self._above[element]]
            element = self._above[element]
        return element

    def join(self, one: int, other: int) -> None:
        """Put two together, and all that were with them."""
        self._above[self.of(one)] = self.of(other)


def same_things(features: Sequence[LocalFeatures], matches: Sequence[SharedPart]) -> list[Thing]:
    """Things that photographs have in common, those in most photographs first.

    Args:
        features: of all photographs.
        matches: between them.
    """
    sets = Sets(len(matches))
    at: dict[int, list[int]] = defaultdict(list)
    for k, match in enumerate(matches):
        at[match.one].append(k)
        at[match.other].append(k)
    for photo, here in at.items():
        for k, m in _of_one_thing(features[photo], photo, [matches[k] for k in here]):
            sets.join(here[k], here[m])
    together: dict[int, list[SharedPart]] = defaultdict(list)
    for k, match in enumerate(matches):
        together[sets.of(k)].append(match)
    things = [_thing(features, group) for group in together.values()]
    return sorted(things, key=lambda t: (-len(t.members), t.reference))


def _of_one_thing(
    features: LocalFeatures, photo: int, here: list[SharedPart]
) -> list[tuple[int, int]]:
    """Pairs of matches that meet in a photograph at one thing."""
    has = np.zeros((len(here), len(features)), np.float32)
    boxes = np.zeros((len(here), 4))
    for k, match in enumerate(here):
        mine = match.found.pairs[:, 0 if match.one == photo else 1]
        has[k, mine] = 1
        points = features.points[mine]
        boxes[k] = *points.min(0), *points.max(0)
    counts = has.sum(1)
    shared = has @ has.T
    same = shared >= np.maximum(2, _SHARED * np.minimum(counts[:, None], counts))
    same |= _overlap(boxes, boxes) >= _BOXES
    return [(int(a), int(b)) for a, b in np.argwhere(np.triu(same, 1))]


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    area = (one[:, 2:] - one[:, :2]).prod(1)[:, None] + (other[:, 2:] - other[:, :2]).prod(1)
    return np.asarray(common / np.maximum(area - common, 1e-9))


def _thing(features: Sequence[LocalFeatures], matches: list[SharedPart]) -> Thing:
    """What matches of one thing say of it, in the pixels of the photograph that has most of it."""
    weight: dict[int, int] = defaultdict(int)
    seen: dict[int, set[int]] = defaultdict(set)
    for m in matches:
        weight[m.one] += len(m.found.pairs)
        weight[m.other] += len(m.found.pairs)
        seen[m.one].update(m.found.pairs[:, 0].tolist())
        seen[m.other].update(m.found.pairs[:, 1].tolist())
    reference = max(weight, key=lambda p: (weight[p], -p))
    members = {reference: np.eye(2, 3)}
    # The strongest matches first; each brings in a photograph by one that is in already.
    left = sorted(matches, key=lambda m: -len(m.found.pairs))
    grew = True
    while grew:
        grew = False
        for m in left:
            if m.one in members and m.other not in members:
                members[m.other] = chained(inverse(m.found.matrix), members[m.one])
            elif m.other in members and m.one not in members:
                members[m.one] = chained(m.found.matrix, members[m.other])
            else:
                continue
            grew = True
            break
    teachers = sorted(members, key=lambda p: -weight[p])[:_TEACHERS]
    described = _together(
        [placed(features[p].some(np.array(sorted(seen[p]))), members[p]) for p in teachers],
        features[reference],
    )
    return Thing(reference, members, described, matches)


def placed(features: LocalFeatures, matrix: np.ndarray) -> LocalFeatures:
    """Features as they would be seen where a similarity puts them."""
    return LocalFeatures(
        moved(matrix, features.points).astype(np.float32),
        (features.sizes * scale_of(matrix)).astype(np.float32),
        (features.angles + turn_of(matrix)).astype(np.float32),
        features.descriptors,
        features.shape,
        features.ratio,
    )


def _together(taught: list[LocalFeatures], reference: LocalFeatures) -> LocalFeatures:
    """Features that several photographs show at the same place, in the reference's pixels."""
    points = np.concatenate([t.points for t in taught])
    owner = np.repeat(np.arange(len(taught)), [len(t) for t in taught])
    stacked = LocalFeatures(
        points,
        np.concatenate([t.sizes for t in taught]),
        np.concatenate([t.angles for t in taught]),
        np.concatenate([t.descriptors for t in taught]),
        reference.shape,
        reference.ratio,
    )
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) * reference.ratio <= _NEAR
    like = stacked.descriptors @ stacked.descriptors.T >= 0.85
    seen_by = np.zeros((len(points), len(taught)), bool)
    for t in range(len(taught)):
        seen_by[:, t] = (near & like)[:, owner == t].any(1)
    support = seen_by.sum(1)
    good = support >= max(2, round(0.12 * len(taught)), round(0.3 * support.max()))
    # Each photograph tells of the same features again: of those at one place a few are enough.
    kept: list[int] = []
    for k in np.argsort(-support, kind="stable"):
        if good[k] and (near[k] & like[k])[kept].sum() < _ALIKE:
            kept.append(int(k))
        if len(kept) == _MODEL:
            break
    return stacked.some(np.array(kept, int))
