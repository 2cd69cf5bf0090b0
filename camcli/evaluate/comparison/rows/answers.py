"""What all networks of an evaluation answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from camcli.evaluate.comparison.rows.advice import Advice
from camcli.evaluate.comparison.rows.columns import MetricRow
from camcli.models.loading.box_calibration import Calibration


@dataclass(slots=True)
class Answers:
    """What all networks' evaluations found.

    Attributes:
        rows: of the comparison.
        checks: of the sanity checks.
        predictions: classification by network.
        learned: what the heads of the check with random labels know, by network.
        adapted: how well heads got used to photographs without patches, by network.
        advice: which method to use, by network.
        calibrations: thresholds of boxes that were chosen, by network.
        failures: unreadable photographs, as sentences.
        partial: how far the networks came that something ended, as sentences.
        stopped: what a person ended it with (Ctrl-C, SIGTERM); None where nobody did.
    """

    rows: list[MetricRow] = field(default_factory=list)
    checks: list[MetricRow] = field(default_factory=list)
    predictions: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    adapted: dict[str, Any] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)
    calibrations: dict[str, list[Calibration]] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)
    partial: list[str] = field(default_factory=list)
    stopped: BaseException | None = None

    def __bool__(self) -> bool:
        """Whether anything was measured."""
        return any(row.metrics for row in [*self.rows, *self.checks]) or bool(self.calibrations)
