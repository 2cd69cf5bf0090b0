"""What is said of the same photograph twice: the same file, the same pixels, or a changed copy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from camcli.data.decode.same_picture import SMALL
from camcli.evaluate.check.copies import GreyPictures, Groups, join_copies
from camcli.evaluate.check.issue import CheckIssue
from camcli.evaluate.check.looking import Prints
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener

_ORDER = ("train", "val", "test")


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
    pictures = GreyPictures([photo.ref for photo in seen.photos])
    smalls = np.array([each.small for each in seen.prints]).reshape(-1, SMALL, SMALL)
    join_copies(groups, np.unique(numbers), smalls, points, pictures, clock, listener)
    return groups


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
