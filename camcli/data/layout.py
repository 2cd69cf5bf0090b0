"""Whether a folder's layout says what is in its images, and how.

Looked at are directories and the first entries of each, never the images, so that a folder of a
million pictures is judged in milliseconds. With ``<class>`` a folder that holds images and no
sub-folders, these are taken for class-per-folder, at least two classes each:

=============================  ==================================================================
``<class>/``                   ImageFolder; no images beside the class folders. Not when the
                               names are all dates (``2023``, ``2024-05-01``), camera folders
                               (``100CANON``) or kinds of files (``images``, ``masks``): albums.
``<split>/<class>/``           ``train``, ``Training``, ``val``, ``test`` and the like; a split
                               without class folders (an unlabelled ``test``) has no labels.
``<domain>/<class>/``          two or more folders that share most of their classes, as Office-31's
                               ``amazon``, ``dslr`` and ``webcam``.
=============================  ==================================================================

A level called ``images`` (or ``domain_adaptation_images``) with nothing beside it is looked
through, at the top and below a split or domain, so Office-31's ``amazon/`` has 31 classes and not
one called ``images``. Anything else (deeper trees, images at the top, one class) has no labels:
when in doubt, none.
"""

# ruff: noqa: PTH118, PTH122
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

from camcli.data.finders import is_image_name
from camcli.errors import UsageError

Split = Literal["train", "val", "test"]

SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trainval", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set"), "val"),
    **dict.fromkeys(("test", "testing", "test_set"), "test"),
}
"""Names of split folders, in lower case, and the split that each means."""

WRAPPERS = frozenset({"images", "image", "imgs", "img", "data", "domain_adaptation_images"})

_PROBE = 200  # entries of a class folder that are looked at
_MAX_CLASSES = 5000  # folders of one level that are looked at
_KINDS = re.compile(
    r"(images?|imgs?|pictures?|photos?|originals?|raw|jpe?gs?|pngs?|masks?|labels?|annotations?|"
    r"overlays?|heatmaps?|thumb(nail)?s?|previews?|depth|left|right|rgb|ir|crops?|out(put)?)"
)
_NUMBERING = "0123456789 _-.,#()[]"
_DATES = re.compile(r"(19|20)\d\d([-_. ]?\d\d?){0,2}([-_ ].*)?")
_CAMERA = re.compile(r"\d{3}([A-Z_]{5}|_?[A-Z0-9]{4,5})", re.IGNORECASE)


class Labeller(Protocol):
    """The true class of an image, by its relative path."""

    def __call__(self, rel: str) -> str | None:
        """The class of the image at `rel`, or None."""


@dataclass(frozen=True)
class ClassTree:
    """A folder whose sub-folders are classes.

    Attributes:
        folder: path of the tree below the root, ``""`` or with a trailing slash.
        classes: names of the class folders, sorted.
    """

    folder: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Class-per-folder labels of one root folder.

    Attributes:
        kind: ``classes``, ``splits`` or ``domains``.
        trees: the class trees by the name of their split or domain; the name is ``""`` when
            there is just one.
    """

    kind: str
    trees: tuple[tuple[str, ClassTree], ...]

    def __call__(self, rel: str) -> str | None:
        """The class of the image at the relative path `rel`, None outside the class folders."""
        for _, tree in self.trees:
            if rel.startswith(tree.folder):
                name, slash, rest = rel[len(tree.folder) :].partition("/")
                if slash and "/" not in rest:
                    return name
        return None


@dataclass(frozen=True)
class Parent:
    """The label is the name of the folder that holds the image."""

    def __call__(self, rel: str) -> str | None:
        """None for an image at the top."""
        return rel.split("/")[-2] if "/" in rel else None


@dataclass(frozen=True)
class Prefix:
    """The label is the file's name without its number: ``cat.0.jpg``, ``great_dane_12 (1).jpg``."""

    def __call__(self, rel: str) -> str | None:
        """None when there is no number, or nothing but the number."""
        stem = os.path.splitext(rel.rsplit("/", 1)[-1])[0]
        label = stem.rstrip(_NUMBERING)
        numbered = any(c.isdigit() for c in stem[len(label) :])
        return label if label and numbered else None


