"""What a comparison says beside its controls: a map that does not beat a centred box shows nothing.

A control knows nothing of the network (a centred box, a Gaussian, noise), or nothing of what it
learned (random weights).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from camcli.evaluate.comparison.rows.columns import CONTROLS, FORM, LOWER, MetricRow

BOX = "centre-box"
# The metric that speaks for its group is the first of these that is there.
_SPEAKS = (
    "maxboxacc_v2", "maxboxacc", "top1_loc_error", "energy", "pointing", "pxap", "pixel_auc",
    "iou", "grid_3x3", "grid_2x2", "insertion", "deletion", "road",
)  # fmt: skip


def is_control(row: MetricRow) -> bool:
    """Whether a row is there to be beaten."""
    return row.method in (*CONTROLS, "random")


def best(rows: Sequence[MetricRow], metric: str) -> float | None:
    """The best value of a metric among the methods, if no control has a better one.

    Of the form of a map there is none: how small the heat is does not say whether it is right.
    """
    if metric in FORM:
        return None
    best_of = min if metric in LOWER else max
    values = [(row.metrics[metric], is_control(row)) for row in rows if metric in row.metrics]
    methods = [value for value, control in values if not control]
    if not methods:
        return None
    found = best_of(methods)
    return found if found == best_of(value for value, _ in values) else None


@dataclass(frozen=True, slots=True)
class Standing:
    """Methods against the centred box, by one metric.

    Attributes:
        metric: its name.
        beat: methods whose interval lies apart from the box's, on the better side.
        tie: methods whose interval overlaps it.
        lose: methods whose interval lies apart on the worse side.
    """

    metric: str
    beat: tuple[str, ...]
    tie: tuple[str, ...]
    lose: tuple[str, ...]

    def sentence(self) -> str:
        """The same in words."""
        parts = [
            (_listed(names), verb)
            for names, verb in (
                (self.beat, "beat" if len(self.beat) > 1 else "beats"),
                (self.tie, "tie with" if len(self.tie) > 1 else "ties with"),
                (self.lose, "lose to" if len(self.lose) > 1 else "loses to"),
            )
            if names
        ]
        (first, does), *others = parts
        # Each verb has its object: what ties "with; the next loses to it" is no sentence.
        said = [f"{first} {does} the centred box", *(f"{who} {verb} it" for who, verb in others)]
        return f"By {self.metric}, {'; '.join(said)} ({self._why()})."

    def _why(self) -> str:
        if not self.tie:
            return "intervals apart"
        return "intervals overlap" if not (self.beat or self.lose) else "a tie: intervals overlap"


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def standing(
    rows: Sequence[MetricRow], metrics: Sequence[str], name_of: Callable[[MetricRow], str]
) -> Standing | None:
    """How the methods stand against the centred box in a group of metrics.

    Args:
        rows: of the comparison.
        metrics: of the group.
        name_of: what to call a method's row.

    Returns:
        By the metric that speaks for the group; None where the box, or its interval, is not there.
    """
    box = next((row for row in rows if row.method == BOX), None)
    if box is None:
        return None
    metric = next((m for m in _SPEAKS if m in metrics and m in box.intervals), None)
    if metric is None:
        return None
    sides: dict[str, list[str]] = {"beat": [], "tie": [], "lose": []}
    low, high = box.intervals[metric]
    for row in rows:
        if is_control(row) or metric not in row.intervals:
            continue
        below, above = row.intervals[metric][1] < low, row.intervals[metric][0] > high
        better, worse = (below, above) if metric in LOWER else (above, below)
        sides["beat" if better else "lose" if worse else "tie"].append(name_of(row))
    if not any(sides.values()):
        return None
    return Standing(metric, **{side: tuple(names) for side, names in sides.items()})
