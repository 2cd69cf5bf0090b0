"""The file of marks that the page writes, and people edit: ``path,mark,label,note,source``.

It is read as what anybody may have written. Its paths are looked up among the photographs of a
data set and never opened; a word that is no mark is refused, as what it was to do would be missed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from camcli.errors import UsageError
from camcli.files import expanded, read_regular
from camcli.printable import printable, some
from camcli.spreadsheet import plain

DROP, RELABEL, NOTE, MARK = "drop", "relabel", "note", "mark"
WORDS = (DROP, RELABEL, NOTE, MARK)
"""What a mark can be: drop it, give it another label, or only look at it again."""

_LABELS = ("label", "new label", "new_label", "relabel")
_LARGEST = 1 << 28
# What a spreadsheet takes for a number, a date or a truth when it opens a CSV: 007 becomes 7. The
# page writes it behind an apostrophe (``marks/file.js`` has the same expression).
_NOT_TEXT = re.compile(
    r"'*((?=[^0-9]*[0-9])[ \t0-9.,:/$€£%()+e-]+|true|false|wahr|falsch|"
    r"(jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*[-. /]*[0-9]+)",
    re.IGNORECASE | re.ASCII,
)
_TAKES = (
    "A file of marks has a first line path,mark,label,note,source, as the page of 'camcli report' "
    "exports it"
)

_IN_ONE = (
    "A spreadsheet has put whole lines into single cells: export the marks once more, and import "
    "them with commas as what lies between cells"
)


@dataclass(frozen=True, slots=True)
class PhotoMark:
    """What a person says of one photograph.

    Attributes:
        path: as the file has it, with forward slashes.
        mark: one of `WORDS`.
        label: the new one; empty but for ``relabel``.
        note: anything.
        source: folder that the path is relative to; empty where the file does not say.
        line: of the file.
    """

    path: str
    mark: str
    label: str = ""
    note: str = ""
    source: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class MarksFile:
    """A file of marks.

    Attributes:
        path: of the file.
        marks: one a photograph.
        notes: what a person should know, a sentence each.
    """

    path: Path
    marks: tuple[PhotoMark, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """How many there are of each word."""
        return Counter(mark.mark for mark in self.marks)

    @property
    def digest(self) -> str:
        """Of what the marks change."""
        lines = sorted(f"{m.source}\0{m.path}\0{m.mark}\0{m.label}" for m in self.marks)
        return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def sources(self) -> tuple[str, ...]:
        """The folders that the paths are relative to, as far as the file says."""
        return tuple(dict.fromkeys(mark.source for mark in self.marks if mark.source))


def read_marks(path: str | Path) -> MarksFile:
    """Read a file of marks, also one that a spreadsheet has saved.

    Args:
        path: UTF-8 text, also with a byte order mark; commas, semicolons or tabs.

    Raises:
        UsageError: it cannot be read, has no such columns, a word that is no mark, a new label that
            can be none, or says two things of one photograph.
    """
    path = expanded(path)
    lines = _lines(path)
    (_, first), *rows = lines
    names = [" ".join(cell.strip().lower().split()) for cell in first]
    missing = [name for name in ("path", "mark") if name not in names]
    if missing:
        raise UsageError(
            f"The first line of {path} names no column {' and no column '.join(missing)}; it names "
            f"{some(first)}. {_IN_ONE if ',' in first[0] else _TAKES}."
        )
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        raise UsageError(f"{path} has the column {some(twice)} more than once: keep one of them.")
    known = {"path", "mark", "note", "source", *_LABELS}
    at = {
        "path": names.index("path"),
        "mark": names.index("mark"),
        "label": next((names.index(name) for name in _LABELS if name in names), -1),
        "note": names.index("note") if "note" in names else -1,
        "source": names.index("source") if "source" in names else -1,
    }
    found: dict[tuple[str, str], PhotoMark] = {}
    wrong: list[tuple[int, UsageError]] = []
    for line, cells in rows:
        try:
            mark = _mark(cells, at, path, line)
        except UsageError as error:
            wrong.append((line, error))
            continue
        before = found.get((mark.source, mark.path))
        if before and (before.mark, before.label) != (mark.mark, mark.label):
            told = f"{path}, line {line}: {printable(mark.path)!r} has another mark than in line "
            wrong.append((line, UsageError(f"{told}{before.line}: keep one of them.")))
        found.setdefault((mark.source, mark.path), mark)
    if wrong:
        others = [line for line, _ in wrong[1:]]
        more = f" Wrong as well: line {some(others)}." if others else ""
        raise UsageError(f"{wrong[0][1]}{more}")
    if not found:
        raise UsageError(f"{path} has a first line and no marks: there is nothing to apply.")
    unread = [name for name in names if name and name not in known]
    notes = [f"Columns of {path} that are not read: {some(unread)}."] if unread else []
    return MarksFile(path, tuple(found.values()), tuple(notes))


def label_problem(label: str) -> str | None:
    """Why a text can be no label, in a clause; None where it can."""
    if not label:
        return "there is none"
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in label):
        return "it holds a line break or another control character"
    return None


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, with the number of the line at which each ends.

    Raises:
        UsageError: they cannot be read.
    """
    try:
        data = read_regular(path, _LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"The marks {path} cannot be read ({why}). {_TAKES}.") from None
    if data[:4] == b"PK\x03\x04":
        raise UsageError(f"{path} is a spreadsheet or a ZIP archive: save the sheet as CSV UTF-8.")
    try:
        # Windows' notepad and older spreadsheets.
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        # Names keep bytes that are no text, as everywhere.
        text = data.decode("utf-16") if wide else data.decode("utf-8-sig", "surrogateescape")
    except UnicodeError:
        raise UsageError(f"{path} is not UTF-8 text; is it a CSV file? {_TAKES}.") from None
    if "\0" in text:
        raise UsageError(f"{path} holds NUL bytes, as no text does. {_TAKES}.")
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    # Excel's own line on what lies between cells.
    if hint := re.match(r"sep=(.)\r?\n", text):
        delimiter, text = hint[1], text[hint.end() :]
    before = csv.field_size_limit(_LARGEST)
    try:
        # Lines are broken where CSV breaks them, and not at every separator that Unicode knows.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UsageError(f"{path} is not well-formed CSV: {error}. {_TAKES}.") from None
    finally:
        csv.field_size_limit(before)
    if not rows:
        raise UsageError(f"{path} is empty. {_TAKES}.")
    return rows


