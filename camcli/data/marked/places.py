"""Where each photograph lies in the copy: as before, but for those under another label.

Where folders are the labels, a relabelled photograph moves into the folder of its new class, below
the same split or domain. Where labels are said otherwise (by a table, file names, files of shards)
the copy has a folder a class, so that it says by itself what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from camcli.data.marked.decide import Decided, MarkedPhoto
from camcli.data.sources.layout import Layout
from camcli.data.sources.splits import split_of
from camcli.errors import UsageError
from camcli.printable import printable

_LONGEST = 255  # bytes of a name


@dataclass(frozen=True, slots=True)
class Placed:
    """A photograph, and where it lies in the copy.

    Attributes:
        photo: what stays.
        to: relative path, with forward slashes.
        renamed: whether another photograph has the name that it would have had.
    """

    photo: MarkedPhoto
    to: str
    renamed: bool = False


def placed(
    decided: Decided,
    *,
    name: Callable[[str], str] = lambda rel: rel,
    key: Callable[[str], str] = lambda rel: rel,
    mark: Callable[[str], str],
) -> tuple[list[Placed], int]:
    """A place for each photograph, no two alike.

    Args:
        decided: what stays.
        name: relative path -> the same as the disk takes it.
        key: what two names have in common that are one on the disk.
        mark: relative path -> a few digits that stand for it.

    Returns:
        The places, in the order of the photographs; and how many have none, as they have no label
        and the copy has a folder a class.

    Raises:
        UsageError: a label can be no folder, or photographs have several.
    """
    if decided.several:
        raise UsageError(
            f"The photographs of {decided.place} can have several labels, which no folders say: "
            "write a table, --to FILE.csv."
        )
    wanted = [(photo, _wanted(decided, photo)) for photo in decided.photos]
    there = [(photo, at) for photo, at in wanted if at is not None]
    moving = {photo.at for photo, at in there if at != photo.at}
    taken: set[str] = set()
    found: dict[str, Placed] = {}

    def put(photo: MarkedPhoto, at: str) -> None:
        to = name(at)
        free = _free(to, photo.ref.rel, taken, key, mark)
        taken.add(key(free))
        found[photo.ref.rel] = Placed(photo, free, renamed=free != to)

    followed = {
        photo.ref.rel: companion
        for photo, _ in there
        if not photo.relabelled
        and (companion := decided.companions.get(photo.at))
        and companion.of in moving
    }
    # Those that stay where they are keep their names; what comes to them makes room.
    for photo, at in there:
        if at == photo.at and photo.ref.rel not in followed:
            put(photo, at)
    if decided.layout:
        # Nobody gets the name that another one had: masks elsewhere may still go by it.
        taken.update(key(name(photo.at)) for photo in (*decided.photos, *decided.dropped))
    for photo, at in there:
        if at != photo.at and photo.ref.rel not in followed:
            put(photo, at)
    places = {each.photo.at: each.to for each in found.values()}
    for photo, _ in there:
        if companion := followed.get(photo.ref.rel):
            put(photo, companion.beside(places[companion.of]))
    return [found[photo.ref.rel] for photo, _ in there], len(wanted) - len(there)


def _wanted(decided: Decided, photo: MarkedPhoto) -> str | None:
    """Where a photograph belongs; None for nowhere."""
    layout = decided.layout
    if layout:
        return _in_layout(layout, photo)
    if not decided.labelled:
        return photo.at  # nothing has a label
    if photo.ref.label is None:
        return None
    # Splits, where the set has some, and a folder a class; neither twice.
    split = photo.split or "train" if any(x.split for x in decided.photos) else None
    *parents, last = photo.at.split("/")
    while parents and (parents[0] in (photo.was, photo.ref.label) or split_of(parents[0])):
        parents.pop(0)
    return "/".join([*([split] if split else []), folder_of(photo.ref.label), *parents, last])


def _in_layout(layout: Layout, photo: MarkedPhoto) -> str:
    if not photo.relabelled or photo.ref.label is None:
        return photo.at
    label = folder_of(photo.ref.label)
    trees = [tree for _, tree in layout.trees if photo.at.startswith(tree.folder)]
    if photo.was is not None:
        (tree, *_) = trees
        below = photo.at[len(tree.folder) :].partition("/")[2]
        return f"{tree.folder}{label}/{below}"
    # One that lies beside the class folders.
    if not trees and len(layout.trees) == 1:
        trees = [layout.trees[0][1]]
    if not trees:
        raise UsageError(
            f"{printable(photo.ref.rel)} is relabelled to {printable(label)}, and lies in none of "
            f"{', '.join(name for name, _ in layout.trees)}: put it into the one where it belongs, "
            "or leave it without a label."
        )
    return f"{trees[0].folder}{label}/{photo.at.rpartition('/')[2]}"


def folder_of(label: str) -> str:
    """A label as the name of a folder, which is the same.

    Raises:
        UsageError: no folder can be called so, or none of that name is walked into.
    """
    why = None
    if label in (".", "..") or set(label) & set("/\\\0"):
        why = "it is a path, and a class is one folder"
    elif label.startswith("."):
        why = "folders of hidden names are passed over when a data set is read"
    elif len(os.fsencode(label)) > _LONGEST:
        why = f"it is longer than the {_LONGEST} bytes that a folder's name may have"
    if why:
        raise UsageError(
            f"No folder of a class can be called {printable(label)!r}: {why}. Choose another label "
            "in the file of marks, or write a table, --to FILE.csv."
        )
    return label


def _free(
    to: str, rel: str, taken: set[str], key: Callable[[str], str], mark: Callable[[str], str]
) -> str:
    """A path that nothing has: the same, or one with a digest of where it comes from."""
    if key(to) not in taken:
        return to
    folder, slash, last = to.rpartition("/")
    stem, extension = os.path.splitext(last)  # noqa: PTH122 - a part of a path
    for number in range(len(taken) + 1):
        end = f"~{mark(f'{rel}~{number}' if number else rel)}{extension}"
        room = _LONGEST - len(os.fsencode(end))
        short = os.fsencode(stem)[:room].decode("utf-8", "ignore") if room < len(stem) * 4 else stem
        other = f"{folder}{slash}{short}{end}"
        if key(other) not in taken:
            return other
    raise AssertionError("as many names as photographs, and one more")


def check_classes(found: Sequence[Placed], classes: Iterable[str]) -> None:
    """Refuse a disk that calls a class's folder otherwise.

    Raises:
        UsageError: it does.
    """
    parts = {part for each in found for part in each.to.split("/")[:-1]}
    for label in classes:
        if label not in parts:
            raise UsageError(
                f"This disk takes no folder {printable(label)!r}: choose another label, or write a "
                "table, --to FILE.csv."
            )
