"""What is in a data set, and what is wrong with it, before time is spent on training."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from math import isfinite, isnan
from statistics import median
from typing import Any, NamedTuple

from camcli.data.datasets.dataset import Dataset, Item
from camcli.data.decode.images import decode, read_bytes
from camcli.errors import ImageError


class Span(NamedTuple):
    """Smallest, median and largest of some numbers."""

    least: int
    median: int
    most: int


@dataclass(frozen=True)
class Description:
    """What `describe` found.

    Attributes:
        dataset: what was looked at.
        counts: images of each class in each split that the set has: ``counts["pear"]["train"]``.
        width: of the readable images in pixels; None if there are none.
        height: likewise.
        unreadable: (relative path, what is wrong).
        leaks: groups of relative paths with the same bytes in different splits.
        contradictions: groups with the same bytes and different labels.
        repeated: images whose bytes occurred before, anywhere.
        values: of measured images smallest, median and largest of each value by its name.
        imbalance: images of the largest class over those of the smallest, in training;
            infinite when a class has none.
    """

    dataset: Dataset
    counts: dict[str, dict[str, int]]
    width: Span | None
    height: Span | None
    unreadable: tuple[tuple[str, str], ...]
    leaks: tuple[tuple[str, ...], ...]
    contradictions: tuple[tuple[str, ...], ...]
    repeated: int
    imbalance: float
    values: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "root": self.dataset.place,
            "layout": self.dataset.layout,
            "images": len(self.dataset.items),
            "splits": self.dataset.counts(),
            "classes": self.counts,
            "width": self.width and self.width._asdict(),
            "height": self.height and self.height._asdict(),
            **(
                {
                    "values": {
                        n: dict(zip(("least", "median", "most"), v, strict=True))
                        for n, v in self.values.items()
                    }
                }
                if self.values
                else {}
            ),
            "imbalance": round(self.imbalance, 3) if isfinite(self.imbalance) else None,
            "unreadable": [{"path": p, "error": e} for p, e in self.unreadable],
            "same_bytes_in_several_splits": [list(g) for g in self.leaks],
            "same_bytes_with_several_labels": [list(g) for g in self.contradictions],
            "repeated": self.repeated,
            "problems": list(self.dataset.problems),
            "notes": list(self.dataset.notes),
        }


class _Seen(NamedTuple):
    digest: bytes | None
    size: tuple[int, int] | None
    error: str | None


def describe(
    dataset: Dataset,
    *,
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
) -> Description:
    """Open every image of a data set.

    Args:
        dataset: from `load_dataset`, with ``strict=False`` if problems are to be listed too.
        workers: threads that decode; one for each core by default.
        progress: called after each image.

    Returns:
        Counts, sizes, unreadable files, and copies found by their content.
    """
    items = dataset.items
    counts: dict[str, Counter[str]] = {name: Counter() for name in dataset.classes}
    places: dict[bytes, list[Item]] = defaultdict(list)
    widths, heights, unreadable = [], [], []
    for item, seen in zip(items, _look_at(items, workers), strict=True):
        for label in item.labels:
            counts[dataset.classes[label]][item.split] += 1
        for name, value in zip(dataset.classes, item.values, strict=False):
            counts[name][item.split] += not isnan(value)
        if seen.error:
            unreadable.append((item.ref.rel, seen.error))
        if seen.digest:
            places[seen.digest].append(item)
        if seen.size:
            widths.append(seen.size[0])
            heights.append(seen.size[1])
        if progress:
            progress()
    copies = [group for group in places.values() if len(group) > 1]
    trained = [counter["train"] for counter in counts.values()]
    fewest = min(trained, default=0)
    return Description(
        dataset,
        {name: dict(counter) for name, counter in counts.items()},
        _span(widths),
        _span(heights),
        tuple(unreadable),
        _differing(copies, lambda item: item.split),
        _differing(copies, lambda item: str(item.values) if item.values else item.labels),
        sum(len(group) - 1 for group in copies),
        max(trained) / fewest if fewest else float("inf"),
        _ranges(dataset),
    )


def _ranges(dataset: Dataset) -> dict[str, tuple[float, float, float]]:
    """Smallest, median and largest of each value; nothing where images have classes."""
    found = {}
    for c, name in enumerate(dataset.classes if dataset.measured else ()):
        if known := [v for item in dataset.items if not isnan(v := item.values[c])]:
            found[name] = (min(known), median(known), max(known))
    return found


def _look_at(items: tuple[Item, ...], workers: int | None) -> Iterator[_Seen]:
    """In order, a bounded number of images ahead."""
    queue = iter(items)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        while block := list(islice(queue, 512)):
            yield from pool.map(_look, block)


def _look(item: Item) -> _Seen:
    try:
        name, data = read_bytes(item.ref)
        height, width = decode(data, name).shape[:2]
        digest = blake2b(data, digest_size=16).digest()
    except (ImageError, OSError) as error:
        return _Seen(None, None, str(error))
    return _Seen(digest, (width, height), None)


def _differing(
    groups: list[list[Item]], what: Callable[[Item], object]
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(item.ref.rel for item in group)
        for group in groups
        if len({what(item) for item in group}) > 1
    )


def _span(values: list[int]) -> Span | None:
    if not values:
        return None
    ordered = sorted(values)
    return Span(ordered[0], ordered[len(ordered) // 2], ordered[-1])
