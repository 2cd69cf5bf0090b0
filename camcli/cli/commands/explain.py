"""``camcli explain``: one or a few images, looked at closely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.output_paths import (
    listed,
    name_of_asked,
    picture_files,
    refuse_existing,
    refuse_file,
    refuse_inputs,
    write_picture,
)
from camcli.cli.terminal.console import SOME_FAILED, emit_json, failed, say, slow, warn
from camcli.errors import UsageError, stage
from camcli.models.spec import BUNDLED

# Columns of a terminal that a table with bars needs.
_WIDE = 48

if TYPE_CHECKING:
    import numpy as np

    from camcli.cam.map_options import MapOptions
    from camcli.models.spec import OutputKind
    from camcli.render.style import Style
    from camcli.result import Result


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
            help="A folder for the pictures, or a .jpg or .png file for a single one. "
            "Default: NAME_METHOD.jpg in the current folder, and in its name what else was asked "
            "for: layer, classes, score ...",
            rich_help_panel=o.RUN,
            show_default=False,
        ),
    ] = None,
    method: o.Method = "gradcam",
    target: o.Target = None,
    topk: o.TopK = 1,
    topk_files: Annotated[
        bool,
        typer.Option(
            "--topk-files",
            help="With --topk: one picture for each class instead of one side by side.",
            rich_help_panel=o.LOOK,
        ),
    ] = False,
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
    runtime: o.RuntimeOption = "auto",
    offline: o.Offline = False,
    alpha: o.Alpha = 0.5,
    colormap: o.Colormap = "jet",
    signed: o.Signed = False,
    panel: o.Panel = False,
    max_size: o.MaxSize = None,
    min_size: o.MinSize = 300,
    quality: o.Quality = 90,
    save_raw: Annotated[
        bool,
        typer.Option(
            "--save-raw",
            help="Also write NAME.npz beside each picture: the signed, unscaled maps, their "
            "classes and the part of the photograph that they cover.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object a line and image on stdout instead of a table.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    overwrite: o.OverwritePictures = False,
) -> None:
    """Explain one image or a few: prediction, heatmap, annotated overlay.

    camcli explain cat.jpg

    camcli explain 'photos/*.jpg' --method layercam --panel --out explained

    camcli explain street.jpg --target 'traffic light' --json
    """
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
    check_layer(how, layer)
    check_runtime(runtime)
    check_picture(alpha, max_size, min_size, quality)
    network = ModelJob(
        model=model, checkpoint=checkpoint, weights=weights, weights_key=weights_key,
        classes=classes, fit=fit, input_size=input_size, output=output,
        native_predictions=native_predictions, layer=layer, device=device, offline=offline,
    )  # fmt: skip
    network.check()
    check_names(
        (target, versus), model=model, checkpoint=checkpoint, weights=weights, classes=classes
    )
    if signed:
        check_signed(how, layer)
    with slow("Looking for images ..."):
        source = find_images(images)
        refs = listed(source)
    from camcli.batch.overlay_writer import (
        Style,  # OpenCV and Pillow, a third of what a mistake costs
    )
    from camcli.data.decode.images import load_image

    style = Style(colormap, alpha, panel, max_size, quality, signed, min_size)
    single = out is not None and out.suffix.lower() in {".jpg", ".jpeg", ".png"}
    asked = name_of_asked(
        how.method.name, layer, target, versus,
        *_otherwise(how, model, checkpoint, weights),
        topk > 1 and not topk_files and f"top{topk}",
        fit, input_size and f"{input_size}px", native_predictions and "native",
        output != "auto" and output,
        signed and "signed", panel and "panel", colormap != "jet" and colormap,
    )  # fmt: skip
    files = _files([ref.rel for ref in refs], out, single, asked)
    refuse_inputs(files, [ref.path for ref in refs])
    if not overwrite and not (topk > 1 and topk_files):
        for file in files:
            refuse_existing(file)
    classifier = load(network)
    refs = source.renamed(refs, classifier.classes)

    from camcli.batch.engine import stream
    from camcli.batch.explain import failed as as_error
    from camcli.batch.explain import make_explanation
    from camcli.models.runtime.policy import with_runtime

    if where := network.chosen_layer(classifier):
        say(where)
    classifier = with_runtime(
        classifier, runtime, images=refs, passes=how.passes(classifier), warn=warn, say=say
    )
    what = make_explanation(classifier, how, target=target, topk=topk, versus=versus)
    failures = 0
    for file, result in zip(files, stream(refs, classifier, what, batch_size=8), strict=True):
        written: list[Path] = []
        try:
            if result.status != "error":
                with stage("decode"):
                    rgb = load_image(result.ref)
                with stage("draw"):
                    written = _draw(rgb, result, style, file, topk_files and topk > 1, overwrite)
                if save_raw:
                    with stage("write"):
                        written.append(_save_raw(result, file.with_suffix(".npz"), overwrite))
        except Exception as error:  # of this image; the next one may be well
            result, written = as_error(result.ref, error), []
        if result.status == "error":
            failures += 1
            failed(result.error)
        if as_json:
            emit_json(_record(result, written, what.how, classifier.output.kind))
        elif result.status != "error":
            _table(result, written, what.score, how.shortcut(), classifier.output.kind)
    if failures:
        say(f"{failures} of {len(refs)} images could not be explained.")
        raise typer.Exit(SOME_FAILED)


def _otherwise(
    how: MapOptions, model: str, checkpoint: Path | None, weights: str | None
) -> list[str]:
    """What was asked of the method and the network besides the usual, as words of a file name."""
    effort = how.effort
    return [
        *([] if model == BUNDLED else [model]),
        *(Path(name).stem for name in (checkpoint, weights) if name),
        *(str(word) for word in (how.score, how.smooth) if word),
        *([] if how.fuse == "mean" else [how.fuse]),
        *(["samples", str(effort.samples)] if "samples" in how.options() else []),
        *(["channels", str(effort.channels)] if effort.channels else []),
        *(["converge", f"{effort.converge:g}"] if effort.converge else []),
    ]


def _files(rels: list[str], out: Path | None, single: bool, asked: str) -> list[Path]:
    """Where each image's picture goes; two images never share a name."""
    if single and out is not None:
        if len(rels) > 1:
            raise UsageError(
                f"{len(rels)} images do not fit into the one file {out}: name a folder."
            )
        return [out]
    if out is not None:
        refuse_file(out)
    return picture_files(rels, out or Path(), asked)


