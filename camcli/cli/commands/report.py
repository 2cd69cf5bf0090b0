"""``camcli report``: a run, or two runs beside each other, as a page in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli.terminal.console import emit, say
from camcli.errors import UsageError

if TYPE_CHECKING:
    from camcli.render.report import RunData


def report(
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
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser when it is ready.")
    ] = False,
    self_contained: Annotated[
        bool,
        typer.Option(
            "--self-contained",
            help="Everything in one HTML file, to be mailed; for up to 2000 images.",
        ),
    ] = False,
    thumbnails: Annotated[
        int,
        typer.Option(
            "--thumbnails",
            help="Make small copies of the first N images of the page; the others are shown from "
            "the photographs themselves.",
            min=0,
            metavar="N",
        ),
    ] = 4000,
) -> None:
    """Make a page on which a run can be searched, sorted and looked at.

    It works from the disk and from any web server. Move the run directory as a whole; where the
    photographs are out of reach, the page falls back to thumbnails and overlays.

    camcli report run --open

    camcli report before after --out before-and-after
    """
    from camcli.render.report import write_comparison

    if len(runs) > 2:
        raise UsageError(f"camcli report takes one run, or two to compare; not {len(runs)}.")
    if len(runs) == 1:
        page = make_page(
            runs[0], out=out, self_contained=self_contained, thumbnails=thumbnails, quiet=False
        )
    else:
        page = write_comparison(
            read_run(runs[0]),
            read_run(runs[1]),
            out or Path("camcli-comparison"),
            thumbnails=thumbnails,
            self_contained=self_contained,
        )
    emit(page)
    if open_it:
        show(page)


def make_page(
    run: Path,
    *,
    out: Path | None = None,
    self_contained: bool = False,
    thumbnails: int = 4000,
    quiet: bool = False,
) -> Path:
    """The page of one run, with a progress bar; also for ``camcli batch --report``.

    Args:
        run: the run directory.
        out: the page's folder; by default ``report`` in the run directory.
        self_contained: one file with everything.
        thumbnails: how many at most.
        quiet: no progress bar.

    Returns:
        The page.
    """
    import sys

    from tqdm import tqdm

    from camcli.batch.run_files.rundir import REPORT
    from camcli.render.report import write_report

    with tqdm(
        disable=quiet or not sys.stderr.isatty(), unit="thumbnail", file=sys.stderr, leave=False
    ) as bar:
        return write_report(
            read_run(run),
            out or run / REPORT,
            thumbnails=thumbnails,
            self_contained=self_contained,
            tick=bar.update,
        )


def read_run(path: Path) -> RunData:
    """A run directory as the page takes it; rows and maps are read as they are consumed.

    Raises:
        UsageError: it is none, or its shards have not been merged.
        CamcliError: its description cannot be read.
    """
    from camcli.batch.run_files.rundir import HEATMAPS, RunDirectory
    from camcli.batch.tables.heatmaps import read_heatmaps
    from camcli.render.report import RunData

    directory = RunDirectory(path)
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give the --out of a 'camcli batch'.")
    if not directory.csv.is_file():
        if any(path.glob("predictions.*-of-*.csv")):
            raise UsageError(f"{path} holds shards; join them first: camcli merge {path}")
        raise UsageError(
            f"{path} is not a run: it has no {directory.csv.name}. 'camcli batch' makes one."
        )
    stem, suffix = HEATMAPS.split(".")
    shards = sorted(path.glob(f"{stem}.*-of-*.{suffix}"))
    files = [file for file in (directory.heatmaps, *shards) if file.is_file()]
    if not files:
        say(f"{path} has no {HEATMAPS}; the page shows the overlays that the run drew.")
    return RunData(
        name=path.absolute().name,
        path=path,
        info=directory.read_info(),
        rows=directory.rows(),
        heatmaps=(record for file in files for record in read_heatmaps(file)),
    )


def show(page: Path) -> None:
    """Open a page in the user's browser, or say how to."""
    import webbrowser

    if not webbrowser.open(page.absolute().as_uri()):
        say(f"No browser could be started here; open {page} yourself.")
