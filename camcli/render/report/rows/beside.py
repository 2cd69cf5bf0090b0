"""What else is known about a run, as plain values: whoever knows the folders hands it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Beside:
    """What other commands found out about the photographs of a run, or its network.

    Attributes:
        audit: what ``camcli audit`` found; see `camcli.render.report.parts.findings`.
        check: what ``camcli check`` found.
        evaluation: what ``camcli evaluate`` measured.
        training: how ``camcli train`` made the network.
    """

    audit: Mapping[str, Any] | None = None
    check: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
