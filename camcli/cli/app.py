"""The command line: parses, calls and prints. Nothing here imports torch until a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from camcli import __version__
from camcli.cli.checked_command import Command, Group
from camcli.cli.commands import (
    apply,
    audit,
    batch,
    cache,
    check,
    concepts,
    data,
    evaluate,
    explain,
    inspect,
    layers,
    merge,
    methods,
    models,
    report,
    train,
    weights,
)
from camcli.cli.terminal.console import Friendly, emit


class _Root(Friendly, Group):
    """All of camcli."""


app = typer.Typer(
    cls=_Root,
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Show where an image classifier looked and what it said.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some images failed, "
    "4 weights or data not available, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"camcli {__version__}")
        raise typer.Exit


FIRST = """\
camcli shows where an image classifier looked, and what it said.

  camcli explain photo.jpg           one picture: its prediction and its heatmap
  camcli batch photos --out run      a folder: one overlay an image, and a table
  camcli train --data my-photos      a classifier of your own, a folder a class

No photograph at hand? 'camcli data samples' writes nine into sample_images, here.
All commands: camcli --help. One command's options: camcli batch --help."""


@app.callback()
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        emit(FIRST)


app.command("explain", cls=Command)(explain.explain)
app.command("batch", cls=Command)(batch.batch)
app.command("merge", cls=Command)(merge.merge)
app.command("train", cls=Command)(train.train)
app.command("report", cls=Command)(report.report)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("audit", cls=Command)(audit.audit)
app.command("check", cls=Command)(check.check)
app.command("apply", cls=Command)(apply.apply)
app.command("concepts", cls=Command)(concepts.concepts)
app.command("models", cls=Command)(models.models)
app.command("inspect", cls=Command)(inspect.inspect)
app.command("layers", cls=Command)(layers.layers)
app.command("methods", cls=Command)(methods.methods)
app.add_typer(weights.app, name="weights")
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
