"""Which photographs of a run trained its network, so that its accuracy says too much."""

from __future__ import annotations

import os
from pathlib import Path

from camcli.errors import CamcliError
from camcli.jobs.beside.files import json_object, mapping, table, words
from camcli.jobs.beside.training import find_training
from camcli.jobs.report import read_run
from camcli.train.progress import Listener
from camcli.train.run_folder.rundir import INFO, OUT_OF_FOLD

# Of more the table is not held in memory; nobody is told anything then.
_MOST = 2_000_000


def learnt_of(run: Path) -> str:
    """What to know of an accuracy over photographs that the run's network was trained on.

    Args:
        run: its directory; its checkpoint must still lie where `camcli train` left it.

    Returns:
        A sentence, with the accuracy on those that it was not trained on; empty where it was
        trained on none of them, or where that is not known.
    """
    try:
        data = read_run(run, Listener())
        found = find_training(data.info, run, None, Listener().say)
        if found is None:
            return ""
        learnt = _learnt(Path(found["folder"]))
        if not learnt:
            return ""
        source = os.path.realpath(data.source)
        known, others, right = 0, 0, 0
        for row in data.rows:
            if row.get("correct", "") == "":  # no label, or it failed
                continue
            if _place(source, row["path"]) in learnt:
                known += 1
            else:
                others += 1
                right += row["correct"] == "1"
    except CamcliError:
        return ""
    if not known:
        return ""
    if not others:
        return (
            "The network was trained on all of these photographs, and may know them by heart: how "
            f"good it is with others is in {found['folder']}."
        )
    return (
        f"The network was trained on {known} of these {known + others} photographs, and may know "
        f"them by heart; of the other {others} it has {right / others:.4f} right ({right} of "
        f"{others})."
    )


def _learnt(folder: Path) -> set[str]:
    """The places of the photographs that a training learned from; none where it has no table."""
    root = words(mapping(mapping(json_object(folder / INFO)).get("data")).get("root"), 4096)
    if not root or "\0" in root:
        return set()
    root = os.path.realpath(root)
    rows = table(folder / OUT_OF_FOLD, _MOST)
    return {_place(root, row.get("path", "")) for row in rows if row.get("split") == "train"}


def _place(root: str, path: str) -> str:
    return os.path.normcase(os.path.join(root, path))  # noqa: PTH118
