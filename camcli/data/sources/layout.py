"""Whether a folder's layout says what is in its images, and how: by structure, not by names.

Looked at are directories and the first image of each, never all images, so that a folder of a
million pictures is judged in milliseconds. A *class folder* holds images, and perhaps folders
with more of the same class; what lies anywhere below it has its label, as torchvision's
ImageFolder has it. At least two make a tree:

=============================  ==================================================================
``<class>/``                   No images beside the class folders. A folder whose sub-folders are
                               called like these classes (a copy of them) is no class; nor are
                               masks and annotations beside a folder of images.
``<class>/<one folder>/``      As Tiny ImageNet's ``n01443537/images/``.
``<split>/<class>/``           ``train``, ``Training``, ``val2017``, ``test_set`` and the like; a
                               split without class folders (an unlabelled ``test``) has no labels.
``<domain>/<class>/``          two or more folders that share most of their classes, as Office-31's
                               ``amazon``, ``dslr`` and ``webcam``.
=============================  ==================================================================

A folder with nothing beside it is looked through, at the top and below a split or domain, so
Office-31's ``amazon/images/`` has 31 classes and not one called ``images``. Anything else (deeper
trees, images at the top, one class) has no labels, and `Unrecognised` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from camcli.data.sources.splits import split_of
from camcli.data.sources.trees import OfNames, OnDisk, Tree
from camcli.printable import some

# Pictures, and what describes them pixel by pixel, in folders beside each other.
_PICTURES = re.compile(r"(jpeg)?(images?|imgs?|photos?|pictures?|originals?)")
_ANNOTATIONS = re.compile(
    r"(masks?|labels?|annotations?|segmentations?\w*|segmentation(class|object)|trimaps?|"
    r"gt|ground[-_ ]?truths?)"
)
_MAX_DEPTH = 8
_MAX_FOLDERS = 50_000  # that are listed, to judge one layout


@dataclass(frozen=True)
class ClassTree:
    """A folder whose sub-folders are classes.

    Attributes:
        folder: path of the tree below the root, ``""`` or with a trailing slash.
        classes: names of the class folders that hold images, sorted.
        empty: names of folders beside them that hold none.
        beside: names of folders that hold images but are no classes.
    """

    folder: str
    classes: tuple[str, ...]
    empty: tuple[str, ...] = ()
    beside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layout:
    """Class-per-folder labels of one root folder.

    Attributes:
        kind: ``classes``, ``splits`` or ``domains``.
        trees: the class trees by the name of their split or domain; the name is ``""`` when
            there is just one.
        outside: paths of folders that hold images, which are of no class.
    """

    kind: str
    trees: tuple[tuple[str, ClassTree], ...]
    outside: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all class folders that hold images, sorted."""
        return tuple(sorted({name for _, tree in self.trees for name in tree.classes}))

    def __call__(self, rel: str) -> str | None:
        """The class of the image at the relative path `rel`, None outside the class folders."""
        for _, tree in self.trees:
            if rel.startswith(tree.folder):
                name, slash, _ = rel[len(tree.folder) :].partition("/")
                if slash and name not in tree.beside:
                    return name
        return None


@dataclass(frozen=True)
class Unrecognised:
    """There are folders, but they do not say what is in the images.

    Attributes:
        why: a clause, such as "there are images beside the folders".
    """

    why: str


def detect(folder: str) -> Layout | None:
    """Recognise class-per-folder labels (see the module's table).

    Args:
        folder: path of the root.

    Returns:
        The layout, or None: no labels.
    """
    found = recognise(folder)
    return found if isinstance(found, Layout) else None


def recognise(folder: str) -> Layout | Unrecognised | None:
    """Recognise class-per-folder labels, or say why not.

    Args:
        folder: path of the root.

    Returns:
        The layout; why there is none; or None where there are no sub-folders to ask about.
    """
    return _judged(OnDisk(folder))


def recognise_names(rels: Iterable[str]) -> Layout | Unrecognised | None:
    """`recognise` where there are no folders to list: in containers and behind URLs.

    Args:
        rels: relative paths of all images.
    """
    return _judged(OfNames(rels))


def _judged(tree: Tree) -> Layout | Unrecognised | None:
    try:
        return _Judge(tree).judge("")
    except _TooManyError:
        return Unrecognised(f"there are more than {_MAX_FOLDERS:,} folders to look at")


class _TooManyError(Exception):
    pass


