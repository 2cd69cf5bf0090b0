"""Findings on a terminal, or in a pipe: what the network uses first and loud, the rest calmly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from camcli.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from camcli.evaluate.findings.finding import Finding, Sighting

WIDEST = 92  # columns: longer lines are hard to read
EXAMPLES = 3  # photographs of a finding
MOST = 20  # findings of a verdict
_TITLES = {"used": "bold red", "data": "bold", "not used": "", "unproved": "yellow"}


def print_findings(
    findings: Sequence[Finding],
    *,
    folder: PurePath | None = None,
    table: str = "",
    skipped: Sequence[str] = (),
    nothing: str = "",
    examples: int = EXAMPLES,
    console: Console | None = None,
) -> None:
    """Draw findings on stdout.

    Args:
        findings: in the order in which they are shown within a verdict.
        folder: where their pictures were written; None where they were not.
        table: the file of `folder` that lists the photographs; by default that of an audit.
        skipped: what was not looked at, a sentence each.
        nothing: what to say where there is no finding.
        examples: how many photographs of each are named.
        console: by default stdout's.
    """
    from camcli.cli.terminal.console import tables
    from camcli.evaluate.findings.files import PHOTOGRAPHS, TABLE, picture_names
    from camcli.evaluate.findings.order import HEADINGS, in_order

    page = _Page(console or tables())
    names = dict(zip(map(id, findings), picture_names(findings), strict=True))
    more = str(folder / (table or PHOTOGRAPHS)) if folder else ""
    for verdict, own in in_order(findings):
        heading = HEADINGS[verdict]
        if verdict != "data":
            page.line("")
            page.words(heading.title, "bold white on red" if verdict == "used" else "bold")
            page.words(heading.words, "dim")
        for finding in own[:MOST]:
            page.line("")
            page.words(finding.title, _TITLES[verdict], 2, "- ")
            if folder and names[id(finding)]:
                page.path(f"{folder / names[id(finding)]}", 4)
            page.words(finding.words, "", 4)
            shown = 0 if verdict == "not used" else examples
            _print_sightings(page, finding.sightings, shown, more)
            page.words(finding.advice and f"What to do: {finding.advice}", "", 4)
        if (left := len(own) - MOST) > 0:
            page.line("")
            page.path(f"... and {left} more" + (f" in {folder / TABLE}" if folder else ""), 2)
    if not findings and nothing:
        page.line("")
        page.words(nothing)
    if skipped:
        page.line("")
        page.words("Not looked at", "bold")
        for sentence in skipped:
            page.words(sentence, "", 2, "- ")


def _print_sightings(page: _Page, sightings: Sequence[Sighting], most: int, more: str) -> None:
    for sighting in sightings[:most]:
        page.path(sighting.rel, 6, note="" if sighting.other is not None else sighting.note)
        if sighting.other is not None:
            page.path(sighting.other, 6, "= ", note=sighting.note)
    left = len(sightings) - most
    if left > 0 and most > 0:
        where = f" in {more}" if more else ""
        page.path(f"... and {left} more{where}", 6)


class _Page:
    """Lines of a console, indented and wrapped, without spaces at their ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def words(self, text: str, style: str = "", indent: int = 0, sign: str = "") -> None:
        """A text for a person, wrapped; nothing for an empty one."""
        from rich.text import Text

        if not text:
            return
        first = " " * indent + sign
        width = max(20, min(self._console.width, WIDEST) - len(first))
        lines = Text(printable(text), style).wrap(self._console, width)
        for number, line in enumerate(lines):
            line.rstrip()
            before = first if number == 0 else " " * len(first)
            self._console.print(Text(before) + line, soft_wrap=True)

    def path(self, name: str, indent: int, sign: str = "", note: str = "") -> None:
        """A name in one line, however long, so that it can be copied; a note behind it."""
        from rich.text import Text

        line = Text(" " * indent + sign + printable(name))
        if note:
            line += Text(f"  {printable(note)}", "dim")
        self._console.print(line, soft_wrap=True)
