"""``camcli merge``: the tables of a sharded run become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcli.cli import options as o
from camcli.cli.terminal.closing import (
    paragraph,
    tell_flags,
    tell_highlights,
    tell_names,
    tell_page,
)
from camcli.cli.terminal.console import emit, say, slow
from camcli.jobs.flags import flags_of
from camcli.jobs.learnt import learnt_of
from camcli.printable import counted


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
    from camcli.batch.run_files.merge import merge as join
    from camcli.batch.run_files.run_paths import CSV
    from camcli.batch.summary.label_summary import LABELS, told
    from camcli.batch.summary.value_summary import VALUES
    from camcli.batch.summary.value_summary import told as of_values
    from camcli.batch.tables.export import check_format, export

    check_format(table_format)
    beside = [] if table_format == "csv" else [Path(CSV).with_suffix(f".{table_format}").name]
    info = join(run, beside)
    if info.get("listing") is None:
        say(
            "These shards are of an older camcli and do not say which images they found in the "
            "source: that it did not change between them was told by the rows alone."
        )
    counts = info["counts"]
    failed = counts.get("failed", 0)
    say(
        f"{counted(counts['done'], 'image')} from {counted(info['shards'], 'shard')}, {failed} of "
        "them failed."
    )
    if info.get(LABELS):
        say(f"{told(info[LABELS])}.")
    elif VALUES in info:
        for line in of_values(info[VALUES]).splitlines():
            say(line)
    elif counts.get("labelled"):
        correct, labelled = counts.get("correct", 0), counts["labelled"]
        say(f"accuracy {correct / labelled:.4f} ({correct} of {labelled})")
    with slow("Looking for what stands out ..."):
        from camcli.batch.summary.highlights import (
            of_table,  # and torch, now that there is no mistake
        )

        found, output = of_table(run / CSV, info.get(LABELS))
    tell_highlights(found, output, labelled=bool(counts.get("labelled")))
    if learnt := learnt_of(run):
        paragraph(learnt)
    tell_names(run / CSV)
    tell_flags(flags_of(run))
    tell_page(run, None)
    emit(export(run / CSV, table_format))
