"""``camcli data``: fetch, describe and draw data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcli.cli.checked_command import Command, Group
from camcli.cli.terminal.console import SOME_FAILED, USAGE, emit, emit_json, fail, say, warn
from camcli.data.datasets.kind import Archive
from camcli.data.datasets.registry import NAMED, ways_to_get
from camcli.data.synthetic.mark import MarkRule
from camcli.errors import UsageError
from camcli.printable import counted

if TYPE_CHECKING:
    from camcli.data.datasets.describe import Description

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Fetch, check and draw labelled images; photographs to begin with.",
)


MOST_SCENES = 1_000_000  # a class and split


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where named data sets are looked for first, before $CAMCLI_DATA and the user's data "
        "folder.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no remarks.")]


@app.command("fetch", cls=Command)
def fetch_(
    name: Annotated[
        str,
        typer.Argument(help=f"{ways_to_get()}.", autocompletion=lambda: list(NAMED)),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Folder of data sets. Default: $CAMCLI_DATA, or the user's data folder."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before downloading.")
    ] = False,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="Refuse an archive with another checksum.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Bring a named data set to this machine; an interrupted download goes on where it stopped.

    camcli data fetch fruits360 --to ~/data
    """
    from camcli.cli.terminal.bars import bar
    from camcli.data.datasets.fetch import announcement, fetch
    from camcli.data.datasets.paths import data_places

    folder = to or data_places()[0]
    present = (folder / name).is_dir()
    if name in NAMED and isinstance(NAMED[name].get, Archive) and not present:
        say(announcement(name, folder))
        if not yes and sys.stdin.isatty() and not typer.confirm("Fetch it?", err=True):
            raise typer.Exit(1)
    with bar(None, unit="B", quiet=quiet or present, leave=False) as shown:

        def received(done: int, total: int | None) -> None:
            shown.total = total
            shown.update(done - shown.n)

        where = fetch(name, folder, sha256=sha256, progress=received)
    if present and not quiet:
        say(f"{name} was there already.")
    emit(where)


