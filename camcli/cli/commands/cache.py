"""`camcli cache`: the features that training keeps on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from camcli.cli.checked_command import Command, Group
from camcli.cli.terminal.console import emit, emit_json, say, warn
from camcli.errors import UsageError
from camcli.printable import counted, printable

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="List and clear the features that 'camcli train' and 'camcli check' keep.\n\n"
    "They can all be computed again. $CAMCLI_CACHE says where they are, and $CAMCLI_CACHE_LIMIT "
    "how much is kept (10GB): what was not used for the longest time goes first.",
)

CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", help="Where. Default: features in $CAMCLI_CACHE, or ~/.cache/camcli."
    ),
]


@app.command("list", cls=Command)
def list_(
    cache_dir: CacheDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for scripts.")] = False,
) -> None:
    """List the kept features: how much, of what, when they were used last.

    camcli cache list
    """
    from camcli.models.reference.kept import kept as kept_references
    from camcli.train.feature_pass.cache import cache_root
    from camcli.train.feature_pass.shelf import kept

    root = cache_root(cache_dir)
    found = kept(root)
    if as_json:
        rows = [
            {
                "name": each.name, "size": each.size, "images": each.images,
                "statistics": each.statistics, "about": dict(each.about), "used": each.used,
                "files": [str(path) for path in each.files],
            }
            for each in found
        ]  # fmt: skip
        emit_json(rows, indent=2)
        return
    references = kept_references()
    if references:
        bytes_ = sum(path.stat().st_size for path in references)
        say(
            f"{counted(len(references), 'set')} of references for --against, "
            f"{_size(bytes_).strip()}, in {printable(references[0].parent)}."
        )
    if not found:
        say(f"No features are kept in {printable(root)}.")
        return
    emit(root)
    for each in found:
        emit(
            f"  {each.name}  {_size(each.size)}  {counted(each.images, 'image')}, "
            f"used {_ago(each.used)}"
        )
        emit(f"            {printable(each.told)}")
    emit(f"  together  {_size(sum(each.size for each in found))}")


@app.command("clear", cls=Command)
def clear_(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="As 'camcli cache list' shows them; or a backbone."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, and what --against found.")
    ] = False,
    unused_for: Annotated[
        float | None,
        typer.Option("--unused-for", min=0, help="Those that were not used for so many days."),
    ] = None,
    cache_dir: CacheDir = None,
) -> None:
    """Remove kept features, but for those that a run uses at this moment.

    camcli cache clear --unused-for 30
    """
    from camcli.models.reference.kept import clear as clear_references
    from camcli.train.feature_pass.cache import cache_root
    from camcli.train.feature_pass.shelf import days_ago, find, kept, remove

    if bool(names) + everything + (unused_for is not None) != 1:
        raise UsageError(
            "Say what to remove: names that 'camcli cache list' shows, or --unused-for DAYS, or "
            "--all."
        )
    there = kept(cache_root(cache_dir))
    if names:
        chosen = [each for name in names for each in find(there, name)]
    else:
        before = float("inf") if unused_for is None else days_ago(unused_for)
        chosen = [each for each in there if each.used <= before]
    freed = clear_references() if everything else 0
    for each in chosen:
        for path in each.files:
            size = path.stat().st_size if path.exists() else 0
            if remove(path):
                freed += size
            else:
                warn(f"{each.name} is in use, and stays: {each.told}")
                break
    say(f"Removed {_size(freed).strip()} of features.")


def _size(count: int) -> str:
    for unit, power in (("GB", 30), ("MB", 20)):
        if count >= 1 << power:
            return f"{count / (1 << power):6.1f} {unit}"
    return f"{count / 1024:6.1f} kB"


def _ago(then: float) -> str:
    seconds = max(0.0, time.time() - then)
    for noun, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(int(seconds / length), noun)} ago"
    return "just now"
