"""What an audit left in its folder, as plain values for the page of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from camcli.batch.tables.reading import read_rows
from camcli.errors import CamcliError
from camcli.evaluate.audit.audit_files import FACTS, PAGE, RECORD
from camcli.evaluate.findings.for_report import FindingsRecord, PathInRun, page_values, short, whole
from camcli.ours import below

MOST_CLASSES = 2000


def audit_values(record: FindingsRecord, place: PathInRun) -> dict[str, Any]:
    """Findings, classes and clusters.

    Args:
        record: of an audit.
        place: what the run calls a photograph.

    Returns:
        Beside what `camcli.evaluate.findings.for_report.page_values` gives: ``classes``,
        ``clusters``, ``members`` (path, class and number of its cluster for each photograph), and
        ``page``, the page that the audit left, where it is there.

    Raises:
        CamcliError: the record is not as camcli writes it.
    """
    return {
        **page_values(record, place),
        "record": RECORD,
        "classes": _classes(record),
        "clusters": _clusters(record, place),
        "members": list(_members(record, place)),
        "page": next(map(str, below(record.folder, [PAGE])), None),
    }


def _classes(record: FindingsRecord) -> list[dict[str, Any]]:
    """Where the heat of each class lies."""
    rows = record.content.get("classes")
    found = []
    for row in rows[:MOST_CLASSES] if isinstance(rows, list) else ():
        if not isinstance(row, Mapping) or not isinstance(row.get("label"), str):
            continue
        flags = row.get("flags")
        found.append(
            {
                "label": row["label"],
                "right": whole(row.get("right")),
                "count": whole(row.get("count")),
                **{name: _share(row.get(name)) for name in ("stray", "border", "corner")},
                "flags": [short(each) for each in flags] if isinstance(flags, list) else [],
            }
        )
    return found


def _clusters(record: FindingsRecord, place: PathInRun) -> list[dict[str, Any]]:
    """The clusters of each class, in the order of the record."""
    classes = record.content.get("clusters")
    found = []
    for name, own in classes.items() if isinstance(classes, Mapping) else ():
        for number, each in enumerate(own if isinstance(own, list) else ()):
            if not isinstance(each, Mapping):
                continue
            typical = each.get("typical")
            paths = [p for p in typical if isinstance(p, str)] if isinstance(typical, list) else []
            found.append(
                {
                    "class": name,
                    "number": number,
                    "images": whole(each.get("images")),
                    "probability": _share(each.get("probability")),
                    "typical": [place(path) for path in paths],
                }
            )
    return found[:MOST_CLASSES]


def _members(record: FindingsRecord, place: PathInRun) -> Iterator[tuple[str, str, int]]:
    """Path, class and number of the cluster; none where the table is gone or is another one."""
    for file in below(record.folder, [FACTS]):
        try:
            for row in read_rows(file, ("pred", "cluster"), strict=False):
                path, number = place(row["path"]), row["cluster"]
                if path is not None and number.isdecimal() and len(number) < 6:
                    yield path, row["pred"], int(number)
        except CamcliError:
            return


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(1.0, max(0.0, float(value)))
