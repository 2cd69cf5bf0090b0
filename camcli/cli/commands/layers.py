"""``camcli layers``: what --layer takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.load_model import begin
from camcli.cli.terminal.console import emit_json, say
from camcli.jobs.layers import LayersJob
from camcli.printable import counted

if TYPE_CHECKING:
    from camcli.models.cutting.listing import Layer

L = LayersJob()


def layers(
    model: Annotated[
        str, typer.Argument(help="A model as --model takes it.", show_default=True)
    ] = L.model,
    checkpoint: o.CheckpointOption = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every layer with a map, also those inside of blocks."),
    ] = False,
    input_size: o.InputSize = L.input_size,
    preprocess: o.PreprocessOption = L.preprocess,
    trust_pickle: o.TrustPickle = L.trust_pickle,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list of all layers, for scripts.")
    ] = False,
) -> None:
    """List a network's layers that have maps: --layer takes their names.

    camcli layers resnet50

    camcli explain cat.jpg --model resnet50 --layer layer2,layer3,layer4 --fuse max
    """
    job = LayersJob(model, checkpoint, input_size, preprocess, trust_pickle)
    job.check()
    begin(job.network)
    found = job.run()
    if as_json:
        emit_json([asdict(layer) for layer in found.layers], indent=2)
        return
    shown = [layer for layer in found.layers if everything or layer.main]
    _print(shown, found.last, found.shape)
    if hidden := len(found.layers) - len(shown):
        say(f"{counted(hidden, 'layer')} inside of these: --all shows them.")


def _print(layers: list[Layer], last: str, shape: tuple[int, int, int]) -> None:
    from rich.table import Table

    from camcli.cli.terminal.console import tables

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Layer", style="bold", overflow="fold")
    table.add_column("Kind", style="dim")
    table.add_column("Channels", justify="right")
    table.add_column("Map", justify="right", no_wrap=True)
    for layer in layers:
        channels, height, width = layer.shape
        table.add_row(layer.name, layer.kind, str(channels), f"{height}x{width}")
    console = tables()
    console.print(table)
    channels, height, width = shape
    console.print(
        f"[bold]last[/], the default, is {last} ({channels} channels, {height}x{width}).",
        soft_wrap=True, highlight=False,
    )  # fmt: skip
