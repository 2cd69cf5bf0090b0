"""One network's work: rows that are finished, whatever fails beside them or ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from camcli.evaluate.comparison.rows.columns import MetricRow
from camcli.evaluate.comparison.rows.losses import Losses, why
from camcli.evaluate.metrics.bootstrap import Weighed, draws, spans


class CountedRows(Weighed, Protocol):
    """Metrics of rows that can be counted."""

    def __len__(self) -> int:
        """How many there are."""


class Work:
    """What is done for one network, piece by piece; what was finished stays.

    Attributes:
        name: of the network.
        rows: that are finished.
        drawn: bootstrap draws of each method's metrics, (repeats,).
        stopped: what a person ended it with (Ctrl-C, SIGTERM); None where nobody did.
    """

    def __init__(self, name: str, losses: Losses, *, repeats: int, seed: int) -> None:
        """`repeats` sets are drawn for the intervals."""
        self.name, self._losses = name, losses
        self.rows: list[MetricRow] = []
        self.drawn: dict[str, dict[str, np.ndarray]] = {}
        self.stopped: BaseException | None = None
        self._repeats, self._seed = repeats, seed
        self._ended, self._left = "", list[str]()

    @property
    def partial(self) -> str:
        """How far it came, where something ended it; else empty."""
        if not self._ended:
            return ""
        left = f"; not measured: {', '.join(self._left)}" if self._left else ""
        return f"{self._ended}{left}."

    def end(self, error: BaseException, far: str) -> None:
        """Something ended what goes through all photographs.

        Args:
            error: what did: an exception of the network's, or a person's wish.
            far: how many photographs it came through.
        """
        if isinstance(error, Exception):
            self._ended = f"{self.name} failed after {far}: {why(error)}"
            self._losses.say(f"{self._ended}. What was measured until then is kept.")
        else:
            self._ended, self.stopped = f"{self.name} was stopped after {far}", error

    def do(self, what: str, piece: Callable[[], object], *, always: bool = False) -> None:
        """Do one piece of it, unless a person has stopped it; what fails costs this piece alone.

        Args:
            what: it measures, in words.
            piece: does it.
            always: also after it was stopped, as it takes a moment.
        """
        if self.stopped and not always:
            self._left.append(what)
            return
        try:
            with self._losses.only(what, of=self.name):
                piece()
        except BaseException as error:
            self._stop(error, "before all of it was measured")
            self._left.append(what)

    def _stop(self, error: BaseException, when: str) -> None:
        """A person's wish."""
        self._ended = self._ended or f"{self.name} was stopped {when}"
        self.stopped = error

    def row(
        self, model: str, method: str, part: CountedRows, *, drawn: bool = True, first: bool = False
    ) -> None:
        """Add the row of a method; one photograph has no intervals.

        Args:
            model: the network's name; empty for a row that is of none.
            method: its name.
            part: what was measured.
            drawn: whether it has intervals.
            first: put it above the others.
        """
        count = len(part)
        metrics = part.compute()
        own: dict[str, np.ndarray] = {}
        # Whoever stopped it does not want to wait for hundreds of draws.
        if drawn and count and not self.stopped:
            try:
                own = draws(part.compute, count, repeats=self._repeats, seed=self._seed)
            except BaseException as error:
                if isinstance(error, Exception):
                    raise
                self._stop(error, "while intervals were drawn")
        self.drawn.setdefault(method, {}).update(own)
        row = MetricRow(model, method, count, metrics, spans(own) if count > 1 else {})
        self.rows.insert(0 if first else len(self.rows), row)
