"""Tables that say what is in images, several labels an image if need be.

=========================  ========================================================================
``path,label``             One label an image, or several with ``|`` between: ``edema|mass``. An
                           empty cell is an image with none. The column may be called ``labels``,
                           ``tags`` or ``class``, that of the paths ``file``, ``image`` ... too.
``path,edema,mass``        One column a class, with 1 where it is in the image and 0 where not.
                           Nobody knows where there is -1, ``?``, ``nan`` or ``unknown``; an empty
                           cell likewise, if its column has a 0 elsewhere: where absence is written
                           down, nothing is not absence. In the first form that is ``edema|?mass``.
``path,age``               One column of other numbers: what a network that measures should say;
                           or several, ``path,age,weight``. An empty cell is a value that nobody
                           knows. In one text they are ``age=41.5|weight=70``.
=========================  ========================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camcli.data.sources.csv_text import read_csv
from camcli.data.sources.label_cells import (
    TAKES,
    are_measured,
    denied_columns,
    is_there,
    number_of,
)
from camcli.errors import UsageError
from camcli.ours import finite_number
from camcli.printable import counted, printable, some
from camcli.spreadsheet import plain

PATHS = (
    "path", "paths", "file", "filename", "file_name", "filepath", "file_path", "image",
    "image_path", "image_name", "img", "name", "id", "image_id", "image index",
)  # fmt: skip
LABELS = (
    "label", "labels", "class", "classes", "tag", "tags", "category", "categories", "target",
    "targets", "finding labels",
)  # fmt: skip
# Columns that are no class and say nothing about one.
_OTHERS = ("split", "set", "fold", "subset", "width", "height")
UNKNOWN = "?"
"""In front of a label that nobody knows whether an image has."""
_PIECE = re.compile(r"\\([|\\?])|([|])|([^|\\]+|\\)")


def join_labels(names: Iterable[str], unknown: Iterable[str] = ()) -> str:
    """Names in one cell, ``|`` between them; one in a name gets a backslash in front.

    Args:
        names: of what is in an image.
        unknown: of what may be in it or not, for all that is known: with a ``?`` in front.

    Example:
        >>> join_labels(["edema", "mass"], ["nodule"])
        'edema|mass|?nodule'
    """
    cells = [_escaped(name) for name in names]
    return "|".join(cells + [UNKNOWN + _escaped(name) for name in unknown])


def _escaped(name: str) -> str:
    text = name.replace("\\", "\\\\").replace("|", "\\|")
    return f"\\{text}" if text.startswith(UNKNOWN) and text.strip("? ") else text


def split_labels(text: str) -> tuple[str, ...]:
    """The names in a cell that `join_labels` wrote, or a person; none in an empty one.

    Example:
        >>> split_labels("edema | mass|?nodule")
        ('edema', 'mass')
    """
    return _names(text)[0]


def unknown_labels(text: str) -> tuple[str, ...]:
    """The names in such a cell of which it is not known whether they are in the image.

    Example:
        >>> unknown_labels("edema | mass|?nodule")
        ('nodule',)
    """
    return _names(text)[1] if UNKNOWN in text else ()


def _names(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Known and unknown names; what is both is known."""
    parts, marked = [""], [False]
    for escaped, between, other in _PIECE.findall(text):
        if between:
            parts.append("")
            marked.append(False)
            continue
        if not parts[-1].strip() and not escaped:
            # Question marks alone are a name, if an odd one.
            marked[-1] = other.lstrip().startswith(UNKNOWN)
        parts[-1] += escaped or other
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for part, mark in zip((part.strip() for part in parts), marked, strict=True):
        if mark and part.strip("? "):
            unknown[part[1:].strip()] = None
        elif part:
            known[part] = None
    return tuple(known), tuple(name for name in unknown if name not in known)


@dataclass(frozen=True)
class LabelTable:
    """What a table says of each image.

    Attributes:
        path: of the table.
        labels: the names of what is in an image, by its path as the table has it.
        classes: all classes, where they are the table's columns; else those that occur, sorted.
        columns: whether the classes are the table's columns.
        values: names of the columns whose numbers are values, and no classes; the labels of an
            image are then its numbers, see `camcli.data.sources.value_labels`.
        unknown: of an image the classes of which nobody knows whether they are in it, by the same
            path; only where there are some.
        empty: how many empty cells were taken for that.
        blank: classes whose column has nothing in it.
        splits: what a column called split says of each image, by the same path; empty without.
    """

    path: Path
    labels: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    columns: bool
    splits: dict[str, str] = field(default_factory=dict)
    blank: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    empty: int = 0

    @property
    def measured(self) -> bool:
        """Whether it holds values, and no classes."""
        return bool(self.values)

    @property
    def several(self) -> bool:
        """Whether labels do not exclude each other: an image has several of them, or none."""
        if self.measured:
            return False
        return bool(self.unknown) or any(len(names) != 1 for names in self.labels.values())

    @property
    def empty_told(self) -> str:
        """What empty cells were taken for, where there are some."""
        return (
            f"{counted(self.empty, 'empty cell')} of {self.path} in columns that have a 0 "
            "elsewhere: taken for unknown, which counts nowhere. Write 0 where the label is absent."
        )

    def said(self, row: str) -> str:
        """What it says of the image that it calls `row`, in one cell; see `join_labels`."""
        return join_labels(self.labels[row], self.unknown.get(row, ()))


