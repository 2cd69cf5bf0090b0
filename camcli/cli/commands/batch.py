"""``camcli batch``: a whole folder, one overlay an image and one table."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from camcli.cli import options as o
from camcli.cli.output_paths import tell_notes
from camcli.cli.terminal.batch_progress import (
    above,
    above_resumed,
    follow,
    summarize,
    warn_if_nothing_drawn,
)
from camcli.cli.terminal.console import (
    INTERRUPTED,
    SOME_FAILED,
    TERMINATED,
    Terminated,
    emit,
    fail,
    say,
    slow,
    warn,
)
from camcli.errors import UsageError


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
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="With --resume: try again the images whose row is an error, mended since.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an earlier run in --out.", rich_help_panel=o.RUN),
    ] = False,
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
    ] = None,
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
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Decode in separate processes with limits on time and memory: a file that crashes "
            "or hangs a decoder then costs an error row, not the run. For files from strangers; "
            "a little slower.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Do part i of n, 2/8 say, for SLURM arrays and shell loops: same command and "
            "same --out on every machine, then 'camcli merge'.",
            metavar="i/n",
            rich_help_panel=o.RUN,
        ),
    ] = None,
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
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Of the Ray cluster, such as 10.0.0.1:6379. Default: $RAY_ADDRESS, or none.",
            metavar="HOST:PORT",
            rich_help_panel=o.RUN,
        ),
    ] = None,
    table_format: o.TableFormat = "csv",
    runtime: o.RuntimeOption = "auto",
    precision: o.Precision = "float32",
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
            "folder, prefix (cat.0.jpg is a cat), none, or a regular expression whose first "
            "group is the label.",
            rich_help_panel="Input",
        ),
    ] = "auto",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Take only the first N images.",
            min=1,
            metavar="N",
            rich_help_panel="Input",
        ),
    ] = None,
    method: o.Method = "gradcam",
    target: o.Target = None,
    topk: o.TopK = 1,
    score: o.ScoreOption = None,
    versus: o.Versus = None,
    layer: o.Layer = "last",
    fuse: o.FuseOption = "mean",
    smooth: o.SmoothOption = None,
    samples: o.Samples = None,
    channels: o.Channels = None,
    converge: o.Converge = None,
    model: o.Model = "efficientnet_lite0",
    checkpoint: o.Checkpoint = None,
    weights: o.Weights = None,
    weights_key: o.WeightsKey = None,
    classes: o.Classes = None,
    fit: o.FitOption = None,
    input_size: o.InputSize = None,
    output: o.OutputOption = "auto",
    native_predictions: o.NativePredictions = False,
    device: o.Device = "auto",
    offline: o.Offline = False,
    alpha: o.Alpha = 0.5,
    colormap: o.Colormap = "jet",
    signed: o.Signed = False,
    panel: o.Panel = False,
    max_size: o.MaxSize = None,
    min_size: o.MinSize = 300,
    quality: o.Quality = 90,
    name_template: Annotated[
        str | None,
        typer.Option(
            "--name-template",
            help="Names of the overlays, from {rel} {parent} {stem} {name} {ext} {label} {pred} "
            "{prob} {target} {method}; '{stem}_pred_{pred}', say. Default: the image's relative "
            "path. An image whose name is taken already gets an error row.",
            rich_help_panel=o.LOOK,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Draw overlays only for results that are 'wrong', 'below 0.6' (probability) or "
            "'class NAME' (predicted or true). The table still has every image.",
            metavar="WHICH",
            rich_help_panel=o.LOOK,
        ),
    ] = None,
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
    ] = None,
    contact_order: Annotated[
        str,
        typer.Option(
            "--contact-order",
            help="What the contact sheet shows: first, worst (most confidently wrong; without "
            "labels the least confident) or random.",
            rich_help_panel=o.LOOK,
        ),
    ] = "first",
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
    if retry_failed and not resume:
        raise UsageError("--retry-failed goes on with a run: add --resume.")
    from camcli.batch.run_files.overlay_names import Namer
    from camcli.batch.run_files.rundir import SHEET, RunDirectory
    from camcli.batch.run_files.shard import parse_shard
    from camcli.batch.tables.export import check_format, export
    from camcli.cam.map_options import check_layer, check_signed, make_map_options
    from camcli.cli.class_names import check_names
    from camcli.cli.load_model import load
    from camcli.data.sources.find import find_images
    from camcli.jobs.model import ModelJob
    from camcli.models.spec import check_runtime
    from camcli.render.ranges import check_picture

    # Everything that can be wrong without a network is checked before torch is imported.
    how = make_map_options(
        method, score=score, fuse=fuse, smooth=smooth, samples=samples, channels=channels,
        converge=converge,
    )  # fmt: skip
    allowed = _share(fail_on)
    check_format(table_format)
    part = parse_shard(shard) if shard else None
    if part and report:
        raise UsageError("--report shows a whole run: 'camcli merge' the shards, then 'report'.")
    if engine not in ("local", "ray"):
        raise UsageError(f"--engine is local or ray, not {engine!r}.")
    if engine == "ray":
        from camcli.batch.ray.installed import check_ray

        check_ray()
        if precision == "int8":
            raise UsageError(
                "--precision int8 is calibrated on one machine and would differ between Ray's "
                "workers; leave it out."
            )
    elif address is not None:
        raise UsageError("--address is that of a Ray cluster: add --engine ray.")
    grid = None
    if contact_sheet:
        from camcli.batch.contact_grid import parse_grid

        grid = parse_grid(contact_sheet, contact_order)
    directory = RunDirectory(out, part)
    directory.check(resume=resume, overwrite=overwrite)
    check_layer(how, layer)
    check_runtime(runtime, precision)
    check_picture(alpha, max_size, min_size, quality)
    network = ModelJob(
        model=model, checkpoint=checkpoint, weights=weights, weights_key=weights_key,
        classes=classes, fit=fit, input_size=input_size, output=output,
        native_predictions=native_predictions, layer=layer, device=device, offline=offline,
    )  # fmt: skip
    network.check()
    if name_template:
        Namer(name_template)
    check_names(
        (target, versus), model=model, checkpoint=checkpoint, weights=weights, classes=classes
    )
    if signed:
        check_signed(how, layer)
    with slow(f"Looking for images in {' '.join(images[:3])} ...", quiet=quiet):
        source = find_images(images[0] if len(images) == 1 else images, limit=limit, labels=labels)
    told = source.notes
    if not quiet:
        tell_notes(source)
    from camcli.batch.overlay_writer import Style, check_only  # OpenCV and Pillow

    style = Style(colormap, alpha, panel, max_size, quality, signed, min_size)
    if only:
        check_only(only, source, overlays=not no_overlays)
    classifier = load(network, quiet=quiet)

    from camcli.batch.engine import keep_big_blocks
    from camcli.batch.explain import make_explanation
    from camcli.batch.ray.engine import RayEngine
    from camcli.batch.run import Run
    from camcli.models.runtime.policy import with_runtime

    keep_big_blocks()  # before a runtime starts threads of its own
    where = network.chosen_layer(classifier)
    if where and not quiet:
        above(where)
    source = source.numbered(classifier.classes)
    if not quiet:
        tell_notes(source, told=told)
    classifier = with_runtime(
        classifier, runtime, precision=precision, images=source, passes=how.passes(classifier),
        warn=warn, say=(lambda _: None) if quiet else above,
    )  # fmt: skip
    what = make_explanation(classifier, how, target=target, topk=topk, versus=versus)
    run = Run(
        source,
        classifier,
        what,
        directory,
        style,
        name_template,
        only=only,
        overlays=not no_overlays,
        batch_size=batch_size,
        workers=workers,
        isolate=isolate,
        labels=labels,
        engine=RayEngine(
            network.elsewhere().load,
            runtime,
            precision,
            address,
            gpus=device.startswith(("auto", "cuda")),
        )
        if engine == "ray"
        else None,
    )
    beside = [SHEET] if grid else []
    if table_format != "csv":
        beside.append(directory.csv.with_suffix(f".{table_format}").name)
    run.prepare(resume=resume, overwrite=overwrite, retry_failed=retry_failed, files=beside)
    if not quiet:
        above_resumed(run, retried=retry_failed)
    try:
        follow(run, quiet=quiet)
        if grid:
            from camcli.batch.contact_sheet import draw_sheet

            draw_sheet(run, grid)
    except (KeyboardInterrupt, Terminated) as stop:
        code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        fail(
            f"Stopped after {run.counts.done} images; they are kept in {out}. To go on: "
            f"{_resuming(sys.argv[1:])}",
            code,
        )
    if not quiet:
        summarize(run, out)
        if part:
            say(f"When all {part.of} shards are done: camcli merge {out}")
    warn_if_nothing_drawn(run)
    if report and run.counts.done:
        from camcli.cli.terminal.progress import TerminalListener
        from camcli.jobs.report import ReportJob
        from camcli.train.progress import Listener

        page = ReportJob([out]).run(Listener() if quiet else TerminalListener())
        if not quiet:
            say(f"Page: {page}")
    emit(export(run.directory.csv, table_format))
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
