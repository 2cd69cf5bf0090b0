"""``camcli methods``: what --method takes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from camcli.cli.console import say


def methods(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for scripts.")] = False,
) -> None:
    """List the CAM methods with their formula, paper and cost.

    A are the K feature maps of the explained layer, S the explained score, g its gradient there, w
    the weights of a linear head.
    """
    from camcli.cam.methods import METHODS

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
            }
            for m in METHODS.values()
        ]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for m in METHODS.values():
        note = f"   = {m.equals}" if m.equals else "" if m.class_specific else "   no class"
        cost = m.cost[0] if m.cost[0] == m.cost[1] else f"{m.cost[0]}; else {m.cost[1]}"
        lines = Text(m.formula).append(note, "green").append(f"\n{m.paper}\ncost: {cost}", "dim")
        table.add_row(m.name, lines)
    Console().print(table)
    say(
        "'= cam': the same map up to a factor when the network ends in global average pooling and "
        "one linear layer and the score is the logit. 'no class': the map is the same for every "
        "class. cost: on top of one forward pass; 'else' is without such a linear head."
    )
