"""``camcli apply``: a data set without what was marked on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcli.cli.terminal.console import emit
from camcli.cli.terminal.progress import TerminalListener
from camcli.jobs.apply import ApplyJob
from camcli.jobs.record import filled

A = ApplyJob()


def apply(
    marks: Annotated[
        Path,
        typer.Argument(
            help="The file that the page of 'camcli report' exported: marks.csv.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="What to make: a folder of copies; or FILE.csv, a table of path,label; or "
            "FILE.txt, a list of paths. 'camcli train' takes each of them.",
            metavar="DIR|FILE.csv|FILE.txt",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="The data set, as for 'camcli train'. Default: the photographs that the marks "
            "are about.",
            show_default=False,
        ),
    ] = A.data,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where its labels come from, as for 'camcli train'.",
        ),
    ] = A.labels,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what 'camcli apply' made there before."),
    ] = A.overwrite,
    move: Annotated[
        bool,
        typer.Option(
            "--move",
            help="Move the originals into the folder instead of copying them; needs --data. What "
            "was dropped stays where it is, and nothing is deleted. Interrupted, the same command "
            "goes on.",
        ),
    ] = A.move,
    undo: Annotated[
        bool,
        typer.Option("--undo", help="Move the originals back; needs --data and --to."),
    ] = A.undo,
) -> None:
    """Make a data set without what you dropped, under the labels that you gave.

    camcli apply marks.csv --to clean

    camcli train --data clean

    Marks that say 'drop' leave a photograph out, and 'relabel' gives it another class, which may
    be a new one; 'note' and 'mark' change nothing. The photographs themselves stay as they are,
    unless you say --move.
    """
    result = filled(ApplyJob, locals()).run(TerminalListener())
    if result.out is not None:
        emit(result.out)
