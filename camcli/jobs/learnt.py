"""Which photographs trained a network, so that its accuracy over them says too much."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camcli.batch.run_files.recorded_paths import file_sha256
from camcli.batch.run_files.rundir import RunDirectory
from camcli.errors import CamcliError
from camcli.jobs.beside.files import json_object, mapping, table, words
from camcli.jobs.beside.training import find_training
from camcli.printable import counted
from camcli.train.progress import Listener
from camcli.train.run_folder.rundir import INFO, OUT_OF_FOLD

# Of more the table is not held in memory; nobody is told anything then.
_MOST = 2_000_000
# So many bytes are read to tell copies from others: a second, where the disk is slow a few.
_READ = 1 << 29


@dataclass(frozen=True, slots=True)
class Learnt:
    """How much of what a network was judged by it was trained on.

    Attributes:
        folder: of the training.
        known: photographs that it was trained on, or copies of them.
        others: those that it was not.
        right: of these, how many it has right; None where nobody has judged it.
        unread: how many of the others were not read, so that they may be copies.
    """

    folder: str
    known: int
    others: int
    right: int | None
    unread: int

    def record(self) -> dict[str, Any]:
        """Plain values for a page."""
        return {
            "known": self.known, "others": self.others, "right": self.right,
            "told": self.sentence(),
        }  # fmt: skip

    def sentence(self) -> str:
        """The same in words; empty where there is nothing to know."""
        unread = (
            f" Whether {counted(self.unread, 'photograph is a copy', 'photographs are copies')} of "
            "what it was trained on was not looked at: reading them takes too long."
            if self.unread
            else ""
        )
        if not self.known:
            return unread.strip()
        if not self.others:
            return (
                "The network was trained on all of these photographs, and may know them by heart: "
                f"how good it is with others is in {self.folder}."
            )
        told = (
            f"The network was trained on {self.known} of these {self.known + self.others} "
            "photographs, and may know them by heart"
        )
        if self.right is None:
            return f"{told}; {counted(self.others, 'other is', 'others are')} new to it.{unread}"
        return (
            f"{told}; of the other {self.others} it has {self.right / self.others:.4f} right "
            f"({self.right} of {self.others}).{unread}"
        )


def learnt_of(run: Path) -> str:
    """What to know of an accuracy over photographs that the run's network was trained on.

    Args:
        run: its directory; its checkpoint must still lie where `camcli train` left it.

    Returns:
        A sentence, with the accuracy on those that it was not trained on; empty where it was
        trained on none of them, or where that is not known.
    """
    try:
        info = RunDirectory(run).read_info()
        found = find_training(info, run, None, Listener().say)
    except CamcliError:
        return ""
    judged = found and learnt_in(run, info, found)
    return judged.sentence() if judged else ""


def learnt_in(run: Path, info: Mapping[str, Any], training: Mapping[str, Any]) -> Learnt | None:
    """What of a run's photographs a training has learned from.

    Args:
        run: its directory.
        info: the content of its ``run.json``.
        training: of its network, see `find_training`.

    Returns:
        None where nothing is known, or no photograph has a label.
    """
    config = mapping(info.get("config"))
    source = words(config.get("source"), 4096)
    trained = _TrainedOn(Path(training["folder"]))
    if not trained.places or not source or "\0" in source:
        return None
    source = os.path.realpath(source)
    try:
        rows = [
            (_place(source, row["path"]), row["correct"] == "1")
            for row in RunDirectory(run).rows()
            if row.get("correct", "") != ""  # else it has no label, or failed
        ]
    except (CamcliError, KeyError):
        return None
    return trained.among(rows) if rows else None


def learnt_from(checkpoint: Path, photographs: Sequence[Path]) -> Learnt | None:
    """The same of photographs that a checkpoint is about to be judged by.

    Args:
        checkpoint: as `camcli train` left it, in its folder.
        photographs: files.

    Returns:
        None where it was not trained by camcli, or its folder does not say on what.
    """
    trained = _TrainedOn(checkpoint.parent)
    if not trained.places:
        return None
    return trained.among((_place("", os.path.realpath(path)), None) for path in photographs)


def tell_learnt(
    checkpoints: Iterable[Path | None], photographs: Sequence[Path], listener: Listener
) -> None:
    """Warn of each network that is judged by what it was trained on.

    Args:
        checkpoints: of the networks; None of one that has none.
        photographs: files by which they are judged.
        listener: is warned.
    """
    for checkpoint in checkpoints:
        learnt = checkpoint and learnt_from(checkpoint, photographs)
        if learnt and (told := learnt.sentence()):
            listener.warn(f"{checkpoint}: {told[0].lower()}{told[1:]}")


class _TrainedOn:
    """The photographs that a training learned from: their places, and what their files hold."""

    def __init__(self, folder: Path) -> None:
        """Read what is in a folder; without a table in it no photograph is known."""
        self._folder = folder
        self.places: set[str] = set()
        self._contents: set[str] = set()
        root = words(mapping(mapping(json_object(folder / INFO)).get("data")).get("root"), 4096)
        if not root or "\0" in root:
            return
        root = os.path.realpath(root)
        for row in table(folder / OUT_OF_FOLD, _MOST):
            if row.get("split") == "train":
                self.places.add(_place(root, row.get("path", "")))
                self._contents.add(row.get("content", ""))
        self._contents.discard("")

    def among(self, photographs: Iterable[tuple[str, bool | None]]) -> Learnt:
        """How many of some photographs these are.

        A copy is told by its bytes, and read only where it is as large as one of these; those that
        would take too long to read are counted.

        Args:
            photographs: their places, and whether the network has them right.
        """
        known, right, unread = 0, 0, 0
        others: list[tuple[str, bool | None]] = []
        for place, correct in photographs:
            if place in self.places:
                known += 1
            else:
                others.append((place, correct))
        sizes = self._sizes() if others and self._contents else frozenset()
        left, new = _READ, 0
        for place, correct in others:
            size = _size(place) if self._contents else None
            if size is not None and (sizes is None or size in sizes):
                if size > left:
                    unread += 1
                else:
                    left -= size
                    if file_sha256(Path(place)) in self._contents:
                        known += 1
                        continue
            new += 1
            right += bool(correct)
        judged = None if any(correct is None for _, correct in others) else right
        return Learnt(str(self._folder), known, new, judged, unread)

    def _sizes(self) -> frozenset[int] | None:
        """How large the files are; None where one is gone, so that another may have any size."""
        found = [_size(place) for place in self.places]
        return None if None in found else frozenset(size for size in found if size is not None)


def _size(place: str) -> int | None:
    """Bytes of a file; None of what is none, as a member of a tar file is not."""
    try:
        status = os.stat(place)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _place(root: str, path: str) -> str:
    return os.path.normcase(os.path.join(root, path))  # noqa: PTH118
