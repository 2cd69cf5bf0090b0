"""Where a data set lies: a folder, a table, a list, tar or zip files, a URL; what is there."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from camcli.data.sources.containers.registry import container_of
from camcli.data.sources.find import find_images
from camcli.data.sources.layout import Layout, Unrecognised, recognise, recognise_names
from camcli.data.sources.packed import set_of, top_of
from camcli.data.sources.refs import ImageRef, is_url
from camcli.data.sources.source import Source
from camcli.errors import UsageError
from camcli.printable import printable


class DataPlace:
    """A place, walked once for each meaning of labels; no image is opened.

    Attributes:
        labels: what the user says labels are, ``auto`` for what the place shows.
        ignored: labels that are none, see `camcli.data.datasets.ignoring`.
        values: whether the labels are values; None for what the place shows.
    """

    def __init__(
        self,
        spec: str | Path,
        labels: str = "auto",
        ignored: tuple[str, ...] = (),
        values: bool | None = None,
    ) -> None:
        """Nothing is looked at yet.

        Args:
            spec: an absolute path that exists, ``@`` before that of a list of paths, a URL, or a
                pattern of tar or zip files.
            labels: as for `find_images`.
            ignored: labels that are none; ``""`` for the empty one.
            values: whether a table's numbers are values; None to go by the numbers.
        """
        self.labels, self.ignored, self.values = labels, ignored, values
        self._spec = spec
        self._found: dict[str, tuple[Source, list[ImageRef]]] = {}

    @cached_property
    def root(self) -> Path:
        """Folder or file; of a URL only a name."""
        if os.path.lexists(self._spec) or is_url(os.fspath(self._spec)):
            return Path(self._spec)
        return Path(self._source(self.labels)[0].root)

    def __str__(self) -> str:
        return os.fspath(self._spec if is_url(os.fspath(self._spec)) else self.root)

    @cached_property
    def is_file(self) -> bool:
        """Whether it is a single file that holds no pictures, such as a table."""
        return container_of(str(self._spec)) is None and Path(self._spec).is_file()

    @cached_property
    def is_folder(self) -> bool:
        """Whether the pictures are files in a folder, which can be listed."""
        return Path(self._spec).is_dir() and not any(ref.blob for ref in self.images())

    @cached_property
    def layout(self) -> Layout | Unrecognised | None:
        """Class-per-folder labels of what `at` gives; None where labels are something else."""
        if self.labels != "auto":
            return None
        if self.is_folder:
            return recognise(str(self._spec))
        return recognise_names(self.at(ref) for ref in self.images())

    @cached_property
    def own_labels(self) -> bool:
        """Whether labels are what containers say beside their images, and not their folders."""
        return self.labels == "auto" and self._source(None)[0].labeller is None

    def images(self, labels: str | None = None) -> list[ImageRef]:
        """All images, in order, with the labels that `find_images` gives them.

        Args:
            labels: other than the user's.

        Raises:
            UsageError: there are none, or none that can be read.
        """
        images = [ref for ref in self._source(labels)[1] if not _is_broken(ref)]
        if not images:
            raise UsageError(self.broken[0])
        return images

    def left_out(self, labels: str | None = None) -> list[str]:
        """A line about what was passed over when walking for these labels; or none."""
        note = self._source(labels)[0].left_out.note()
        return [note] if note else []

    def at(self, ref: ImageRef) -> str:
        """The path by which a layout is judged: as relative paths are in a folder.

        In containers it is where `camcli.data.sources.packed` says.
        """
        found = self._within(ref)
        if found is None:
            return ref.rel
        group, member = found
        return top_of(group, len(self._groups) > 1) + member

    def split_word(self, ref: ImageRef) -> str:
        """The name of the container of an image without its number; empty for other images."""
        found = self._within(ref)
        return found[0] if found else ""

    @cached_property
    def broken(self) -> list[str]:
        """A sentence on each container that could not be read to its end."""
        return [
            f"{printable(ref.path)}: {ref.blob.problem}"
            for ref in self._source(None)[1]
            if ref.blob and _is_broken(ref)
        ]

    @cached_property
    def _groups(self) -> set[str]:
        return {found[0] for ref in self.images() if (found := self._within(ref))}

    def _source(self, labels: str | None) -> tuple[Source, list[ImageRef]]:
        labels = labels or self.labels
        if labels not in self._found:
            source = find_images(self._spec, labels=labels)
            self._found[labels] = source, list(source)
        return self._found[labels]

    def _within(self, ref: ImageRef) -> tuple[str, str] | None:
        """The name of an image's container without its number, and the image's path in it."""
        if ref.blob is None or container_of(ref.blob.place) is None:
            return None
        # The member's own name, which its relative path ends with unless it got a number.
        depth = len(ref.path.parts) - len(Path(ref.blob.place).parts)
        member = "/".join(ref.path.parts[len(ref.path.parts) - depth :]) if depth else ref.rel
        return set_of(ref.blob.place), member


def _is_broken(ref: ImageRef) -> bool:
    """Whether it stands for a container with a fault."""
    return ref.blob is not None and ref.blob.problem is not None and ref.blob.place == str(ref.path)
