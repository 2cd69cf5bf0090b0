"""Where data sets and what can be computed again are kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from camcli.files import home as home_folder


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