@app.command("describe", cls=Command)
def describe_(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder, tar or zip files, a URL, a CSV of path,label[,split], or a data set's "
            "name."
        ),
    ],
    data_dir: DataDir = None,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Where labels come from: auto, folder, prefix (cat.0.jpg is a cat), or a "
            "regular expression whose first group is the label.",
        ),
    ] = "auto",
    merge_varieties: Annotated[
        bool,
        typer.Option("--merge-varieties", help="Fold 'Apple Red 1' and 'Apple Red 2' into one."),
    ] = False,
    ignore_label: Annotated[
        str | None,
        typer.Option(
            "--ignore-label",
            help="Leave out images with this label, as 'camcli train' does: 'unknown|reject'.",
            metavar="LABEL",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Open every image of a data set and say what is in it, and what is wrong with it.

    Counts by class and split, sizes, unreadable files, the same picture in two splits or under
    two labels, imbalance. Exit code 2 if it is not fit for training, 3 if files are unreadable.

    camcli data describe photos --labels prefix
    """
    from camcli.cli.terminal.bars import bar
    from camcli.data.datasets.describe import describe
    from camcli.data.datasets.load import load_dataset

    dataset = load_dataset(
        data, data_dir=data_dir, labels=labels, merge_varieties=merge_varieties, val=0.0,
        strict=False, ignore=ignore_label,
    )  # fmt: skip
    with bar(len(dataset.items), unit="img", quiet=quiet, leave=False) as shown:
        found = describe(dataset, progress=shown.update)
    if as_json:
        emit_json(found.to_dict(), indent=2)
    else:
        _show(found)
    if dataset.problems:
        fail(dataset.problems[0], USAGE)
    if found.unreadable:
        raise typer.Exit(SOME_FAILED)


@app.command("synthetic", cls=Command)
def synthetic_(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where to. Default: 'synthetic', or 'birds', in the folder of data sets."
        ),
    ] = None,
    train: Annotated[
        int, typer.Option("--train", help="Scenes a class to train.", min=1, max=MOST_SCENES)
    ] = 60,
    val: Annotated[
        int, typer.Option("--val", help="Scenes a class to validate.", min=0, max=MOST_SCENES)
    ] = 15,
    test: Annotated[
        int, typer.Option("--test", help="Scenes a class to test.", min=0, max=MOST_SCENES)
    ] = 25,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Which fruits, with commas: apple,pear. Default: all eight; with --parts the "
            "first eight birds.",
            show_default=False,
        ),
    ] = None,
    parts: Annotated[
        bool,
        typer.Option(
            "--parts",
            help="Draw birds with removable parts instead, each test scene again without every "
            "set of parts: what 'camcli evaluate --parts' measures maps with. 37 pictures, 0.7 MB "
            "and 0.3 s a test scene.",
        ),
    ] = False,
    size: Annotated[int, typer.Option("--size", help="Side in pixels.", min=32, max=4096)] = 160,
    seed: Annotated[int, typer.Option("--seed", help="Other scenes.", min=0)] = 0,
    shortcut: Annotated[
        str | None,
        typer.Option(
            "--shortcut", help="Plant a price tag in the pictures of this class, to learn instead."
        ),
    ] = None,
    shortcut_share: Annotated[
        float,
        typer.Option("--shortcut-share", help="Share of them that carry it.", min=0, max=1),
    ] = 1.0,
    shortcut_test: Annotated[
        MarkRule,
        typer.Option(
            "--shortcut-test",
            help="In the test split the tag is where it was (same), nowhere (absent), or on all "
            "other classes (swapped).",
        ),
    ] = "same",
    quiet: Quiet = False,
) -> None:
    """Draw scenes of fruit on clutter, with exact masks: a data set in seconds, offline.

    Pictures go to SPLIT/CLASS/, masks to masks/ (and marks/ for the tag), and scenes.csv lists
    them all.

    camcli data synthetic /tmp/fruit --classes apple,pear,lemon

    camcli data synthetic /tmp/tagged --shortcut lemon --shortcut-test swapped

    camcli data synthetic /tmp/birds --parts --train 200 --test 10
    """
    from camcli.cli.terminal.bars import bar
    from camcli.data.datasets.paths import data_places
    from camcli.data.synthetic.bird_scenes import write_bird_scenes
    from camcli.data.synthetic.birds import USUAL
    from camcli.data.synthetic.fruits import FRUITS
    from camcli.data.synthetic.scenes import Shortcut, write_scenes

    if parts and shortcut:
        raise UsageError("--parts draws birds, which carry no price tag: leave --shortcut out.")
    usual = USUAL if parts else FRUITS
    names = tuple(c.strip() for c in classes.split(",")) if classes else usual
    if len(set(names)) < len(names):
        raise UsageError(f"The classes {classes!r} name one twice.")
    where = folder or data_places()[0] / ("birds" if parts else "synthetic")
    mark = Shortcut(shortcut, shortcut_share, shortcut_test) if shortcut else None
    counts = {"train": train, "val": val, "test": test}
    total = len(names) * sum(counts.values())
    with bar(total, unit="scene", quiet=quiet, leave=False) as shown:
        if parts:
            write_bird_scenes(
                where, counts=counts, classes=names, seed=seed, size=size, progress=shown.update
            )
        else:
            write_scenes(
                where, counts=counts, classes=names, seed=seed, size=size, shortcut=mark,
                progress=shown.update,
            )  # fmt: skip
    emit(where)


@app.command("samples", cls=Command)
def samples_(
    folder: Annotated[
        Path, typer.Argument(help="Where to; the current folder, if none is named.")
    ] = Path(),
) -> None:
    """Write nine photographs to begin with (sample_images), and example settings (configs).

    The photographs are CC0 or in the public domain; sample_images/README.md has the credits.

    camcli data samples && camcli explain sample_images/cat.jpg
    """
    from camcli.data.samples import write_samples

    for written in write_samples(folder):
        emit(written)


def _show(found: Description) -> None:
    """The description for people, on stdout."""
    from rich.markup import escape
    from rich.table import Table

    from camcli.cli.terminal.console import tables
    from camcli.data.decode.images import printable

    console = tables()
    data = found.dataset
    splits = [s for s, n in data.counts().items() if n]
    title = f"{printable(data.place)}: {counted(len(data.items), 'image')}, " + (
        counted(len(data.classes), "value")
        if data.measured
        else counted(len(data.classes), "class", "classes")
    )
    console.print(escape(f"{title} ({data.layout})"), style="bold")
    table = Table(box=None, pad_edge=False)
    table.add_column("value" if data.measured else "class")
    for split in splits:
        table.add_column(split if len(splits) > 1 else "images", justify="right")
    for name, counts in found.counts.items():
        table.add_row(escape(printable(name)), *(str(counts.get(s, 0)) for s in splits))
    console.print(table)
    if found.width and found.height:
        console.print(
            "width {}, median {}, to {}; height {}, median {}, to {} pixels".format(
                *found.width, *found.height
            )
        )
    for name, (least, middle, most) in found.values.items():
        told = f"{printable(name)} {least:.6g}, median {middle:.6g}, to {most:.6g}"
        console.print(escape(told))
    if not data.measured:
        console.print(f"largest class over smallest, in training: {found.imbalance:.2f}")
    lists = {
        "unreadable": [error for _, error in found.unreadable],
        "same picture in several splits": [" = ".join(map(printable, g)) for g in found.leaks],
        "same picture under several labels": [
            " = ".join(map(printable, g)) for g in found.contradictions
        ],
    }
    for what, lines in lists.items():
        console.print(f"{what}: {len(lines)}", style="red" if lines else "green")
        for line in lines[:10]:
            console.print("  " + escape(line), soft_wrap=True)
        if lines[10:]:
            console.print(f"  ... and {len(lines) - 10} more (--json lists all)")
    if found.repeated:
        console.print(f"exact copies in all: {found.repeated}")
    for note in data.notes:
        say(note)
    for problem in data.problems[1:]:
        warn(problem)
