"""What a check found, and what it did not look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camcli.evaluate.check.issue import CheckedPhoto, CheckIssue
from camcli.evaluate.check.told import KINDS
from camcli.evaluate.findings.finding import Finding
from camcli.printable import counted, in_markdown

EXAMPLES = 3  # photographs of a kind that are named


@dataclass(frozen=True, repr=False)
class CheckResult:
    """The outcome of a check; a notebook shows it as Markdown.

    Attributes:
        source: what was checked, as the user named it.
        photos: all photographs that were found, also those that cannot be read.
        classes: the names of the classes.
        issues: one for each thing that is wrong, in the order in which they are shown.
        findings: the same by kind.
        looked: photographs that were looked at, in the time there was.
        looked_for: what was looked for, and in how many photographs.
        not_looked: what was not looked for or at, a sentence each.
        unreadable: a sentence on each file that cannot be read.
        out: folder of the files; None where none were asked for.
        files: names of the files there.
        exported: paths that were written to the list; None where none was asked for.
    """

    source: str
    photos: tuple[CheckedPhoto, ...]
    classes: tuple[str, ...]
    issues: tuple[CheckIssue, ...]
    findings: tuple[Finding, ...]
    looked: int
    looked_for: tuple[str, ...] = ()
    not_looked: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    out: Path | None = None
    files: tuple[str, ...] = ()
    exported: int | None = None

    def of(self, kind: str) -> tuple[CheckIssue, ...]:
        """The issues of one kind."""
        return tuple(issue for issue in self.issues if issue.kind == kind)

    @property
    def counts(self) -> dict[str, int]:
        """How many issues of each kind there are, where there are any."""
        return {kind: len(own) for kind in KINDS if (own := self.of(kind))}

    @property
    def summary(self) -> str:
        """How many issues there are, in how many photographs."""
        found = len(self.photos)
        of = f"{self.looked} of " if self.looked < found else ""
        return f"{counted(len(self.issues), 'issue')} in {of}{counted(found, 'photograph')}"

    @property
    def nothing(self) -> str:
        """What to say where nothing was found."""
        if not self.looked_for:
            return "Nothing was looked for."
        return f"Nothing was found. Looked for: {'; '.join(self.looked_for)}."

    def markdown(self) -> str:
        """How many issues of each kind there are, the worst of each, and what to do about them."""
        lines = [f"{self.summary}.", ""]
        if not self.issues:
            lines += [in_markdown(self.nothing), ""]
        for found in self.findings:
            lines.append(
                f"- **{in_markdown(found.title)}**. {in_markdown(found.words)} "
                f"What to do: {in_markdown(found.advice)}"
            )
            lines += [f"    - {words}" for words in _examples(found)]
        if self.not_looked:
            lines += ["", "**Not looked at**", ""]
            lines += [f"- {in_markdown(sentence)}" for sentence in self.not_looked]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        where = "" if self.out is None else f", out={str(self.out)!r}"
        return (
            f"CheckResult({self.source!r}, {counted(len(self.photos), 'photograph')}, "
            f"{counted(len(self.classes), 'class', 'classes')}, counts={self.counts}{where})"
        )

    def _repr_markdown_(self) -> str:
        return self.markdown()


def _examples(found: Finding) -> Iterator[str]:
    """The first photographs of a kind, a line each."""
    for sighting in found.sightings[:EXAMPLES]:
        pair = sighting.rel if sighting.other is None else f"{sighting.rel} = {sighting.other}"
        yield in_markdown(f"{pair}: {sighting.note}" if sighting.note else pair)
    left = len(found.sightings) - EXAMPLES
    if left > 0:
        yield f"... and {left} more"
