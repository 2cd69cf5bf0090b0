"""``camcli concepts``: what a network takes images to be made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import load_model
from camcli.cli import options as o
from camcli.cli.terminal.console import SOME_FAILED, emit_json, failed, say
from camcli.cli.terminal.progress import TerminalListener
from camcli.jobs.concepts import MOST, ConceptsJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.printable import counted, percent

if TYPE_CHECKING:
    from camcli.jobs.concepts import ConceptPictures

N, C = ModelJob(), ConceptsJob(())


def concepts(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, or quoted globs such as 'photos/*.jpg'.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A folder for the pictures, and for concepts.csv: what each concept speaks for.",
            rich_help_panel=o.RUN,
        ),
    ] = Path("concepts"),
    number: Annotated[
        int,
        typer.Option(
            "--number",
            "-n",
            help="How many concepts, 1 to 8, for all images together.",
            min=1,
            max=MOST,
            rich_help_panel=o.TARGET,
        ),
    ] = C.number,
    layer: o.LayerOption = N.layer,
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
    device: o.Device = N.device,
    offline: o.Offline = N.offline,
    alpha: o.Alpha = C.alpha,
    max_size: o.MaxSize = C.max_size,
    quality: o.Quality = C.quality,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel=o.RUN),
    ] = False,
    overwrite: o.OverwritePictures = C.overwrite,
) -> None:
    """Show the parts that images have in common for the network, and what they speak for.

    The features of all images are written as sums of a few concepts that nobody named (deep
    feature factorization, Collins 2018, arXiv 1806.10206). Each place gets the colour of its
    strongest concept; the same colour is the same concept in every picture. With each concept
    come the classes whose score it raises most, on its own: +3.1 is 3.1 above the mean class.

    camcli concepts cat.jpg dog.jpg --number 4

    camcli concepts 'photos/*.jpg' --model resnet50 --layer layer3
    """
    options = locals()
    job = filled(ConceptsJob, options, network=filled(ModelJob, options))
    job.check()
    found = job.find(TerminalListener())
    made = job.run(found, load_model.load(job.network))
    for error in made.errors:
        failed(error)
    if as_json:
        emit_json(_record(made))
    elif made.written:
        _table(made)
        more = f", and {made.table.name}" if made.table else ""
        say(f"{counted(len(made.written), 'picture')}{more} in {out}.")
    if made.errors:
        say(f"{len(made.errors)} of {counted(len(made.found.images), 'image')} failed.")
        raise typer.Exit(SOME_FAILED)


def _record(made: ConceptPictures) -> dict[str, object]:
    found, undrawn = made.found, made.undrawn
    files = {rel: str(path) for rel, path in made.written.items()}
    return {
        "layer": made.layer,
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


def _table(made: ConceptPictures) -> None:
    from rich.table import Table
    from rich.text import Text

    from camcli.cli.terminal.console import tables

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Concept", justify="right")
    table.add_column("Strength", justify="right")
    table.add_column("Speaks for")
    from camcli.render.concepts import COLOURS

    for number, concept in enumerate(made.found.concepts):
        r, g, b = COLOURS[number]
        name = Text("■ ", f"rgb({r},{g},{b})").append(str(number + 1), "default")
        table.add_row(name, percent(concept.strength), Text(concept.words()))
    console = tables()
    console.print(table)
    count = len(made.found.concepts)
    console.print(
        f"{counted(count, 'concept')} {'explains' if count == 1 else 'explain'} "
        f"{percent(made.found.explained)} of the features "
        f"at {made.layer}."
    )
