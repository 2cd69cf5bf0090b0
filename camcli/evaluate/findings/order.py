"""In which order findings are shown, and under which headings: the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camcli.evaluate.findings.finding import Finding, Verdict


@dataclass(frozen=True, slots=True)
class Heading:
    """How a verdict is told.

    Attributes:
        word: one or two, for a label: ``used``.
        title: of its section.
        words: what it means, a sentence.
    """

    word: str
    title: str
    words: str


HEADINGS: dict[Verdict, Heading] = {
    "used": Heading(
        "used",
        "Used by the network",
        "Changing it changes what the network says, beyond what any such change does.",
    ),
    "data": Heading("data", "In the data", ""),
    "not used": Heading(
        "not used",
        "Present, not used",
        "It is there, and changing it turns hardly more predictions than the control does. The "
        "next training may use it.",
    ),
    "unproved": Heading(
        "unproved", "Not proved", "It is there. Whether the network uses it could not be shown."
    ),
}
"""In the order in which they are shown."""


def in_order(findings: Sequence[Finding]) -> list[tuple[Verdict, list[Finding]]]:
    """Findings by verdict, what is used first; within a verdict as they came."""
    return [
        (verdict, own)
        for verdict in HEADINGS
        if (own := [f for f in findings if f.verdict == verdict])
    ]