def _mark(cells: list[str], at: dict[str, int], path: Path, line: int) -> PhotoMark:
    """What a row says.

    Raises:
        UsageError: nothing that can be done.
    """
    said = {name: _text(cells[n]) if 0 <= n < len(cells) else "" for name, n in at.items()}
    where = f"{path}, line {line}"
    name = said["path"]
    while name.startswith("./"):
        name = name[2:]
    if not name.strip():
        raise UsageError(f"{where}: no path. {_TAKES}.")
    word = said["mark"].strip().lower()
    label, note = said["label"].strip(), said["note"]
    called = printable(name)
    if not word and note.strip() and not label:
        word = NOTE
    if not word:
        raise UsageError(
            f"{where}: {called!r} has no mark: write {' or '.join(WORDS)}, or delete the line."
        )
    if word not in WORDS:
        raise UsageError(
            f"{where}: {printable(said['mark'])!r} is no mark. There are drop (leave it out), "
            "relabel (its new label in the column label), note and mark (change nothing)."
        )
    if word == RELABEL:
        if why := label_problem(label):
            raise UsageError(
                f"{where}: {called!r} cannot be relabelled to {printable(label)!r}: {why}."
            )
    elif word != DROP and label:
        raise UsageError(
            f"{where}: {called!r} has the label {printable(label)!r} and the mark {word}, which "
            "changes nothing: write relabel, or empty the cell."
        )
    label = label if word == RELABEL else ""
    return PhotoMark(name, word, label, note, said["source"].strip(), line)


def _text(cell: str) -> str:
    """The text of a cell that the page's ``marks.js`` wrote, or a person."""
    if cell.startswith("'") and _NOT_TEXT.fullmatch(cell):
        return cell[1:]
    return plain(cell)
