"""Whether a run may go into a folder: what is there already, and whose it is. Touches nothing."""

from __future__ import annotations

import json
import re
from typing import Any

from camcli.batch.run_files import ownership
from camcli.batch.run_files.run_paths import INFO, RunPaths
from camcli.batch.run_files.same_settings import different
from camcli.errors import CamcliError, UsageError
from camcli.ours import OVERLAYS, current_folder, folder_of, read_record
from camcli.printable import printable

_SHARD_FILE = re.compile(r"(?:predictions|heatmaps|run|\.tmp)\.\d+-of-(\d+)(?:\.\w+)?")


def check_free(run: RunPaths, *, resume: bool, overwrite: bool) -> bool:
    """Whether a run is there already.

    Raises:
        UsageError: there is, or something else is, and nobody asked to go on.
    """
    if run.path.exists() and not run.path.is_dir():
        raise UsageError(f"{run.path} is a file; --out must name a folder.")
    names = {p.name for p in run.path.iterdir()} if run.path.is_dir() else set()
    if not names:
        return False
    if run.csv.is_file() and not run.csv.stat().st_size:
        names.discard(run.csv.name)
    newborn = ownership.is_newborn(run.path, run.csv.name, OVERLAYS, run.temporary.name)
    there, ours = bool(names), newborn or ownership.is_run(read_record(run.info))
    shards_of = {int(m[1]) for m in map(_SHARD_FILE.fullmatch, names) if m}
    if run.shard is not None:
        # What other shards left is none of this one's business.
        there = any(_is_part(run, name) for name in names)
        ours = newborn or _are_shards(run, names)
        if others := shards_of - {run.shard.of}:
            raise UsageError(
                f"{run.path} holds shards of {max(others)}, which do not go with --shard "
                f"{run.shard.number}/{run.shard.of}. Take that number, or another --out."
            )
    elif shards_of:
        raise UsageError(
            f"{run.path} holds the shards of a run: 'camcli merge {run.path}' joins them. To "
            "run anew, choose another --out."
        )
    lost = read_record(run.info) is None  # not there, or torn
    if not ours and lost and run.csv.name in names and ownership.is_table(run.csv):
        if resume and run.info.exists():
            check_same(run, {})  # which says what is wrong with it
        if not overwrite:
            raise UsageError(
                f"{run.path} has rows, but run.json, which says what model and method made "
                "them, is gone. Put it back, start again with --overwrite, or choose another "
                "--out."
            )
        ours = True
    if not ours:
        if run.shard is not None and ownership.is_run(read_record(run.path / INFO)):
            raise UsageError(
                f"{run.path} holds a whole run, which no shard can join: go on with it "
                "without --shard, or choose another --out."
            )
        kind = ownership.kind_of(run.info)
        raise UsageError(
            f"{run.path} is not empty and "
            + (f"a run of 'camcli {kind}', not of 'batch'" if kind else "not a run of camcli")
            + ", so it will not be touched. Choose another --out."
        )
    for file, is_ours in (
        (run.csv, ownership.is_table),
        (run.heatmaps, ownership.is_heatmaps),
    ):
        if file.name in names and not is_ours(file):
            raise UsageError(
                f"{file} is not what 'camcli batch' writes under that name, so it will not be "
                "touched. Move it away, or choose another --out."
            )
    if there and not (resume or overwrite):
        raise UsageError(
            f"{run} is not empty. Add --resume to go on with that run, --overwrite "
            "to replace it, or choose another --out."
        )
    return there


def check_same(run: RunPaths, config: dict[str, Any]) -> None:
    """Refuse to go on with a run that was made with other settings.

    Args:
        run: the folder.
        config: what decides the rows, as plain JSON values.

    Raises:
        UsageError: they differ.
        CamcliError: its description cannot be read.
    """
    try:
        info = run.read_info()
    except CamcliError as error:
        raise CamcliError(
            f"{str(error).rstrip('.')}. Start again with --overwrite, or choose another --out."
        ) from error
    now = json.loads(json.dumps(config))
    where = folder_of(info), current_folder()
    if differs := different(info.get("config", {}), now, where):
        # It stands for options that nobody wrote.
        named = info.get("preset")
        had = f" That run had --preset {printable(named)}." if isinstance(named, str) else ""
        raise UsageError(
            f"The run in {run.path} and this one differ: {differs}.{had} Resume with the same, or "
            "choose another --out."
        )


def _is_part(run: RunPaths, name: str) -> bool:
    mine = (run.csv, run.heatmaps, run.info, run.temporary)
    return name in {path.name for path in mine}


def _are_shards(run: RunPaths, names: set[str]) -> bool:
    """Whether any of these is a shard's, and none says that it is something else."""
    whole = run.path / INFO
    if whole.exists() and not ownership.is_run(read_record(whole)):
        return False
    for name in names:
        if not _SHARD_FILE.fullmatch(name):
            continue
        path = run.path / name
        if name.startswith("run.") and not ownership.is_run(read_record(path)):
            return False
        if name.endswith(".csv") and path.stat().st_size and not ownership.is_table(path):
            return False
    return any(map(_SHARD_FILE.fullmatch, names))
