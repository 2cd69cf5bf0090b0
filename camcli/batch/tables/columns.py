"""The columns of ``predictions.csv``: what each is called, what it holds, how a Result fills it.

A new column is an entry of `COLUMNS`, where it shall stand. Tables that were begun before there
was one go on without it, and go together with tables that have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from camcli.data.decode.fit import seen_share
from camcli.data.sources.label_tables import join_labels

if TYPE_CHECKING:  # they bring NumPy, and a table is read without
    from camcli.result import Heat, Result

Value = str | int | float | None
ColumnKind = Literal["text", "flag", "count", "number", "share"]
"""What a column holds: 0 or 1, whole numbers, any number, a number in [0, 1]."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: in the table's first line.
        doc: what it holds, for the documentation.
        of: its cell, from a Result and its first map; None where there is nothing to say.
        kind: what it holds.
        since: the version that brought it: an older table may lack it. Empty for those that every
            run has.
    """

    name: str
    doc: str
    of: Callable[[Result, Heat], Value]
    kind: ColumnKind = "text"
    since: str = ""


def _side(which: int) -> Callable[[Result, Heat], Value]:
    return lambda result, heat: heat.box[which] if heat.box else None


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


_BEFORE_TOP: tuple[Column, ...] = (
    Column("path", "the image, relative to the source", lambda r, h: r.ref.rel),
    Column("label", "the true class, where it is known", lambda r, h: r.ref.label),
    Column("pred", "the predicted class; of labels the likeliest", lambda r, h: r.pred),
    Column("prob", "its probability", lambda r, h: _short(r.prob), "share"),
    Column(
        "correct",
        "1 where it is the label, 0 where not; of labels 1 where `positives` are `labels`",
        lambda r, h: _flag(r.correct),
        "flag",
    ),
    Column("target", "the class that the map explains", lambda r, h: h.target or None),
    Column("method", "of the map", lambda r, h: r.method),
    Column("layer", "that the map shows", lambda r, h: r.layer),
    Column(
        "score",
        "what number of `target` the map explains: `logit`, `probability` or `contrast`",
        lambda r, h: r.score,
        since="0.3",
    ),
)
_AFTER_TOP: tuple[Column, ...] = (
    Column("heat_x", "the heat's centre of mass, from the left, in [0, 1] of the photograph",
           lambda r, h: _short(h.x), "number"),
    Column("heat_y", "likewise, from the top", lambda r, h: _short(h.y), "number"),
    Column("box_x0", "the largest region above 20% of the maximum, or --box-threshold, in pixels: "
           "left", _side(0), "count"),
    Column("box_y0", "top", _side(1), "count"),
    Column("box_x1", "right", _side(2), "count"),
    Column("box_y1", "bottom", _side(3), "count"),
    Column("heat_area", "share of what the network saw that is above half of the maximum",
           lambda r, h: _short(h.area) if r.heats else None, "number"),
    Column("heat_border", "share of the heat in its outer tenth",
           lambda r, h: _short(h.border) if r.heats else None, "number"),
    Column("overlay", "the picture, relative to the run", lambda r, h: r.overlay),
    Column("width", "of the photograph, upright, in pixels", lambda r, h: r.width, "count"),
    Column("height", "likewise", lambda r, h: r.height, "count"),
    Column("seen", "share of the photograph that the network saw: a centre crop hides the rest",
           lambda r, h: _short(seen_share(r.view, r.width, r.height)), "share", since="0.3"),
    Column("status", "`ok`; `empty`, no positive evidence; `error`", lambda r, h: r.status),
    Column("error", "the reason, in a sentence", lambda r, h: r.error),
)  # fmt: skip

# Of networks whose labels do not exclude each other.
_LABELS: tuple[Column, ...] = (
    Column("labels", "the true labels, `|` between them; empty for none, and where `correct` is "
           "empty for unknown; a `?` before those that alone are unknown",
           lambda r, h: None if r.labels is None else join_labels(r.labels, r.unknown),
           since="0.3"),
    Column("positives", "the labels with a probability above their threshold, the likeliest first",
           lambda r, h: join_labels(name for name, _ in r.positives), since="0.3"),
    Column("positives_prob", "their probabilities, `|` between them",
           lambda r, h: "|".join(f"{prob:.5g}" for _, prob in r.positives), since="0.3"),
)  # fmt: skip
# Of networks that measure.
_VALUE = Column("value", "what the network says of `target`", lambda r, h: _short(h.value),
                "number", since="0.3")  # fmt: skip

# Of more labels than this the table has no column each.
MOST_LABELS = 1000

COLUMNS: tuple[Column, ...] = (*_BEFORE_TOP, *_AFTER_TOP)
"""All of them but those of the other best classes, which stand behind ``layer``, and those that
`OUTPUT_COLUMNS` has."""

LASTING = tuple(column.name for column in COLUMNS if not column.since)
"""Columns of every table there ever was."""

OUTPUT_COLUMNS: tuple[Column, ...] = (
    *_LABELS,
    Column("prob_NAME", "the probability of each label, a column each",
           lambda r, h: None, "share", since="0.3"),
    _VALUE,
    Column("value_NAME", "each value where there are several, a column each",
           lambda r, h: None, "number", since="0.3"),
)  # fmt: skip
"""What only tables of networks have that return labels or values."""

_TOP = re.compile(r"top(\d+)(_prob)?")
_KINDS: dict[str, ColumnKind] = {
    column.name: column.kind for column in (*COLUMNS, *_LABELS, _VALUE)
}
_NEWER = frozenset(column.name for column in (*COLUMNS, *_LABELS, _VALUE) if column.since)
_OF_OUTPUT = re.compile(r"(prob|value)_.+", re.DOTALL)


def ranked(top: int) -> list[Column]:
    """The columns of the second best class to that of rank `top`."""
    found = []
    for n in range(2, top + 1):
        found.append(Column(f"top{n}", f"the class of rank {n}", _ranked(n, 0)))
        found.append(Column(f"top{n}_prob", "its probability", _ranked(n, 1), "share"))
    return found


@lru_cache(maxsize=16)  # each row asks
def columns_of(
    top: int, labels: tuple[str, ...] = (), values: tuple[str, ...] = ()
) -> tuple[Column, ...]:
    """All columns of a table.

    Args:
        top: how many predictions it lists.
        labels: the names of a network's labels, if they do not exclude each other.
        values: those of what it measures, if it has no classes.
    """
    if values:
        each = _each("value_", values, "its value", "number") if len(values) > 1 else []
        return (*_BEFORE_TOP, _VALUE, *each, *_AFTER_TOP)
    if labels:
        few = len(labels) <= MOST_LABELS
        each = _each("prob_", labels, "its probability", "share") if few else []
        return (*_BEFORE_TOP, *_LABELS, *ranked(top), *each, *_AFTER_TOP)
    return (*_BEFORE_TOP, *ranked(top), *_AFTER_TOP)


def value_columns(values: Sequence[str]) -> list[str]:
    """The names of the columns with all values of a network that measures."""
    return [f"value_{name}" for name in values] if len(values) > 1 else ["value"]


def _each(before: str, names: Sequence[str], doc: str, kind: ColumnKind) -> list[Column]:
    """A column for each output, in the network's order."""

    def of(number: int) -> Callable[[Result, Heat], Value]:
        return lambda r, h: _short(r.numbers[number]) if r.numbers else None

    return [
        Column(f"{before}{name}", doc, of(number), kind, since="0.3")
        for number, name in enumerate(names)
    ]


