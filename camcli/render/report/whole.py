"""Commands that show a network the whole photograph, of which a centre crop hides a part."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from camcli.render.report.rows import ImageRow, RunData

# Of ``camcli batch``, those that decide network and map; ``camcli explain`` has them, too.
KEPT = {"--model", "-m", "--weights", "--weights-key", "--checkpoint", "-c", "--classes",
        "--device", "--runtime", "--input-size", "--preprocess", "--output",
        "--threshold", "--method", "--score", "--layer", "--fuse", "--versus", "--smooth",
        "--samples", "--channels", "--converge"}  # fmt: skip
KEPT_FLAGS = {"--offline", "--trust-pickle", "--native-predictions", "--signed"}
# What another run over the same photographs says for itself.
_REPLACED = {"--fit", "--out", "-o", "--shard"}
_REPLACED_FLAGS = {"--resume", "--overwrite", "--retry-failed"}

WHOLE = 0.995
"""Of which share on a photograph counts as seen whole."""


def usually_seen(rows: Sequence[ImageRow], side: int = 0) -> float | None:
    """The share of a usual photograph (the median) that the network saw; None if not known."""
    shares = [row.sides[side].seen for row in rows if row.sides[side].seen is not None]
    return float(np.median(np.asarray(shares))) if shares else None


def cropped(rows: Sequence[ImageRow]) -> bool:
    """Whether of any photograph there is a part that was not seen."""
    return any((side.seen if side.seen is not None else 1) < WHOLE
               for row in rows for side in row.sides)  # fmt: skip


def whole_commands(run: RunData) -> dict[str, Any] | None:
    """What to type to have the photographs seen whole.

    Args:
        run: its recorded command tells which network and method to take.

    Returns:
        ``one``, a command for one photograph as the words before and after its path; ``run``, one
        for all of them; and ``source``, the folder that photographs' paths are relative to. None
        where the run was told not to crop, or its command is not known.
    """
    preprocess = run.setting("preprocess")
    fit = preprocess.get("fit") if isinstance(preprocess, dict) else None
    command = run.info.get("command")
    if fit != "crop" or not isinstance(command, list) or "batch" not in command[1:2]:
        return None
    words = [str(word) for word in command[2:]]
    options = [word for name, own in _options(words) if name in KEPT | KEPT_FLAGS for word in own]
    again = [word for name, own in _options(words) for word in own
             if name not in _REPLACED | _REPLACED_FLAGS]  # fmt: skip
    out = str(run.path) + "-whole"
    return {
        "one": ["camcli explain", shlex.join([*options, "--fit", "whole"])],
        "run": shlex.join(["camcli", "batch", *again, "--fit", "whole", "--out", out]),
        "source": str(run.source.absolute()),
    }


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Options by name, each with the words it consists of; other words under no name."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", [word]
            continue
        name, joined, _ = word.partition("=")
        takes = name in KEPT | _REPLACED and not joined and bool(rest)
        yield name, [word, rest.pop(0)] if takes else [word]
