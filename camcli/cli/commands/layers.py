"""``camcli layers``: what --layer takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.terminal.console import emit_json, say
from camcli.cli.terminal.process import importing

if TYPE_CHECKING:
    from camcli.models.cutting.cut import Layer


def layers(
    model: Annotated[
        str, typer.Argument(help="A model as --model takes it.", show_default=True)
    ] = "efficientnet_lite0",
    checkpoint: o.CheckpointOption = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every layer with a map, also those inside of blocks."),
    ] = False,
    input_size: o.InputSize = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list of all layers, for scripts.")
    ] = False,
) -> None:
    """List a network's layers that have maps: --layer takes their names.

    camcli layers resnet50

    camcli explain cat.jpg --model resnet50 --layer layer2,layer3,layer4 --fuse max
    """
    from camcli.jobs.model import ModelJob
    from camcli.models.spec import is_own_code

    network = ModelJob(model, checkpoint, input_size=input_size)
    network.check()
    say(f"Loading {network.called} ...")

    with importing():
        from camcli.models.cutting.cut import cut, list_layers
        from camcli.models.loading.zoo import build_model

    if checkpoint is not None:
        from camcli.models.classifier import buildable
        from camcli.models.loading.checkpoint import load_checkpoint

        model = buildable(load_checkpoint(checkpoint), checkpoint, model)
    # Weights do not matter here, and need not be on this machine. A user's factory has its own.
    built = build_model(
        model, weights=None if is_own_code(model) else "random", input_size=input_size
    )
    size = built.preprocess.with_(size=input_size).shape
    found = list_layers(built.module, size)
    last = cut(built.module, size).places[0]
    if as_json:
        emit_json([asdict(layer) for layer in found], indent=2)
        return
    shown = [layer for layer in found if everything or layer.main]
    _print(shown, last.layer, last.shape)
    if len(shown) < len(found):
        say(f"{len(found) - len(shown)} layers inside of these: --all shows them.")


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
