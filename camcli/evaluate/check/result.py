"""What a check found, and what it did not look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camcli.evaluate.check.issue import CheckedPhoto, CheckIssue
from camcli.evaluate.check.told import KINDS
from camcli.evaluate.findings.finding import Finding


@dataclass(frozen=True)
class CheckResult:
    """The outcome of a check.

    Attributes:
        source: what was checked, as the user named it.
        photos: all photographs that were found, also those that cannot be read.
        classes: the names of the classes.
        issues: one for each thing that is wrong, in the order in which they are shown.
        findings: the same by kind.
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
    def nothing(self) -> str:
        """What to say where nothing was found."""
        if not self.looked_for:
            return "Nothing was looked for."
        return f"Nothing was found. Looked for: {'; '.join(self.looked_for)}."
