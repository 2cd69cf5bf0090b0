"""The closing lines of a run on stderr: what a person looks at next, and how."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.cli.terminal.console import say, styled
from camcli.printable import counted, percent, printable

if TYPE_CHECKING:
    from camcli.batch.summary.highlights import Highlight, Highlights, WeakClass
    from camcli.jobs.flags import Flagged
    from camcli.models.outputs import Output

_USUAL, _NARROWEST = 80, 24
_TITLES = 2  # of an audit or a check


def width() -> int:
    """Columns of the terminal behind stderr; 80 where there is none."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return max(_NARROWEST, int(told))
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError, AttributeError):  # a pipe, or no console at all
        columns = 0
    return max(_NARROWEST, columns) if columns else _USUAL


def heading(text: str) -> None:
    """What the indented lines below it are."""
    say("", styled(text, bold=True))


def rows(pairs: Sequence[tuple[str, str]]) -> None:
    """Names with words behind them, or below them where that does not fit.

    Args:
        pairs: a name, which is never cut, so that it can be copied; and words.
    """
    from rich.cells import cell_len

    shown = [(printable(name), printable(words)) for name, words in pairs]
    column = max(cell_len(name) for name, _ in shown)
    if all(2 + column + 2 + cell_len(words) <= width() for _, words in shown):
        for name, words in shown:
            say(f"  {name}{' ' * (column - cell_len(name))}  {words}")
        return
    for name, words in shown:
        say(f"  {name}")
        paragraph(words, 4)


def paragraph(text: str, indent: int = 0) -> None:
    """Words, wrapped and indented; what is longer than a line keeps one of its own."""
    hanging(" " * indent, text)


def hanging(begins: str, text: str) -> None:
    """Words, wrapped, behind what they are about; the further lines are indented as far.

    On a narrow terminal they are below it. Two spaces and more in a row stay where they do not end
    a line.
    """
    from rich.cells import cell_len

    indent = cell_len(begins)
    if begins.strip() and 2 * indent > width():
        say(begins.rstrip())
        begins, indent = "  ", 2
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line.strip() and indent + cell_len(longer) > width():
            say(begins + line.rstrip())
            begins, line = " " * indent, word
        else:
            line = longer
    if line:
        say(begins + line)


def tell_highlights(found: Highlights, output: Output, *, labelled: bool) -> None:
    """What stands out: mistakes and weak classes; without any what the network is least sure of.

    Args:
        found: of the run's table.
        output: what the network's numbers are.
        labelled: whether any image has a label that names a class.
    """
    if output.measures:
        if found.mistakes:
            heading("Farthest off:")
            rows([(one.path, _off(one)) for one in found.mistakes])
        return
    if found.mistakes:
        heading("Most confident mistakes:" if found.mistakes[1:] else "The mistake:")
        rows([(one.path, _mistaken(one, output)) for one in found.mistakes])
    if found.weakest and not _all_named(found):
        classes = "class" if len(found.weakest) == 1 else "classes"
        heading("Weakest labels:" if output.multi_label else f"Weakest {classes}:")
        rows([(one.name, _weak(one)) for one in found.weakest])
    if found.mistakes:
        return
    often = [f"{printable(name)} {times}" for name, times in found.predicted if times > 1]
    if often and not labelled:
        paragraph(f"Predicted most often: {', '.join(often)}.")
    if len(found.unsure) > 1:
        heading("Least certain:")
        rows([(one.path, f"{one.pred}, {_percent(one)}") for one in found.unsure])


def tell_flags(flagged: Sequence[Flagged]) -> None:
    """What an audit or a check found out before, which the page shows, too."""
    if not flagged:
        return
    heading("Found before:")
    pairs = []
    for one in flagged:
        more = len(one.titles) - _TITLES
        words = "; ".join(one.titles[:_TITLES]) + (f"; and {more} more" if more > 0 else "")
        pairs.append((one.folder, words))
    rows(pairs)


def tell_names(table: Path) -> None:
    """How a table is read that has names which are no UTF-8; nothing of any other."""
    from camcli.batch.tables.reading import undecodable

    if lines := undecodable(table):
        many = counted(lines, f"line of {table.name} has", f"lines of {table.name} have")
        say(
            f"{many} names that are no UTF-8, kept as on the disk. To read it in Python: "
            "open(..., encoding='utf-8', errors='surrogateescape'), or pandas.read_csv(..., "
            "encoding_errors='surrogateescape', dtype={'path': object, 'overlay': object})."
        )


def tell_page(out: Path, page: Path | None) -> None:
    """Where the run can be looked at, or the command that makes it so.

    Args:
        out: the run directory.
        page: its page, if one was made.
    """
    if page is not None:
        say(f"Page: {page.absolute().as_uri()}")
    else:
        say(f"To look at it: camcli report {shlex.quote(str(out))} --open")


def _percent(one: Highlight) -> str:
    return percent(one.number, 1)


def _mistaken(one: Highlight, output: Output) -> str:
    if output.multi_label:
        labels = one.label.replace("|", ", ") or "no label"
        return f"likeliest {one.pred}, {_percent(one)}; labelled {labels}"
    return f"taken for {one.pred}, {_percent(one)}; labelled {one.label}"


def _all_named(found: Highlights) -> bool:
    """Whether each mistake of the run is told: nothing can be learnt of its classes beside them."""
    wrong = sum(count for (true, pred), count in found.pairs.items() if true != pred)
    return 0 < wrong <= len(found.mistakes)


def _weak(one: WeakClass) -> str:
    if one.f1 is not None:
        return f"F1 {one.f1:.2f} (of {one.images} images that have it)"
    missed = one.images - one.right
    share = f"{percent(one.right / one.images)} recognised ({one.right} of {one.images})"
    if one.times == missed:
        others = "the other " if missed == 1 else "the others "
        if not one.right:
            others = "all " if missed > 1 else ""
        return f"{share}, {others}taken for {one.other}"
    if 2 * one.times > missed:
        return f"{share}, mostly taken for {one.other} ({one.times} of {missed})"
    times = "once" if one.times == 1 else f"{one.times} times"
    return f"{share}, taken for {one.other} {times}, else for others"


def _off(one: Highlight) -> str:
    from camcli.render.verdict import number

    return f"{number(one.number)} for {one.label}"
