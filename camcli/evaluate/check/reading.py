"""Which photographs are checked, and what their labels and splits are; no picture is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.ignoring import ignored_names, without_labels
from camcli.data.datasets.kind import Domains
from camcli.data.datasets.locate import locate
from camcli.data.datasets.place import DataPlace
from camcli.data.datasets.registry import kind_of
from camcli.data.sources.find import Images, find_images
from camcli.data.sources.label_tables import split_labels, unknown_labels
from camcli.errors import UnavailableError, UsageError
from camcli.evaluate.check.issue import CheckedPhoto


@dataclass(frozen=True)
class CheckedData:
    """What is checked.

    Attributes:
        photos: all photographs, each once.
        classes: the names of all classes, sorted; empty without labels.
        several: whether a photograph has any number of classes.
        notes: what a person should know, a sentence each.
        broken: a sentence on each tar or zip file that cannot be read to its end.
        unlabelled: why there are no labels; empty where there are.
    """

    photos: tuple[CheckedPhoto, ...]
    classes: tuple[str, ...]
    several: bool = False
    notes: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unlabelled: str = ""


def read_checked(
    data: Images, labels: str = "auto", data_dir: Path | None = None, ignore: str | None = None
) -> CheckedData:
    """Find the photographs of a data set, as training does, or of a folder, a glob or a list.

    Args:
        data: whatever ``camcli train --data`` or ``camcli batch`` takes.
        labels: where labels come from; ``none`` for none.
        data_dir: where named data sets are looked for first.
        ignore: labels that are none, see `camcli.data.datasets.ignoring`.

    Raises:
        UsageError: there are no photographs, none has an ignored label, or the labels are not where
            the user says.
        UnavailableError: a named data set is not on this machine.
    """
    ignored = ignored_names(ignore)
    why: UsageError | None = None
    if isinstance(data, str | Path) and labels != "none":
        try:
            return _as_training_does(str(data), labels, data_dir, ignored)
        except UnavailableError:
            raise
        except UsageError as error:  # no labels, one class only; or a glob, a list
            why = error
    try:
        return _as_found(data, labels, why, ignored)
    except UsageError as error:
        if why is None or str(data).startswith("@"):
            raise
        raise why from error


def _as_training_does(
    data: str, labels: str, data_dir: Path | None, ignored: Sequence[str]
) -> CheckedData:
    place = DataPlace(locate(data, data_dir), labels, tuple(ignored))
    kind = kind_of(place)
    assert kind.read is not None
    found = kind.read(place, Domains())
    images, left_out = without_labels(found.images, ignored, found.several)
    photos = []
    for each in images:
        label = None if found.values else each.ref.label
        names = split_labels(label or "") if found.several else ((label,) if label else ())
        untold = unknown_labels(label or "") if found.several else ()
        photos.append(CheckedPhoto(each.ref, names, each.split, untold))
    broken = () if place.is_file else tuple(place.broken)
    made = _data(photos, found.several, (*found.notes, *left_out), broken)
    if found.values:
        return replace(made, unlabelled="they are values, of which none is suspect by itself")
    return made


def _as_found(
    data: Images, labels: str, why: UsageError | None, ignored: Sequence[str]
) -> CheckedData:
    source = find_images(data, labels=labels)
    refs = list(source)
    notes = [source.left_out.note()] if source.left_out else []
    if ignored:
        kept, left_out = without_labels([Labelled(ref) for ref in refs], ignored, False)
        refs, notes = [each.ref for each in kept], [*notes, *left_out]
    photos = [CheckedPhoto(ref, (ref.label,) if ref.label else ()) for ref in refs]
    if labels != "auto" and labels != "none" and not any(p.labels for p in photos) and why:
        raise why
    made = _data(photos, False, (*notes, *source.notes), ())
    if not made.classes:
        told = "labels were not asked for" if labels == "none" else "none were recognised"
        return CheckedData(made.photos, (), False, made.notes, (), told)
    return made


def _data(
    photos: list[CheckedPhoto], several: bool, notes: tuple[str, ...], broken: tuple[str, ...]
) -> CheckedData:
    classes = tuple(sorted({name for photo in photos for name in photo.labels}))
    return CheckedData(tuple(photos), classes, several, notes, broken)
