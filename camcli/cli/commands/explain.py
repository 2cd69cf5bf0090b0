"""``camcli explain``: one or a few images, looked at closely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cam.method_facts import AUTO as AUTO_METHOD
from camcli.cam.method_facts import where
from camcli.cli import load_model
from camcli.cli import options as o
from camcli.cli.terminal.console import SOME_FAILED, emit_json, failed, say
from camcli.cli.terminal.progress import TerminalListener
from camcli.jobs.explain import ExplainJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.models.runtime.registry import AUTO
from camcli.printable import counted, percent, printable
from camcli.render.style import Style

if TYPE_CHECKING:
    from rich.console import Console

    from camcli.cam.map_options import MapOptions
    from camcli.jobs.explain import Explaining
    from camcli.models.classifier import Classifier
    from camcli.models.outputs import Output
    from camcli.result import Heat, Result

# Columns of a terminal that a table with bars needs.
_WIDE = 48
N, M, S, E = ModelJob(), MapJob(), Style(), ExplainJob(())


def explain(
    images: Annotated[
        list[str],
        typer.Argument(help="Images, or quoted globs such as 'photos/*.jpg'.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder for the pictures, or a .jpg, .png or .webp file for a single one. "
            "Default: NAME_METHOD.jpg in the current folder, and in its name what else was asked "
            "for: layer, classes, score ...",
            rich_help_panel=o.RUN,
            show_default=False,
        ),
    ] = None,
    method: o.MethodsOption = M.method,
    target: o.Target = None,
    topk: o.TopK = M.topk,
    topk_files: Annotated[
        bool,
        typer.Option(
            "--topk-files",
            help="With --topk: one picture for each class instead of one side by side.",
            rich_help_panel=o.LOOK,
        ),
    ] = E.topk_files,
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
    device: o.Device = N.device,
    runtime: o.RuntimeOption = AUTO,
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
    save_raw: Annotated[
        bool,
        typer.Option(
            "--save-raw",
            help="Also write NAME.npz beside each picture: the signed, unscaled maps, their "
            "classes and the part of the photograph that they cover.",
            rich_help_panel=o.RUN,
        ),
    ] = E.save_raw,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object a line and image on stdout instead of a table.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    overwrite: o.OverwritePictures = E.overwrite,
) -> None:
    """Explain one image or a few: prediction, heatmap, annotated overlay.

    camcli explain cat.jpg

    camcli explain 'photos/*.jpg' --method layercam --panel --out explained

    camcli explain cat.jpg --method cam,layercam,scorecam --converge 0.98

    camcli explain street.jpg --target 'traffic light' --json
    """
    options = locals()
    listener = TerminalListener()
    job = ExplainJob(
        images, filled(ModelJob, options), filled(MapJob, options), filled(Style, options),
        out=out or Path(), topk_files=topk_files, save_raw=save_raw, overwrite=overwrite,
        runtime=runtime,
    )  # fmt: skip
    job.check(listener)
    found = job.find(listener)
    with job.maps.blaming(job.network):
        classifier = load_model.load(job.network)
    explaining = job.start(found, classifier, listener)
    failures = 0
    for result, written in explaining:
        if result.status == "error":
            failures += 1
            failed(result.error)
        if as_json:
            emit_json(_record(result, written, explaining))
        elif result.status != "error":
            _table(result, written, explaining)
    if failures:
        say(f"{failures} of {counted(len(found.refs), 'image')} could not be explained.")
        raise typer.Exit(SOME_FAILED)


def _above(thresholds: tuple[float, ...] | None) -> str:
    """What labels were predicted by."""
    if thresholds is None:
        return "Above 50%"
    one = set(thresholds)
    return f"Above {thresholds[0]:.4g}" if len(one) == 1 else "Above their thresholds"


def _record(result: Result, written: list[Path], explaining: Explaining) -> dict[str, object]:
    classifier = explaining.classifier
    output = classifier.output
    return {
        "path": str(result.ref.path),
        "status": result.status,
        "error": result.error,
        **_said(result, classifier),
        **({} if output.kind == "softmax" else {"output": output.kind}),
        "method": result.method,
        **_asked(explaining.what.how),
        "layer": result.layer,
        **({} if result.score is None else {"score": result.score}),
        "options": explaining.what.how.options(),
        "width": result.width,
        "height": result.height,
        "view": result.view,
        "heats": _heats(result, output),
        **({"beside": _beside(result, explaining)} if explaining.what.beside else {}),
        "files": [str(path) for path in written],
    }


def _asked(how: MapOptions) -> dict[str, object]:
    """What was asked where the method was left to camcli, and why it is this one."""
    return {"asked": AUTO_METHOD.name, "chosen": how.chosen} if how.chosen else {}


def _heats(result: Result, output: Output) -> list[dict[str, object]]:
    return [
        {
            "target": heat.target,
            "index": heat.index,
            **({"value": heat.value} if output.measures else {"prob": heat.prob}),
            "x": heat.x,
            "y": heat.y,
            "box": heat.box,
            "area": heat.area,
            "border": heat.border,
            "empty": heat.empty,
        }
        for heat in result.heats
    ]


def _beside(result: Result, explaining: Explaining) -> list[dict[str, object]]:
    """What the other methods say, and how like the first one's each of their maps is."""
    from camcli.cam.postprocess import likeness

    return [
        {
            "status": other.status,
            "error": other.error,
            "method": other.method,
            **_asked(how),
            "layer": other.layer,
            **({} if other.score is None else {"score": other.score}),
            "options": how.options(),
            "like_first": [
                likeness(one.heatmap, heat.heatmap)
                for one, heat in zip(result.heats, other.heats, strict=False)  # none of an error
            ],
            "heats": _heats(other, explaining.classifier.output),
        }
        for other, how in zip(result.beside, explaining.what.beside, strict=False)
    ]