def _draw(
    rgb: np.ndarray, result: Result, style: Style, file: Path, separate: bool, overwrite: bool
) -> list[Path]:
    from camcli.render.picture import encode_jpeg, encode_png
    from camcli.render.sizes import shrink

    small = shrink(rgb, style.max_size)
    jobs = [(file, result)]
    if separate:
        jobs = [
            (file.with_stem(f"{file.stem}_{rank}"), replace(result, heats=(heat,)))
            for rank, heat in enumerate(result.heats, 1)
        ]
    for path, one in jobs:
        if not overwrite:
            refuse_existing(path)
        picture = style.draw(small, one)
        png = path.suffix.lower() == ".png"
        with stage("encode"):
            data = encode_png(picture) if png else encode_jpeg(picture, style.quality)
        with stage("write"):
            write_picture(path, data)
    return [path for path, _ in jobs]


def _save_raw(result: Result, path: Path, overwrite: bool) -> Path:
    import io

    import numpy as np

    if not overwrite:
        refuse_existing(path)
    data = io.BytesIO()
    np.savez_compressed(
        data,
        heatmaps=np.stack([heat.heatmap for heat in result.heats]),
        targets=np.array([heat.index for heat in result.heats]),
        names=np.array([heat.target for heat in result.heats]),
        probs=np.array([heat.prob for heat in result.heats], np.float32),
        view=np.array(result.view, np.float32),
        size=np.array([result.width, result.height]),
        method=np.array(result.method),
        layer=np.array(result.layer),
    )
    write_picture(path, data.getvalue())
    return path


def _record(
    result: Result, written: list[Path], how: MapOptions, output: OutputKind
) -> dict[str, object]:
    labels = {"positives": _listed(result.positives)} if output == "sigmoid" else {}
    return {
        "path": str(result.ref.path),
        "status": result.status,
        "error": result.error,
        "pred": result.pred,
        "prob": result.prob,
        "top": _listed(result.top),
        **labels,
        **({} if output == "softmax" else {"output": output}),
        "method": result.method,
        "layer": result.layer,
        "options": how.options(),
        "width": result.width,
        "height": result.height,
        "view": result.view,
        "heats": [
            {
                "target": heat.target,
                "index": heat.index,
                "prob": heat.prob,
                "x": heat.x,
                "y": heat.y,
                "box": heat.box,
                "area": heat.area,
                "border": heat.border,
                "empty": heat.empty,
            }
            for heat in result.heats
        ],
        "files": [str(path) for path in written],
    }


def _listed(classes: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    return [{"class": name, "prob": prob} for name, prob in classes]


def _table(
    result: Result, written: list[Path], score: str, shortcut: str, output: OutputKind
) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from camcli.cli.terminal.console import tables

    console = tables()
    table = Table(title=escape(result.ref.rel), title_justify="left", title_style="bold", box=None)
    wide = console.width >= _WIDE  # the numbers must be there on any terminal
    table.add_column("", justify="right", style="dim")
    table.add_column("class", min_width=20 if wide else None, overflow="fold")
    table.add_column("probability" if wide else "prob", justify="right", no_wrap=True)
    if wide:
        table.add_column("", no_wrap=True)
    for rank, (name, prob) in enumerate(result.top, 1):
        bar = Text("━" * max(1, round(20 * prob)), style="green" if rank == 1 else "dim")
        table.add_row(str(rank), Text(name), f"{prob:.1%}", *([bar] if wide else []))
    console.print(table)
    if output == "sigmoid":
        above = ", ".join(f"{name} ({prob:.1%})" for name, prob in result.positives)
        console.print(f"  Above 50%: {escape(above) or 'no label'}.")
    about = f", approximated by {shortcut}" if shortcut else ""
    against = f" versus {result.versus}" if result.versus else ""
    for heat in result.heats:
        # The table above has the best classes; what is explained may be none of them.
        listed = any(name == heat.target for name, _ in result.top)
        likely = "" if listed else f" ({heat.prob:.1%})"
        named = escape(f"{heat.target}{likely}{against}")
        if heat.empty:
            hint = "" if score == "contrast" else "; try --score contrast"
            console.print(f"  No positive evidence for {named}{hint}.")
        elif heat.box:
            x0, y0, x1, y1 = heat.box
            console.print(
                f"  {named}: heat in x {x0}-{x1}, y {y0}-{y1} of "
                f"{result.width}x{result.height} pixels ({result.method} at {result.layer}{about})"
            )
    for path in written:
        console.print(f"  {escape(str(path))}", soft_wrap=True)
    console.print()
