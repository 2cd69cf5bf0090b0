"""Commands that show a network the whole photograph, of which a centre crop hides a part."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camcli.data.decode.images import printable
from camcli.render.report.rows.image_rows import ImageRow, RunData
from camcli.render.report.settings.differences import explain_command

# What another run over the same photographs says for itself: with what follows, and alone.
REPLACED = ("--fit", "--out", "-o", "--shard")
REPLACED_ALONE = ("--resume", "--overwrite", "--retry-failed")

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
        ``one``, a command for a photograph whose path follows; ``run``, one for all of them; and
        ``source``, the folder that photographs' paths are relative to. None where the network was
        not shown a part only, or the run's command is not known.
    """
    preprocess = run.setting("preprocess")
    fit = preprocess.get("fit") if isinstance(preprocess, Mapping) else None
    one = explain_command(run.info.get("command"), same_score=True, without=("--fit",))
    if fit != "crop" or one is None:
        return None
    found, words = ["camcli", "batch"], iter(map(str, run.info["command"][2:]))
    for word in words:
        name, equals, _ = word.partition("=")
        if name in REPLACED:
            if not equals:
                next(words, "")
        elif name not in REPLACED_ALONE:
            found.append(word)
    found += ["--fit", "whole", "--out", str(run.path) + "-whole"]
    return {
        "one": f"{one} --fit whole",
        "run": printable(shlex.join(found)),
        "source": printable(str(run.source.absolute())),
    }
