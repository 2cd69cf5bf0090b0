"""What becomes of each photograph of a data set: left out, given another label, or kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from camcli.data.datasets.kind import Domains
from camcli.data.datasets.locate import locate
from camcli.data.datasets.place import DataPlace
from camcli.data.datasets.registry import kind_of
from camcli.data.marked.companions import Companion, companions
from camcli.data.marked.marks_file import DROP, RELABEL, MarksFile, PhotoMark
from camcli.data.sources.label_tables import join_labels, split_labels
from camcli.data.sources.layout import Layout
from camcli.data.sources.refs import ImageRef, is_url
from camcli.data.sources.splits import Split
from camcli.errors import UsageError
from camcli.printable import counted, printable, some


@dataclass(frozen=True, slots=True)
class MarkedPhoto:
    """One photograph that stays.

    Attributes:
        ref: its label is the new one; None where it has none.
        was: the label that the data set gives it.
        split: likewise; None where it gives none.
        at: its path as the layout of folders has it: without the container that it lies in.
    """

    ref: ImageRef
    was: str | None
    split: Split | None
    at: str

    @property
    def relabelled(self) -> bool:
        """Whether it has another label than before."""
        return self.ref.label != self.was


@dataclass(frozen=True)
class Decided:
    """A data set after the marks.

    Attributes:
        place: where it lies.
        labels: where its labels come from, in the user's words.
        photos: what stays, in the data set's order.
        dropped: what does not.
        layout: of its class folders, where these say its labels; else None.
        several: whether a photograph can have several labels, or none; its label is then a text of
            them, as `camcli.data.sources.label_tables.join_labels` writes it.
        companions: what goes where a photograph goes, by its path (`MarkedPhoto.at`).
        notes: what a person should know, a sentence each.
    """

    place: DataPlace
    labels: str
    photos: tuple[MarkedPhoto, ...]
    dropped: tuple[MarkedPhoto, ...]
    layout: Layout | None
    several: bool
    companions: Mapping[str, Companion]
    notes: tuple[str, ...] = ()

    @cached_property
    def relabelled(self) -> tuple[MarkedPhoto, ...]:
        """What stays under another label."""
        return tuple(photo for photo in self.photos if photo.relabelled)

    @cached_property
    def labelled(self) -> tuple[MarkedPhoto, ...]:
        """What stays and has a label."""
        return tuple(photo for photo in self.photos if photo.ref.label is not None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of what stays, sorted."""
        return tuple(sorted(self.names(photo.ref.label for photo in self.labelled)))

    @property
    def new_classes(self) -> tuple[str, ...]:
        """Those that the data set did not have."""
        before = self.names(photo.was for photo in self.photos)
        before |= self.names(photo.was for photo in self.dropped)
        return tuple(name for name in self.classes if name not in before)

    def names(self, labels: Iterable[str | None]) -> set[str]:
        """The names in labels, of which one may hold several."""
        found: set[str] = set()
        for label in labels:
            if label is not None:
                found |= set(split_labels(label)) if self.several else {label}
        return found


def data_of(marks: MarksFile, data: str | None) -> str:
    """The data set that marks are about.

    Args:
        marks: as they were read.
        data: what the user says, which comes first.

    Raises:
        UsageError: nobody says it, or the file names several, or none that may be looked at.
    """
    if data is not None:
        return data
    sources = marks.sources
    if not sources:
        raise UsageError(
            f"{marks.path} does not say which photographs it is about (its column source is "
            "empty): name their data set with --data, as for 'camcli train'."
        )
    if len(sources) > 1:
        raise UsageError(
            f"{marks.path} is about photographs in {some(sources)}: name one data set with --data, "
            "which holds all of them, or delete the other lines."
        )
    (source,) = sources
    # Anybody may have written the file: no server is asked because of what it says.
    if is_url(source) or source.startswith(("//", "\\\\")):
        raise UsageError(
            f"{marks.path} is about photographs at {printable(source)}: if you mean it, name it "
            "with --data."
        )
    if not os.path.isdir(source):  # noqa: PTH112 - as it is written
        raise UsageError(
            f"The photographs that {marks.path} is about are not there any more "
            f"({printable(source)}): name their data set with --data."
        )
    return source


def decide(
    marks: MarksFile,
    data: str,
    *,
    labels: str = "auto",
    known_as: Callable[[str, Sequence[str]], str] = lambda label, classes: label,
) -> Decided:
    """Hold marks against a data set; no photograph is opened.

    Args:
        marks: as they were read.
        data: a data set as ``camcli train --data`` takes it, or any folder of photographs.
        labels: where its labels come from, as there.
        known_as: new label and the classes of the data set -> what the set calls that class.

    Raises:
        UnavailableError: a named set is not on this machine.
        UsageError: it cannot be read, or a photograph that is to be dropped or relabelled is none
            of it.
    """
    place = DataPlace(locate(data), labels)
    photos, layout, several, notes = _photographs(place)
    told = _by_photo(marks, photos, place)
    classes = sorted({photo.was for photo in photos if photo.was is not None})
    beside = _beside(photos, layout)
    stay, dropped, followed = [], [], 0
    gone = {photos[n].at for n, mark in told.items() if mark.mark == DROP}
    for number, photo in enumerate(photos):
        mark = told.get(number)
        if mark is None and (own := beside.get(photo.at)) and own.of in gone:
            followed += 1
        elif mark is None or mark.mark not in (DROP, RELABEL):
            stay.append(photo)
        elif mark.mark == DROP:
            dropped.append(photo)
        else:
            label = known_as(mark.label, classes)
            label = join_labels(split_labels(label)) if several else label
            stay.append(replace(photo, ref=replace(photo.ref, label=label)))
    if not stay:
        raise UsageError(f"{marks.path} drops every photograph of {place}: nothing would be left.")
    notes = [*marks.notes, *notes]
    if followed:
        notes.append(
            f"Left out as well: {counted(followed, 'picture')} beside what is dropped, under the "
            "same names (masks, say)."
        )
    return Decided(
        place, labels, tuple(stay), tuple(dropped), layout, several, beside, tuple(notes)
    )


