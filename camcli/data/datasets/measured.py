"""Images whose labels are values: what is wrong with them, and which of them are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from camcli.data.datasets.dataset import Item, Labelled
from camcli.data.sources.label_tables import split_values
from camcli.errors import UsageError
from camcli.ours import finite_number
from camcli.printable import counted, printable, some

VALUE = "value"
"""What a value is called whose name nobody says."""
_BINS, _IN_A_BIN = 10, 10  # groups: one image each where none are named


def numbers_of(found: Sequence[Labelled]) -> tuple[str, ...]:
    """The names of the values that labels of folders or file names are: one.

    Raises:
        UsageError: a label is no number.
    """
    for x in found:
        if x.ref.label and finite_number(x.ref.label) is None:
            raise UsageError(
                f"--output value takes labels that are numbers, and that of {printable(x.ref.rel)} "
                f"is {printable(x.ref.label)!r}: give a CSV of path,value, or a --labels "
                "expression that finds the number in the path."
            )
    return (VALUE,)


def known_values(
    found: Sequence[Labelled], names: Sequence[str]
) -> tuple[list[Labelled], list[str]]:
    """The images of which a value is known, and a line about the others."""
    kept = [x for x in found if not all(map(math.isnan, split_values(x.ref.label, names)))]
    lost = len(found) - len(kept)
    return kept, [f"Left out: {counted(lost, 'image')} without a value."] if lost else []


def value_problems(found: Sequence[Labelled], names: Sequence[str]) -> list[str]:
    """What makes values unfit for training: nothing varies."""
    trained = [split_values(x.ref.label, names) for x in found if x.split in (None, "train")]
    flat = [
        name
        for name, column in zip(names, zip(*trained, strict=True), strict=True)
        if len({v for v in column if not math.isnan(v)}) < 2
    ] if trained else list(names)  # fmt: skip
    if not flat:
        return []
    return [
        f"To learn values takes at least two different ones, and the training images have one of "
        f"{some(flat)}, or none."
    ]


def binned(
    found: Sequence[Labelled], names: Sequence[str], groups: Sequence[str]
) -> list[Labelled]:
    """The same images, labelled by where their value lies, so that small and large are held out.

    Of several values the first counts, where it is known; of a group the mean of its images.

    Args:
        found: labelled images.
        names: of the values.
        groups: what names the group of each image.
    """
    own: dict[str, list[float]] = {}
    for x, group in zip(found, groups, strict=True):
        own.setdefault(group, []).append(split_values(x.ref.label, names)[0])
    means = {group: fmean([v for v in each if not math.isnan(v)] or [0.0])
             for group, each in own.items()}  # fmt: skip
    ordered = sorted(means.values())
    bins = max(1, min(_BINS, len(ordered) // _IN_A_BIN))
    edges = [ordered[len(ordered) * b // bins] for b in range(1, bins)]
    bin_of = {group: str(sum(mean >= edge for edge in edges)) for group, mean in means.items()}
    return [x.with_label(bin_of[group]) for x, group in zip(found, groups, strict=True)]


def value_items(
    settled: Sequence[Labelled], names: Sequence[str], groups: Sequence[str]
) -> tuple[Item, ...]:
    """The items of a data set."""
    return tuple(
        Item(x.ref, -1, x.split or "train", group=own, values=split_values(x.ref.label, names))
        for x, own in zip(settled, groups, strict=True)
    )
