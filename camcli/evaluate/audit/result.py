"""What an audit found, as one record: what the command prints, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camcli.evaluate.audit.audit import ClassSummary, Suspicion
from camcli.evaluate.audit.map_clusters import Alike
from camcli.evaluate.audit.map_stats import Fact


@dataclass(frozen=True, slots=True, eq=False)
class AuditResult:
    """What a network looks at across a whole data set.

    Attributes:
        source: what was audited, as the user wrote it.
        flagged: why classes are flagged, the strongest first.
        classes: every class, flagged ones first, then by how much heat strays.
        facts: every photograph's heat in numbers.
        alike: the maps of each class in clusters.
        masks: whether there were masks: without, only corners and the border are looked at.
        unreadable: the photographs that could not be read, as sentences.
        out: the folder that was written; None where none was asked for.
        files: their names in `out`.
    """

    source: str
    flagged: tuple[Suspicion, ...]
    classes: tuple[ClassSummary, ...]
    facts: tuple[Fact, ...]
    alike: Alike
    masks: bool
    unreadable: tuple[str, ...] = ()
    out: Path | None = None
    files: tuple[str, ...] = ()
