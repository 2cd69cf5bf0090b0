"""What the page must know so that photographs can be marked on it, and found again by the marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camcli.render.report.rows.image_rows import ImageRow, RunData


def marking(runs: Sequence[RunData], rows: Sequence[ImageRow]) -> dict[str, Any]:
    """Settings of the scripts.

    Args:
        runs: those of the page.
        rows: of the page.

    Returns:
        ``run``: what the marks are kept under, in the browser. ``sources``: of each run, the folder
        that paths are relative to; empty where it is not recorded. ``packed``: relative paths of
        what are no folders on the disk but tar or zip files, in which no path leads.
    """
    sources = [source if isinstance(source := run.setting("source"), str) else "" for run in runs]
    return {
        "run": "\n".join(str(run.path.absolute()) for run in runs),
        "sources": sources,
        "packed": _packed([Path(source) for source in sources if source], rows),
    }


def _packed(sources: Sequence[Path], rows: Sequence[ImageRow]) -> list[str]:
    """Folders of photographs that are none below any source that is here."""
    there = [source for source in sources if "\0" not in str(source) and source.is_dir()]
    if not there:
        return []
    parents = {row.path.rpartition("/")[0] for row in rows}
    return sorted(
        parent
        for parent in parents
        if parent and "\0" not in parent and not any((s / parent).is_dir() for s in there)
    )
