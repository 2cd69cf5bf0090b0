"""Which method to use on this network, and why, in words: from the rows, their draws and checks.

Two methods see the same photographs, so their difference is known better than either: it is taken
in each bootstrap draw, and one is better where the 95% interval of the difference lies above 0. A
method that is not better than maps which know nothing is not advised, however good it looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.comparison.rows.columns import (
    CLASSIFICATION,
    CONTROLS,
    LOWER,
    UNRELATED,
    MetricRow,
)
from camcli.evaluate.comparison.rows.controls import is_control
from camcli.evaluate.metrics.sanity import is_kept
from camcli.printable import counted, decimals

Resampled = Mapping[str, Mapping[str, np.ndarray]]
"""By method and metric the values of all bootstrap draws, NaN where a draw has none."""
FEWEST = 8
"""Photographs, below which nothing is said."""
_KNOW_NOTHING = (*CONTROLS, "random")


@dataclass(frozen=True, slots=True)
class Question:
    """What a person wants to know of a map.

    Attributes:
        words: "METHOD ..." in the present tense.
        metrics: the first that was measured answers it.
    """

    words: str
    metrics: tuple[str, ...]


QUESTIONS = (
    # Asked where the answer is known, since the same scenes are there without each part.
    Question("has its heat on the parts that the network needs", ("parts_mean", "completeness")),
    Question("ranks the patches as the network does", ("idsds", "sds")),
    Question(
        "shows what the prediction needs",
        ("ffid_plus", "rfid_plus", "road", "deletion"),
    ),
    Question("tells the class from others in one picture", ("grid_2x2", "grid_3x3")),
    Question("lies on the thing", ("pxap", "maxboxacc_v2", "energy")),
)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to use, and why.

    Attributes:
        model: the network.
        method: the one to use; None where none can be advised.
        tied: methods that these photographs do not tell apart from it, or that are better by one
            metric and worse by another.
        lines: the verdict and its reasons, as sentences.
    """

    model: str
    method: str | None
    tied: tuple[str, ...]
    lines: tuple[str, ...]


def difference(drawn: Resampled, one: str, other: str, metric: str) -> tuple[float, float] | None:
    """The 95% interval of how much better one is than the other; above 0, it is better.

    Args:
        drawn: of methods that saw the same photographs in the same draws.
        one: a method.
        other: another one, or a control.
        metric: its direction is known.

    Returns:
        None where either has no such metric, or no draws.
    """
    a, b = (drawn.get(name, {}).get(metric) for name in (one, other))
    if a is None or b is None or len(a) != len(b):
        return None
    gap = (b - a) if metric in LOWER else (a - b)
    gap = gap[np.isfinite(gap)]
    if not len(gap):
        return None
    return float(np.percentile(gap, 2.5)), float(np.percentile(gap, 97.5))


