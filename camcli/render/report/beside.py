"""What else is known about a run, as plain values: whoever knows the folders hands it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camcli.render.report.findings_part import Numbers, findings_parts

TABS = (("map", "Map"), ("audit", "Audit"), ("check", "Check"), ("evaluation", "Evaluation"),
        ("training", "Training"))  # fmt: skip
"""Of the page of one run, beside those that every page has: name and title."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What other commands found out about the photographs of a run, or its network.

    Attributes:
        audit: what ``camcli audit`` found; see `camcli.render.report.parts`.
        check: what ``camcli check`` found.
        evaluation: what ``camcli evaluate`` measured.
        training: how ``camcli train`` made the network.
    """

    audit: Mapping[str, Any] | None = None
    check: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None


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
