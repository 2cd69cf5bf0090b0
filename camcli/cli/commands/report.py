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
    audit_dir: Annotated[
        Path | None,
        typer.Option(
            "--audit",
            metavar="DIR",
            help="The audit that the page shows. Default: the one of this run, beside or inside "
            "it or in the current folder.",
            show_default=False,
        ),
    ] = R.audit_dir,
    check_dir: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="DIR",
            help="The check that the page shows. Default: the one of the run's photographs, found "
            "in the same way.",
            show_default=False,
        ),
    ] = R.check_dir,
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
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            help="Folder of a 'camcli evaluate' to show. Default: the newest one over the same "
            "photographs beside the run.",
            show_default=False,
            metavar="DIR",
        ),
    ] = R.evaluation,
    training: Annotated[
        Path | None,
        typer.Option(
            "--training",
            help="Folder of the 'camcli train' that made the network. Default: that of the run's "
            "checkpoint.",
            show_default=False,
            metavar="DIR",
        ),
    ] = R.training,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            help="Boxes to draw and to measure the heat by: a folder of Pascal VOC .xml files, a "
            "COCO .json, a .csv (path,x0,y0,x1,y1) or wsolevaluation's localization.txt. "
            "Default: those of the evaluation that is shown.",
            show_default=False,
        ),
    ] = R.boxes,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="The same by a folder of mask pictures with the photographs' relative paths; any "
            "value but 0 is the object.",
            show_default=False,
        ),
    ] = R.masks,
    trimap: Annotated[
        bool,
        typer.Option("--trimap", help="The masks are trimaps: 1 object, 2 background, 3 ignored."),
    ] = R.trimap,
) -> None:
    """Make a page on which a run can be searched, sorted and looked at.

    What camcli audit found in the run, camcli check in its photographs, what camcli evaluate
    measured of them and how camcli train made the network has a tab each.

    It works from the disk and from any web server. Move the run directory as a whole; where the
    photographs are out of reach, the page falls back to thumbnails and overlays.

    camcli report run --open

    camcli report run --boxes annotations

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
