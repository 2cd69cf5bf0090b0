"""Labelled images for training: which layouts are understood, and what is in which split.

A data set is named (`NAMES`, looked up on this machine) or given as a path:

- a CSV of ``path,label[,split]``;
- ``Training/<Class>/`` and ``Test/<Class>/`` with Fruits-360's file names;
- ``{amazon,dslr,webcam}/images/<class>/``, Office-31, or other domains that share classes;
- ``<split>/<class>/`` and ``<class>/``;
- a flat folder whose file names carry the label (``cat.0.jpg``), by prefix or regular expression.

Classes are sorted by name; an index is only ever derived from the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from camcli.data.datasets import fruits360
from camcli.data.datasets.paths import locate
from camcli.data.datasets.splitting import hold_out
from camcli.data.datasets.tables import read_table
from camcli.data.sources.find import ImageRef, Source, find_images
from camcli.data.sources.layout import Layout, recognise
from camcli.data.sources.splits import Split, split_of
from camcli.errors import UsageError
from camcli.printable import some


class Item(NamedTuple):
    """One labelled image; `target` is the index of its class."""

    ref: ImageRef
    target: int
    split: Split


@dataclass(frozen=True)
class Dataset:
    """Labelled images in three splits.

    Attributes:
        root: folder (or CSV file) it was read from.
        layout: how it was understood, in a few words.
        classes: names, sorted; an item's target is an index into them.
        items: one for each image; ``ref.label`` is the class name.
        notes: what a person should know before believing a result.
        problems: what is wrong with it, one sentence each; empty unless asked for with
            ``strict=False``.
    """

    root: Path
    layout: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

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
    strict: bool = True,
) -> Dataset:
    """Read a data set's structure; no image is opened.

    Args:
        data: a name of `NAMES`, a folder, or a CSV file with columns path, label and perhaps
            split (paths from the current folder or from the CSV's own).
        data_dir: where named sets are looked for first, before ``$CAMCLI_DATA`` and the user's
            data folder.
        labels: as for `find_images`; ``auto`` also takes prefixes in a flat folder.
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
    root = locate(str(data), data_dir)
    domains = _Domains(domain, train_domain, test_domain)
    if root.is_file():
        found, layout, notes = _from_table(root), "table", list[str]()
    else:
        found, layout, notes = _from_folder(root, labels, domains)
    is_fruits = layout == "splits" and fruits360.looks_like([x.ref for x in found])
    if is_fruits:
        layout = "fruits360"
    if domains and layout != "domains":
        raise UsageError(f"A domain was named, but {root} has no folders that share classes.")
    if merge_varieties:
        found = [_relabel(x, fruits360.merged(x.ref.label or "")) for x in found]
    if split == "video":
        if not is_fruits:
            raise UsageError(
                f"Videos can be told apart in Fruits-360 only, and {root} does not look like it "
                "(Training/<Class>/r_31_100.jpg); use a group expression instead."
            )
        found, more = _videos(found, val, test or 0.25, seed)
        notes += more
    elif is_fruits:
        notes.append(fruits360.LEAK)
    problems = _problems(found)
    if is_fruits and group is None:
        runs = fruits360.contiguous_runs([x.ref for x in found if x.split == "train"], val, seed)
        settled = found if _has(found, "val") else _set(found, runs, "val")
    else:
        settled = _draw(found, group, val, test, seed)
    problems += [p for p in _problems(settled) if p not in problems]
    if problems and strict:
        raise UsageError(problems[0])
    classes = tuple(sorted({x.ref.label for x in settled if x.ref.label is not None}))
    index = {name: i for i, name in enumerate(classes)}
    items = tuple(Item(x.ref, index[x.ref.label or ""], x.split or "train") for x in settled)
    return Dataset(root, layout, classes, items, tuple(notes), tuple(problems))


# -- reading a layout --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Domains:
    one: str | None
    train: str | None
    test: str | None

    def __bool__(self) -> bool:
        return bool(self.one or self.train or self.test)


def _from_table(path: Path) -> list[Labelled]:
    return [Labelled(row.ref, row.split) for row in read_table(path)]


def _from_folder(
    root: Path, labels: str, domains: _Domains
) -> tuple[list[Labelled], str, list[str]]:
    """All labelled images below `root`, how it was understood, and notes."""
    layout = recognise(str(root)) if labels == "auto" else None
    if labels == "auto" and not isinstance(layout, Layout):
        return _flat(root, layout.why if layout else "")
    source = find_images(root, labels=labels)
    images = list(source)
    found = [Labelled(ref) for ref in images if ref.label is not None]
    notes = _left_out(source)
    skipped = len(images) - len(found)
    if not found:
        raise UsageError(f"Nothing in {root} has a label by {labels!r}; see --labels.")
    if not isinstance(layout, Layout):
        if skipped:
            notes.append(f"{skipped} images without a label are left out.")
        return found, "names" if labels != "folder" else "folders", notes
    if layout.kind == "splits":
        trees = [(tree.folder, split_of(name) or "train") for name, tree in layout.trees]
        found = [replace(x, split=_split_of(x.ref.rel, trees)) for x in found]
        if not _has(found, "train"):
            raise UsageError(
                f"{root} has no training images: expected a folder train/<class>/ (or Training)."
            )
    if skipped:
        outside = {ref.rel.rpartition("/")[0].split("/")[0] for ref in images if ref.label is None}
        where = some(sorted(folder or "the folder itself" for folder in outside))
        notes.append(f"{skipped} images outside the class folders are left out: those in {where}.")
    notes += _empty_folders(layout)
    if layout.kind == "domains":
        found, more = _by_domain(root, layout, found, domains)
        notes += more
    return found, layout.kind, notes


def _flat(root: Path, why: str) -> tuple[list[Labelled], str, list[str]]:
    """Labels from file names, when every image has one and all are at the top."""
    source = find_images(root, labels="prefix")
    images = list(source)
    named = Counter(ref.label for ref in images)
    flat = all("/" not in ref.rel for ref in images)
    if flat and None not in named and 2 <= len(named) <= len(images) // 2:
        note = f"Labels are the file names without their numbers: {some(sorted(named, key=str))}."
        return [Labelled(ref) for ref in images], "names", [note, *_left_out(source)]
    folders = {str(PurePosixPath(ref.rel).parent) for ref in images}
    if len(folders) == 1 and "." not in folders:
        raise UsageError(
            f"{root} has one class only ({folders.pop()!r}): a classifier needs two or more to "
            "tell apart."
        )
    raise UsageError(
        f"The labels in {root} were not recognised{': ' * bool(why)}{why}. Expected <class>/, "
        "train/<class>/, "
        "<domain>/<class>/ or names such as cat.0.jpg in one folder; say where they are with "
        "--labels, or give a CSV of path,label."
    )


def _left_out(source: Source) -> list[str]:
    note = source.left_out.note()
    return [note] if note else []


def _by_domain(
    root: Path, layout: Layout, found: list[Labelled], wanted: _Domains
) -> tuple[list[Labelled], list[str]]:
    folders = {name: tree.folder for name, tree in layout.trees}
    for name in (wanted.one, wanted.train, wanted.test):
        if name is not None and name not in folders:
            raise UsageError(f"No domain {name!r} in {root}; there are {', '.join(folders)}.")
    if wanted.one:
        if wanted.train or wanted.test:
            raise UsageError("Give either one domain, or a training and a test domain.")
        return [x for x in found if x.ref.rel.startswith(folders[wanted.one])], []
    if bool(wanted.train) != bool(wanted.test):
        raise UsageError(
            "A training and a test domain go together; there are " + ", ".join(folders) + "."
        )
    if wanted.train and wanted.test:
        if wanted.train == wanted.test:
            raise UsageError("The training and the test domain are the same.")
        train = [x for x in found if x.ref.rel.startswith(folders[wanted.train])]
        test = [
            replace(x, split="test") for x in found if x.ref.rel.startswith(folders[wanted.test])
        ]
        return train + test, []
    return found, [
        f"All domains are pooled ({', '.join(folders)}); name a domain, or a training and a test "
        "domain to see the shift between them."
    ]


def _split_of(rel: str, trees: Sequence[tuple[str, Split]]) -> Split | None:
    for folder, split in trees:
        if rel.startswith(folder):
            return split
    return None


# -- splits and problems -----------------------------------------------------------------------


def _has(found: Sequence[Labelled], split: Split) -> bool:
    return any(x.split == split for x in found)


def _set(found: Sequence[Labelled], rels: set[str], split: Split) -> list[Labelled]:
    return [replace(x, split=split) if x.ref.rel in rels else x for x in found]


def _draw(
    found: Sequence[Labelled], group: str | None, val: float, test: float, seed: int
) -> list[Labelled]:
    """Draw the splits that the set does not have, from its training images."""
    shares: dict[Split, float] = {}
    if not _has(found, "test") and test:
        shares["test"] = test
    if not _has(found, "val") and val:
        shares["val"] = val
    pool = [x for x in found if x.split in (None, "train")]
    drawn = hold_out([x.ref for x in pool], shares, seed, group)
    return [replace(x, split=drawn.get(x.ref.rel, x.split or "train")) for x in found]


def _videos(
    found: Sequence[Labelled], val: float, test: float, seed: int
) -> tuple[list[Labelled], list[str]]:
    pooled = [replace(x, split="train") for x in found]
    refs = [x.ref for x in pooled]
    held, single = fruits360.whole_videos(refs, {"test": test, "val": val}, seed)
    note = (
        [
            f"{len(single)} classes have one video only and are not tested: {some(single)}; "
            "merging varieties gives more videos a class."
        ]
        if single
        else []
    )
    return [replace(x, split=held.get(x.ref.rel, "train")) for x in pooled], note


def _relabel(item: Labelled, label: str) -> Labelled:
    return replace(item, ref=replace(item.ref, label=label))


def _problems(found: Sequence[Labelled]) -> list[str]:
    """What makes a set unfit for training."""
    trained = {x.ref.label for x in found if x.split in (None, "train")}
    problems = []
    for split in ("val", "test"):
        unknown = sorted(
            {str(x.ref.label) for x in found if x.split == split} - set(map(str, trained))
        )
        if unknown:
            problems.append(
                f"The {split} split has classes that are never trained: {some(unknown)}; add "
                "training images or remove them."
            )
    if len(trained) < 2:
        only = f", {next(iter(trained))!r}" if trained else ""
        problems.append(f"A classifier needs at least two classes, and there is one{only}.")
    return problems


def _empty_folders(layout: Layout) -> list[str]:
    """Class folders without images: perhaps a class that was meant, and is missing."""
    names = [
        f"{tree.folder}{name}"
        for split, tree in layout.trees
        if split_of(split) in (None, "train")
        for name in tree.empty
    ]
    if not names:
        return []
    return [f"No class, as there are no images in it: {some(names)}."]
