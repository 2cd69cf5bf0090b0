"""``camcli concepts``: what a network takes images to be made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.output_paths import (
    listed,
    picture_files,
    refuse_existing,
    refuse_file,
    refuse_inputs,
    write_picture,
)
from camcli.cli.terminal.console import SOME_FAILED, emit_json, failed, say, slow
from camcli.errors import UsageError, of_image, stage

if TYPE_CHECKING:
    from camcli.batch.concepts import Concept, Found
    from camcli.render.style import Style


def concepts(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, or quoted globs such as 'photos/*.jpg'.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A folder for the pictures.", rich_help_panel=o.RUN),
    ] = Path("concepts"),
    number: Annotated[
        int,
        typer.Option(
            "--number",
            "-n",
            help="How many concepts, 1 to 8, for all images together.",
            min=1,
            max=8,
            rich_help_panel=o.TARGET,
        ),
    ] = 5,
    layer: o.Layer = "last",
    model: o.Model = "efficientnet_lite0",
    checkpoint: o.Checkpoint = None,
    weights: o.Weights = None,
    weights_key: o.WeightsKey = None,
    classes: o.Classes = None,
    fit: o.FitOption = None,
    input_size: o.InputSize = None,
    output: o.OutputOption = "auto",
    device: o.Device = "auto",
    offline: o.Offline = False,
    alpha: o.Alpha = 0.6,
    max_size: o.MaxSize = None,
    quality: o.Quality = 90,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel=o.RUN),
    ] = False,
    overwrite: o.OverwritePictures = False,
) -> None:
    """Show the parts that images have in common for the network, and what they speak for.

    The features of all images are written as sums of a few concepts that nobody named (deep
    feature factorization, Collins 2018, arXiv 1806.10206). Each place gets the colour of its
    strongest concept; the same colour is the same concept in every picture. With each concept
    come the classes whose score it raises most, on its own: +3.1 is 3.1 above the mean class.

    camcli concepts cat.jpg dog.jpg --number 4

    camcli concepts 'photos/*.jpg' --model resnet50 --layer layer3
    """
    from camcli.cli.load_model import load
    from camcli.data.sources.find import find_images
    from camcli.jobs.model import ModelJob
    from camcli.render.style import Style

    if "," in layer:
        raise UsageError("Concepts are found at one layer: give --layer one name.")
    style = Style(alpha=alpha, max_size=max_size, quality=quality)
    network = ModelJob(
        model=model, checkpoint=checkpoint, weights=weights, weights_key=weights_key,
        classes=classes, fit=fit, input_size=input_size, output=output,
        layer=layer, device=device, offline=offline,
    )  # fmt: skip
    network.check()
    with slow("Looking for images ..."):
        refs = listed(find_images(images))
    refuse_file(out)
    files = picture_files([ref.rel for ref in refs], out, "concepts")
    refuse_inputs(files, [ref.path for ref in refs])
    if not overwrite:
        for file in files:
            refuse_existing(file)
    classifier = load(network)

    from camcli.batch.concepts import find_concepts

    found = find_concepts(refs, classifier, number)
    failures = [image for image in found.images if image.maps is None]
    for image in failures:
        failed(image.result.error)
    written, undrawn = _write(found, files, style)
    for error in undrawn.values():
        failed(error)
    if as_json:
        emit_json(_record(found, classifier.layer, written, undrawn))
    elif written:
        _table(found, classifier.layer)
        say(f"{len(written)} pictures in {out}.")
    if count := len(failures) + len(undrawn):
        say(f"{count} of {len(refs)} images failed.")
        raise typer.Exit(SOME_FAILED)


def _write(found: Found, files: list[Path], style: Style) -> tuple[dict[str, Path], dict[str, str]]:
    """Draw and write; the pictures by image, and what went wrong with others."""
    from camcli.data.decode.images import load_image, printable
    from camcli.render.concepts import draw_concepts
    from camcli.render.picture import encode_jpeg
    from camcli.render.sizes import drawable, shrink

    words = [_words(concept) for concept in found.concepts]
    written, undrawn = {}, {}
    for image, file in zip(found.images, files, strict=True):
        if image.maps is None:
            continue
        try:
            with stage("draw"):
                rgb = drawable(shrink(load_image(image.result.ref), style.max_size))
                picture = draw_concepts(rgb, image.result, image.maps, words, alpha=style.alpha)
            with stage("encode"):
                data = encode_jpeg(picture, style.quality)
            with stage("write"):
                write_picture(file, data)
        except Exception as error:
            name = printable(image.result.ref.path)
            undrawn[image.result.ref.rel] = str(of_image(error, name))
        else:
            written[image.result.ref.rel] = file
    return written, undrawn


def _words(concept: Concept) -> str:
    return ", ".join(f"{name} {value:+.1f}" for name, value in concept.classes)


def _record(
    found: Found, layer: str, written: dict[str, Path], undrawn: dict[str, str]
) -> dict[str, object]:
    files = {rel: str(path) for rel, path in written.items()}
    return {
        "layer": layer,
        "explained": found.explained,
        "concepts": [
            {
                "strength": concept.strength,
                "classes": [{"class": name, "score": value} for name, value in concept.classes],
            }
            for concept in found.concepts
        ],
        "images": [
            {
                "path": str(image.result.ref.path),
                "error": image.result.error or undrawn.get(image.result.ref.rel),
                "pred": image.result.pred,
                "prob": image.result.prob,
                "shares": image.shares,
                "file": files.get(image.result.ref.rel),
            }
            for image in found.images
        ],
    }


def _table(found: Found, layer: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from camcli.cli.terminal.console import tables

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Concept", justify="right")
    table.add_column("Strength", justify="right")
    table.add_column("Speaks for")
    from camcli.render.concepts import COLOURS

    for number, concept in enumerate(found.concepts):
        r, g, b = COLOURS[number]
        name = Text("■ ", f"rgb({r},{g},{b})").append(str(number + 1), "default")
        table.add_row(name, f"{concept.strength:.0%}", Text(_words(concept)))
    console = tables()
    console.print(table)
    console.print(
        f"{len(found.concepts)} concepts explain {found.explained:.0%} of the features at {layer}."
    )