def _said(result: Result, classifier: Classifier) -> dict[str, object]:
    """What the network said, in the words of what it returns."""
    if classifier.output.measures:
        values = zip(classifier.classes, result.numbers, strict=False)  # none of a failed image
        return {
            "pred": None,
            "prob": None,
            "top": [],
            "value": result.value,
            "values": [{"name": name, "value": value} for name, value in values],
        }
    labels = {"positives": _listed(result.positives)} if classifier.output.multi_label else {}
    return {
        "pred": result.pred,
        "prob": result.prob,
        "top": _listed(result.top),
        **labels,
    }


def _listed(classes: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    return [{"class": name, "prob": prob} for name, prob in classes]


def _table(result: Result, written: list[Path], explaining: Explaining) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from camcli.cam.method_facts import of_no_class
    from camcli.cam.postprocess import hottest
    from camcli.cli.terminal.console import tables
    from camcli.models.reference.compared import references_of
    from camcli.render.verdict import number

    console = tables()
    # A title of the table would be folded to the table's width.
    console.print(Text(printable(result.ref.rel), "bold"), soft_wrap=True)
    table = Table(box=None)
    wide = console.width >= _WIDE  # the numbers must be there on any terminal
    output = explaining.classifier.output
    if output.measures:
        # One that has no name is called a value already.
        table.show_header = explaining.classifier.classes != ("value",)
        table.add_column("value of", min_width=20 if wide else None, overflow="fold")
        table.add_column("", justify="right", no_wrap=True)
        for name, value in zip(explaining.classifier.classes, result.numbers, strict=True):
            table.add_row(Text(name), number(value))
    else:
        table.add_column("", justify="right", style="dim")
        table.add_column("class", min_width=20 if wide else None, overflow="fold")
        table.add_column("probability" if wide else "prob", justify="right", no_wrap=True)
        if wide:
            table.add_column("", no_wrap=True)
        predicted = {name for name, _ in result.positives or result.top[:1]}
        for rank, (name, prob) in enumerate(result.top, 1):
            bar = Text(
                "━" * max(1, round(20 * prob)), style="green" if name in predicted else "dim"
            )
            table.add_row(str(rank), Text(name), percent(prob, 1), *([bar] if wide else []))
    console.print(table)
    if (references := references_of(explaining.classifier)) and len(result.numbers) > 1:
        console.print(f"  {escape(references.told(result.numbers[1]))}")
    if output.multi_label:
        above = ", ".join(f"{name} ({percent(prob, 1)})" for name, prob in result.positives)
        console.print(f"  {_above(output.thresholds)}: {escape(above) or 'no label'}.")
    if result.beside:
        _methods(result, explaining, console)
        for path in written:
            console.print(f"  {escape(str(path))}", soft_wrap=True)
        console.print()
        return
    shortcut = explaining.what.how.shortcut()
    about = f", approximated by {shortcut}" if shortcut else ""
    against = f" versus {result.versus}" if result.versus else ""
    for heat in result.heats[: 1 if of_no_class(result.method) else None]:
        if of_no_class(result.method):
            console.print(f"  {_of_no_class(result, heat)}")
            continue
        # The table above has the best classes; what is explained may be none of them.
        listed = heat.prob is None or any(name == heat.target for name, _ in result.top)
        likely = "" if listed or heat.prob is None else f" ({percent(heat.prob, 1)})"
        named = escape(f"{heat.target}{likely}{against}")
        if heat.empty:
            if output.measures:
                console.print(f"  Nothing raises {named}.")
                continue
            hint = "" if result.score == "contrast" else "; try --score contrast"
            console.print(f"  No positive evidence for {named}{hint}.")
        elif heat.box:
            x0, y0, x1, y1 = heat.box
            way = f"{result.method} at {where(result.layer or '')}{about}"
            most = ""
            if references and result.view:
                # Of a difference nearly everything is warm: a box says little.
                x, y = hottest(heat.heatmap, result.view)
                most = f"most at x {x:.0f}, y {y:.0f}, "
            console.print(
                f"  {named}: {most}heat in x {x0}-{x1}, y {y0}-{y1} of "
                f"{result.width}x{result.height} pixels ({way})"
            )
    for path in written:
        console.print(f"  {escape(str(path))}", soft_wrap=True)
    console.print()


def _of_no_class(result: Result, heat: Heat) -> str:
    """What a map says that is the same for every class."""
    from camcli.cam.method_facts import TRAINED, where
    from camcli.render.verdict import nothing

    way = f"({result.method} at {where(result.layer or '')})"
    if heat.empty or not heat.box:
        return f"{nothing(heat, result.method).capitalize()} {way}."
    x0, y0, x1, y1 = heat.box
    what = "Like what was boxed" if result.method == TRAINED.name else "Heat, whatever the class"
    return f"{what}: x {x0}-{x1}, y {y0}-{y1} of {result.width}x{result.height} pixels {way}"


def _methods(result: Result, explaining: Explaining, console: Console) -> None:
    """Where each of several methods finds the heat, and how like the first one each is."""
    from rich.table import Table
    from rich.text import Text

    from camcli.cam.method_facts import of_no_class
    from camcli.render.method_grid import like
    from camcli.render.verdict import nothing

    none = all(of_no_class(other.method) for other in (result, *result.beside))
    wide = console.width >= _WIDE
    for rank, heat in enumerate(result.heats[: 1 if none else None]):
        against = next((one.versus for one in (result, *result.beside) if one.versus), None)
        of = "" if none else f" of {heat.target}{f' versus {against}' if against else ''}"
        title = Text(f"Where the heat{of} is")
        title.append(f", of {result.width}x{result.height} pixels", "dim")
        console.print(Text("  ") + title)
        # Narrow terminals have the likeness on a line of its own.
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        ways = zip((result, *result.beside), explaining.what.alone(), strict=False)
        for other, what in ways:
            words = []
            if other.status == "error":
                words.append(Text(str(other.error), "red"))
            elif other.heats[rank].empty or not (box := other.heats[rank].box):
                words.append(Text(nothing(other.heats[rank], other.method), "yellow"))
            else:
                words.append(Text(f"x {box[0]}-{box[2]}, y {box[1]}-{box[3]}"))
            if compared := like(result, other, rank):
                words.append(Text(compared, "dim"))
            if of_no_class(other.method):
                words.append(Text("looks at no class", "dim"))
            if shortcut := what.how.shortcut():
                words.append(Text(f"approximated by {shortcut}", "dim"))
            table.add_row(f"  {other.method}", Text("  " if wide else "\n").join(words))
        console.print(table)
