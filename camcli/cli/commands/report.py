"""``camcli report``: a run, or two runs beside each other, as a page in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcli.cli.terminal.console import emit, say
from camcli.cli.terminal.progress import TerminalListener
from camcli.jobs.record import filled
from camcli.jobs.report import ReportJob

R = ReportJob(())


def report(
    ctx: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN [OTHER]",
            help="Run directory of 'camcli batch'; two of them are compared, image by image.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the page. Default: RUN/report; for a comparison, camcli-comparison.",
            show_default=False,
        ),
    ] = R.out,
    open_it: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser when it is ready.")
    ] = False,
    self_contained: Annotated[
        bool,
        typer.Option(
            "--self-contained",
            help="Everything in one HTML file, to be mailed; for up to 2000 images.",
        ),
    ] = R.self_contained,
    thumbnails: Annotated[
        int,
        typer.Option(
            "--thumbnails",
            help="Make small copies of the first N images of the page; the others are shown from "
            "the photographs themselves.",
            min=0,
            metavar="N",
        ),
    ] = R.thumbnails,
) -> None:
    """Make a page on which a run can be searched, sorted and looked at.

    It works from the disk and from any web server. Move the run directory as a whole; where the
    photographs are out of reach, the page falls back to thumbnails and overlays.

    camcli report run --open

    camcli report before after --out before-and-after
    """
    page = filled(ReportJob, ctx.params).run(TerminalListener())
    emit(page)
    if open_it:
        show(page)


def show(page: Path) -> None:
    """Open a page in the user's browser, or say how to."""
    import webbrowser

    if not webbrowser.open(page.absolute().as_uri()):
        say(f"No browser could be started here; open {page} yourself.")
