"""Labels from folders: a folder for each class, below splits or domains or neither.

Or from wherever ``--labels`` says; and, with nothing else to go by, from the names of files in one
folder, as Kaggle's cats and dogs have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.kind import DatasetKind, Domains, Found
from camcli.data.datasets.place import DataPlace
from camcli.data.datasets.tables import columns_taken, label_taken, split_given, takes_several
from camcli.data.sources.label_tables import Tabled, read_label_table
from camcli.data.sources.labels import TABLES
from camcli.data.sources.layout import Layout, Unrecognised
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split, split_of
from camcli.errors import UsageError
from camcli.printable import counted, some


def read_folders(place: DataPlace, domains: Domains) -> Found:
    """All images with a label by the place's layout, or by the user's word.

    Raises:
        UsageError: none has one, there is no training split, or there are no such domains.
    """
    layout = place.layout if isinstance(place.layout, Layout) else None
    if place.labels.lower().endswith(TABLES):
        return _read_by_table(place)
    refs = place.images()
    if layout:
        refs = [replace(ref, label=layout(place.at(ref))) for ref in refs]
    found = [Labelled(ref) for ref in refs if ref.label is not None]
    notes = place.left_out()
    skipped = len(refs) - len(found)
    if not found:
        raise UsageError(f"Nothing in {place} has a label by {place.labels!r}; see --labels.")
    if layout is None:
        if skipped:
            notes.append(f"Left out: {counted(skipped, 'image')} without a label.")
        return Found(found, "names" if place.labels != "folder" else "folders", notes)
    if layout.kind == "splits":
        trees = [(tree.folder, split_of(name) or "train") for name, tree in layout.trees]
        found = [replace(x, split=_split_at(place.at(x.ref), trees)) for x in found]
        if not any(x.split == "train" for x in found):
            raise UsageError(
                f"{place} has no training images: expected a folder train/<class>/ (or Training)."
            )
    if skipped:
        outside = {
            place.at(ref).rpartition("/")[0].split("/")[0] for ref in refs if ref.label is None
        }
        where = some(sorted(folder or "the folder itself" for folder in outside))
        notes.append(
            f"Left out: {counted(skipped, 'image')} outside the class folders, in {where}."
        )
    notes += _empty_folders(layout)
    if layout.kind == "domains":
        found, more = _by_domain(place, layout, found, domains)
        notes += more
    return Found(found, layout.kind, notes)


def _read_by_table(place: DataPlace) -> Found:
    """The images that a table names, and its splits: ``--data photos --labels truth.csv``."""
    table = read_label_table(place.labels, place.values)
    several = takes_several(table, empty="" in place.ignored)
    rows = Tabled(table, str(place.root.absolute()))
    found, skipped = [], 0
    for ref in place.images():
        if ref.label is None or (row := rows.row(ref.rel)) is None:
            skipped += 1
            continue
        label = label_taken(table, row, several)
        found.append(Labelled(replace(ref, label=label), split_given(table, row)))
    if not found:
        raise UsageError(f"{place.labels} names no image in {place}; see --labels.")
    notes = [*columns_taken(table, several), *place.left_out()]
    if skipped:
        notes.append(f"Left out: {counted(skipped, 'image')} without a row in {place.labels}.")
    return Found(found, "table", notes, several, table.values)


def _read_file_names(place: DataPlace, domains: Domains) -> Found:
    """Labels from file names, when every image has one and all are at the top.

    Raises:
        UsageError: they have not, so that nothing here tells labels; says why.
    """
    images = place.images("prefix")
    named = Counter(ref.label for ref in images)
    flat = all("/" not in place.at(ref) for ref in images)
    if flat and None not in named and 2 <= len(named) <= len(images) // 2:
        note = f"Labels are the file names without their numbers: {some(sorted(named, key=str))}."
        return Found([Labelled(ref) for ref in images], "names", [note, *place.left_out("prefix")])
    folders = {str(PurePosixPath(place.at(ref)).parent) for ref in images}
    if len(folders) == 1 and "." not in folders:
        raise UsageError(
            f"{place} has one class only ({folders.pop()!r}): a classifier needs two or more to "
            "tell apart."
        )
    why = place.layout.why if isinstance(place.layout, Unrecognised) else ""
    raise UsageError(
        f"The labels in {place} were not recognised{': ' * bool(why)}{why}. Expected <class>/, "
        "train/<class>/, "
        "<domain>/<class>/ or names such as cat.0.jpg in one folder; say where they are with "
        "--labels, or give a CSV of path,label."
    )


def _by_domain(
    place: DataPlace, layout: Layout, found: list[Labelled], wanted: Domains
) -> tuple[list[Labelled], list[str]]:
    folders = {name: tree.folder for name, tree in layout.trees}
    for name in (wanted.one, wanted.train, wanted.test):
        if name is not None and name not in folders:
            raise UsageError(f"No domain {name!r} in {place}; there are {', '.join(folders)}.")

    def within(name: str) -> list[Labelled]:
        return [x for x in found if place.at(x.ref).startswith(folders[name])]

    if wanted.one:
        if wanted.train or wanted.test:
            raise UsageError("Give either one domain, or a training and a test domain.")
        return within(wanted.one), []
    if bool(wanted.train) != bool(wanted.test):
        raise UsageError(
            "A training and a test domain go together; there are " + ", ".join(folders) + "."
        )
    if wanted.train and wanted.test:
        if wanted.train == wanted.test:
            raise UsageError("The training and the test domain are the same.")
        tested = [replace(x, split="test") for x in within(wanted.test)]
        return within(wanted.train) + tested, []
    return found, [
        f"All domains are pooled ({', '.join(folders)}); name a domain, or a training and a test "
        "domain to see the shift between them."
    ]


def _split_at(path: str, trees: Sequence[tuple[str, Split]]) -> Split | None:
    return next((split for folder, split in trees if path.startswith(folder)), None)


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


def _own_labels(place: DataPlace) -> bool:
    if not place.own_labels or place.is_folder:
        return False
    images = place.images()
    return 2 * sum(map(_own, images)) > len(images)  # more than their folders could say


def _own(ref: ImageRef) -> bool:
    return ref.blob is not None and ref.label is not None


def _read_own(place: DataPlace, domains: Domains) -> Found:
    """What ``.cls`` and ``.json`` beside the pictures say; splits are in the shards' names."""
    images = place.images()
    found = [Labelled(ref, split_of(place.split_word(ref))) for ref in images if _own(ref)]
    notes = place.left_out()
    if len(found) < len(images):
        notes.append(f"Left out: {counted(len(images) - len(found), 'image')} without a label.")
    return Found(found, "webdataset", notes)


WEBDATASET = DatasetKind(
    name="webdataset",
    title="WebDataset",
    what="tar shards with cat.jpg and cat.cls (or .json) beside each other",
    looks_like=_own_labels,
    read=_read_own,
)
FOLDERS = DatasetKind(
    name="folders",
    title="class folders",
    what="<class>/, <split>/<class>/ or <domain>/<class>/",
    looks_like=lambda place: place.labels != "auto" or isinstance(place.layout, Layout),
    read=read_folders,
)
FILE_NAMES = DatasetKind(
    name="cats-dogs",
    title="names of files, as Kaggle's cats and dogs",
    what="cat.0.jpg, dog.0.jpg ... in one folder",
    looks_like=lambda place: True,  # the last one: it says why nothing is recognised
    read=_read_file_names,
)