def advise(
    model: str,
    rows: Sequence[MetricRow],
    drawn: Resampled,
    checks: Sequence[MetricRow] = (),
    costs: Mapping[str, int] | None = None,
) -> Advice | None:
    """The verdict on one network.

    Args:
        model: its name.
        rows: its methods' and the controls'.
        drawn: of the same.
        checks: its sanity checks, if any.
        costs: about how many images the network sees for one map of each method.

    Returns:
        None where nothing was measured that it could be taken from, or without draws.
    """
    table = {row.method: row for row in rows if row.method != CLASSIFICATION}
    methods = [name for name, row in table.items() if not is_control(row) and row.metrics]
    asked = [(q, m) for q in QUESTIONS if (m := _metric(q, table, methods, drawn))]
    if not methods or not asked:
        return None
    count = max(table[name].count for name in methods)
    if count < FEWEST:
        are = "is" if count == 1 else "are"
        few = (
            f"Verdict on {model}: none. {counted(count, 'photograph')} {are} too few to tell "
            "methods apart."
        )
        return Advice(model, None, (), (few,))
    stuck = _stuck(checks)
    better = {
        name: [(q, m) for q, m in asked if _beats_controls(name, m, drawn)] for name in methods
    }
    able = [name for name in methods if name not in stuck and better[name]]
    # Three methods can outdo each other in a circle, each by another metric: then all are left.
    best = [one for one in able if not any(_outdone(one, two, asked, drawn) for two in able)]
    able = best or able
    order = {name: n for n, name in enumerate(methods)}
    able.sort(key=lambda name: ((costs or {}).get(name, 1), -len(better[name]), order[name]))
    nothing = [name for name in methods if not better[name]]
    apart = _apart(able, asked, drawn)
    lines = [
        _verdict(
            model, able, methods, count, only_stuck=len(nothing) < len(methods), alike=not apart
        )
    ]
    lines += apart
    if able:
        lines += [_reason(able[0], q, m, table, drawn) for q, m in better[able[0]]]
        lines += [
            f"It is not shown that {able[0]} {q.words}: by {m}, {_number(table[able[0]], m)}, maps "
            "that know nothing may be as good."
            for q, m in asked if (q, m) not in better[able[0]]
        ]  # fmt: skip
    lines += [
        _outdone_by(name, able, asked, drawn)
        for name in methods if name not in able and name not in stuck and better[name]
    ]  # fmt: skip
    if held := [name for name in methods if name in stuck]:
        its, does = ("its map", "it does") if len(held) == 1 else ("their maps", "they do")
        lines.append(
            f"Not {_listed(held)}: a random head does not destroy {its}, so {does} not show the "
            "class."
        )
    if none := [name for name in nothing if name not in stuck]:
        lines += _no_better(none, asked, table, drawn)
    if not stuck and not any(m.startswith("rank@") for row in checks for m in row.metrics):
        lines.append("Whether the maps depend on what the head learned was not asked: --sanity.")
    return Advice(model, able[0] if able else None, tuple(able[1:]), tuple(lines))


def _metric(
    question: Question, table: Mapping[str, MetricRow], methods: Sequence[str], drawn: Resampled
) -> str | None:
    """The first of a question's metrics that all methods, and a control, have draws of."""
    for metric in question.metrics:
        known = all(metric in table[m].metrics and metric in drawn.get(m, {}) for m in methods)
        if known and any(metric in drawn.get(control, {}) for control in _KNOW_NOTHING):
            return metric
    return None


def _beats_controls(name: str, metric: str, drawn: Resampled) -> bool:
    gaps = [difference(drawn, name, control, metric) for control in _KNOW_NOTHING]
    known = [gap for gap in gaps if gap is not None]
    return bool(known) and all(low > 0 for low, _ in known)


def _outdone(one: str, two: str, asked: Sequence[tuple[Question, str]], drawn: Resampled) -> bool:
    """Whether another method is better by some metric, and by none worse."""
    gaps = [gap for _, m in asked if (gap := difference(drawn, two, one, m)) is not None]
    return any(low > 0 for low, _ in gaps) and not any(high < 0 for _, high in gaps)


def _stuck(checks: Sequence[MetricRow]) -> set[str]:
    """Methods whose maps a random head does not destroy."""
    rows = {row.method: row.metrics for row in checks}
    head = next((m for m in rows.get(UNRELATED, {}) if m.startswith("rank@")), None)
    if head is None:
        return set()
    floor = rows[UNRELATED][head]
    return {
        name for name, metrics in rows.items()
        if name not in (UNRELATED, "random") and head in metrics and is_kept(metrics[head], floor)
    }  # fmt: skip


def _apart(
    able: Sequence[str], asked: Sequence[tuple[Question, str]], drawn: Resampled
) -> list[str]:
    """By which metrics methods that may all be used differ, as sentences."""
    lines = []
    for one in able:
        for _, metric in asked:
            gaps = {two: difference(drawn, one, two, metric) for two in able if two != one}
            for two, gap in gaps.items():
                if gap is not None and gap[0] > 0:
                    lines.append(f"{one} is better than {two} by {metric}, by {_gap(*gap)}.")
    return lines


