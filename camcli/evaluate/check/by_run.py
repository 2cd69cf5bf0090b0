"""Labels judged by what a run of training predicted of photographs that it had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camcli.batch.tables.reading import header, read_rows
from camcli.errors import CamcliError, UsageError
from camcli.evaluate.check.issue import CheckedPhoto
from camcli.ours import read_record
from camcli.printable import counted, some
from camcli.train.run_folder.rundir import INFO, OUT_OF_FOLD

_PROB = "prob "
_SAME = 0.5
"""Share of the photographs that must be those of the run."""


@dataclass(frozen=True)
class HeldOutPredictions:
    """What a run predicted of photographs by heads that had not seen them.

    Attributes:
        folder: the run's.
        data: what it was trained on, as its settings name it; empty where they do not say.
        classes: C names.
        several: whether each is judged for itself.
        keys: N paths and contents (SHA-256, in hex).
        probabilities: (N, C).
    """

    folder: Path
    data: str
    classes: tuple[str, ...]
    several: bool
    keys: tuple[tuple[str, str], ...]
    probabilities: np.ndarray

    def of(self, photos: Sequence[CheckedPhoto], contents: Sequence[str]) -> np.ndarray:
        """(M,) the row of each photograph, -1 where it has none.

        A file has the same contents wherever it lies; of several copies its own row is taken.

        Args:
            photos: M.
            contents: of each, SHA-256 in hex.

        Raises:
            UsageError: most are not those that the run has predictions of.
        """
        own = {key: n for n, key in enumerate(self.keys)}
        anywhere = {content: n for n, (_, content) in reversed([*enumerate(self.keys)])}
        rows = [
            own.get((photo.rel, content), anywhere.get(content, -1))
            for photo, content in zip(photos, contents, strict=True)
        ]
        found = np.array(rows, np.int64)
        same, of = int((found >= 0).sum()), min(len(photos), len(self.keys))
        if same < _SAME * of or not same:
            paths = {path for path, _ in self.keys}
            changed = sum(p.rel in paths and row < 0 for p, row in zip(photos, rows, strict=True))
            why = (
                f" ({counted(changed, 'file has', 'files have')} changed since)" if changed else ""
            )
            all_here = counted(len(photos), "photograph")
            raise UsageError(
                f"{self.folder} predicted other photographs: of {all_here} here, "
                f"{same} {'is' if same == 1 else 'are'} in its {OUT_OF_FOLD} with the same "
                f"contents{why}. Check what it was trained on"
                f"{f' ({self.data})' if self.data else ''}, or leave out --run."
            )
        return found

    def check_classes(self, classes: Sequence[str], several: bool) -> None:
        """Refuse data of other classes.

        Args:
            classes: of the data.
            several: whether a photograph has any number of them.

        Raises:
            UsageError: the run does not know them, or judges them in another way.
        """
        if unknown := sorted({*classes} - {*self.classes}):
            raise UsageError(
                f"{self.folder} knows {some(list(self.classes), 4)}, and the data has "
                f"{some(unknown, 4)}, too: its predictions are of other classes. Check what it "
                f"was trained on{f' ({self.data})' if self.data else ''}, with the same --labels, "
                "or leave out --run."
            )
        if classes and several != self.several:
            has, had = ("several labels", "one class") if several else ("one class", "several")
            raise UsageError(
                f"A photograph of the data has {has}, and in {self.folder} it had {had}: give the "
                "same --labels as in training, or leave out --run."
            )


def check_run(folder: Path) -> None:
    """Refuse a folder that has no out-of-fold predictions; torch is not needed.

    Raises:
        UsageError: it is no run of ``camcli train``, or one that has none.
        CamcliError: its table cannot be read.
    """
    _columns(folder)


def _columns(folder: Path) -> list[str]:
    """The columns of the run's table that hold probabilities."""
    if folder.is_file():
        raise UsageError(
            f"--run takes the folder of a run, and {folder} is a file in one: give it."
        )
    record = read_record(folder / INFO)
    if record is None or record.get("kind", record.get("command")) != "train":
        raise UsageError(
            f"{folder} is no run of camcli train (it has no {INFO} of one); --run takes the "
            "folder that --out of 'camcli train' named."
        )
    path = folder / OUT_OF_FOLD
    if not path.is_file():
        raise UsageError(
            f"{folder} has no {OUT_OF_FOLD}: it did not finish, or it was trained with --folds 0, "
            "with --no-cache, on values, or by an older camcli. Train again, or leave out --run: "
            "then folds are made here."
        )
    columns = header(path)
    probs = [name for name in columns if name.startswith(_PROB)]
    if not probs or not {"path", "content"} <= {*columns}:
        raise UsageError(
            f"{path} has no column for {'each class' if not probs else 'contents of files'}"
            f"{', of which there were too many' if not probs else ''}, so --run cannot take it: "
            "leave it out, and folds are made here."
        )
    return probs


def read_run(folder: Path) -> HeldOutPredictions:
    """The predictions that a run left.

    Raises:
        UsageError: as `check_run` does.
        CamcliError: the table is damaged.
    """
    columns = _columns(folder)
    path = folder / OUT_OF_FOLD
    keys, numbers, several = [], [], False
    for row in read_rows(path, ("path", "content", *columns)):
        keys.append((row["path"], row["content"]))
        several = "labels" in row
        try:
            numbers.append([float(row[name]) for name in columns])
        except (TypeError, ValueError):
            raise CamcliError(_damaged(path, row["path"])) from None
    found = np.array(numbers, np.float64).reshape(len(keys), len(columns))
    wrong = np.flatnonzero(~((found >= 0) & (found <= 1)).all(1))
    if len(wrong):
        raise CamcliError(_damaged(path, keys[wrong[0]][0]))
    record = read_record(folder / INFO) or {}
    config = record.get("config")
    data = config.get("data") if isinstance(config, dict) else None
    return HeldOutPredictions(
        folder, data if isinstance(data, str) else "",
        tuple(name.removeprefix(_PROB) for name in columns), several, tuple(keys), found,
    )  # fmt: skip


def _damaged(path: Path, rel: str) -> str:
    return (
        f"{path} is damaged: what it has of {rel!a} are not all probabilities. Train again, or "
        "leave out --run."
    )
