"""Where the data set that a user names is."""

from __future__ import annotations

import os
from pathlib import Path

from camcli.data.datasets.paths import data_places
from camcli.data.datasets.registry import NAMED
from camcli.data.datasets.tables import is_table
from camcli.data.sources.containers.registry import container_of
from camcli.data.sources.finders import absolute, has_magic
from camcli.data.sources.refs import is_url, local_path
from camcli.errors import UnavailableError, UsageError

LIST = ".txt"
"""The suffix of a list of paths, one a line; under other names it is written ``@paths``."""


def _is_list(path: Path) -> bool:
    """Whether a file is a list of paths, and no table that is called like one."""
    return path.suffix.lower() == LIST and path.is_file() and not is_table(path)


def locate(data: str, data_dir: Path | None = None) -> str | Path:
    """Where a data set is.

    Args:
        data: a name of `NAMED`, a path, a pattern of tar or zip files, a URL, or a list of paths,
            ``@list.txt`` or ``list.txt``.
        data_dir: first place to look for a name.

    Returns:
        An absolute path that exists, ``@`` before that of a list; a pattern or URL as it is.

    Raises:
        UnavailableError: a known name, but not here.
        UsageError: neither a known name nor an existing path.
    """
    if data not in NAMED:
        if is_url(data) and not os.path.lexists(data):
            if (here := local_path(data)) is None:
                if data.lower().endswith((".csv", ".tsv")):
                    raise UsageError(f"{data}: a table is read from this machine; download it.")
                return data
            data = here
        path = Path(absolute(data)) if data else Path("?")
        if data and path.exists():
            return f"@{path}" if _is_list(path) else path
        if data.startswith("@") and (listed := Path(absolute(data[1:]))).is_file():
            return f"@{listed}"
        if container_of(data) and (has_magic(data) or "{" in data):
            return data
        raise UsageError(
            f"No data set {data!r}: neither a file or folder nor one of {', '.join(NAMED)}."
        )
    kind, places = NAMED[data], data_places(data_dir)
    for place in places:
        for folder in kind.folders:
            if (place / folder).is_dir():
                return place / folder
    looked = ", ".join(str(place / kind.folders[0]) for place in places)
    raise UnavailableError(
        f"The data set {data} is not on this machine (looked for {looked}); run "
        f"`{kind.command}` or name its folder with --data-dir."
    )
