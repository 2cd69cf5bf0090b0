"""What there is to know of one kind of data set; see `camcli.data.datasets.registry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.place import DataPlace
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split


@dataclass(frozen=True)
class Archive:
    """How it gets here: an archive on the web.

    Attributes:
        title: its name for people.
        url: of a ZIP file with one folder at its top.
        licence: under which it may be used.
        size: of the download in bytes, about.
        version: which state of it.
        holds: folders that it must contain.
    """

    title: str
    url: str
    licence: str
    size: int
    version: str
    holds: tuple[str, ...]

    @property
    def said(self) -> str:
        """In a few words, for a list."""
        return f"downloaded, about {self.size / 1e9:.0f} GB"


@dataclass(frozen=True)
class Drawn:
    """How it gets here: it is drawn.

    Attributes:
        draw: into a folder that does not exist yet.
        command: of ``camcli data``, which can do more than draw it with the usual settings.
    """

    draw: Callable[[Path], object]
    command: str
    said: str = "drawn on this machine"


@dataclass(frozen=True)
class ByHand:
    """How it gets here: a person has to bring it.

    Attributes:
        advice: sentences that say how; ``{folder}`` stands for where to put it.
    """

    advice: str
    said: str = "says where to get it"


@dataclass(frozen=True)
class Domains:
    """Which of several folders that share their classes were asked for."""

    one: str | None = None
    train: str | None = None
    test: str | None = None

    def __bool__(self) -> bool:
        return bool(self.one or self.train or self.test)


@dataclass(frozen=True)
class Found:
    """The labelled images of a place.

    Attributes:
        images: with their splits, as far as the set says.
        layout: how it was understood, in a word.
        notes: what a person should know.
        several: whether an image can have several labels, or none: its label is a text of them as
            `camcli.data.sources.label_tables.join_labels` writes it.
        values: names of what the images measure, where their labels are numbers; see
            `camcli.data.sources.label_tables.split_values`.
    """

    images: list[Labelled]
    layout: str
    notes: list[str] = field(default_factory=list)
    several: bool = False
    values: tuple[str, ...] = ()


def _never(place: DataPlace) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Videos:
    """That images are frames of videos, of which whole ones can be held out.

    Attributes:
        example: of a path, for a message.
        hold_out: images, share of each split and seed -> the split of each image that is held out,
            by relative path, and the classes that have a single video.
        neighbours: training images, share and seed -> relative paths of those that validate.
        groups: training images -> what names the frames that each belongs with: its whole video,
            or where a class has a single one, a run of its neighbours.
    """

    example: str
    hold_out: Callable[
        [Sequence[ImageRef], Mapping[Split, float], int], tuple[dict[str, Split], list[str]]
    ]
    neighbours: Callable[[Sequence[ImageRef], float, int], set[str]]
    groups: Callable[[Sequence[ImageRef]], list[str]]


@dataclass(frozen=True, kw_only=True)
class DatasetKind:
    """One kind of data set: a layout that is understood, or a set that has a name, or both.

    Attributes:
        name: by which a set is asked for, where it has `folders`; else only ours.
        title: its name for people.
        what: how it looks, in a line.
        looks_like: whether a place is one; the first of the registry that says yes reads it.
        read: the labelled images of such a place, as `load_dataset` wants them.
        folders: of a set that has a name: what its folder may be called, best first.
        get: how such a set gets here.
        note: said with each use, unless whole videos are held out.
        videos: where its images are frames of videos.
    """

    name: str
    title: str
    what: str
    looks_like: Callable[[DataPlace], bool] = _never
    read: Callable[[DataPlace, Domains], Found] | None = None
    folders: tuple[str, ...] = ()
    get: Archive | Drawn | ByHand | None = None
    note: str = ""
    videos: Videos | None = None

    @property
    def command(self) -> str:
        """The command that brings it here."""
        own = self.get.command if isinstance(self.get, Drawn) else f"fetch {self.name}"
        return f"camcli data {own}"
