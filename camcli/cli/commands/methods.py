"""``camcli methods``: what --method takes."""

from __future__ import annotations

from typing import Annotated

import typer

from camcli.cli.terminal.console import emit_json


def methods(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for scripts.")] = False,
) -> None:
    """List the CAM methods with their formula, paper and cost.

    A are the K feature maps of the explained layer, S the explained score, g its gradient there, w
    the weights of a linear head.
    """
    from camcli.cam.listed_facts import LISTED

    if as_json:
        records = [
            {
                "name": m.name,
                "formula": m.formula,
                "paper": m.paper,
                "cost_linear_head": m.cost[0],
                "cost_other": m.cost[1],
                "equals": m.equals,
                "class_specific": m.class_specific,
                "score": m.score,
                "explains": one.explains,
                "needs": one.needs or None,
            }
            for one in LISTED.values()
            for m in (one.facts,)
        ]
        emit_json(records, indent=2)
        return

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from camcli.cli.terminal.console import tables

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for one in LISTED.values():
        m = one.facts
        lines = Text(m.formula)
        if m.equals:
            lines.append(f"\n= {m.equals} for a GAP head", "green")
        if one.note:
            lines.append(f"\n{one.note}", "green" if one.explains else "yellow")
        lines.append(f"\n{m.paper}\ncost: {_cost(m.cost)}", "dim")
        table.add_row(m.name, lines)
    tables().print(table)
    Console(stderr=True, highlight=False).print(_NOTES)


def _cost(cost: tuple[str, str]) -> str:
    """What a map takes besides the forward pass."""
    return cost[0] if cost[0] == cost[1] else f"{cost[0]} for a GAP head, else {cost[1]}"


_NOTES = """
GAP head: the network ends in global average pooling and one linear layer, and the last map is \
explained. There '= cam' is the same map up to a factor when the score is the logit or the \
contrast; elementwise is layercam where no feature is negative; reciprocam is gradcam, blurred.

cost: on top of one forward pass. tail: the part of the network after the explained layer. \
K: the number of channels there; N: --samples.
"""
