"""The table of a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camcli.evaluate.comparison.result import table
from camcli.evaluate.comparison.result.adapted_words import heads_told
from camcli.evaluate.comparison.rows.advice import Advice
from camcli.evaluate.comparison.rows.columns import MetricRow, sanity_tables
from camcli.evaluate.comparison.rows.controls import is_control, standing
from camcli.printable import percent

_WIDE = 11  # letters of an interval; a longer heading is broken


def show(
    rows: Sequence[MetricRow],
    checks: Sequence[MetricRow],
    predictions: dict[str, Any],
    learned: dict[str, Any],
    console: Console | None = None,
    advice: Sequence[Advice] = (),
    adapted: Mapping[str, Any] | None = None,
) -> None:
    """Print what was found.

    Args:
        rows: of the comparison.
        checks: of the sanity check.
        predictions: classification metrics by network.
        learned: what the heads of the check with random labels know, by network.
        console: where to; stdout by default.
        advice: the verdict on each network.
        adapted: how well heads got used to photographs without patches, by network.
    """
    console = console or Console(highlight=False)
    for name, found in predictions.items():
        console.print(f"[bold]{escape(name)}[/]: {found['count']} labelled photographs")
        wrong = ", ".join(
            f"{pair['true']} as {pair['predicted']} ({pair['count']})"
            for pair in found.get("most_confused", ())[:3]
        )
        if wrong:
            console.print(f"  most often mistaken: {escape(wrong)}", soft_wrap=True)
        sure = found.get("at_confidence")
        if sure:
            console.print(f"  confident: at a probability of {sure['confidence']:g} or more")
    # The name of the only network would cost the numbers their place.
    models = {row.model for row in rows if row.model}
    for heading, metrics, hint in table.groups(rows):
        title = f"{heading}, {next(iter(models))}" if len(models) == 1 else heading
        _draw(console, rows, metrics, title, hint, short=len(models) == 1)
    heads = heads_told(adapted or {})
    if heads:
        console.print()
    for line in heads:
        console.print(escape(line))
    for title, metrics, own, hint in sanity_tables(checks):
        # Layers have long names, and the title says what is compared.
        _draw(console, own, metrics, title, hint, short=True, headings=_layers_of(metrics))
    for name, knows in learned.items():
        console.print(
            f"\nrandom-labels ({escape(name)}): heads on {knows['photographs']} photographs know "
            f"{percent(knows['true'])} of the true and {percent(knows['shuffled'])} of the "
            f"shuffled labels; on the other half they are right in "
            f"{percent(knows['true_held'])} and {percent(knows['shuffled_held'])}."
        )
    if checks:
        console.print()
    for line in table.verdicts(checks):
        console.print(escape(line), style="bold" if " NOT " in line else "")
    for one in advice:
        console.print(f"\n{escape(one.lines[0])}", style="bold")
        for line in one.lines[1:]:
            console.print(f"  {escape(line)}")


def _layers_of(metrics: Sequence[str]) -> list[str]:
    """The layers of ``rank@LAYER``."""
    return [metric.split("@", 1)[1] for metric in metrics]


def _draw(
    console: Console,
    rows: Sequence[MetricRow],
    metrics: Sequence[str],
    title: str,
    hint: str,
    *,
    short: bool,
    headings: Sequence[str] = (),
) -> None:
    # Five columns of numbers with their intervals must fit into 80 letters.
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    drawn.add_column("", overflow="fold")
    for heading in headings or metrics:
        words = heading.replace("_", "\n_", 1) if len(heading) > _WIDE else heading
        drawn.add_column(escape(words), justify="right", overflow="fold")
    shown = [row for row in rows if any(m in row.metrics for m in metrics)]
    for row in shown:
        dim = is_control(row) or row.method == table.UNRELATED
        drawn.add_row(
            escape(row.method if short else table.name_of(row)),
            *(table.cell(row, m).replace(" (", "\n(") for m in metrics),
            style="dim" if dim else "",
        )
    console.print()
    # A title of the table's own would be broken to the width of a narrow one.
    console.print(f"[bold]{escape(title)}[/]")
    console.print(drawn)
    console.print(f"  {hint}.", style="dim")
    found = standing(rows, metrics, (lambda row: row.method) if short else table.name_of)
    if found is not None:
        console.print(f"  {escape(found.sentence())}")
