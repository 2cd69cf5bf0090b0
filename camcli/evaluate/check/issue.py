"""One thing that is wrong with one photograph, or with a class: a row of ``check.csv``."""

from __future__ import annotations

from dataclasses import dataclass

from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split


@dataclass(frozen=True, slots=True)
class CheckedPhoto:
    """A photograph of the data that is checked.

    Attributes:
        ref: where it is.
        labels: its classes: one, or any number where classes do not exclude each other; none where
            it is not labelled.
        split: which part of the data it is in; None where the data has no parts.
        unknown: classes of which nobody knows whether it has them.
    """

    ref: ImageRef
    labels: tuple[str, ...] = ()
    split: Split | None = None
    unknown: tuple[str, ...] = ()

    @property
    def rel(self) -> str:
        """Its relative path."""
        return self.ref.rel

    @property
    def label(self) -> str | None:
        """Its classes in a word; None without any."""
        return "|".join(self.labels) if self.labels else None


@dataclass(frozen=True, slots=True)
class CheckIssue:
    """One thing that is wrong.

    Attributes:
        kind: one of `camcli.evaluate.findings.finding.CheckKind`.
        rel: the photograph; None where it is about a class.
        score: how surely, or how much, in [0, 1].
        note: what there is to say of this one.
        label: the class that it is about, or that the photograph is labelled.
        other: the photograph that it is a pair with.
        suggestion: what to do with this one, in a few words.
    """

    kind: str
    rel: str | None
    score: float
    note: str
    label: str | None = None
    other: str | None = None
    suggestion: str = ""