@dataclass(frozen=True)
class Regex:
    """The label is a group of a regular expression that is searched in the relative path."""

    pattern: re.Pattern[str]

    def __call__(self, rel: str) -> str | None:
        """None where nothing matches."""
        match = self.pattern.search(rel)
        return match["label" if "label" in self.pattern.groupindex else 1] if match else None


def labeller_for(labels: str, folder: str | None) -> Labeller | None:
    """What `--labels` means.

    Args:
        labels: ``auto``, ``folder``, ``prefix``, ``none`` or a regular expression with a group.
        folder: absolute path of the folder whose layout ``auto`` looks at; None: there is none.

    Returns:
        A function from relative path to label, or None for no labels.

    Raises:
        UsageError: neither a known word nor a regular expression with a group.
    """
    if labels == "auto":
        return detect(folder) if folder else None
    if labels == "none":
        return None
    if labels == "folder":
        return Parent()
    if labels == "prefix":
        return Prefix()
    try:
        pattern = re.compile(labels)
    except re.error as error:
        raise UsageError(
            f"The labels {labels!r} are not a regular expression ({error}); say auto, folder, "
            "prefix, none, or an expression such as '^(.+?)_\\d'."
        ) from error
    if not pattern.groups:
        raise UsageError(
            f"The labels {labels!r} have no group to take the label from; say auto, folder, "
            "prefix, none, or an expression such as '^(.+?)_\\d'."
        )
    return Regex(pattern)


def detect(folder: str) -> Layout | None:
    """Recognise class-per-folder labels (see the module's table).

    Args:
        folder: path of the root.

    Returns:
        The layout, or None: no labels.
    """
    return _detect(folder, "")


def _detect(root: str, below: str) -> Layout | None:
    """`below`: path of the wrapper that was looked through, empty or with a trailing slash."""
    names, images = _list(os.path.join(root, below))
    if images or not names:
        return None
    splits = tuple((n, t) for n in names if n.lower() in SPLITS and (t := _tree(root, below + n)))
    if splits:
        return Layout("splits", splits)
    if len(names) == 1:
        wrapped = not below.count("/") > 1 and names[0].lower() in WRAPPERS
        return _detect(root, f"{below}{names[0]}/") if wrapped else None
    # A class folder holds images; a domain holds class folders. One look at the first tells.
    tree = _tree(root, below.rstrip("/"))
    if tree:
        albums = all(
            _KINDS.fullmatch(c.lower()) or c.lower() in SPLITS for c in tree.classes
        ) or any(all(rule.fullmatch(c) for c in tree.classes) for rule in (_DATES, _CAMERA))
        return None if albums else Layout("classes", (("", tree),))
    domains = []
    for name in names:
        domain = _tree(root, below + name)
        if domain is None:
            return None
        domains.append((name, domain))
    shared = set.intersection(*(set(t.classes) for _, t in domains))
    if 2 * len(shared) >= max(len(t.classes) for _, t in domains):
        return Layout("domains", tuple(domains))
    return None


def _tree(root: str, folder: str) -> ClassTree | None:
    """The class tree in `folder` (below `root`), perhaps behind a wrapper; None if it is none."""
    path = os.path.join(root, folder)
    names, images = _list(path)
    if images:
        return None
    if len(names) == 1 and names[0].lower() in WRAPPERS:
        inner = f"{folder}/{names[0]}" if folder else names[0]
        return _tree(root, inner)
    classes = []
    for name in names:
        below, images = _list(os.path.join(path, name), _PROBE)
        if below:
            return None
        if images:  # an empty folder is no class
            classes.append(name)
    if len(classes) < 2:
        return None
    return ClassTree(f"{folder}/" if folder else "", tuple(sorted(classes)))


def _list(path: str, probe: int | None = None) -> tuple[list[str], bool]:
    """(names of visible sub-folders, whether there are images); the first images suffice.

    With `probe`, only so many entries are looked at.
    """
    names: list[str] = []
    images = False
    try:
        with os.scandir(path) as entries:
            for entry in islice(entries, probe):
                if is_image_name(entry.name):
                    images = True
                    if probe is None:
                        break
                elif not entry.name.startswith(".") and entry.is_dir():
                    names.append(entry.name)
                    if len(names) >= _MAX_CLASSES:
                        break
    except OSError:
        return [], False
    return sorted(names), images
