"""``camcli audit``: what the network looks at across a whole data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.terminal.console import SOME_FAILED, failed, say
from camcli.cli.terminal.progress import TerminalListener
from camcli.data.decode.fit import Fit
from camcli.jobs.audit import PLAIN, AuditJob, Clusters
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.printable import counted, percent

if TYPE_CHECKING:
    from camcli.evaluate.audit.result import AuditResult


A = AuditJob("")


def audit(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A run directory of 'camcli batch', or a folder of photographs (labels as for "
            "batch).",
            show_default=False,
        ),
    ],
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="A folder of masks with the photographs' relative paths. With them, heat away "
            "from the object is looked for as well.",
            rich_help_panel="Annotations",
        ),
    ] = A.masks,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from, as for 'camcli evaluate'.",
            rich_help_panel="Annotations",
        ),
    ] = A.labels,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            help="Photographs of each predicted class that are compared with each other for marks, "
            "and changed for the proof. All are looked at for their properties and their heat.",
            rich_help_panel=o.TARGET,
        ),
    ] = A.sample,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            help="Seconds: half of it to look, half to compare and prove. What was left out is "
            "named. Default: no limit.",
            show_default=False,
            metavar="SECONDS",
            rich_help_panel=o.TARGET,
        ),
    ] = A.time_limit,
    method: o.MethodOption = A.method,
    model: o.Model = PLAIN.model,
    checkpoint: o.CheckpointOption = None,
    weights: o.Weights = None,
    weights_key: o.WeightsKey = PLAIN.weights_key,
    classes: o.Classes = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            "--fit",
            help="As for batch; by default the network's own way, in which it is used: what it "
            "never sees, it cannot use.",
            rich_help_panel=o.MODEL,
        ),
    ] = PLAIN.fit,
    input_size: o.InputSize = PLAIN.input_size,
    preprocess: o.PreprocessOption = PLAIN.preprocess,
    trust_pickle: o.TrustPickle = PLAIN.trust_pickle,
    output: o.OutputOption = PLAIN.output,
    threshold: o.Threshold = None,
    device: o.Device = PLAIN.device,
    offline: o.Offline = PLAIN.offline,
    clusters: Annotated[
        Clusters,
        typer.Option(
            "--clusters",
            help="kmeans; or spectral, which also finds how many clusters there are (as SpRAy).",
            rich_help_panel=o.TARGET,
        ),
    ] = A.clusters,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            help="Most clusters a class. Default: 10, or a third of its photographs if that is "
            "fewer.",
            show_default=False,
            rich_help_panel=o.TARGET,
        ),
    ] = A.k,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the histogram of each map (2nd to 98th percentile) before clustering: "
            "faint and strong maps of the same place then fall together.",
            rich_help_panel=o.TARGET,
        ),
    ] = A.stretch,
    texture: Annotated[
        bool,
        typer.Option(
            "--texture",
            help="Take heat off flat parts of the photographs (sky, walls) before clustering: "
            "what is left lies on something that can be seen.",
            rich_help_panel=o.TARGET,
        ),
    ] = A.texture,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="Also merge the clusters' maps of each class into one, the most confident in "
            "front.",
            rich_help_panel=o.TARGET,
        ),
    ] = A.merge,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder for audit.json, images.csv, and pictures of each class's clusters and "
            "of what is flagged. Default: camcli-audit, or camcli-audit-NAME where that holds the "
            "audit of something else.",
            show_default=False,
            rich_help_panel=o.RUN,
        ),
    ] = A.out,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an earlier audit in --out.", rich_help_panel=o.RUN
        ),
    ] = A.overwrite,
) -> None:
    """Find what gives classes away (a mark, a frame, light, blur), and prove that it is used.

    camcli audit photos --checkpoint mine.safetensors

    camcli audit camcli-run

    What is suspected is taken away from photographs, and put on those of other classes: a class is
    flagged only where that changes predictions, and a control of the same size does not. No masks
    and no boxes are needed.
    """
    from camcli.evaluate.audit.audit_files import default_out

    network = filled(ModelJob, ctx.params)
    job = filled(AuditJob, ctx.params, network=network, out=out or default_out(source))
    # What is said of maps that are made already is refused, be it the plain choice.
    given = [
        name for name in ctx.params
        if (origin := ctx.get_parameter_source(name)) and origin.name == "COMMANDLINE"
    ]  # fmt: skip
    result = job.run(TerminalListener(), given=given)
    _print(result)
    if job.is_of_run:
        say(f"On the page of the run, too: camcli report {shlex.quote(source)} --open")
    for failure in result.unreadable:
        failed(failure)
    if result.unreadable:
        raise typer.Exit(SOME_FAILED)


CLEAR = (
    "No class was shown to rest on a shortcut. Looked for: {}. A shortcut of another kind would "
    "not be seen."
)


def _print(result: AuditResult) -> None:
    from rich.markup import escape
    from rich.table import Table

    from camcli.cli.terminal.console import tables
    from camcli.cli.terminal.findings import print_findings
    from camcli.evaluate.audit.audit import LEAST
    from camcli.evaluate.audit.result import UNLABELLED

    rows, with_masks = result.classes, result.masks
    console = tables()
    table = Table(box=None)
    table.add_column("class")
    for name in ("correct", *(["stray heat"] if with_masks else []), "at border", "one corner"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows[:40]:
        table.add_row(
            escape(row.label), f"{row.right}/{row.count}",
            *([percent(row.stray) if row.stray == row.stray else "-"] if with_masks else []),
            percent(row.border), percent(row.corner),
            "[bold red]flagged[/]" if row.flags else "",
        )  # fmt: skip
    console.print(table)
    if result.unlabelled:
        console.print(UNLABELLED, style="dim")
    if rows[40:]:
        console.print(
            f"  ... and {counted(len(rows) - 40, 'more class', 'more classes')} in audit.json",
            style="dim",
        )
    print_findings(
        result.findings, folder=result.out, skipped=result.not_looked, nothing=result.nothing
    )
    if result.findings and not result.flagged:
        console.print("\n" + CLEAR.format("; ".join(result.looked_for)))
    few = sum(row.right < LEAST for row in rows)
    if len(rows) - few < 2:
        return  # that is said where nothing was found
    if few:
        console.print(
            f"Not judged, for want of {LEAST} correct predictions: {few} of "
            f"{counted(len(rows), 'class', 'classes')}.",
            style="dim",
        )
