"""What a check left in its folder, as plain values for the page of a run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from camcli.batch.tables.reading import read_rows
from camcli.errors import CamcliError
from camcli.evaluate.check.check_files import PAGE, RECORD, TABLE
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.for_report import FindingsRecord, PathInRun, page_values, whole
from camcli.ours import below


def check_values(record: FindingsRecord, place: PathInRun) -> dict[str, Any]:
    """Findings with all their photographs, of which the record itself has the worst only.

    Args:
        record: of a check.
        place: what the run calls a photograph.

    Returns:
        Beside what `camcli.evaluate.findings.for_report.page_values` gives: ``looked``, and
        ``page``, the page that the check left, where it is there.

    Raises:
        CamcliError: the record is not as camcli writes it.
    """
    listed = _listed(record)

    def more(finding: Finding) -> Iterator[tuple[Sighting, str]]:
        yield from listed.get(finding.kind, ())

    return {
        **page_values(record, place, more),
        "record": RECORD,
        "looked": whole(record.content.get("looked")),
        "page": next(map(str, below(record.folder, [PAGE])), None),
    }


def _listed(record: FindingsRecord) -> dict[str, list[tuple[Sighting, str]]]:
    """The photographs of each kind, with what to do; none where the table is gone."""
    found: dict[str, list[tuple[Sighting, str]]] = defaultdict(list)
    for file in below(record.folder, [TABLE]):
        try:
            for row in read_rows(file, ("kind", "note", "other", "suggestion"), strict=False):
                if row["path"]:
                    sighting = Sighting(
                        row["path"], None, row["note"], _score(row.get("score")),
                        row["other"] or None,
                    )  # fmt: skip
                    found[row["kind"]].append((sighting, row["suggestion"]))
        except CamcliError:
            return {}
    return found


def _score(text: str | None) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
