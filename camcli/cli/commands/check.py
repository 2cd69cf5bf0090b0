"""``camcli check``: what is wrong with the data, before or after training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.terminal.console import SOME_FAILED, failed, say
from camcli.cli.terminal.progress import TerminalListener
from camcli.jobs.check import NETWORK, CheckJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled

if TYPE_CHECKING:
    from camcli.evaluate.check.result import CheckResult

C = CheckJob("")
FIND = "Check"


def check(
    data: Annotated[
        str,
        typer.Argument(
            help="A data set as for 'camcli train --data' (a folder a class, splits, a CSV, a "
            "name), or photographs as for 'camcli batch' (a folder, a quoted glob, @list.txt).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder for check.csv (one row an issue), check.html and check.json. Default: "
            "camcli-check, or camcli-check-NAME where that holds the check of something else.",
            show_default=False,
            rich_help_panel=o.RUN,
        ),
    ] = C.out,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an earlier check in --out, and the file of --export.",
            rich_help_panel=o.RUN,
        ),
    ] = C.overwrite,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from, as for 'camcli train': auto, folder, prefix, a table, a "
            "regular expression; or none.",
            rich_help_panel=FIND,
        ),
    ] = C.labels,
    ignore_label: Annotated[
        str | None,
        typer.Option(
            "--ignore-label",
            help="Leave out photographs with this label, as 'camcli train' does: 'unknown|reject'.",
            metavar="LABEL",
            show_default=False,
            rich_help_panel=FIND,
        ),
    ] = C.ignore_label,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="Where named data sets are looked for first.",
            show_default=False,
            rich_help_panel=FIND,
        ),
    ] = C.data_dir,
    by_run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="Judge labels by what this run of 'camcli train' predicted of photographs that it "
            "had not seen (its out_of_fold.csv), with its features and head.",
            metavar="RUN",
            show_default=False,
            rich_help_panel=FIND,
        ),
    ] = C.by_run,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Also write the paths of the photographs with an issue, one a line, for 'camcli "
            "batch @FILE'.",
            metavar="FILE",
            show_default=False,
            rich_help_panel=FIND,
        ),
    ] = C.export,
    export_kinds: Annotated[
        str,
        typer.Option(
            "--export-kinds",
            help="Which issues' paths, with commas between: suspect-label,exact-duplicate; or all.",
            metavar="KINDS",
            rich_help_panel=FIND,
        ),
    ] = C.export_kinds,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            help="Seconds after which what is left is left out, and named.",
            metavar="SECONDS",
            show_default=False,
            rich_help_panel=FIND,
        ),
    ] = C.time_limit,
    model: o.Model = NETWORK.model,
    checkpoint: o.CheckpointOption = None,
    weights: o.Weights = None,
    fit: o.FitOption = NETWORK.fit,
    input_size: o.InputSize = NETWORK.input_size,
    preprocess: o.PreprocessOption = NETWORK.preprocess,
    trust_pickle: o.TrustPickle = NETWORK.trust_pickle,
    device: o.Device = NETWORK.device,
    offline: o.Offline = NETWORK.offline,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="Keep the features on disk, where 'camcli train' finds them again.",
            rich_help_panel=o.RUN,
        ),
    ] = C.cache,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            help="Where. Default: features in $CAMCLI_CACHE, or in ~/.cache/camcli.",
            show_default=False,
            rich_help_panel=o.RUN,
        ),
    ] = C.cache_dir,
) -> None:
    """Find what is wrong with data: labels, duplicates, outliers, unreadable and odd pictures.

    camcli check my-photos

    camcli check my-photos --run runs/pets

    camcli check my-photos --export wrong.txt --export-kinds suspect-label

    camcli batch @wrong.txt --out look

    No file of the data is changed.

    The exit code is 0 with issues or without, and 3 where some files cannot be read.
    """
    from camcli.evaluate.check.check_files import default_out

    options = locals()
    job = filled(CheckJob, options, network=filled(ModelJob, options), out=out or default_out(data))
    result = job.run(TerminalListener())
    _print(result)
    for failure in result.unreadable:
        failed(failure)
    if result.unreadable:
        raise typer.Exit(SOME_FAILED)


def _print(result: CheckResult) -> None:
    from rich.table import Table

    from camcli.cli.terminal.console import tables
    from camcli.cli.terminal.findings import print_findings
    from camcli.evaluate.check.check_files import PAGE, TABLE

    counts = result.counts
    if counts:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("issue")
        table.add_column("count", justify="right")
        for kind, count in counts.items():
            table.add_row(kind, str(count))
        tables().print(table)
    print_findings(
        result.findings, folder=result.out, table=TABLE, skipped=result.not_looked,
        nothing=result.nothing,
    )  # fmt: skip
    say(f"{result.summary}; see {result.out}/{PAGE} and {TABLE}.")
    say("The page of a run over these photographs shows them, too: camcli report RUN --open")
