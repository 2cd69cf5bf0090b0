"""What a training run reached, and a finished run's folder as that; read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camcli.train.run_folder.rundir import BEST, INFO, SPLIT_WORDS, SUMMARY, TrainDirectory


@dataclass(frozen=True)
class TrainResult:
    """What a run reached.

    Attributes:
        checkpoint: the best one.
        scores: the numbers of `Scores.summary` for each split that has images.
        skipped: images that could not be read.
        seconds: time spent on features, head, backbone and evaluation.
        members: the accuracy of each network of an ensemble, by split.
        leads: whether this process speaks for all that torchrun started.
        judged: how good the head really is, as `camcli.train.judging.judge` records it.
    """

    checkpoint: Path
    scores: dict[str, dict[str, Any]]
    skipped: int
    seconds: dict[str, float]
    members: list[dict[str, float]] = field(default_factory=list)
    leads: bool = True
    judged: dict[str, Any] = field(default_factory=dict)


def finished_result(directory: TrainDirectory) -> TrainResult | None:
    """What a run reached that needs no resuming; None where it is not finished."""
    info = json.loads((directory.path / INFO).read_text("utf-8"))
    if info.get("status") != "finished" or not (directory.path / BEST).is_file():
        return None
    found = json.loads((directory.path / SUMMARY).read_text("utf-8"))
    scores = {name: found.pop(name) for name in SPLIT_WORDS if name in found}
    alone = [member["top1"] for member in info.get("members", [])]
    return TrainResult(
        directory.path / BEST, scores, info["skipped"], info["seconds"], alone, judged=found
    )
