"""Tables that say what is in images, several labels an image if need be.

=========================  ========================================================================
``path,label``             One label an image, or several with ``|`` between: ``edema|mass``. An
                           empty cell is an image with none. The column may be called ``labels``,
                           ``tags`` or ``class``, that of the paths ``file``, ``image`` ... too.
``path,edema,mass``        One column a class, with 1 where it is in the image and 0 where not.
``path,age``               One column of other numbers: what a network that measures should say.
=========================  ========================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from camcli.data.sources.csv_text import read_csv
from camcli.errors import UsageError
from camcli.printable import printable, some
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
_YES, _NO = ("1", "1.0", "true", "yes", "x", "t", "y"), ("0", "0.0", "", "false", "no", "f", "n")
_TAKES = (
    "A table of labels has a first line path,label and one row an image, several labels of an "
    "image with | between them; or path and one column a class, of 0 and 1"
)
_PIECE = re.compile(r"\\([|\\])|([|])|([^|\\]+|\\)")


def join_labels(names: Iterable[str]) -> str:
    """Names in one cell, ``|`` between them; one in a name gets a backslash in front.

    Example:
        >>> join_labels(["edema", "mass"])
        'edema|mass'
    """
    return "|".join(name.replace("\\", "\\\\").replace("|", "\\|") for name in names)


def split_labels(text: str) -> tuple[str, ...]:
    """The names in a cell that `join_labels` wrote, or a person; none in an empty one.

    Example:
        >>> split_labels("edema | mass")
        ('edema', 'mass')
    """
    parts = [""]
    for escaped, between, other in _PIECE.findall(text):
        if between:
            parts.append("")
        else:
            parts[-1] += escaped or other
    names = (part.strip() for part in parts)
    return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class LabelTable:
    """What a table says of each image.

    Attributes:
        path: of the table.
        labels: the names of what is in an image, by its path as the table has it.
        classes: all classes, where they are the table's columns; else those that occur, sorted.
        columns: whether the classes are the table's columns.
        measured: whether a column of another name holds numbers, which are no classes.
        blank: classes whose column has nothing in it.
        splits: what a column called split says of each image, by the same path; empty without.
    """

    path: Path
    labels: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    columns: bool
    splits: dict[str, str] = field(default_factory=dict)
    blank: frozenset[str] = frozenset()
    measured: bool = False

    @property
    def several(self) -> bool:
        """Whether labels do not exclude each other: an image has several of them, or none."""
        return any(len(names) != 1 for names in self.labels.values())


def read_label_table(path: str | Path) -> LabelTable:
    """Read a table in one of the module's two forms.

    Args:
        path: of a CSV file with commas, semicolons or tabs.

    Raises:
        UsageError: it cannot be read, has no such columns, or says two things of one image.
    """
    path = Path(path)
    (_, first), *rows = read_csv(path, _TAKES)
    names = [cell.lower() for cell in first]
    where = next((names.index(name) for name in PATHS if name in names), None)
    if where is None:
        raise UsageError(
            f"The first line of {path} names no column of paths: path or file, say; it names "
            f"{some(first)}. {_TAKES}."
        )
    what = next((names.index(name) for name in LABELS if name in names), None)
    columns = {
        number: name
        for number, name in enumerate(first)
        if number != where and name and names[number] not in _OTHERS
    }
    measured = False
    if what is None and len(columns) == 1:  # one column, and of something else than yes and no
        (only,) = columns
        if any(_is_number(cells[only]) for _, cells in rows if len(cells) > only):
            what, measured = only, True
    if what is None and not columns:
        raise UsageError(f"{path} has no column of labels beside {first[where]!r}. {_TAKES}.")
    found: dict[str, tuple[str, ...]] = {}
    split = names.index("split") if "split" in names else None
    splits: dict[str, str] = {}
    for line, cells in rows:
        if len(cells) < len(first):
            cells = cells + [""] * (len(first) - len(cells))
        name = _clean(plain(cells[where]))
        if not name:
            raise UsageError(f"{path}, line {line}: no path. {_TAKES}.")
        labels = (
            split_labels(plain(cells[what]))
            if what is not None
            else tuple(
                label for number, label in columns.items() if _is_yes(cells[number], path, line)
            )
        )
        if found.get(name, labels) != labels:
            raise UsageError(
                f"{path}, line {line}: {printable(name)!r} has other labels than in a line before: "
                "keep one of them."
            )
        found[name] = labels
        if split is not None and splits.setdefault(name, cells[split]) != cells[split]:
            raise UsageError(f"{path}, line {line}: {printable(name)!r} is in two splits.")
    if not found:
        raise UsageError(f"{path} has a first line and no rows. {_TAKES}.")
    classes = (
        tuple(columns.values())
        if what is None
        else tuple(sorted({label for labels in found.values() for label in labels}))
    )
    filled = {number for _, cells in rows for number, cell in enumerate(cells) if cell}
    blank = frozenset(name for number, name in columns.items() if number not in filled)
    return LabelTable(path, found, classes, what is None, splits, blank, measured)


def _is_yes(cell: str, path: Path, line: int) -> bool:
    """Whether a cell says that a class is in the image.

    Raises:
        UsageError: it says something else.
    """
    text = cell.lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise UsageError(
        f"{path}, line {line}: {printable(cell)!r} is neither 0 nor 1, and a column a class has "
        f"nothing else. {_TAKES}."
    )


def _is_number(cell: str) -> bool:
    """Whether a cell holds a measurement: no 0 or 1, and no -1, which stands for uncertain."""
    try:
        value = float(cell)
        return math.isfinite(value) and value not in (0, 1, -1)
    except ValueError:
        return False


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
        return None if row is None else join_labels(self.table.labels[row])

    def every(self) -> list[str]:
        """The labels of each row, as a call gives them."""
        return [join_labels(names) for names in self.table.labels.values()]

    def row(self, rel: str) -> str | None:
        """The path by which the table names an image; None where it does not, or is unclear."""
        known = self.table.labels
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
        return near[0] if len({known[name] for name in near}) == 1 else None