class _Node(NamedTuple):
    """What a folder holds.

    Attributes:
        images: whether there are images in it.
        inner: its sub-folders with images, in it or, where that is one without images of its
            own, in that one and so on.
        through: path from the folder to where `inner` is, empty or with a slash at its end.
        empty: names of the folders beside those of `inner` that hold no images.
    """

    images: bool
    inner: dict[str, _Node]
    through: str = ""
    empty: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether there are images, in it or below."""
        return self.images or bool(self.inner)

    @property
    def is_leaf(self) -> bool:
        """Whether it can only be a class: with images, or one folder with images."""
        one = len(self.inner) == 1 and all(node.images for node in self.inner.values())
        return self.images or one


@dataclass
class _Judge:
    """Judges one root; lists each folder at most once."""

    tree: Tree
    listed: int = field(default=0)

    def judge(self, below: str) -> Layout | Unrecognised | None:
        """The layout of what is at `below`, empty or with a slash at its end."""
        top = self._node(below, ())
        folders = dict(top.inner)
        below += top.through
        if top.images:
            beside = self._has_filled_folders(below)
            return Unrecognised("there are images beside the folders") if beside else None
        if not folders:
            return None
        if any(_PICTURES.fullmatch(name.lower()) for name in folders):
            described = [name for name in folders if _ANNOTATIONS.fullmatch(name.lower())]
            if described and len(folders) - len(described) == 1:
                (name,) = set(folders) - set(described)
                if folders[name].is_leaf:
                    return Unrecognised(f"{some(described)} beside {name} are taken for its masks")
                inner = self.judge(f"{below}{name}/")
                if isinstance(inner, Layout):
                    outside = (*inner.outside, *(f"{below}{each}" for each in described))
                    return replace(inner, outside=outside)
                return inner
        splits = [
            (name, tree)
            for name, node in sorted(folders.items())
            if split_of(name) and (tree := _classes(node, f"{below}{name}/"))
        ]
        if splits:
            mixed = {name for name in folders if self._beside(folders, below, name)}
            return _of_splits(folders, splits, below, mixed)
        if all(split_of(name) for name in folders):
            if named := [name for name in sorted(folders) if self._beside(folders, below, name)]:
                return Unrecognised(f"there are images beside the folders in {some(named)}")
            holds = "holds" if len(folders) == 1 else "hold"
            return Unrecognised(
                f"{some(sorted(folders))} {holds} no folders of two or more classes"
            )
        if len(folders) == 1:
            (name,) = folders
            if self._has_filled_folders(f"{below}{name}"):
                return Unrecognised(f"there are images beside the folders in {some([name])}")
            return Unrecognised(f"all images are in one folder, {some([name])}")
        tree = _classes(top._replace(through=""), below)
        if tree:
            outside = tuple(f"{tree.folder}{name}" for name in sorted(tree.beside))
            return Layout("classes", (("", tree),), outside)
        return _domains(folders, below) or Unrecognised(
            "the images lie two or more folders deep, and the upper ones do not share the names "
            "of the lower ones"
        )

    def _beside(self, folders: dict[str, _Node], below: str, name: str) -> bool:
        """Whether a folder has images of its own beside folders of images."""
        return folders[name].images and self._has_filled_folders(f"{below}{name}")

    def _node(self, path: str, parents: tuple[tuple[int, int], ...]) -> _Node:
        """What a folder holds; nothing, if it may not be listed or is one of its own parents."""
        nothing = _Node(False, {})
        try:
            identity = self.tree.identity(path)
            if identity is None or identity in parents or len(parents) > _MAX_DEPTH:
                return nothing
            names, images = self._list(path)
        except OSError:
            return nothing
        if images:
            return _Node(True, {})
        names = [name for name in names if not self.tree.is_run(_join(path, name))]
        nodes = {n: self._node(_join(path, n), (*parents, identity)) for n in names}
        inner = {name: node for name, node in nodes.items() if node.holds}
        empty = tuple(name for name in names if name not in inner)
        if len(inner) == 1:
            ((name, node),) = inner.items()
            # Looked through; but that there is only a test split must be known.
            if not node.images and (parents or not split_of(name)):
                return node._replace(through=f"{name}/{node.through}")
        return _Node(False, inner, "", empty)

    def _list(self, path: str) -> tuple[list[str], bool]:
        """Names of the visible sub-folders, or that there are images: the first one suffices."""
        self.listed += 1
        if self.listed > _MAX_FOLDERS:
            raise _TooManyError
        names = []
        for name, is_folder in self.tree.entries(path):
            if not is_folder:
                return [], True
            names.append(name)
        return sorted(names), False

    def _has_filled_folders(self, path: str) -> bool:
        """Whether there are folders with images beside the images of a folder."""
        with suppress(OSError):
            own = self.tree.identity(path)
            for name, is_folder in islice(self.tree.entries(path), 1000):
                inner = _join(path, name)
                if not is_folder or own is None or self.tree.is_run(inner):
                    continue
                if self._node(inner, (own,)).holds:
                    return True
        return False


def _classes(node: _Node, folder: str) -> ClassTree | None:
    """The sub-folders of a folder as classes, if they are.

    Args:
        node: what the folder holds.
        folder: its path below the root, empty or with a slash at its end.
    """
    leaves = {name for name, inner in node.inner.items() if inner.is_leaf}
    deeper = {name: inner for name, inner in node.inner.items() if name not in leaves}
    # Splits inside the classes: cat/train/, cat/test/.
    leaves |= {name for name, inner in deeper.items() if all(map(split_of, inner.inner))}
    deeper = {name: inner for name, inner in deeper.items() if name not in leaves}
    copies = {name for name, inner in deeper.items() if _overlap(set(inner.inner), leaves)}
    classes = leaves | (set(deeper) - copies)
    # What is more often divided further than not is no list of classes.
    if len(classes) < 2 or len(deeper) - len(copies) > len(leaves):
        return None
    return ClassTree(
        folder + node.through, tuple(sorted(classes)), tuple(node.empty), frozenset(copies)
    )


def _domains(folders: dict[str, _Node], below: str) -> Layout | None:
    """Folders with the same classes each; others may lie beside them."""
    trees = {
        name: tree
        for name, node in sorted(folders.items())
        if (tree := _classes(node, f"{below}{name}/"))
    }
    if len(trees) < 2 or 2 * len(trees) < len(folders):
        return None
    shared = set.intersection(*(set(tree.classes) for tree in trees.values()))
    if 2 * len(shared) < max(len(tree.classes) for tree in trees.values()):
        return None
    return Layout("domains", tuple(trees.items()), _outside(folders, trees, below))


def _of_splits(
    folders: dict[str, _Node],
    splits: list[tuple[str, ClassTree]],
    below: str,
    beside: set[str],
) -> Layout:
    """Splits with class folders, and those that have only one of the classes of the others."""
    trees = dict(splits)
    known = {name for tree in trees.values() for name in tree.classes}
    for name, node in folders.items():
        if name not in trees and split_of(name) and not node.images and set(node.inner) <= known:
            folder = f"{below}{name}/{node.through}"
            trees[name] = ClassTree(folder, tuple(sorted(node.inner)), node.empty)
    outside = tuple(
        f"{path} (there are images beside its folders)" if name in beside else path
        for path, name in ((path, path[len(below) :]) for path in _outside(folders, trees, below))
    )
    return Layout("splits", tuple(sorted(trees.items())), outside)


def _outside(folders: dict[str, _Node], trees: dict[str, ClassTree], below: str) -> tuple[str, ...]:
    """The paths of what has no labels: beside the trees, and in them."""
    return (
        *(f"{below}{name}" for name in sorted(folders) if name not in trees),
        *(f"{tree.folder}{each}" for tree in trees.values() for each in sorted(tree.beside)),
    )


def _overlap(names: set[str], others: set[str]) -> bool:
    """Whether at least two names, and half of them, are among others."""
    return len(names & others) >= max(2, len(names) / 2)


def _join(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}" if path else name


def why_not(found: Unrecognised) -> str:
    """One line for a person: why there are no labels, and which option takes them."""
    return (
        f"No labels are taken from the folders: {found.why}. --labels folder takes the name of "
        "the folder that holds an image, --labels '^([^/]+)/' that of the topmost one, --labels "
        "prefix the file's own name without its number."
    )


def how(found: Layout) -> str:
    """One line for a person where a layout could be meant otherwise; else empty."""
    if found.kind != "domains":
        return ""
    names: Sequence[str] = [name for name, _ in found.trees]
    return (
        f"Labels are the folders in {some(names)}, which share them; --labels '^([^/]+)/' takes "
        "the upper folders instead."
    )


def outside(found: Layout) -> str:
    """One line for a person about the images that get no label; empty where all get one."""
    if not found.outside:
        return ""
    return (
        f"Images in {some(found.outside)} get no label: they do not lie in the class folders of "
        f"{some([tree.folder.rstrip('/') or 'the top' for _, tree in found.trees])}."
    )
