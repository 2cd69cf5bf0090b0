"""Where an audit or a check is written that was not told where to."""

from __future__ import annotations

import os
import re
from pathlib import Path

from camcli.data.sources.refs import is_url
from camcli.ours import read_record


def default_folder(usual: Path, record: str, source: str) -> Path:
    """The usual folder, or one beside it: two of different things never collide.

    Args:
        usual: the folder, unless what it holds is of something else.
        record: the file of it that says what it is of, as ``source``.
        source: what is looked at, as the user named it.
    """
    before, known = (read_record(usual / record) or {}).get("source"), known_source(source)
    if before is None or before == known:
        return usual
    name = re.sub(r"[^\w.-]+", "-", Path(known).name).strip("-.") or "other"
    return usual.with_name(f"{usual.name}-{name}")


def known_source(source: str) -> str:
    """What is looked at, so that it is known again from another folder."""
    return source if is_url(source) else os.path.realpath(source)
