"""How many images of a run are done, failed, right ..."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """How a run is going.

    Attributes:
        done: rows in the table, those of earlier, interrupted runs included.
        failed: rows with status ``error``.
        empty: rows whose map holds no positive evidence.
        labelled: rows with a label that names one of the network's classes.
        correct: of these, predicted right.
        drawn: rows with an overlay.
        before: rows that were there when the run was resumed.
        foreign: rows with a label that names none of the network's classes.
    """

    done: int = 0
    failed: int = 0
    empty: int = 0
    labelled: int = 0
    correct: int = 0
    drawn: int = 0
    before: int = 0
    foreign: int = 0

    def add(
        self, status: str, correct: bool | None, *, drawn: bool, label: str | None = None
    ) -> None:
        """Count one row."""
        if label and correct is None and status != "error":
            self.foreign += 1
        self.done += 1
        self.failed += status == "error"
        self.drawn += drawn
        self.empty += status == "empty"
        if correct is not None:
            self.labelled += 1
            self.correct += correct
