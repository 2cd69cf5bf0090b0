"""The tabs of the page of one run, and what each loads when it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camcli.render.report.parts.findings import Numbers, findings_parts
from camcli.render.report.rows.beside import Beside

TABS = (("map", "Map"), ("audit", "Audit"), ("check", "Check"), ("evaluation", "Evaluation"),
        ("training", "Training"))  # fmt: skip
"""Of the page of one run, beside those that every page has: name and title."""


def page_parts(beside: Beside, numbers: Numbers, out: Path) -> dict[str, Any]:
    """What each tab's script loads when it is first looked at, by the tab's name.

    Args:
        beside: what is known.
        numbers: of the page's rows.
        out: the page's folder, for links to files.

    Returns:
        Plain values for JSON; a tab that has nothing to show has no entry.
    """
    known = {"audit": beside.audit, "check": beside.check}
    found = findings_parts(known, numbers, out)
    if beside.evaluation is not None:
        found["evaluation"] = dict(beside.evaluation)
    if beside.training is not None:
        found["training"] = dict(beside.training)
    return found
