"""``curves.png`` while a run goes on: drawn now and then, so that drawing slows nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from camcli.render.plots import learning_curves
from camcli.train.run_folder.rundir import CURVES, TrainDirectory

SHARE = 0.02
"""Of the time of a run, what drawing may take."""
FIRST = 1.5
"""Seconds that the first chart may take, as matplotlib is loaded for it."""


class LiveCurves:
    """Draws the epochs so far, whole or not at all, where that is worth the time."""

    def __init__(
        self, directory: TrainDirectory, title: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Draw nothing yet.

        Args:
            directory: where to.
            title: above the charts.
            clock: seconds.
        """
        self._directory, self._title, self._clock = directory, title, clock
        self._cost, self._last = FIRST, clock()

    def show(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Draw them, unless that was done a moment ago.

        Args:
            rows: the epochs so far, as `learning_curves` takes them.

        Returns:
            Whether they were drawn.

        Raises:
            CamcliError: the folder cannot be written.
        """
        begun = self._clock()
        if not rows or begun - self._last < self._cost / SHARE:
            return False
        self._directory.write(CURVES, learning_curves(rows, self._title))
        self._last = self._clock()
        self._cost = self._last - begun
        return True
