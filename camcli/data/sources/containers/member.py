"""What every kind of container says of the files in it, and how one says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from camcli.data.sources.leftovers import LeftOut, leftover_file, leftover_folder, not_read_file
from camcli.data.sources.refs import Blob, Reader

# What a picture shows that is called cat.seg.png and lies beside cat.jpg.
MASKS = frozenset(
    ("seg", "segm", "segmentation", "semantic", "instance", "panoptic", "mask", "masks", "matte",
     "alpha", "trimap", "label", "labels", "depth", "normal", "normals", "edge", "edges", "flow",
     "saliency")
)  # fmt: skip
LABEL_BYTES = 1 << 20
"""A label's file is a few bytes; a larger one is something else."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image in a container, or the container itself where something is wrong with it.

    Attributes:
        name: the member's, cleaned: it stays inside, and is no longer than names may be; empty for
            the container.
        blob: its bytes.
        label: from ``.cls`` or ``.json``: a class's name, or its number.
    """

    name: str
    blob: Blob
    label: str | int | None = None


@dataclass(slots=True)
class Entry:
    """One file of a container.

    Attributes:
        name: its path in the container, by `inside`.
        offset: where its bytes start.
        size: how many they are, as they are stored.
        problem: why they cannot be read.
        label: what it says, where it is the file of a label (see `is_label`).
        reader: makes of them, as they are stored, what the file holds; None where that is the same.
    """

    name: str
    offset: int = 0
    size: int = 0
    problem: str | None = None
    label: bytes | None = None
    reader: Reader | None = None

    @property
    def stem(self) -> str:
        """Its name without the last extension."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Of its sample, in WebDataset's layout: the path up to the name's first dot."""
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def plain(self) -> bool:
        """Whether its extension has one part: ``cat.jpg``, not ``cat.seg.png``."""
        return self.name.rpartition("/")[2].count(".") == 1

    def annotates(self, plain: Entry) -> bool:
        """Whether it is ``cat.seg.png`` and the other ``cat.jpg``."""
        word, _, extension = self.name[len(self.key) + 1 :].rpartition(".")
        return word.lower() in MASKS and extension != plain.name.rpartition(".")[2]


class Passed:
    """What is left out of one container, counted in `left`."""

    def __init__(self, left: LeftOut, kind: str) -> None:
        """Nothing yet.

        Args:
            left: counts it.
            kind: what the container is, ``tar``.
        """
        self._left = left
        self._kind = kind
        self._folders: set[int] = set()  # digests: there may be a hidden one for each member

    def passes(self, name: str) -> bool:
        """Whether a member lies in what is left out, or is it."""
        *parents, last = name.split("/")
        for depth, parent in enumerate(parents, 1):
            if what := leftover_folder(parent):
                folder = hash("/".join(parents[:depth]))
                if folder not in self._folders:
                    self._folders.add(folder)
                    self.add(what)
                return True
        if what := leftover_file(last) or not_read_file(last):
            self.add(what)
        return what is not None

    def add(self, what: str) -> None:
        """Count something, ``hidden file``."""
        self._left.add(f"{what} in a {self._kind}")


@dataclass(frozen=True)
class Container:
    """A kind of file that holds pictures.

    Attributes:
        name: as people call it, in lower case; behind it comes "file".
        suffixes: of its files' names, in lower case.
        called: one of them in a sentence, behind "the".
        what: one of them under another name, at the start of a sentence.
        marks: where in a file what bytes stand, by which it is known under another name.
        entries: the files in an open one, in its order, but for what `Passed` passes; raises
            `CamcliError` where it is damaged, after what could be found. Other files than pictures
            may be among them.
        unread: suffixes of its variants that cannot be read where they lie.
        why_unread: a sentence on those.
    """

    name: str
    suffixes: tuple[str, ...]
    called: str
    what: str
    marks: tuple[tuple[int, bytes], ...]
    entries: Callable[[IO[bytes], Passed], Iterator[Entry]]
    unread: tuple[str, ...] = ()
    why_unread: str = ""

    def has(self, data: bytes) -> bool:
        """Whether a file's bytes are one's."""
        return any(data[at : at + len(mark)] == mark for at, mark in self.marks)


def is_label(name: str) -> bool:
    """Whether a file of this name may say what is in the picture beside it."""
    return name.endswith((".cls", ".json"))


def inside(name: str) -> str:
    """A member's name as a path that stays where it is put; empty for none."""
    return "/".join(p for p in name.replace("\\", "/").split("/") if p not in ("", ".", ".."))


def read_at(file: IO[bytes], offset: int, size: int) -> bytes:
    """Bytes from the middle of a file."""
    file.seek(offset)
    return file.read(size)


def reason(error: Exception) -> str:
    """What any library says about a damaged file."""
    text: Any = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)
