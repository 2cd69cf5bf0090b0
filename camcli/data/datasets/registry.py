"""All kinds of data sets. Another one is a file with a `DatasetKind`, and its entry here.

Whatever lists data sets, or does one thing or another by their names, reads this: `load_dataset`,
`fetch`, `locate`, the commands ``camcli data`` and ``camcli train`` and what they say.
"""

from __future__ import annotations

from camcli.data.datasets.drawn import SYNTHETIC
from camcli.data.datasets.folders import FILE_NAMES, FOLDERS, WEBDATASET
from camcli.data.datasets.fruits360 import FRUITS360
from camcli.data.datasets.kind import DatasetKind
from camcli.data.datasets.office31 import OFFICE31
from camcli.data.datasets.place import DataPlace
from camcli.data.datasets.tables import TABLE

KINDS: tuple[DatasetKind, ...] = (
    TABLE,
    WEBDATASET,
    FRUITS360,
    OFFICE31,
    SYNTHETIC,
    FOLDERS,
    FILE_NAMES,  # the last one: it says why a place is none
)
"""The first one that a place looks like reads it."""

NAMED: dict[str, DatasetKind] = {kind.name: kind for kind in KINDS if kind.folders}
"""Those that have a name by which they are found on this machine."""


def kind_of(place: DataPlace) -> DatasetKind:
    """The kind of data set that is at a place."""
    return next(kind for kind in KINDS if kind.read and kind.looks_like(place))


def ways_to_get() -> str:
    """One line on how each set with a name gets here."""
    parts = [f"{kind.name} ({kind.get.said})" for kind in NAMED.values() if kind.get]
    return f"{', '.join(parts[:-1])}, or {parts[-1]}" if parts[1:] else "".join(parts)
