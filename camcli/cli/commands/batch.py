"""``camcli batch``: a whole folder, one overlay an image and one table."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from camcli.cli import load_model
from camcli.cli import options as o
from camcli.cli.terminal.batch_progress import (
    BatchListener,
    above_resumed,
    follow,
    summarize,
    warn_if_nothing_drawn,
)
from camcli.cli.terminal.closing import paragraph, tell_flags, tell_names, tell_page
from camcli.cli.terminal.console import (
    INTERRUPTED,
    SOME_FAILED,
    TERMINATED,
    Terminated,
    emit,
    fail,
    say,
)
from camcli.cli.terminal.progress import TerminalListener
from camcli.errors import UsageError
from camcli.jobs.batch import BatchJob
from camcli.jobs.flags import flags_of
from camcli.jobs.learnt import learnt_of
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.jobs.report import ReportJob
from camcli.models.spec import named_devices
from camcli.printable import counted
from camcli.render.style import Style
from camcli.train.progress import Listener

N, M, S, B = ModelJob(), MapJob(), Style(), BatchJob(())


def batch(
    images: Annotated[
        list[str],
        typer.Argument(
            help="A folder, a quoted glob, @list.txt with one path a line, or - to read such a "
            "list from stdin. Tar shards ('s-{000..009}.tar') and zip files are read as they are, "
            "URLs (s3://bucket/photos) through fsspec.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Run directory: gets predictions.csv, overlays/ and run.json.",
            rich_help_panel=o.RUN,
        ),
    ] = Path("camcli-run"),
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with an interrupted run in --out.", rich_help_panel=o.RUN
        ),
    ] = B.resume,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="With --resume: try again the images whose row is an error, mended since.",
            rich_help_panel=o.RUN,
        ),
    ] = B.retry_failed,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an earlier run in --out.", rich_help_panel=o.RUN),
    ] = B.overwrite,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            help="When unreadable images make the exit code 3: any, none, or a share such as 5% "
            "that must be exceeded.",
            rich_help_panel=o.RUN,
        ),
    ] = "any",
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            help="Images in one forward pass. Default: 16 on a CPU, on a GPU what is fastest of 16 "
            "to 128. Halved where memory does not hold them.",
            min=1,
            max=65536,
            metavar="N",
            rich_help_panel=o.RUN,
        ),
    ] = B.batch_size,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Threads that decode images and draw overlays. Default: one a core.",
            min=1,
            max=1024,
            metavar="N",
            rich_help_panel=o.RUN,
        ),
    ] = B.workers,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            help="Processes of Python on each device, which share the images out among them: one "
            "alone decodes and describes some hundreds of images a second, however many cores "
            "there are, and a GPU explains thousands. On a GPU take half as many as there are "
            "cores, as far as its memory goes.",
            min=1,
            max=256,
            metavar="N",
            rich_help_panel=o.RUN,
        ),
    ] = B.processes,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Decode in separate processes with limits on time and memory: a file that crashes "
            "or hangs a decoder then costs an error row, not the run. For files from strangers; "
            "a little slower.",
            rich_help_panel=o.RUN,
        ),
    ] = B.isolate,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Do part i of n, 2/8 say, for SLURM arrays and shell loops: same command and "
            "same --out on every machine, then 'camcli merge'.",
            metavar="i/n",
            rich_help_panel=o.RUN,
        ),
    ] = B.shard,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="local: this process; or ray: the workers of a Ray cluster, or one for each core "
            "of this machine (pip install 'camcli\\[ray]'). Same rows; --out must be a folder that "
            "all machines see.",
            metavar="NAME",
            rich_help_panel=o.RUN,
        ),
    ] = B.engine,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Of the Ray cluster, such as 10.0.0.1:6379. Default: $RAY_ADDRESS, or none.",
            metavar="HOST:PORT",
            rich_help_panel=o.RUN,
        ),
    ] = B.address,
    table_format: o.TableFormat = B.table_format,
    runtime: o.RuntimeOption = B.runtime,
    precision: o.Precision = B.precision,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="No progress bar and no summary.", rich_help_panel=o.RUN
        ),
    ] = False,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where true labels come from: auto (class-per-folder trees are recognised), "
            "folder, prefix (cat.0.jpg is a cat), index (folders 0 ... 11 are the outputs of these "
            "numbers), imagefolder (folders are the outputs in the order of their names as text: "
            "0, 1, 10, 2 ...), none, FILE.csv (path,label, several labels with | between; or path "
            "and one column a class), or a regular expression whose first group is the label.",
            rich_help_panel="Input",
        ),
    ] = B.labels,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Take only the first N images.",
            min=1,
            metavar="N",
            rich_help_panel="Input",
        ),
    ] = B.limit,
    method: o.MethodOption = M.method,
    target: o.Target = None,
    topk: o.TopK = M.topk,
    score: o.ScoreOption = M.score,
    versus: o.Versus = None,
    against: o.Against = None,
    layer: o.LayerOption = N.layer,
    fuse: o.FuseOption = M.fuse,
    smooth: o.SmoothOption = M.smooth,
    samples: o.Samples = M.samples,
    channels: o.Channels = M.channels,
    converge: o.Converge = M.converge,
    box_threshold: o.BoxThresholdOption = None,
    preset: o.PresetOption = M.preset,
    model: o.Model = N.model,
    checkpoint: o.CheckpointOption = None,
    weights: o.Weights = None,
    weights_key: o.WeightsKey = N.weights_key,
    classes: o.Classes = None,
    fit: o.FitOption = N.fit,
    input_size: o.InputSize = N.input_size,
    preprocess: o.PreprocessOption = N.preprocess,
    trust_pickle: o.TrustPickle = N.trust_pickle,
    output: o.OutputOption = N.output,
    threshold: o.Threshold = None,
    native_predictions: o.NativePredictions = N.native_predictions,
    devices: o.Devices = B.devices,
    offline: o.Offline = N.offline,
    alpha: o.Alpha = S.alpha,
    colormap: o.Colormap = S.colormap,
    signed: o.Signed = S.signed,
    panel: o.Panel = S.panel,
    max_size: o.MaxSize = S.max_size,
    min_size: o.MinSize = S.min_size,
    quality: o.Quality = S.quality,
    overlay_format: o.OverlayFormat = S.overlay_format,
    draw_box: o.DrawBox = S.draw_box,
    name_template: Annotated[
        str | None,
        typer.Option(
            "--name-template",
            help="Names of the overlays, from {rel} {parent} {stem} {name} {ext} {label} {pred} "
            "{prob} {target} {method}; '{stem}_pred_{pred}', say. Default: the image's relative "
            "path. An image whose name is taken already gets an error row.",
            rich_help_panel=o.LOOK,
        ),
    ] = B.name_template,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Draw overlays only for results that are 'wrong', 'below 0.6' (probability) or "
            "'class NAME' (predicted or true). The table still has every image.",
            metavar="WHICH",
            rich_help_panel=o.LOOK,
        ),
    ] = B.only,
    no_overlays: Annotated[
        bool,
        typer.Option("--no-overlays", help="Write the table only.", rich_help_panel=o.LOOK),
    ] = False,
    contact_sheet: Annotated[
        str | None,
        typer.Option(
            "--contact-sheet",
            help="Also draw contact_sheet.jpg, a grid of ROWSxCOLS results such as 4x6.",
            rich_help_panel=o.LOOK,
        ),
    ] = B.contact_sheet,
    contact_order: Annotated[
        str,
        typer.Option(
            "--contact-order",
            help="What the contact sheet shows: first, worst (most confidently wrong; without "
            "labels the least confident) or random.",
            rich_help_panel=o.LOOK,
        ),
    ] = B.contact_order,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Also make the page of 'camcli report' when the run is finished.",
            rich_help_panel=o.LOOK,
        ),
    ] = False,
) -> None:
    """Explain a whole folder: one annotated overlay an image, and a table of predictions.

    camcli batch photos --out run

    camcli batch 'shots/**/*.png' --method layercam --limit 100 --contact-sheet 4x6

    find /data -name '*.jpg' -print0 | camcli batch - --out run --resume --fail-on 1%
    """
    options = locals()
    if shard and report:
        raise UsageError("--report shows a whole run: 'camcli merge' the shards, then 'report'.")
    allowed = _share(fail_on)
    job = filled(
        BatchJob, options, network=filled(ModelJob, options, device=named_devices(devices)[0]),
        maps=filled(MapJob, options),
        style=filled(Style, options), overlays=not no_overlays,
    )  # fmt: skip
    listener = BatchListener(quiet=quiet)
    job.check(TerminalListener())
    source = job.find(listener)
    with job.maps.blaming(job.network):
        classifier = load_model.load(job.network, quiet=quiet)
    run = job.start(source, classifier, listener)
    if not quiet:
        above_resumed(run, retried=retry_failed)
    try:
        highlighter = follow(run, quiet=quiet)
        table = job.finish(run)
    except (KeyboardInterrupt, Terminated) as stop:
        code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        fail(
            f"Stopped after {counted(run.counts.done, 'image')}, kept in {out}. To go on: "
            f"{_resuming(sys.argv[1:])}",
            code,
        )
    if not quiet:
        summarize(run, out, highlighter)
        if job.part:
            say(f"When all {job.part.of} shards are done: camcli merge {out}")
    warn_if_nothing_drawn(run)
    if not quiet:
        tell_names(run.directory.csv)
    page = None
    if report and run.counts.done:
        page = ReportJob([out]).run(Listener() if quiet else TerminalListener())
    if not quiet and not job.part and (page or run.counts.done > run.counts.failed):
        if told := learnt_of(out):
            paragraph(told)
        tell_flags(flags_of(out))
        tell_page(out, page)
    emit(table)
    failed = run.counts.failed
    if allowed is not None and failed and failed / run.counts.done > allowed:
        raise typer.Exit(SOME_FAILED)


def _resuming(given: list[str]) -> str:
    """The command that goes on with a run, to be copied into a shell."""
    if given[:1] != ["batch"] or "-" in given:  # from Python; a list that came through a pipe
        return "the same command with --resume."
    kept = [word for word in given[1:] if word not in ("--resume", "--overwrite", "--retry-failed")]
    return shlex.join(["camcli", "batch", "--resume", *kept])


def _share(text: str) -> float | None:
    """The share of failed images above which a run fails; None for never.

    Raises:
        UsageError: it is none of any, none and N%.
    """
    if text == "any":
        return 0.0
    if text == "none":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if not match or float(match[1]) > 100:
        raise UsageError(f"--fail-on takes any, none or a percentage such as 5%, not {text!r}.")
    return float(match[1]) / 100