def _verdict(
    model: str,
    able: Sequence[str],
    methods: Sequence[str],
    count: int,
    *,
    only_stuck: bool,
    alike: bool,
) -> str:
    start = f"Verdict on {model} ({count} photographs):"
    if not able and only_stuck:
        return (
            f"{start} believe no map. What is better than maps that know nothing does not depend "
            "on what the head learned."
        )
    if not able:
        which = f"{methods[0]} is not" if len(methods) == 1 else "none of these methods is"
        return (
            f"{start} believe no map yet: {which} shown to be better than maps that know nothing."
        )
    if len(able) == 1:
        return f"{start} use {able[0]}."
    why = "these photographs do not tell them apart" if alike else "none is best by everything"
    return f"{start} use {able[0]}, or {' or '.join(able[1:])}: {why}."


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _no_better(
    names: Sequence[str],
    asked: Sequence[tuple[Question, str]],
    table: Mapping[str, MetricRow],
    drawn: Resampled,
) -> list[str]:
    """Of methods that are not shown to be better than the controls: by what, and how far off."""
    shown = "it is not shown" if len(names) == 1 else "they are not shown"
    known = [c for c in _KNOW_NOTHING if any(m in drawn.get(c, {}) for _, m in asked)]
    lines = [
        f"Not {_listed(names)}: by {_listed([m for _, m in asked])} {shown} to be better than maps "
        f"that know nothing ({_listed(known)})."
    ]
    ahead = []
    for _, metric in asked:
        best, value = _best_control(metric, table, drawn)
        sign = -1 if metric in LOWER else 1
        first = max(names, key=lambda name: sign * table[name].metrics[metric])
        if sign * (table[first].metrics[metric] - value) > 0:
            own, theirs = _told_apart(table[first].metrics[metric], value)
            ahead.append(f"{first} is ahead of them by {metric}, {own} against {theirs} of {best}")
    if ahead:
        lines.append(f"That may be too few photographs: {'; '.join(ahead)}. More would tell.")
    return lines


def _best_control(
    metric: str, table: Mapping[str, MetricRow], drawn: Resampled
) -> tuple[str, float]:
    """The best map that knows nothing, and its value."""
    controls = [c for c in _KNOW_NOTHING if metric in drawn.get(c, {}) and c in table]
    pick = min if metric in LOWER else max
    best = pick(controls, key=lambda c: table[c].metrics[metric])
    return best, table[best].metrics[metric]


def _reason(
    name: str, question: Question, metric: str, table: Mapping[str, MetricRow], drawn: Resampled
) -> str:
    """What a method is good for, beside the best map that knows nothing."""
    best, value = _best_control(metric, table, drawn)
    gap = difference(drawn, name, best, metric)
    # The intervals of the two may overlap though that of their difference is above 0.
    ahead = "" if gap is None else f", better by {_gap(*gap)}"
    digits = len(_told_apart(table[name].metrics[metric], value)[0].split(".")[1])
    return (
        f"{name} {question.words}: {metric} {_number(table[name], metric, digits)}, {best} "
        f"{_number(table[best], metric, digits)}{ahead}."
    )


def _outdone_by(
    name: str, able: Sequence[str], asked: Sequence[tuple[Question, str]], drawn: Resampled
) -> str:
    for other in able:
        for _, metric in asked:
            gap = difference(drawn, other, name, metric)
            if gap is not None and gap[0] > 0:
                return f"Not {name}: {other} is better by {metric}, by {_gap(*gap)}."
    return f"Not {name}: another method is better that is outdone itself."


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two different numbers with as many decimals as it takes to tell them apart, of 2 to 5."""
    for digits in range(2, 6):
        told = decimals(one, digits), decimals(other, digits)
        if told[0] != told[1]:
            break
    return told


def _gap(low: float, high: float) -> str:
    """``0.04 to 0.12``: an interval above 0, with as many decimals as show that it is.

    Example:
        >>> _gap(0.04, 0.12), _gap(0.0012, 0.03), _gap(1e-9, 0.03)
        ('0.04 to 0.12', '0.001 to 0.030', 'more than 0 and up to 0.03')
    """
    for digits in (2, 3, 4):
        if round(low, digits) > 0:
            return f"{low:.{digits}f} to {high:.{digits}f}"
    return f"more than 0 and up to {high:.2g}"


def _number(row: MetricRow, metric: str, digits: int = 2) -> str:
    text = decimals(row.metrics[metric], digits)
    if metric in row.intervals:
        low, high = row.intervals[metric]
        text += f" ({decimals(low, digits)} to {decimals(high, digits)})"
    return text
