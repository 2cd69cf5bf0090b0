"""The Python API: a data set without what was marked on the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camcli.jobs.apply import ApplyJob
from camcli.jobs.record import filled
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.data.marked.result import ApplyResult

A = ApplyJob()


def apply(
    marks: str | Path,
    to: str | Path,
    *,
    data: str | Path | None = A.data,
    labels: str = A.labels,
    move: bool = A.move,
    undo: bool = A.undo,
    overwrite: bool = A.overwrite,
    listener: Listener | None = None,
) -> ApplyResult:
    """Make a data set without what was dropped, under the labels that were given.

    Args:
        marks: the file that the page of `camcli.report` exported, ``marks.csv``.
        to: a folder, into which the photographs are copied; or FILE.csv for a table of
            ``path,label``, FILE.txt for a list of paths.
        data: the data set, as for `camcli.train`; by default the photographs that the marks are
            about.
        labels: where its labels come from, as for `camcli.train`.
        move: move the originals into the folder, and do not copy them; what was dropped stays
            where it is. Interrupted, the same call goes on.
        undo: move them back.
        overwrite: replace an earlier result.
        listener: hears what is going on; by default the logger ``camcli`` is told.

    Returns:
        What was written, and the command that trains on it.

    Raises:
        UsageError: marks of what the data set does not hold, or that cannot be meant; files that
            may not be replaced; or a result that would not be read as it is meant.
        CamcliError: something cannot be read or written; nothing was changed.

    Example:
        >>> import camcli
        >>> camcli.apply("marks.csv", "clean").summary               # doctest: +SKIP
        '57 photographs of 2 classes: 3 dropped, 2 relabelled'
    """
    given = locals() | {"data": None if data is None else str(data)}
    return filled(ApplyJob, given).run(listener)
