"""``camcli evaluate``: methods and networks side by side, against boxes, masks and the network."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from camcli.cli import options as o
from camcli.cli.evaluate_networks import find_methods, find_subjects
from camcli.cli.evaluate_session import ask_all, check_labels, find_truths, questions
from camcli.cli.output_paths import listed, tell_notes
from camcli.cli.terminal.console import SOME_FAILED, emit, failed, say, slow, tables
from camcli.errors import UsageError

TRUTH, ASK = "Annotations", "Questions"


class Scale(StrEnum):
    """How a map becomes scores."""

    relu = "relu"
    minmax = "minmax"


class Format(StrEnum):
    """What is printed."""

    table = "table"
    csv = "csv"
    markdown = "markdown"


def _read_config(ctx: typer.Context, file: Path | None) -> Path | None:
    """Take the file's ``[evaluate]`` table as this command's defaults."""
    if file is not None:
        from camcli.train.config import EVALUATE, read_toml

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
            "of the features that means nothing, is always added. Default: cam, or the preset's.",
            show_default=False,
            rich_help_panel=o.TARGET,
        ),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            help="Networks with commas between: names as for --model, or checkpoints of "
            "'camcli train'.",
            rich_help_panel=o.MODEL,
        ),
    ] = "efficientnet_lite0",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            help="Weights for a network that --models names, as for batch; with several "
            "networks once for each, in order.",
            show_default=False,
            rich_help_panel=o.MODEL,
        ),
    ] = None,
    weights_key: o.WeightsKey = None,
    classes: o.Classes = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="localize: input size, fit and smoothing that find boxes best.",
            rich_help_panel=o.TARGET,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            help="A folder of Pascal VOC .xml files, a COCO .json, a .csv (path,x0,y0,x1,y1) or "
            "wsolevaluation's localization.txt.",
            rich_help_panel=TRUTH,
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="A folder of mask pictures with the photographs' relative paths; any value but "
            "0 is the object.",
            rich_help_panel=TRUTH,
        ),
    ] = None,
    trimap: Annotated[
        bool,
        typer.Option(
            "--trimap",
            help="The masks are trimaps: 1 object, 2 background, 3 ignored.",
            rich_help_panel=TRUTH,
        ),
    ] = False,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from: auto, folder, prefix, none, or a regular expression "
            "for the relative path whose first group is the label.",
            rich_help_panel=TRUTH,
        ),
    ] = "auto",
    faithfulness: Annotated[
        bool,
        typer.Option(
            "--faithfulness",
            help="Also ask the network again without what each map shows: deletion, insertion, "
            "ROAD, average drop, infidelity, max-sensitivity; about 90 passes a map.",
            rich_help_panel=ASK,
        ),
    ] = False,
    sanity: Annotated[
        bool,
        typer.Option(
            "--sanity",
            help="Also randomise the network from its head down and compare the maps; and, where "
            "there are labels, those of heads that learned true and shuffled labels.",
            rich_help_panel=ASK,
        ),
    ] = False,
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
    ] = None,
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
    ] = None,
    scale: Annotated[
        Scale | None,
        typer.Option(
            "--scale",
            help="How a map becomes scores. relu: as it is drawn, negative evidence is 0; "
            "minmax: stretched from its minimum to its maximum, as wsolevaluation does. "
            "Default: relu, or the preset's.",
            show_default=False,
            rich_help_panel=ASK,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            help="Share of a map's maximum above which tpr and fpr take a pixel as found.",
            rich_help_panel=ASK,
        ),
    ] = 0.5,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            min=0,
            help="How many pixels of the photograph the maximum may miss the object by in the "
            "pointing game.",
            rich_help_panel=ASK,
        ),
    ] = 15,
    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap",
            min=0,
            max=100_000,
            help="Sets drawn for the 95% intervals; 0 for none.",
            rich_help_panel=ASK,
        ),
    ] = 500,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="Only the first so many photographs.", rich_help_panel=o.RUN
        ),
    ] = None,
    smooth: Annotated[
        str | None,
        typer.Option(
            "--smooth", help="aug, noise or eigen, as for batch.", rich_help_panel=o.TARGET
        ),
    ] = None,
    converge: o.Converge = None,
    layer: o.Layer = "last",
    fit: o.FitOption = None,
    input_size: o.InputSize = None,
    output: o.OutputOption = "auto",
    device: o.Device = "auto",
    offline: o.Offline = False,
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
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace earlier results in --out.", rich_help_panel=o.RUN
        ),
    ] = False,
    as_format: Annotated[
        Format,
        typer.Option("--format", help="What is printed on stdout.", rich_help_panel=o.RUN),
    ] = Format.table,
) -> None:
    """Compare methods and networks: does the heat hit the object, does it tell the truth?

    camcli evaluate photos --boxes annotations --methods cam,layercam,scorecam

    camcli evaluate photos --masks masks --models resnet50,mine.safetensors --out results

    camcli evaluate photos --grid 2 --faithfulness --limit 50

    A centred box, a centre Gaussian, noise and randomly weighted features are always in the
    table: a map that does not beat them shows nothing.
    """
    from camcli.data.sources.find import find_images
    from camcli.evaluate.comparison.presets import find_preset
    from camcli.evaluate.comparison.result_files import check_out

    named = find_preset(preset) if preset else None
    scale_name = scale.value if scale else named.scale if named else "relu"
    smooth = smooth or (named.smooth if named else None)
    chosen_fit = fit or (named.fit if named else None)
    input_size = input_size or (named.input_size if named else None)
    # A file's setting is for the methods that it is about; on the command line it must have one.
    source = ctx.get_parameter_source("converge")
    asked = source is not None and source.name != "DEFAULT_MAP"
    hows = find_methods(methods or (named.method if named else "cam"), smooth, converge, asked)
    subjects = find_subjects(
        models, weights or (), classes=classes, device=device, offline=offline, fit=chosen_fit,
        input_size=input_size, layer=layer, weights_key=weights_key,
        output=output,
    )  # fmt: skip
    if not (boxes or masks or grid or faithfulness or sanity or labels != "none"):
        raise UsageError("Nothing to measure: give --boxes, --masks, --grid, or --faithfulness.")
    if out:
        check_out(out, overwrite=overwrite)
    if not 0 <= threshold < 1:
        raise UsageError("--threshold must be at least 0 and below 1.")
    with slow("Looking for photographs ..."):
        photographs = find_images(data, limit=limit, labels=labels)
        refs = listed(photographs)
    tell_notes(photographs)
    truths = find_truths(refs, boxes=boxes, masks=masks, trimap=trimap)
    if not (boxes or masks or grid or faithfulness or sanity):
        check_labels(refs, subjects, named=photographs.renamed)
    say(f"{len(refs)} photographs, {len(subjects)} networks.")  # before seconds of silence

    from camcli.evaluate.comparison import table
    from camcli.evaluate.comparison.terminal import show

    ask = questions(
        truths, scale=scale_name, threshold=threshold, tolerance=tolerance,
        faithfulness=faithfulness, grid=tuple(dict.fromkeys(grid or ())),
        grid_confidence=0.9 if confidence is None else confidence, repeats=bootstrap,
    )  # fmt: skip
    found = ask_all(
        subjects, refs, hows, ask, confidence=confidence, sanity=sanity, named=photographs.renamed
    )
    record = {
        "data": data, "photographs": len(refs), "unreadable": sorted(found.failures),
        "settings": {
            "fit": chosen_fit, "input_size": input_size, "layer": layer, "smooth": smooth,
            **({} if output == "auto" else {"output": output}),
            "converge": converge, "scale": scale_name, "threshold": threshold,
            "tolerance": tolerance, "preset": preset,
        },
        "predictions": found.predictions, "random_labels": found.learned,
    }  # fmt: skip
    if out:
        say(f"Wrote {table.save(out, found.rows, found.checks, record)} to {out}.")
    if as_format is Format.csv:
        emit(table.csv_text([*found.rows, *found.checks]), end="")
    elif as_format is Format.markdown:
        emit(table.report(found.rows, found.checks, found.predictions), end="")
    else:
        show(found.rows, found.checks, found.predictions, found.learned, tables())
    for failure in sorted(found.failures):
        failed(failure)
    if found.failures:
        raise typer.Exit(SOME_FAILED)
