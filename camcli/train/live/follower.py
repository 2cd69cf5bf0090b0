"""What is told of a run while it goes on, besides the lines in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from camcli.data.datasets.load import Item
from camcli.data.sources.splits import Split
from camcli.train.config import TrainConfig
from camcli.train.live.board import Board
from camcli.train.live.curves import LiveCurves
from camcli.train.run_folder.rundir import TrainDirectory


class Follower:
    """Follows a run: its curves, and TensorBoard's files where they are wanted.

    Of several processes only the first one's does anything.
    """

    def __init__(self, directory: TrainDirectory, config: TrainConfig, title: str) -> None:
        """Open nothing yet.

        Args:
            directory: of the run.
            config: its settings; ``tensorboard`` asks for that.
            title: of the charts.
        """
        self._writes = directory.writes
        self._curves = LiveCurves(directory, title)
        self._board = Board(directory.path, config) if config.tensorboard else None

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._board:
            self._board.close()

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell of all epochs so far, in order; those that were told before are not told again."""
        if not self._writes:
            return
        if self._board:
            self._board.epochs(rows)
        self._curves.show(rows)

    def finished(
        self,
        scores: Mapping[str, Mapping[str, Any]],
        checkpoint: Path,
        judged: Mapping[Split, tuple[list[Item], Tensor]],
        device: str,
    ) -> None:
        """Tell what the run reached, once its checkpoint is whole.

        Args:
            scores: the numbers of each split.
            checkpoint: the best one.
            judged: held-out images and their logits (N, C), by split; some are shown with what the
                network looks at.
            device: where the network runs.
        """
        if self._writes and self._board:
            items, logits = judged.get("val") or judged.get("test") or ([], Tensor())
            self._board.finished(scores, checkpoint, first_to_see(items, logits), device)


def first_to_see(items: Sequence[Item], logits: Tensor) -> list[Item]:
    """The images with the surest mistakes first, then the least sure ones.

    Args:
        items: N, with one label each or several; or values, of which the largest errors come first.
        logits: (N, C).
    """
    if not items:
        return []
    if items[0].values:  # the largest errors, in the unit of what varies
        true = torch.tensor([item.values for item in items], dtype=torch.float64)
        off = ((logits.double() - true) / true.std(0, correction=0).clamp_min(1e-30)).abs()
        worst = off.nan_to_num(0.0).amax(1).argsort(descending=True, stable=True)
        return [items[i] for i in worst.tolist()]
    probs = logits.double().softmax(1)
    prob, best = (each.tolist() for each in probs.max(1))
    wrong = [b not in item.labels for item, b in zip(items, best, strict=True)]
    order = sorted(
        range(len(items)), key=lambda i: (not wrong[i], -prob[i] if wrong[i] else prob[i])
    )
    return [items[i] for i in order]
