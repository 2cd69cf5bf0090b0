"""Labelled images: before and after it is settled which of them train."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split


class Item(NamedTuple):
    """One labelled image; `target` is the index of its class.

    Where an image has several labels, or none, `targets` are their indices, and `target` is -1;
    `unknown` are those of which nobody knows whether it has them.
    Images of one `group` show the same thing, and never help to judge each other; one without a
    group is on its own. Where images measure something, `values` are their numbers, NaN for those
    that nobody knows, and they have no class.
    """

    ref: ImageRef
    target: int
    split: Split
    targets: tuple[int, ...] = ()
    group: str = ""
    unknown: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """The indices of all its classes."""
        return self.targets if self.target < 0 else (self.target,)


@dataclass(frozen=True)
class Dataset:
    """Labelled images in three splits.

    Attributes:
        root: folder (or CSV file) it was read from.
        layout: how it was understood, in a few words.
        classes: names, sorted; an item's target is an index into them.
        items: one for each image; ``ref.label`` is the class name, or several with ``|`` between.
        notes: what a person should know before believing a result.
        problems: what is wrong with it, one sentence each; empty unless asked for with
            ``strict=False``.
        place: `root`, or the URL that it was read from.
        several: whether images have several labels, or none, so that classes do not exclude each
            other.
        measured: whether images have values: `classes` are then their names.
    """

    root: Path
    layout: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    place: str = ""
    several: bool = False
    measured: bool = False

    @property
    def folder(self) -> str:
        """The folder that holds all of its images; `root` where there is none."""
        with suppress(ValueError):  # of two drives, or of no images at all
            return os.path.commonpath([item.ref.path.parent for item in self.items])
        return str(self.root)

    def split(self, name: Split) -> tuple[Item, ...]:
        """The items of ``train``, ``val`` or ``test``."""
        return tuple(item for item in self.items if item.split == name)

    def counts(self) -> dict[Split, int]:
        """Images in each split."""
        found = Counter(item.split for item in self.items)
        return {"train": found["train"], "val": found["val"], "test": found["test"]}


@dataclass(frozen=True)
class Labelled:
    """An image before the splits are settled: `split` is None where the set does not say."""

    ref: ImageRef
    split: Split | None = None

    def with_label(self, label: str) -> Labelled:
        """The same of another class."""
        return replace(self, ref=replace(self.ref, label=label))
