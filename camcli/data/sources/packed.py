"""Class folders in tar and zip files, judged as folders on a disk are.

Shards of one set are pooled: in ``s-000.tar`` and ``s-001.tar``, ``cat/1.jpg`` lies at
``cat/1.jpg``; of several sets each is a folder, and in ``train-000.tar`` it lies at
``train/cat/1.jpg``, as in ``train.tar``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from camcli.data.sources.containers.registry import container_of, images_in, without_suffix
from camcli.data.sources.layout import Layout, Unrecognised, recognise_names
from camcli.data.sources.refs import is_url
from camcli.data.sources.splits import split_of

# What tells the shards of one set apart: train-000.tar, train-001.tar.
_NUMBER = re.compile(r"[-_. ]*\d+$")


@dataclass(frozen=True)
class PackedLayout(Layout):
    """A layout of what lies in containers.

    Attributes:
        tops: where the folder of a container's images (``s-000``) lies in the layout, empty or
            with a slash at its end.
    """

    tops: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __call__(self, rel: str) -> str | None:
        """The class of the image at the relative path `rel`, None outside the class folders."""
        end = rel.find("/")
        while end >= 0:
            top = self.tops.get(rel[:end])
            if top is not None:
                return super().__call__(top + rel[end + 1 :])
            end = rel.find("/", end + 1)
        return None


def set_of(place: str) -> str:
    """The name of a container without the number that tells a set's shards apart.

    Args:
        place: its path or URL.
    """
    stem = without_suffix(place.rpartition("/")[2].rpartition(os.sep)[2])
    return _NUMBER.sub("", stem) or stem


def top_of(name: str, several: bool) -> str:
    """Where what is in a container lies, empty or with a slash at its end.

    Args:
        name: by `set_of`.
        several: whether there are containers of other sets.
    """
    return f"{name}/" if several or split_of(name) else ""


def recognise_packed(found: Iterable[tuple[str, str]]) -> PackedLayout | Unrecognised | None:
    """Recognise class-per-folder labels in containers on a disk, or say why not.

    Read are the lists of what is in them. Where the first image, or most of them, have a label
    beside them (WebDataset's ``.cls``), that is what counts.

    Args:
        found: absolute and relative path of each file.

    Returns:
        The layout; why there is none; or None where the folders are not asked: there are none,
        there are images beside containers, or a container is remote.
    """
    places: dict[str, str] = {}
    for path, rel in found:
        if container_of(path) is None or is_url(path):
            return None
        places[path] = without_suffix(rel)
    sets = {path: set_of(path) for path in places}
    several = len(set(sets.values())) > 1
    folders: dict[str, None] = {}
    own = total = 0
    for path in places:
        top = top_of(sets[path], several)
        for member in images_in(path):
            if not member.name:  # the container itself, which is damaged
                continue
            total += 1
            own += member.label is not None
            folder = top + member.name.rpartition("/")[0]
            if own and total == 1:  # and so have the other million
                return None
            if not folder:  # likewise
                return Unrecognised("there are images beside the folders") if folders else None
            folders[folder.rstrip("/")] = None
    if not total or 2 * own > total:
        return None
    layout = recognise_names(f"{folder}/0.jpg" for folder in folders)
    if not isinstance(layout, Layout):
        return layout
    tops = {places[path]: top_of(sets[path], several) for path in places}
    return PackedLayout(layout.kind, layout.trees, layout.outside, tops)