def kind_of(name: str) -> ColumnKind:
    """What a column holds, also one that no run has any more."""
    if match := _TOP.fullmatch(name):
        return "share" if match[2] else "text"
    if match := _OF_OUTPUT.fullmatch(name):
        return "share" if match[1] == "prob" else "number"
    # Whatever begins so has been a number in each version.
    return _KINDS.get(name, "number" if re.fullmatch(r"heat_\w+", name) else "text")


def _is_newer(name: str) -> bool:
    return name in _NEWER or bool(_OF_OUTPUT.fullmatch(name))


def goes_on(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a table with a first line of `names` is one of `wanted`, or of before some of them.

    Args:
        names: of the table, in its order.
        wanted: of a run of today.
    """
    return list(names) == [name for name in wanted if name in names or not _is_newer(name)]


def joined(tables: Iterable[Sequence[str]]) -> list[str] | None:
    """The columns of tables together, some of which may be older; None where they do not fit.

    A table that lacks a column has empty cells in it.
    """
    found = [list(names) for names in tables]
    widest = max(found, key=len)
    return widest if all(goes_on(names, widest) for names in found) else None


def _ranked(n: int, what: int) -> Callable[[Result, Heat], Value]:
    def of(result: Result, heat: Heat) -> Value:
        if len(result.top) < n:
            return None
        name, prob = result.top[n - 1]
        return _short(prob) if what else name

    return of


def _short(value: float | None) -> float | None:
    """Five significant digits: float32 promises no more across machines."""
    return None if value is None else float(f"{value:.5g}")
