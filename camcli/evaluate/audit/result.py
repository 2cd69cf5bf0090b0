"""What an audit found, as one record: what the command prints, and what it writes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from camcli.evaluate.audit.audit import LEAST, ClassSummary, Suspicion
from camcli.evaluate.audit.map_clusters import Alike
from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.findings.finding import Finding
from camcli.evaluate.findings.order import HEADINGS, in_order
from camcli.printable import counted, in_markdown, percent

TOO_FEW = f"Nothing can be told: it takes two classes with {LEAST} correct predictions each."
UNLABELLED = "No labels are known, so every prediction counts as correct."


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AuditResult:
    """What a network looks at across a whole data set; a notebook shows the classes as a table.

    Attributes:
        source: what was audited, as the user wrote it.
        findings: what gives classes away; what the network was shown to use first.
        classes: every class, flagged ones first, then by how much heat strays.
        facts: every photograph's heat in numbers.
        alike: the maps of each class in clusters.
        masks: whether there were masks.
        suspicions: the classes whose heat lies where that of others does not.
        duplicates: groups of photographs that are nearly the same, by relative path.
        looked_for: what was looked for, and in how much, a clause each.
        not_looked: what was not looked at, and why, a sentence each.
        unreadable: the photographs that could not be read, as sentences.
        out: the folder that was written; None where none was asked for.
        files: their names in `out`.
    """

    source: str
    findings: tuple[Finding, ...]
    classes: tuple[ClassSummary, ...]
    facts: tuple[Fact, ...]
    alike: Alike
    masks: bool
    suspicions: tuple[Suspicion, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    looked_for: tuple[str, ...] = ()
    not_looked: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    out: Path | None = None
    files: tuple[str, ...] = ()

    @property
    def flagged(self) -> tuple[Finding, ...]:
        """What the network was shown to use, the strongest first."""
        return tuple(found for found in self.findings if found.verdict == "used")

    @property
    def nothing(self) -> str:
        """What it means that nothing is flagged: no more than was looked for."""
        if sum(row.right >= LEAST for row in self.classes) < 2:
            return TOO_FEW
        looked = "; ".join(self.looked_for)
        return f"Nothing was found. Looked for: {looked}." if looked else "Nothing was looked at."

    @property
    def unlabelled(self) -> bool:
        """Whether no photograph has a label, so that every prediction was taken for correct."""
        return bool(self.facts) and all(fact.label is None for fact in self.facts)

    def markdown(self) -> str:
        """What was found, what the network was shown to use first, and the classes as a table."""
        lines = []
        for verdict, own in in_order(self.findings):
            lines += [f"**{HEADINGS[verdict].title}**", ""]
            lines += [self._item(each, named=verdict == "used") for each in own]
            lines.append("")
        if not self.findings:
            lines += [in_markdown(self.nothing), ""]
        lines += self._table()
        lines += ["", UNLABELLED] if self.unlabelled else []
        lines += ["", "**Not looked at**", ""] if self.not_looked else []
        lines += [f"- {in_markdown(sentence)}" for sentence in self.not_looked]
        return "\n".join(lines) + "\n"

    def _item(self, each: Finding, *, named: bool) -> str:
        """A finding in a line; of those that matter most, some photographs are named."""
        examples = ", ".join(in_markdown(s.rel) for s in each.sightings[:3]) if named else ""
        words = (f"**{in_markdown(each.title)}**", in_markdown(each.words), examples)
        return "- " + " ".join(word for word in words if word)

    def _table(self) -> list[str]:
        names = ["correct", *(["stray heat"] if self.masks else []), "at border", "one corner"]
        lines = [
            f"| class | {' | '.join(names)} | |",
            "| --- |" + " ---: |" * len(names) + " --- |",
        ]
        for row in self.classes:
            stray = ["-" if math.isnan(row.stray) else percent(row.stray)] if self.masks else []
            cells = [f"{row.right}/{row.count}", *stray, percent(row.border), percent(row.corner)]
            flagged = "**flagged**" if row.flags else ""
            lines.append(f"| {in_markdown(row.label)} | {' | '.join(cells)} | {flagged} |")
        return lines

    def __repr__(self) -> str:
        found = ", ".join(f"{each.verdict}: {each.title}" for each in self.findings)
        where = "" if self.out is None else f", out={str(self.out)!r}"
        of = counted(len(self.classes), "class", "classes")
        return f"AuditResult({self.source!r}, {of}, findings=[{found}]{where})"

    def _repr_markdown_(self) -> str:
        return self.markdown()
