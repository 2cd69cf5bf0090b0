"""Where data sets with a name are kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from camcli.data.sources.finders import absolute
from camcli.errors import UnavailableError, UsageError
from camcli.files import home as home_folder

NAMES = {
    "fruits360": ("fruits360", "fruits-360", "fruits-360-100x100", "fruits-360_100x100"),
    "office31": ("office31", "office-31", "Office31", "Office-31", "domain_adaptation_images"),
    "synthetic": ("synthetic",),
}
"""Data sets known by name, with the folders that each is looked for in."""


def locate(data: str, data_dir: Path | None = None) -> Path:
    """Where a data set is on this machine.

    Args:
        data: a name of `NAMES` or a path.
        data_dir: first place to look for a name.

    Returns:
        An absolute path that exists.

    Raises:
        UnavailableError: a known name, but not here.
        UsageError: neither a known name nor an existing path.
    """
    if data not in NAMES:
        path = Path(absolute(data)) if data else Path("?")
        if data and path.exists():
            return path
        raise UsageError(
            f"No data set {data!r}: neither a file or folder nor one of {', '.join(NAMES)}."
        )
    places = data_places(data_dir)
    for place in places:
        for folder in NAMES[data]:
            if (place / folder).is_dir():
                return place / folder
    looked = ", ".join(str(place / NAMES[data][0]) for place in places)
    raise UnavailableError(
        f"The data set {data} is not on this machine (looked for {looked}); run `camcli data "
        f"{'synthetic' if data == 'synthetic' else f'fetch {data}'}` or name its folder with "
        "--data-dir."
    )


def cache_home() -> Path:
    """Where what can be computed again is kept: ``$CAMCLI_CACHE``, or ``~/.cache/camcli``."""
    named = os.environ.get("CAMCLI_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache")
    return Path(named) if named else home / "camcli"


def data_places(data_dir: Path | None = None) -> list[Path]:
    """Folders that hold data sets, best first; a new set goes into the first.

    Args:
        data_dir: what the user asked for.

    Returns:
        `data_dir`, ``$CAMCLI_DATA``, ``$XDG_DATA_HOME/camcli`` (by default
        ``~/.local/share/camcli``), as far as they are set.
    """
    home = Path(os.environ.get("XDG_DATA_HOME") or home_folder() / ".local" / "share")
    named = os.environ.get("CAMCLI_DATA")
    return [*([data_dir] if data_dir else []), *([Path(named)] if named else []), home / "camcli"]
