"""What an evaluation found, as one record: what the command prints, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from camcli.evaluate.comparison.rows.advice import Advice
    from camcli.evaluate.comparison.rows.columns import MetricRow
    from camcli.evaluate.comparison.rows.controls import Standing


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Methods and networks side by side.

    A notebook shows it as the tables that the command prints.

    Attributes:
        data: what was asked for, as the user wrote it.
        photographs: how many there were.
        rows: one a network and method, controls first; with ``metrics`` and ``intervals`` by name.
        sanity: the same for the sanity checks: ``rank@LAYER`` and ``ssim@LAYER``.
        predictions: what the predictions are worth, by network; empty without usable labels.
        random_labels: what the heads of the check with random labels know, by network.
        unreadable: the photographs that could not be read, as sentences.
        advice: which method to use on each network, and why, in words.
        adapted: how well heads got used to photographs without patches, by network.
        lost: what could not be measured, drawn or written, as sentences; all else is there.
        partial: how far the networks came that something ended, a person or a failure, as
            sentences: their rows are of fewer photographs, or of fewer measures.
        settings: what decided the numbers.
        out: the folder that was written; None where none was asked for.
        files: their names in `out`.
    """

    data: str
    photographs: int
    rows: tuple[MetricRow, ...]
    sanity: tuple[MetricRow, ...]
    predictions: dict[str, dict[str, Any]] = field(repr=False)
    random_labels: dict[str, dict[str, Any]] = field(repr=False)
    unreadable: tuple[str, ...]
    settings: dict[str, Any]
    out: Path | None = None
    files: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    adapted: dict[str, Any] = field(default_factory=dict, repr=False)
    lost: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()

    def row(self, method: str, model: str | None = None) -> MetricRow:
        """The row of a method or control.

        Args:
            method: its name, such as ``cam``, ``random`` or ``centre-box``.
            model: of which network; None where there is one only.

        Raises:
            UsageError: there is no such row, or several.
        """
        found = [r for r in self.rows if r.method == method and model in (None, r.model)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{method} is evaluated for several networks: name one of "
                f"{', '.join(row.model for row in found)}."
            )
        names = dict.fromkeys(row.method for row in self.rows)
        raise UsageError(f"There is no row of {method!r}; there are {', '.join(names)}.")

    @property
    def standings(self) -> list[Standing]:
        """How the methods stand against the centred box, where that can be said."""
        from camcli.evaluate.comparison.result.table import standings

        return standings(self.rows)

    @property
    def verdicts(self) -> list[str]:
        """For each network and method in words, whether a random head destroys its map."""
        from camcli.evaluate.comparison.result.table import verdicts

        return verdicts(self.sanity)

    def csv(self) -> str:
        """One line for each row and metric, with its interval."""
        from camcli.evaluate.comparison.result.table import csv_text

        return csv_text([*self.rows, *self.sanity])

    def markdown(self) -> str:
        """Everything as Markdown."""
        from camcli.evaluate.comparison.result.table import report

        return report(
            self.rows, self.sanity, self.predictions, self.advice, self.adapted,
            [*self.partial, *self.lost],
        )  # fmt: skip

    def show(self, console: Console | None = None) -> None:
        """Draw the tables in a terminal; by default on stdout."""
        from camcli.evaluate.comparison.result.terminal import show

        show(
            self.rows, self.sanity, self.predictions, self.random_labels, console, self.advice,
            self.adapted,
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """What ``results.json`` says besides the rows."""
        return {
            "data": self.data,
            "photographs": self.photographs,
            "unreadable": list(self.unreadable),
            **({"partial": list(self.partial)} if self.partial else {}),
            **({"lost": list(self.lost)} if self.lost else {}),
            "settings": self.settings,
            "predictions": self.predictions,
            "random_labels": self.random_labels,
            **({"adapted_heads": self.adapted} if self.adapted else {}),
            "advice": [
                {"model": a.model, "method": a.method, "tied": list(a.tied), "lines": list(a.lines)}
                for a in self.advice
            ],
        }

    def _repr_markdown_(self) -> str:
        return self.markdown()
