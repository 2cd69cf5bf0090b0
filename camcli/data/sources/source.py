"""Images that were found, in a fixed order, with their labels: what a run walks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path

from camcli.data.sources.containers.registry import (
    container_of,
    images_in,
    why_unread,
    without_suffix,
)
from camcli.data.sources.finders import File, Finder, Folder
from camcli.data.sources.labels import Indexed, Labeller
from camcli.data.sources.layout import (
    Layout,
)
from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.numbered_folders import (
    FolderOrder,
    FolderOrders,
    asked_order,
    folder_orders,
)
from camcli.data.sources.refs import Blob, ImageRef, is_url
from camcli.data.sources.unique_paths import Unique, bounded
from camcli.printable import printable


@dataclass(frozen=True)
class Source:
    """Images found by `find_images`; every iteration walks anew and gives the same order.

    Attributes:
        root: folder that the relative paths start from; only a name where it is a URL.
        finder: yields (absolute path, relative path).
        labeller: gives a label for a relative path; None when the images have no labels.
        limit: at most so many images.
        own_labels: whether the labels in tar and zip files are taken, where there is no `labeller`.
        classes: what the numbers in such labels mean.
        notes: what a person should know about the labels, a line each.
        order: which output of the network each class folder is, by the user's word; None: by what
            the folders are called.
        left_out: what was passed over, as far as the source has been walked.
    """

    root: Path
    finder: Finder
    labeller: Labeller | None = None
    limit: int | None = None
    own_labels: bool = True
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    order: FolderOrder | None = None
    left_out: LeftOut = field(default_factory=LeftOut, compare=False, repr=False)

    @property
    def labelled(self) -> bool:
        """Whether the layout (or the user, or a tar or zip file) says what is in the images."""
        return self.labeller is not None or any(ref.label for ref in islice(self, 1))

    @property
    def may_have_labels(self) -> bool:
        """Whether an image, the first or a later one, can have a label; opens no container."""
        return self.labeller is not None or (
            self.own_labels and any(container_of(path) for path, _ in self._found())
        )

    def numbered(self, classes: tuple[str, ...]) -> Source:
        """The same, with what can only be a class's number as these classes' names.

        These are numbers in tar and zip files, and class folders that are all called ``0`` to C-1,
        or 1 to C; or whatever the user says that the folders' order means (`order`).

        Raises:
            UsageError: the folders cannot be the outputs in the order that the user says.
        """
        labeller, notes = self.labeller, self.notes
        if not isinstance(labeller, Layout):
            return replace(self, classes=classes)
        if self.order:
            index = asked_order(self.order, labeller.classes, classes)
            return replace(
                self, classes=classes, labeller=Indexed(labeller, classes, index), notes=notes
            )
        orders = folder_orders(labeller.classes, classes)
        # Where outputs are called by their numbers there is nothing to translate.
        if orders and (orders.first or any(classes[n] != k for k, n in orders.index.items())):
            labeller = Indexed(labeller, classes, orders.index)
            first = sorted(orders.index.items(), key=lambda pair: pair[1])[:3]
            means = ", ".join(f"{name} is {printable(classes[n])}" for name, n in first)
            counted = ", counted from 1" if orders.first else ""
            notes += (
                f"Folder names are taken for the indices of the network's classes{counted}: "
                f"{means}; --labels folder takes them as they are.",
            )
        return replace(self, classes=classes, labeller=labeller, notes=notes)

    def folder_orders(self, classes: tuple[str, ...]) -> FolderOrders | None:
        """What its number folders may stand for; None where they are no numbers, or it is said."""
        if self.order or not isinstance(self.labeller, Layout):
            return None
        return folder_orders(self.labeller.classes, classes)

    def renamed(self, refs: Sequence[ImageRef], classes: tuple[str, ...]) -> list[ImageRef]:
        """References of this source with labels as `numbered` has them, in the same order."""
        labeller = self.numbered(classes).labeller
        if not isinstance(labeller, Indexed):
            return list(refs)
        return [replace(ref, label=labeller(ref.rel)) for ref in refs]

    def some_labels(self, most: int = 3) -> list[str]:
        """The first few different labels; as many images are looked at as it takes."""
        found: dict[str, None] = {}
        for ref in self:
            if ref.label is not None:
                found.setdefault(ref.label)
            if len(found) == most:
                break
        return list(found)

    def __iter__(self) -> Iterator[ImageRef]:
        """References in a fixed order."""
        return islice(self._all(), self.limit)

    def _all(self) -> Iterator[ImageRef]:
        left = LeftOut()
        try:
            yield from self._each(left)
        finally:
            self.left_out.include(left)

    def _each(self, left: LeftOut) -> Iterator[ImageRef]:
        label = self.labeller or (lambda rel: None)
        names = Unique() if self._mixed() else None
        for path, rel in self._found():
            if container_of(path):
                shard, folder = Path(path), without_suffix(rel)
                inside = names or Unique()
                for member in images_in(path, left):
                    at = shard / member.name if member.name else shard
                    wanted = f"{folder}/{member.name}" if member.name else rel
                    known = label(wanted) if self.labeller else self._own(member.label)
                    yield ImageRef(at, inside.take(wanted), known, member.blob)
            else:
                blob = Blob(path) if is_url(path) else None
                if problem := why_unread(path):
                    blob = Blob(path, problem=problem)
                name = _on_a_disk(rel) if is_url(path) else rel
                yield ImageRef(Path(path), names.take(name) if names else name, label(rel), blob)

    def _mixed(self) -> bool:
        """Whether images in containers can get the paths of others: ``s.tar`` beside ``s/``.

        Opens nothing. A folder's own images are never beside its containers.
        """
        if isinstance(self.finder, File) or (
            isinstance(self.finder, Folder) and not self.finder.containers
        ):
            return False
        folders: set[str] = set()
        others = False
        for path, rel in self.finder:
            if container_of(path):
                folders.add(without_suffix(rel) + "/")
            else:
                others = True
            if others and folders:
                return True
        # In order, whatever begins with one of them follows it.
        order = sorted(folders)
        return any(two.startswith(one) for one, two in pairwise(order))

    def _found(self) -> Iterator[tuple[str, str]]:
        left = LeftOut()
        try:
            yield from self.finder.walk(left)
        finally:  # also where only the first few were wanted
            self.left_out.include(left)

    def _own(self, label: str | int | None) -> str | None:
        if not self.own_labels or label is None:
            return None
        if isinstance(label, int) and 0 <= label < len(self.classes):
            return self.classes[label]
        return str(label)

    def count(self) -> int | None:
        """How many images there are: a walk that reads folders and lists of members, no image.

        None where that would download remote shards.
        """
        total = 0
        for path, _ in self._found():
            if not container_of(path):
                total += 1
            elif is_url(path):
                return None
            else:
                total += sum(1 for _ in images_in(path))
            if self.limit is not None and total >= self.limit:
                return self.limit
        return total


def _on_a_disk(rel: str) -> str:
    """The relative path of an object, which stores let be called anything, as a file's."""
    odd = ("", ".", "..")
    return bounded("/".join(f"{part}~" if part in odd else part for part in rel.split("/")))