def read_label_table(path: str | Path, values: bool | None = None) -> LabelTable:
    """Read a table in one of the module's forms.

    Args:
        path: of a CSV file with commas, semicolons or tabs.
        values: whether it holds values; None to go by the numbers. Of several columns of numbers
            that are no values the first has the classes.

    Raises:
        UsageError: it cannot be read, has no such columns, or says two things of one image.
    """
    path = Path(path)
    (_, first), *rows = read_csv(path, TAKES)
    names = [cell.lower() for cell in first]
    where = next((names.index(name) for name in PATHS if name in names), None)
    if where is None:
        raise UsageError(
            f"The first line of {path} names no column of paths: path or file, say; it names "
            f"{some(first)}. {TAKES}."
        )
    what = next((names.index(name) for name in LABELS if name in names), None)
    columns = {
        number: name
        for number, name in enumerate(first)
        if number != where and name and names[number] not in _OTHERS
    }
    if values:
        columns = columns if what is None else {what: first[what]}
    # Of something else than yes and no.
    measured = values or (what is None and are_measured(rows, columns))
    if measured and values is False:
        measured, what = False, min(columns)  # each number is a class
    if what is None and not columns:
        raise UsageError(f"{path} has no column of labels beside {first[where]!r}. {TAKES}.")
    found: dict[str, tuple[str, ...]] = {}
    unknown: dict[str, tuple[str, ...]] = {}
    split = names.index("split") if "split" in names else None
    splits: dict[str, str] = {}
    empty = 0
    denied = denied_columns(rows, columns) if what is None and not measured else set()
    for line, cells in rows:
        if len(cells) < len(first):
            cells = cells + [""] * (len(first) - len(cells))
        name = _clean(plain(cells[where]))
        if not name:
            raise UsageError(f"{path}, line {line}: no path. {TAKES}.")
        untold: tuple[str, ...] = ()
        if measured:
            numbers = {n: number_of(cells[n], path, line) for n in columns}
            known = {columns[n]: text for n, text in numbers.items() if text}
            labels = join_values(known, alone=len(columns) == 1)
        elif what is not None:
            labels, untold = _names(plain(cells[what]))
        else:
            said = {n: is_there(cells[n], n in denied, path, line) for n in columns}
            labels = tuple(columns[n] for n, there in said.items() if there)
            untold = tuple(columns[n] for n, there in said.items() if there is None)
            empty += sum(there is None and not cells[n] for n, there in said.items())
        if found.get(name, labels) != labels or unknown.get(name, ()) != (
            untold if name in found else ()
        ):
            raise UsageError(
                f"{path}, line {line}: {printable(name)!r} has other labels than in a line before: "
                "keep one of them."
            )
        found[name] = labels
        if untold:
            unknown[name] = untold
        if split is not None and splits.setdefault(name, cells[split]) != cells[split]:
            raise UsageError(f"{path}, line {line}: {printable(name)!r} is in two splits.")
    if not found:
        raise UsageError(f"{path} has a first line and no rows. {TAKES}.")
    classes = (
        tuple(columns.values())
        if what is None or measured
        else tuple(sorted({n for each in (found, unknown) for own in each.values() for n in own}))
    )
    filled = {number for _, cells in rows for number, cell in enumerate(cells) if cell}
    blank = frozenset(name for number, name in columns.items() if number not in filled)
    return LabelTable(
        path, found, classes, what is None and not measured, splits, blank,
        classes if measured else (), unknown, empty,
    )  # fmt: skip


def join_values(values: Mapping[str, str], *, alone: bool) -> tuple[str, ...]:
    """The labels of an image of which these values are known.

    Args:
        values: the numbers as they were written, by name; those that are not known are left out.
        alone: whether there is one value only, which then needs no name.

    Example:
        >>> join_values({"age": "41.5"}, alone=False)
        ('age=41.5',)
    """
    return tuple(text if alone else f"{name}={text}" for name, text in values.items())


def split_values(label: str | None, names: Sequence[str]) -> tuple[float, ...]:
    """The values of an image in the order of their names; NaN for those that are not known.

    Args:
        label: what a table says of it; None for nothing.
        names: of the values. A number alone is that of the only one.

    Example:
        >>> split_values("weight=70|age=41.5", ["age", "weight"])
        (41.5, 70.0)
    """
    found: dict[str, float] = {}
    for part in split_labels(label or ""):
        name, equals, text = part.rpartition("=")
        value = finite_number(text)
        if value is not None and equals:
            found[name] = value
        elif value is not None and len(names) == 1:
            found[names[0]] = value
    return tuple(found.get(name, math.nan) for name in names)


def _clean(path: str) -> str:
    """A path with slashes, without ``./`` in front."""
    text = path.replace("\\", "/")
    while text.startswith("./"):
        text = text[2:]
    return text


@dataclass(frozen=True)
class Tabled:
    """A labeller: an image's labels are what a table says, in one text, as `join_labels` has it.

    Attributes:
        table: by paths relative to the source, absolute, or that end as one of these does.
        root: absolute path of the source's folder.
    """

    table: LabelTable
    root: str = ""
    _ends: dict[str, list[str]] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, rel: str) -> str | None:
        """The labels; empty for an image with none, None for one that the table does not name."""
        row = self.row(rel)
        return None if row is None else self.table.said(row)

    def every(self) -> list[str]:
        """The labels of each row, as a call gives them."""
        return [self.table.said(row) for row in self.table.labels]

    def row(self, rel: str) -> str | None:
        """The path by which the table names an image; None where it does not, or is unclear."""
        known, said = self.table.labels, self.table.said
        whole = f"{self.root}/{rel}" if self.root else rel
        for exact in (rel, whole):
            if exact in known:
                return exact
        if not self._ends:
            for name in known:
                self._ends.setdefault(name.rsplit("/", 1)[-1], []).append(name)
        near = [
            name
            for name in self._ends.get(rel.rsplit("/", 1)[-1], ())
            if whole.endswith(f"/{name}") or name.endswith(f"/{rel}")
        ]
        # Two rows that could be meant, and say different things: neither is taken.
        return near[0] if len({said(name) for name in near}) == 1 else None
