"""TensorBoard's files of a run, written by torch's own writer.

Each network of an ensemble is a run of its own there, whose curves lie over each other. A resumed
run tells its epochs anew and has TensorBoard forget what the killed one had told, so that none is
missing and none is there twice.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import CamcliError, ImageError, UsageError
from camcli.train.config import TrainConfig
from camcli.train.run_folder.rundir import BOARD, BOARD_ENDING, how_to_go_on

if TYPE_CHECKING:
    import numpy as np
    from torch.utils.tensorboard import SummaryWriter

    from camcli.data.datasets.load import Item
    from camcli.result import Result

PICTURES = 8
"""Held-out images that are shown with what the network looks at."""
SIDE = 320
"""Longer side of such a picture, in pixels."""
_TAGS = {
    "train_loss": "loss/train", "val_loss": "loss/validation", "train_acc": "accuracy/train",
    "val_acc": "accuracy/validation", "val_map": "mean_average_precision/validation",
    "val_r2": "r2/validation",
}  # fmt: skip
_PLACE = {"stage", "epoch", "member"}


def check_tensorboard() -> None:
    """Refuse where there is nothing to write TensorBoard's files with; imports nothing.

    Raises:
        UsageError: says what brings it.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard needs the package tensorboard: `pip install 'camcli[tensorboard]'` "
            "brings it. Without it, curves.png in --out shows the same curves."
        )


@dataclass
class _Told:
    """One network's run in TensorBoard."""

    writer: SummaryWriter
    epochs: int = 0


@dataclass
class Board:
    """Writes for TensorBoard.

    Attributes:
        path: the run's folder.
        config: its settings.
    """

    path: Path
    config: TrainConfig
    _runs: dict[int | None, _Told] = field(default_factory=dict)
    _count: int = 0

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the numbers of those epochs that were not written yet.

        Args:
            rows: all so far, in order; see `learning_curves`.

        Raises:
            CamcliError: the disk is full, or the folder is gone.
        """
        try:
            for row in rows[self._count :]:
                self._epoch(row)
            for told in self._runs.values():
                told.writer.flush()
        except OSError as error:
            raise self._broken(error) from error
        self._count = len(rows)

    def finished(
        self,
        scores: Mapping[str, Mapping[str, Any]],
        checkpoint: Path,
        shown: Sequence[Item],
        device: str,
    ) -> None:
        """Write the settings with what they reached, and what the network looks at.

        Args:
            scores: the numbers of each split.
            checkpoint: the best one.
            shown: held-out images, of which the first `PICTURES` are drawn.
            device: where the network runs.

        Raises:
            CamcliError: the disk is full, or the folder is gone.
        """
        from torch.utils.tensorboard.summary import hparams

        try:
            writer = self._run(None).writer
            reached = {
                f"{split}/{name}": float(value)
                for split, each in scores.items()
                for name, value in each.items()
                if isinstance(value, int | float)
            }
            for name, value in reached.items():
                writer.add_scalar(name, value, 0)
            chosen = {
                name: value
                for name, value in self.config.to_dict().items()
                if isinstance(value, bool | int | float | str)
            }
            file = writer._get_file_writer()
            for summary in hparams(chosen, reached):
                file.add_summary(summary)
            drawn = self._drawn(checkpoint, shown[:PICTURES], device)
            for number, (words, picture) in enumerate(drawn, 1):
                writer.add_image(f"where it looks/{number}", picture, 0, dataformats="HWC")
                writer.add_text(f"where it looks/{number}", words, 0)
            writer.flush()
        except OSError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Let go of the files."""
        for told in self._runs.values():
            with suppress(OSError):  # was told when it was written to
                told.writer.close()
        self._runs = {}

    def _epoch(self, row: Mapping[str, Any]) -> None:
        told = self._run(row.get("member"))
        told.epochs += 1
        for name, value in row.items():
            if name not in _PLACE and isinstance(value, int | float):
                told.writer.add_scalar(_TAGS.get(name, name), value, told.epochs)

    def _run(self, member: int | None) -> _Told:
        """The run of one member, or the run itself."""
        if member not in self._runs:
            from torch.utils.tensorboard import SummaryWriter

            folder = self.path / BOARD / (f"member-{member}" if member else "")
            # From step 0 on TensorBoard forgets what an earlier process wrote here.
            writer = SummaryWriter(str(folder), purge_step=0, filename_suffix=BOARD_ENDING)
            self._runs[member] = _Told(writer)
        return self._runs[member]

    def _drawn(
        self, checkpoint: Path, shown: Sequence[Item], device: str
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Words and a picture (H, W, 3) uint8 of each image, as `camcli batch` draws it."""
        from camcli.batch.explain import explain_batch, make_explanation, read
        from camcli.models.load import load_classifier
        from camcli.render.picture import annotate

        if not shown:
            return
        network = load_classifier(self.config.backbone, checkpoint=checkpoint, device=device)
        what = make_explanation(network)
        for item in shown:
            image = read(item.ref, network, _smaller)
            if isinstance(image, ImageError) or image.rgb is None:
                continue
            result: Result = explain_batch(network, [image], what)[0]
            yield (
                f"{item.ref.rel}: {_said(result, item, network.classes)}",
                annotate(image.rgb, result),
            )

    def _broken(self, error: OSError) -> CamcliError:
        return CamcliError(
            f"Cannot write {self.path / BOARD}: {error.strerror}.{how_to_go_on(self.path)}"
        )


def _said(result: Result, item: Item, classes: Sequence[str]) -> str:
    """What the network says of an image, and what is true."""
    if item.values:
        pairs = zip(classes, result.numbers, item.values, strict=True)
        return "; ".join(f"{name} {said:.4g}, measured {true:.4g}" for name, said, true in pairs)
    truth = ", ".join(classes[c] for c in item.labels)
    return f"{result.pred}, labelled {truth or 'with none'}"


def _smaller(rgb: np.ndarray) -> np.ndarray:
    """A copy whose longer side is at most `SIDE`."""
    import cv2
    import numpy as np

    height, width = rgb.shape[:2]
    share = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
