"""``camcli evaluate``: methods and networks side by side, against boxes, masks and the network."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import typer

from camcli.cli import options as o
from camcli.cli.terminal.console import FATAL, SOME_FAILED, emit, fail, failed, tables
from camcli.cli.terminal.progress import TerminalListener
from camcli.errors import UsageError
from camcli.evaluate.comparison.result.result import EvaluationResult
from camcli.evaluate.measured.map_scaling import MapScaling
from camcli.jobs.evaluate import MOST_DRAWS, EvaluateJob
from camcli.jobs.record import filled

TRUTH, ASK = "Annotations", "Questions"
E = EvaluateJob("")


def _read_config(ctx: typer.Context, file: Path | None) -> Path | None:
    """Take the file's ``[evaluate]`` table as this command's defaults."""
    if file is not None:
        from camcli.train.config_file import EVALUATE, read_toml

        values = read_toml(file).get(EVALUATE)
        if not isinstance(values, dict):
            raise UsageError(f"{file} has no table [{EVALUATE}].")
        values = {key.replace("-", "_"): value for key, value in values.items()}
        known = {param.opts[0].lstrip("-").replace("-", "_"): str(param.name)
                 for param in ctx.command.params}  # fmt: skip
        for key in values:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
                raise UsageError(f"{file}: there is no setting {key!r} of evaluate; {hint}")
        ctx.default_map = {known[key]: value for key, value in values.items()}
    return file


def evaluate(
    ctx: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A folder, a quoted glob or @list.txt of photographs. Labels that name the "
            "network's classes say which class is explained; else it is the predicted one.",
            show_default=False,
        ),
    ],
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods with commas between; 'camcli methods' lists them. random, a weighting "
            "of the features that means nothing, is always added. Default: auto, the one that "
            "suits the network, or the preset's; of a --suite auto,layercam,eigencam, and attnlrp "
            "where auto follows attention.",
            show_default=False,
            rich_help_panel=o.TARGET,
        ),
    ] = E.methods,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            help="Networks with commas between: names as for --model, or checkpoints of "
            "'camcli train'.",
            rich_help_panel=o.MODEL,
        ),
    ] = E.models,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            help="Weights for a network that --models names, as for batch; with several "
            "networks once for each, in order.",
            show_default=False,
            rich_help_panel=o.MODEL,
        ),
    ] = E.weights,
    weights_key: o.WeightsKey = E.weights_key,
    classes: o.Classes = E.classes,
    preset: o.PresetOption = E.preset,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            help="A folder of Pascal VOC .xml files, a COCO .json, a .csv (path,x0,y0,x1,y1) or "
            "wsolevaluation's localization.txt.",
            rich_help_panel=TRUTH,
        ),
    ] = E.boxes,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="A folder of mask pictures with the photographs' relative paths; any value but "
            "0 is the object.",
            rich_help_panel=TRUTH,
        ),
    ] = E.masks,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="Boxes of a few photographs, in any form that --boxes takes: choose by them from "
            "which share of its maximum on a map is inside its box. --boxes then measures it on "
            "the other photographs.",
            show_default=False,
            rich_help_panel=TRUTH,
        ),
    ] = E.calibrate,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help="Keep what --calibrate chose, in a new FILE.toml for --box-threshold, or in "
            "FILE.safetensors, a copy of the checkpoint.",
            metavar="FILE",
            show_default=False,
            rich_help_panel=TRUTH,
        ),
    ] = E.store,
    box_threshold: o.BoxThresholdOption = None,
    trimap: Annotated[
        bool,
        typer.Option(
            "--trimap",
            help="The masks are trimaps: 1 object, 2 background, 3 ignored.",
            rich_help_panel=TRUTH,
        ),
    ] = E.trimap,
    parts: Annotated[
        Path | None,
        typer.Option(
            "--parts",
            help="A folder of 'camcli data synthetic --parts', or FunnyBirds: the photographs are "
            "its test scenes, and maps are measured by what the network loses without each part.",
            rich_help_panel=TRUTH,
        ),
    ] = E.parts,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from: auto, folder, prefix, index, imagefolder, none, or a "
            "regular expression for the relative path whose first group is the label; see 'camcli "
            "batch --help'.",
            rich_help_panel=TRUTH,
        ),
    ] = E.labels,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            help="A set of questions, after which it is said in words which method to use. quick: "
            "photographs without each of 16 patches (20 passes a photograph); standard: also "
            "--faithfulness, and --grid 2 where it can be played; full: also F-Fidelity and "
            "--sanity. How long it will take is told first.",
            metavar="quick|standard|full",
            show_default=False,
            rich_help_panel=ASK,
        ),
    ] = E.suite,
    faithfulness: Annotated[
        bool,
        typer.Option(
            "--faithfulness",
            help="Also ask the network again without what each map shows: deletion, insertion, "
            "ROAD, average drop, ADCC, ARCC, infidelity, max-sensitivity, single patches; about 90 "
            "passes a map.",
            rich_help_panel=ASK,
        ),
    ] = E.faithfulness,
    sanity: Annotated[
        bool,
        typer.Option(
            "--sanity",
            help="Also randomise the network from its head down and compare the maps; and, where "
            "there are labels, those of heads that learned true and shuffled labels.",
            rich_help_panel=ASK,
        ),
    ] = E.sanity,
    grid: Annotated[
        list[int] | None,
        typer.Option(
            "--grid",
            min=2,
            max=3,
            help="Also play the grid pointing game with mosaics of 2x2 or 3x3 photographs; it "
            "needs no annotations. May be given twice.",
            show_default=False,
            rich_help_panel=ASK,
        ),
    ] = E.grid,
    confidence: Annotated[
        float | None,
        typer.Option(
            "--confidence",
            min=0,
            max=1,
            help="Also say how accurate the predictions of at least this probability are; the "
            "grid takes photographs above it (by default 0.9).",
            rich_help_panel=ASK,
        ),
    ] = E.confidence,
    scale: Annotated[
        MapScaling | None,
        typer.Option(
            "--scale",
            help="How a map becomes scores. relu: as it is drawn, negative evidence is 0; "
            "minmax: stretched from its minimum to its maximum, as wsolevaluation does. "
            "Default: relu, or the preset's.",
            show_default=False,
            rich_help_panel=ASK,
        ),
    ] = E.scale,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            help="Share of a map's maximum above which tpr and fpr take a pixel as found. That of "
            "labels is --label-threshold.",
            rich_help_panel=ASK,
        ),
    ] = E.threshold,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            min=0,
            help="How many pixels of the photograph the maximum may miss the object by in the "
            "pointing game.",
            rich_help_panel=ASK,
        ),
    ] = E.tolerance,
    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap",
            min=0,
            max=MOST_DRAWS,
            help="Sets drawn for the 95% intervals; 0 for none.",
            rich_help_panel=ASK,
        ),
    ] = E.bootstrap,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="Only the first so many photographs.", rich_help_panel=o.RUN
        ),
    ] = E.limit,
    smooth: Annotated[
        str | None,
        typer.Option(
            "--smooth", help="aug, noise, eigen or views, as for batch.", rich_help_panel=o.TARGET
        ),
    ] = E.smooth,
    converge: o.Converge = E.converge,
    layer: o.LayerOption = E.layer,
    fit: o.FitOption = E.fit,
    input_size: o.InputSize = E.input_size,
    preprocess: o.PreprocessOption = E.preprocess,
    trust_pickle: o.TrustPickle = E.trust_pickle,
    output: o.OutputOption = E.output,
    label_threshold: Annotated[
        str | None,
        typer.Option(
            "--label-threshold",
            help="What --threshold of batch is: probability above which a label is predicted, or "
            "a CSV file of class and threshold. Default: the checkpoint's, or 0.5.",
            metavar="P|FILE",
            show_default=False,
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    device: o.Device = E.device,
    offline: o.Offline = E.offline,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="A TOML file whose table [evaluate] gives any of these options; what is on the "
            "command line wins.",
            show_default=False,
            is_eager=True,
            callback=_read_config,
            rich_help_panel=o.RUN,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder for results.csv, .md, .json, a chart and a confusion matrix.",
            show_default=False,
            rich_help_panel=o.RUN,
        ),
    ] = E.out,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace earlier results in --out.", rich_help_panel=o.RUN
        ),
    ] = E.overwrite,
    as_format: Annotated[
        Literal["table", "csv", "markdown"],
        typer.Option("--format", help="What is printed on stdout.", rich_help_panel=o.RUN),
    ] = "table",
) -> None:
    """Compare methods and networks: does the heat hit the object, does it tell the truth?

    camcli evaluate photos --suite quick

    camcli evaluate photos --boxes annotations --methods cam,layercam,scorecam

    camcli evaluate photos --masks masks --models resnet50,mine.safetensors --out results

    camcli evaluate photos --grid 2 --faithfulness --limit 50

    A centred box, a centre Gaussian, noise and randomly weighted features are always in the
    table: a map that does not beat them shows nothing.
    """
    job = filled(EvaluateJob, ctx.params)
    # A file's setting is for the methods that it is about; on the command line it must have one.
    source = ctx.get_parameter_source("converge")
    if source is not None and source.name == "DEFAULT_MAP" and not job.masks_channels:
        job = replace(job, converge=None)
    result = job.run(TerminalListener(), stopped=lambda result: _show(result, as_format))
    _show(result, as_format)
    for failure in result.unreadable:
        failed(failure)
    if result.lost:
        what = "one thing" if len(result.lost) == 1 else f"{len(result.lost)} things"
        fail(f"Not everything was measured and written: {what}, named above.", FATAL)
    if result.unreadable:
        raise typer.Exit(SOME_FAILED)


def _show(result: EvaluationResult, as_format: str) -> None:
    """Print what was found on stdout."""
    if as_format == "csv":
        emit(result.csv(), end="")
    elif as_format == "markdown":
        emit(result.markdown(), end="")
    else:
        result.show(tables())
