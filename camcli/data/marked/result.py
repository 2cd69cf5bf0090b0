"""What was written, and what a person should look at twice before believing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camcli.data.marked.decide import Decided
from camcli.data.marked.marks_file import MARK, NOTE, MarksFile
from camcli.printable import counted, printable, some


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """A data set that was written.

    Attributes:
        out: the folder, table or list; None where moves were undone.
        photographs: how many it holds.
        classes: their labels, sorted.
        dropped: how many were left out because of the marks.
        relabelled: how many have another label.
        unlabelled: how many are left out because they have none.
        renamed: new relative paths of those whose name was taken in the new class's folder.
        new_classes: labels that the data set did not have.
        command: that trains on it.
    """

    out: Path | None
    photographs: int
    classes: tuple[str, ...] = ()
    dropped: int = 0
    relabelled: int = 0
    unlabelled: int = 0
    renamed: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    command: str = ""

    @property
    def summary(self) -> str:
        """In a line."""
        if self.out is None:
            return f"{counted(self.photographs, 'photograph')} moved back"
        kinds = f" of {counted(len(self.classes), 'class', 'classes')}" if self.classes else ""
        return (
            f"{counted(self.photographs, 'photograph')}{kinds}: {self.dropped} dropped, "
            f"{self.relabelled} relabelled"
        )


def about(result: ApplyResult, marks: MarksFile, *, moved: bool) -> list[str]:
    """What was done, a sentence each."""
    lines = [f"{'Moved' if moved else 'Wrote'} {result.summary}."]
    counts = marks.counts
    if still := counts[NOTE] + counts[MARK]:
        lines.append(f"{counted(still, 'note or mark', 'notes and marks')} changed nothing.")
    if names := result.renamed:
        lines.append(
            f"{counted(len(names), 'photograph')} got another name, as there was one of the same "
            f"name: {some(names, 3)}."
        )
    return lines


def about_new(decided: Decided) -> list[str]:
    """Warnings about new classes that are perhaps a slip, a sentence each."""
    new = decided.new_classes
    before = sorted(decided.names(photo.was for photo in decided.photos))
    found = []
    for label in new:
        if like := [name for name in before if _like(name) == _like(label)]:
            found.append(
                f"The new class {printable(label)!r} is written otherwise than "
                f"{printable(like[0])!r}, which is there: if they are one, correct the file of "
                "marks."
            )
    numbers = bool(before) and all(name.isdigit() for name in before)
    if names := [name for name in new if numbers and not name.isdigit()]:
        found.append(
            f"The classes of {decided.place} are called by numbers ({some(before, 3)}), and the "
            f"marks give names: {some(names, 3)}. Write the numbers, if they are meant."
        )
    return found


def _like(name: str) -> str:
    """By which names are the same that a person, or a spreadsheet, writes in two ways."""
    text = " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
    try:
        return repr(float(text))
    except ValueError:
        return text
