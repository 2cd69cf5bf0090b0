"""``camcli inspect``: what a file or a name is, and how to explain pictures with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli import options as o
from camcli.cli.load_model import begin
from camcli.cli.terminal.console import FATAL, emit, emit_json, failed
from camcli.jobs.inspect import InspectJob
from camcli.jobs.record import filled
from camcli.printable import counted, printable

if TYPE_CHECKING:
    from camcli.jobs.inspect import Inspected

I = InspectJob("")  # noqa: E741 - as N, M and S in the other commands
_NAMES = 5


def inspect(
    model: Annotated[
        str,
        typer.Argument(help="A file, a folder, or a name as --model takes it.", show_default=False),
    ],
    weights: o.Weights = None,
    weights_key: o.WeightsKey = I.weights_key,
    classes: o.Classes = None,
    input_size: o.InputSize = I.input_size,
    preprocess: o.PreprocessOption = I.preprocess,
    output: o.OutputOption = I.output,
    trust_pickle: o.TrustPickle = I.trust_pickle,
    offline: o.Offline = I.offline,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=o.RUN)
    ] = False,
) -> None:
    """Say what a network is: form, architecture, classes, input, maps, methods that work.

    camcli inspect best.pth

    camcli inspect model.onnx --json
    """
    job = filled(InspectJob, locals())
    job.form()  # a mistake is told before torch is imported
    begin(job.network)
    found = job.run()
    if as_json:
        emit_json(asdict(found), indent=2)
    else:
        _print(found)
    if found.error is not None:
        if not as_json:
            failed(found.error)
        raise typer.Exit(FATAL)


def _print(found: Inspected) -> None:
    from rich.table import Table
    from rich.text import Text

    from camcli.cli.terminal.console import tables

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(found):
        table.add_row(Text(printable(name)), Text(printable(text)))
    tables().print(table)
    if found.command:
        emit(printable(found.command))


def _rows(found: Inspected) -> list[tuple[str, str]]:
    rows = [(Path(found.model).name or found.model, f"is {found.form}")]
    if found.holds:
        held = ", ".join(f"{key} ({counted(n, 'tensor')})" for key, n in found.holds)
        rows.append(("Holds", held))
    rows += [("Note", note) for note in found.notes]
    if found.error is not None:
        return rows
    assert found.map_shape is not None
    named = ", ".join(found.classes[:_NAMES])
    more = ", ..." if len(found.classes) > _NAMES else ""
    if found.classes == tuple(map(str, range(len(found.classes)))):
        more += "; --classes FILE names them"
    channels, height, width = found.map_shape
    after = "then the mean over all places and one linear layer" if found.linear else "then more"
    rows += [
        ("Classes", f"{len(found.classes)}: {named}{more}"),
        ("Output", found.output),
        ("Input", found.looks),
        ("Maps", f"{found.layer}: {height}x{width} of {channels} channels; {after}"),
        ("Methods", ", ".join(found.methods)),
    ]
    # Methods that are refused for the same reason are told together.
    reasons: dict[str, list[str]] = {}
    for name, why in found.refused:
        reasons.setdefault(why, []).append(name)
    rows += [("Not here", f"{', '.join(names)}: {why}") for why, names in reasons.items()]
    return rows
