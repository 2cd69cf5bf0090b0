"""``camcli merge``: the tables of a sharded run become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcli.cli import options as o
from camcli.cli.console import emit, say


def merge(
    run: Annotated[
        Path,
        typer.Argument(help="Run directory of 'camcli batch --shard i/n'.", show_default=False),
    ],
    table_format: o.TableFormat = "csv",
) -> None:
    """Join the shards of a run into one predictions.csv, in the order of the source.

    Refuses when a shard is missing, unfinished, or was made with other settings.

    for i in 1 2 3 4; do camcli batch photos --out run --shard $i/4 & done; wait; camcli merge run
    """
    from camcli.batch.export import check_format, export
    from camcli.batch.rundir import CSV
    from camcli.batch.shard import merge as join

    check_format(table_format)
    info = join(run)
    counts = info["counts"]
    say(f"{counts['done']} images from {info['shards']} shards, {counts['failed']} of them failed.")
    if counts["labelled"]:
        share = counts["correct"] / counts["labelled"]
        say(f"accuracy {share:.4f} ({counts['correct']} of {counts['labelled']})")
    emit(export(run / CSV, table_format))
