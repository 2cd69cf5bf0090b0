"""What else is known about a run, as plain values: whoever knows the folders hands it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


Numbers = Callable[[str], int | None]
"""Relative path of a photograph -> number of its row on the page; None where it has none."""


def page_parts(beside: Beside, numbers: Numbers) -> dict[str, Any]:
    """What each tab's script loads when it is first looked at, by the tab's name.

    Args:
        beside: what is known.
        numbers: of the page's rows.

    Returns:
        Plain values for JSON; a tab that has nothing to show has no entry.
    """
    found: dict[str, Any] = {}
    if beside.evaluation is not None:
        found["evaluation"] = dict(beside.evaluation)
    if beside.training is not None:
        found["training"] = dict(beside.training)
    return found