def _beside(photos: Sequence[MarkedPhoto], layout: Layout | None) -> dict[str, Companion]:
    outside = [photo.at for photo in photos if photo.was is None]
    if layout is None or not outside:
        return {}
    return companions(layout, {photo.at: photo.was for photo in photos}, outside)


def _photographs(
    place: DataPlace,
) -> tuple[list[MarkedPhoto], Layout | None, bool, list[str]]:
    """All photographs of a data set, those without a label, too."""
    kind = kind_of(place)
    assert kind.read is not None
    try:
        read = kind.read(place, Domains())
        if read.values:
            raise UsageError(
                f"The labels of {place} are values and no classes, which marks do not change: give "
                "the folder of its photographs as --data."
            )
    except UsageError:
        # No labels, or none of which a network can be trained: they may come from the marks.
        if place.is_file or place.labels != "auto":
            raise
        images = place.images()
        return [MarkedPhoto(ref, None, None, place.at(ref)) for ref in images], None, False, []
    known = {x.ref.rel: x for x in read.images}
    refs = [x.ref for x in read.images] if place.is_file else place.images()
    photos = []
    for ref in refs:
        found = known.get(ref.rel)
        label = found.ref.label if found else None
        at = ref.rel if place.is_file else place.at(ref)
        photos.append(
            MarkedPhoto(replace(ref, label=label), label, found.split if found else None, at)
        )
    layout = place.layout if not place.is_file and isinstance(place.layout, Layout) else None
    if layout and any(photo.was is not None and layout(photo.at) != photo.was for photo in photos):
        layout = None  # labels are called otherwise than the folders
    notes = [] if place.is_file else place.left_out()
    return photos, layout, read.several, notes


def _by_photo(
    marks: MarksFile, photos: Sequence[MarkedPhoto], place: DataPlace
) -> dict[int, PhotoMark]:
    """The mark of each photograph that has one, by its number.

    Raises:
        UsageError: a photograph that is to be dropped or relabelled is none of these.
    """
    by_rel = {photo.ref.rel: number for number, photo in enumerate(photos)}
    by_path = {_key(photo.ref.path): number for number, photo in enumerate(photos)}
    real: dict[str, str] = {}
    # A person who has the table at hand writes what stands there.
    beside = Path(place.root).absolute().parent if place.is_file else None
    found: dict[int, PhotoMark] = {}
    lost: list[PhotoMark] = []
    for mark in marks.marks:
        number = None
        # On Windows people write backslashes; elsewhere a name may hold one.
        for path in dict.fromkeys((mark.path, mark.path.replace("\\", "/"))):
            if mark.source and not is_url(mark.source):
                root = real.setdefault(mark.source, os.path.realpath(mark.source))
                for folder in (mark.source, root):
                    number = by_path.get(_key(Path(folder, path))) if number is None else number
            elif os.path.isabs(path):  # noqa: PTH117
                number = by_path.get(_key(Path(path)))
            number = by_rel.get(path) if number is None else number
            if number is None and beside is not None:
                number = by_path.get(_key(beside / path))
            if number is not None:
                break
        if number is None:
            if mark.mark in (DROP, RELABEL):
                lost.append(mark)
            continue
        before = found.setdefault(number, mark)
        if (before.mark, before.label) != (mark.mark, mark.label):
            raise UsageError(
                f"{marks.path}, lines {before.line} and {mark.line}: both are about "
                f"{printable(photos[number].ref.rel)}, and say different things: keep one of them."
            )
    if lost:
        raise UsageError(_lost(marks, lost, place))
    return found


def _lost(marks: MarksFile, lost: Sequence[PhotoMark], place: DataPlace) -> str:
    names = [mark.path for mark in lost]
    leaving = [name for name in names if ".." in name.replace("\\", "/").split("/")]
    told = (
        f"{marks.path} marks {counted(len(lost), 'photograph')} that {place} does not hold "
        f"(line {lost[0].line} on): {some(names)}."
    )
    if leaving:
        return f"{told} No path may leave the data set: correct or delete these lines."
    if any("\ufffd" in name or _has_bytes(name) for name in names):
        return (
            f"{told} Letters of these names were lost, perhaps in a spreadsheet: save it as CSV "
            "UTF-8, or export the marks from the page once more."
        )
    return (
        f"{told} Were they moved or deleted since? Correct or delete these lines, or name another "
        "data set with --data."
    )


def _has_bytes(name: str) -> bool:
    """Whether a name holds bytes that are no UTF-8."""
    return any("\udc80" <= c <= "\udcff" for c in name)


def _key(path: Path) -> str:
    """By which two ways to write one path are the same."""
    return os.path.normcase(os.path.normpath(path))
