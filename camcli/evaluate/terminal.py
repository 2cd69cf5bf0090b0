"""The table of a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camcli.evaluate import table
from camcli.evaluate.compare import Row


def show(rows: Sequence[Row], checks: Sequence[Row], predictions: dict[str, Any]) -> None:
    """Print what was found on stdout.

    Args:
        rows: of the comparison.
        checks: of the sanity check.
        predictions: classification metrics by network.
    """
    console = Console(highlight=False)
    for name, found in predictions.items():
        console.print(
            f"[bold]{escape(name)}[/]: {found['count']} labelled photographs, "
            f"top-1 {found['top1']:.1%}, top-5 {found['top5']:.1%}, mAP {found['mean_ap']:.3f}"
        )
        sure = found.get("at_confidence")
        if sure:
            right = "none" if sure["top1"] is None else f"{sure['top1']:.1%} right"
            console.print(
                f"  at a probability of {sure['confidence']:g} or more: {sure['share']:.1%} of "
                f"them, {right}"
            )
    for heading, metrics, hint in table.groups(rows):
        _draw(console, rows, metrics, heading, hint)
    if checks:
        names = list(checks[0].metrics)
        for kind, hint in table.SANITY.items():
            _draw(
                console, checks, [n for n in names if n.startswith(kind)], f"Sanity: {kind}", hint
            )


def _draw(
    console: Console, rows: Sequence[Row], metrics: list[str], heading: str, hint: str
) -> None:
    drawn = Table(title=heading, title_justify="left", title_style="bold", box=None)
    drawn.add_column("")
    for metric in metrics:
        drawn.add_column(escape(metric), justify="right")
    shown = [row for row in rows if any(m in row.metrics for m in metrics)]
    for row in shown:
        style = "dim" if row.method in (*table.CONTROLS, "random") else ""
        drawn.add_row(
            escape(table.name_of(row)),
            *(table.cell(row, m).replace(" (", "\n(") for m in metrics),
            style=style,
        )
    console.print()
    console.print(drawn)
    console.print(f"  {hint}.", style="dim")
