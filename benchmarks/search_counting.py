"""Intervals of accuracies, and of the difference of two on the same photographs."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

Z = 1.96
"""Of 95 percent."""


def wilson(hits: float, count: int) -> tuple[float, float]:
    """The interval of a share, of Wilson (1927)."""
    if not count:
        return 0.0, 1.0
    share, z2 = hits / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Difference:
    """How much more of the same photographs one gets right than another.

    Attributes:
        mean: the difference of the accuracies.
        low: and
        high: its 95 % interval, from the photographs that only one of the two gets right.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, one: Mapping[str, bool], other: Mapping[str, bool]) -> Difference:
        """From what each got right, by photograph; both judged the same ones.

        Raises:
            ValueError: they did not.
        """
        if one.keys() != other.keys():
            raise ValueError("two runs that judged different photographs cannot be compared")
        gained = sum(one[path] and not other[path] for path in one)
        lost = sum(other[path] and not one[path] for path in one)
        count = len(one)
        mean = (gained - lost) / count
        # With one added to each count the interval has a width where none differs (Agresti, Min).
        b, c, n = gained + 0.5, lost + 0.5, count + 2
        half = Z * sqrt(b + c - (b - c) ** 2 / n) / n
        middle = (b - c) / n
        return cls(mean, middle - half, middle + half)

    @property
    def is_worse(self) -> bool:
        """Whether it is worse beyond its interval."""
        return self.high < 0


def right(path: Path, split: str = "test") -> dict[str, bool]:
    """What a table of predictions got right, by path.

    Args:
        path: of a CSV with ``path``, ``split``, ``label`` and ``pred``.
        split: only these rows.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["path"]: row["pred"] == row["label"]
            for row in csv.DictReader(file)
            if row["split"] == split
        }


def confidences(path: Path, split: str = "test") -> list[tuple[float, bool]]:
    """How sure a table of predictions was of each image, and whether it was right."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (float(row["prob"]), row["pred"] == row["label"])
            for row in csv.DictReader(file)
            if row["split"] == split
        ]


def named(hits: Mapping[str, bool], paths: Iterable[Path]) -> dict[str, bool]:
    """Hits by whole path: tools write of a path what they like, which is the end of one of these.

    Raises:
        ValueError: these are not the photographs that were judged, all and once each.
    """
    found: dict[str, bool] = {}
    left = dict(hits)
    for path in map(str, paths):
        parts = path.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        end = next((end for end in ends if end in left), None)
        if end is None:
            raise ValueError(f"{path} was held out and not judged")
        found[path] = left.pop(end)
    if left:
        raise ValueError(f"{next(iter(left))} was judged and not held out")
    return found


def calibration_error(rows: list[tuple[float, bool]], bins: int = 15) -> float:
    """Expected calibration error of confidences and hits, in bins of equal width (Guo et al.)."""
    sums = [[0, 0.0, 0] for _ in range(bins)]
    for confidence, hit in rows:
        bin_ = sums[min(int(confidence * bins), bins - 1)]
        bin_[0] += 1
        bin_[1] += confidence
        bin_[2] += hit
    return sum(abs(total - hits) for _, total, hits in sums) / max(len(rows), 1)


def chance_error(rows: list[tuple[float, bool]], draws: int = 200) -> float:
    """The calibration error that confidences which are right would show on so few images."""
    drawn = random.Random(0)
    errors = [
        calibration_error([(sure, drawn.random() < sure) for sure, _ in rows]) for _ in range(draws)
    ]
    return sum(errors) / draws
