"""``camcli audit``: what the network looks at across a whole data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.output_paths import listed, tell_notes
from camcli.cli.terminal.console import SOME_FAILED, failed, say, slow
from camcli.data.decode.fit import Fit
from camcli.errors import UsageError

if TYPE_CHECKING:
    from camcli.evaluate.audit.audit import ClassSummary, Suspicion


class Clusters(StrEnum):
    """How alike maps are found."""

    kmeans = "kmeans"
    spectral = "spectral"


# Options that say how maps are made; a run has its own.
_MAKING = (
    "labels",
    "method",
    "model",
    "checkpoint",
    "fit",
    "input_size",
    "output",
    "device",
    "offline",
)
WHY = {
    "stray": "a second peak away from the object is {value:.0%} of the strongest heat "
    "(other classes {others:.0%})",
    "corner": "the heat peaks in the same corner in {value:.0%} of them (other classes "
    "{others:.0%})",
    "border": "{value:.0%} of the heat lies at the border (other classes {others:.0%})",
}


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
            "from the object is found wherever it is; without, only in corners and at the border.",
            rich_help_panel="Annotations",
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from, as for 'camcli evaluate'.",
            rich_help_panel="Annotations",
        ),
    ] = "auto",
    method: o.Method = "gradcam",
    model: o.Model = "efficientnet_lite0",
    checkpoint: o.Checkpoint = None,
    fit: Annotated[
        Fit,
        typer.Option(
            "--fit",
            help="As for batch; squash shows the network everything.",
            rich_help_panel=o.MODEL,
        ),
    ] = "squash",
    input_size: o.InputSize = None,
    output: o.OutputOption = "auto",
    device: o.Device = "auto",
    offline: o.Offline = False,
    clusters: Annotated[
        Clusters,
        typer.Option(
            "--clusters",
            help="kmeans; or spectral, which also finds how many clusters there are (as SpRAy).",
            rich_help_panel=o.TARGET,
        ),
    ] = Clusters.kmeans,
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
    ] = None,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch",
            help="Stretch the histogram of each map (2nd to 98th percentile) before clustering: "
            "faint and strong maps of the same place then fall together.",
            rich_help_panel=o.TARGET,
        ),
    ] = False,
    texture: Annotated[
        bool,
        typer.Option(
            "--texture",
            help="Take heat off flat parts of the photographs (sky, walls) before clustering: "
            "what is left lies on something that can be seen.",
            rich_help_panel=o.TARGET,
        ),
    ] = False,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="Also merge the clusters' maps of each class into one, the most confident in "
            "front.",
            rich_help_panel=o.TARGET,
        ),
    ] = False,
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
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an earlier audit in --out.", rich_help_panel=o.RUN
        ),
    ] = False,
) -> None:
    """Find classes whose correct predictions rest on a mark, a corner or the border.

    camcli audit photos --checkpoint mine.safetensors --masks masks --input-size 320

    camcli audit camcli-run

    A larger --input-size gives finer maps, which tell a small mark from the object beside it.
    """
    from camcli.batch.run_files.rundir import CSV
    from camcli.cam.method_facts import find_facts
    from camcli.evaluate.audit import audit as a
    from camcli.evaluate.audit.audit_files import check_out, default_out, save
    from camcli.evaluate.audit.map_clusters import Grouping

    find_facts(method)
    out = out or default_out(source)
    check_out(out, overwrite=overwrite)
    folder = Path(source)
    failures: list[str] = []
    if (folder / CSV).is_file():
        given = [
            f"--{name.replace('_', '-')}" for name in _MAKING
            if (origin := ctx.get_parameter_source(name)) and origin.name == "COMMANDLINE"
        ]  # fmt: skip
        if given:
            raise UsageError(
                f"{source} is a run, whose maps are made: leave {' and '.join(given)} out."
            )
        from camcli.evaluate.audit.audit_inputs import from_run

        facts = from_run(folder, masks)
    else:
        from camcli.cli.load_model import load
        from camcli.cli.terminal.progress import TerminalListener
        from camcli.data.sources.find import find_images
        from camcli.evaluate.measured.annotations import find_masks
        from camcli.jobs.model import ModelJob

        network = ModelJob(
            model=model, checkpoint=checkpoint, fit=fit, input_size=input_size, output=output,
            device=device, offline=offline,
        )  # fmt: skip
        network.check()
        with slow("Looking for images ..."):
            images = find_images(source, labels=labels)
            refs = listed(images)
        tell_notes(images)
        if masks:
            find_masks(masks, refs)  # whether there are any, before the network looks at images
        classifier = load(network)

        from camcli.evaluate.audit.audit_inputs import from_photographs

        tell_notes(images.numbered(classifier.classes), told=images.notes)
        refs = images.renamed(refs, classifier.classes)
        with TerminalListener().bar("audit", len(refs), "image") as bar:
            facts = from_photographs(
                classifier, refs, method, masks,
                failed=lambda error: failures.append(str(error)), progress=lambda: bar.advance(1),
            )  # fmt: skip
    if not facts:
        raise UsageError(f"There is no map to audit in {source}.")
    found = a.suspicions(facts)
    rows = a.summarise(facts, found)
    how = Grouping(clusters is Clusters.spectral, k, stretch, texture, merge)
    written = save(out, facts, found, rows, how, source)
    _print(rows, found, with_masks=masks is not None)
    say(f"Wrote {written} to {out}.")
    for failure in failures:
        failed(failure)
    if failures:
        raise typer.Exit(SOME_FAILED)


def _print(rows: list[ClassSummary], found: list[Suspicion], *, with_masks: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from camcli.cli.terminal.console import tables
    from camcli.evaluate.audit.audit import LEAST

    console = tables()
    table = Table(box=None)
    table.add_column("class")
    for name in ("correct", *(["stray heat"] if with_masks else []), "at border", "one corner"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows[:40]:
        table.add_row(
            escape(row.label), f"{row.right}/{row.count}",
            *([f"{row.stray:.0%}" if row.stray == row.stray else "-"] if with_masks else []),
            f"{row.border:.0%}", f"{row.corner:.0%}",
            "[bold red]flagged[/]" if row.flags else "",
        )  # fmt: skip
    console.print(table)
    if rows[40:]:
        console.print(f"  ... and {len(rows) - 40} more classes in audit.json", style="dim")
    for s in found:
        why = WHY[s.kind].format(value=s.value, others=s.others)
        console.print(f"\n[bold red]{escape(s.label)}[/]: in correct predictions {why}")
        for example in s.examples[:3]:
            console.print(f"  {escape(example)}", soft_wrap=True)
    few = sum(row.right < LEAST for row in rows)
    if len(rows) - few < 2:
        console.print(
            f"\nNothing can be told: it takes two classes with {LEAST} correct predictions each."
        )
        return
    if not found:
        console.print(
            "\nNo class stands out." + ("" if with_masks else " (Without --masks, only corners "
            "and the border are looked at.)")
        )  # fmt: skip
    if few:
        console.print(
            f"Not judged, for want of {LEAST} correct predictions: {few} of {len(rows)} classes.",
            style="dim",
        )
