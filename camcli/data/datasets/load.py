"""Labelled images for training: which kinds of places are understood, and what is in which split.

A data set is named (`camcli.data.datasets.registry.NAMED`, looked up on this machine), or given as
a path or URL of what one of the registry's kinds looks like.

Classes are sorted by name; an index is only ever derived from the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from camcli.data.datasets.dataset import Dataset as Dataset
from camcli.data.datasets.dataset import Item as Item
from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.fruits360 import merged
from camcli.data.datasets.ignoring import doubtful_names, ignored_names, without_labels
from camcli.data.datasets.kind import DatasetKind, Domains
from camcli.data.datasets.locate import locate
from camcli.data.datasets.measured import (
    binned,
    known_values,
    numbers_of,
    value_items,
    value_problems,
)
from camcli.data.datasets.place import DataPlace
from camcli.data.datasets.registry import KINDS, kind_of
from camcli.data.datasets.splitting import group_keys, hold_out
from camcli.data.sources.label_tables import split_labels, unknown_labels
from camcli.data.sources.numbered_folders import ORDERS
from camcli.data.sources.splits import Split
from camcli.errors import UsageError
from camcli.printable import counted, some


def load_dataset(
    data: str | Path,
    *,
    data_dir: Path | None = None,
    labels: str = "auto",
    split: Literal["given", "video"] = "given",
    merge_varieties: bool = False,
    domain: str | None = None,
    train_domain: str | None = None,
    test_domain: str | None = None,
    group: str | None = None,
    val: float = 0.15,
    test: float = 0.0,
    seed: int = 0,
    ignore: str | None = None,
    values: bool | None = None,
    strict: bool = True,
) -> Dataset:
    """Read a data set's structure; no image is opened.

    Args:
        data: a name of `registry.NAMED`, a folder, a CSV file with columns path, label and perhaps
            split (paths from the current folder or from the CSV's own), a list of paths whose
            folders are the labels (``list.txt``), tar or zip files (``s-{000..009}.tar``), or a
            URL of any of them but the CSV and the list.
        data_dir: where named sets are looked for first, before ``$CAMCLI_DATA`` and the user's
            data folder.
        labels: as for `find_images`; but ``auto`` also takes prefixes in a flat folder: a training
            set has labels somewhere, while other pictures mostly have none, and ``IMG_0001.jpg``
            must not become an IMG.
        split: ``given`` keeps the splits of the set; ``video`` (Fruits-360) pools them and holds
            whole videos out.
        merge_varieties: fold "Apple Red 1" and "Apple Red 2" into "Apple Red".
        domain: train and validate on this domain alone.
        train_domain: train on this domain and test on `test_domain`.
        test_domain: see `train_domain`.
        group: a regular expression, searched in the relative path; images whose first group is
            the same text stay in one split (the frames of one video, the photos of one person).
        val: share of the training images that validates, where the set has no such split.
        test: share that tests, where the set has no test split; 0 leaves it empty.
        seed: of the splits that are drawn here.
        ignore: labels that are none, ``|`` between them, see `camcli.data.datasets.ignoring`; an
            empty text is the empty label of a table.
        values: whether labels are values, and no classes; None to go by a table's numbers.
        strict: raise the first problem instead of returning all of them.

    Returns:
        The data set; every class has training images.

    Raises:
        UnavailableError: a named set is not on this machine.
        UsageError: the layout is not understood, an option does not fit it, or the set is not
            fit for training: an empty class folder, one class only, a class that is tested but
            not trained.

    Example:
        >>> data = load_dataset("cats-dogs", val=0.2)  # doctest: +SKIP
        >>> data.classes, data.counts()  # doctest: +SKIP
        (('cat', 'dog'), {'train': 800, 'val': 200, 'test': 0})
    """
    for name, share in {"validation": val, "test": test}.items():
        if not 0 <= share < 1:
            raise UsageError(f"The {name} share must be in [0, 1), not {share}.")
    if labels in ORDERS:
        raise UsageError(
            f"--labels {labels} says which outputs of a network that is there the folders are, "
            "and one that is trained gets its own: leave it out."
        )
    ignored = ignored_names(ignore)
    place = DataPlace(locate(str(data), data_dir), labels, ignored, values)
    domains = Domains(domain, train_domain, test_domain)
    kind = kind_of(place)
    assert kind.read is not None
    read = kind.read(place, domains)
    found, notes = read.images, list(read.notes)
    if domains and read.layout != "domains":
        raise UsageError(f"A domain was named, but {place} has no folders that share classes.")
    if merge_varieties:
        found = [x.with_label(merged(x.ref.label or "")) for x in found]
    several = read.several
    found, left_out = without_labels(found, ignored, several)
    notes += left_out
    names = read.values or (numbers_of(found) if values else ())
    if names:
        found, left_out = known_values(found, names)
        notes += left_out
    videos = kind.videos
    if split == "video":
        found, more = _whole_videos(kind, place, found, val, test or 0.25, seed)
        notes += more
    elif kind.note:
        notes.append(kind.note)

    def wrong(images: Sequence[Labelled]) -> list[str]:
        return value_problems(images, names) if names else _problems(images, several)

    problems = [*_broken(place), *wrong(found)]
    if videos and group is None:
        trained = [x.ref for x in found if x.split == "train"]
        runs = videos.neighbours(trained, val, seed)
        settled = found if _has(found, "val") else _set(found, runs, "val")
    else:
        settled = _draw(found, group, val, test, seed, several, names)
    problems += [p for p in wrong(settled) if p not in problems]
    if problems and strict:
        raise UsageError(problems[0])
    groups = _groups(settled, group, kind)
    if names:
        return Dataset(
            place.root, read.layout, names, value_items(settled, names, groups), tuple(notes),
            tuple(problems), str(place), measured=True,
        )  # fmt: skip
    classes = tuple(sorted({name for x in settled for name in _names(x, several)}))
    index = {name: i for i, name in enumerate(classes)}
    items = tuple(
        Item(
            x.ref, -1, x.split or "train", tuple(sorted(index[n] for n in _names(x, True))), own,
            tuple(sorted(index[n] for n in unknown_labels(x.ref.label or "") if n in index)),
        )
        if several
        else Item(x.ref, index[x.ref.label or ""], x.split or "train", group=own)
        for x, own in zip(settled, groups, strict=True)
    )  # fmt: skip
    notes += _everywhere(items, classes) if several else doubtful_names(classes)
    return Dataset(
        place.root, read.layout, classes, items, tuple(notes), tuple(problems), str(place), several
    )


def _everywhere(items: Sequence[Item], classes: Sequence[str]) -> list[str]:
    """A line on labels that no training image is known to be without."""
    lacking: set[int] = set()
    for item in items:
        if item.split == "train":
            lacking |= {*range(len(classes))} - {*item.labels, *item.unknown}
    if always := [name for c, name in enumerate(classes) if c not in lacking]:
        return [f"No training image is known to be without {some(always)}: found everywhere."]
    return []


def _names(found: Labelled, several: bool) -> tuple[str, ...]:
    """The classes of an image."""
    label = found.ref.label
    if label is None:
        return ()
    return split_labels(label) if several else (label,)


def _groups(found: Sequence[Labelled], group: str | None, kind: DatasetKind) -> list[str]:
    """The group of each image; empty for one on its own."""
    if group is not None:
        refs = [x.ref for x in found]
        keys = group_keys(refs, group)
        return ["" if key == ref.rel else key for key, ref in zip(keys, refs, strict=True)]
    if kind.videos is None:
        return [""] * len(found)
    trained = [x.ref for x in found if x.split in (None, "train")]
    of = dict(zip((ref.rel for ref in trained), kind.videos.groups(trained), strict=True))
    return [of.get(x.ref.rel, "") for x in found]


def _has(found: Sequence[Labelled], split: Split) -> bool:
    return any(x.split == split for x in found)


def _set(found: Sequence[Labelled], rels: set[str], split: Split) -> list[Labelled]:
    return [replace(x, split=split) if x.ref.rel in rels else x for x in found]


def _draw(
    found: Sequence[Labelled],
    group: str | None,
    val: float,
    test: float,
    seed: int,
    several: bool,
    values: Sequence[str],
) -> list[Labelled]:
    """Draw the splits that the set does not have, from its training images."""
    shares: dict[Split, float] = {}
    if not _has(found, "test") and test:
        shares["test"] = test
    if not _has(found, "val") and val:
        shares["val"] = val
    pool = [x for x in found if x.split in (None, "train")]
    if values:
        pool = binned(pool, values, group_keys([x.ref for x in pool], group))
    drawn = hold_out([x.ref for x in pool], shares, seed, group, several=several)
    return [replace(x, split=drawn.get(x.ref.rel, x.split or "train")) for x in found]


def _whole_videos(
    kind: DatasetKind,
    place: DataPlace,
    found: Sequence[Labelled],
    val: float,
    test: float,
    seed: int,
) -> tuple[list[Labelled], list[str]]:
    """All splits pooled, and whole videos held out."""
    if kind.videos is None:
        others = [each for each in KINDS if each.videos]
        shown = " or ".join(each.videos.example for each in others if each.videos)
        raise UsageError(
            f"Videos can be told apart in {some([each.title for each in others])} only, and "
            f"{place} does not look like it ({shown}); use a group expression instead."
        )
    pooled = [replace(x, split="train") for x in found]
    held, single = kind.videos.hold_out([x.ref for x in pooled], {"test": test, "val": val}, seed)
    note = (
        [
            f"One video only, so not tested: {counted(len(single), 'class', 'classes')}, "
            f"{some(single)}; merging varieties gives more videos a class."
        ]
        if single
        else []
    )
    return [replace(x, split=held.get(x.ref.rel, "train")) for x in pooled], note


def _broken(place: DataPlace) -> list[str]:
    """Tar and zip files that hold more than could be read: half a set is another one."""
    return [] if place.is_file else place.broken


def _problems(found: Sequence[Labelled], several: bool) -> list[str]:
    """What makes a set unfit for training."""
    trained = {n for x in found if x.split in (None, "train") for n in _names(x, several)}
    problems = []
    for split in ("val", "test"):
        unknown = sorted(
            {n for x in found if x.split == split for n in _names(x, several)} - trained
        )
        if unknown:
            problems.append(
                f"The {split} split has classes that are never trained: {some(unknown)}; add "
                "training images or remove them."
            )
    if len(trained) < 2:
        only = f", {next(iter(trained))!r}" if trained else ""
        if several and trained:
            only += ": of one that is there or not make two, such as yes and no, in path,label"
        problems.append(f"A classifier needs at least two classes, and there is one{only}.")
    return problems
