"""One run on many machines: each takes every n-th image, and `merge` joins their tables.

All shards write into one run directory: overlays into the common tree, rows and description into
files of their own (``predictions.2-of-8.csv``). Which shard takes which image depends on the order
of the source alone, so no machine talks to another.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from camcli.batch.comparing import different
from camcli.batch.journal import Journal, header, read_rows
from camcli.batch.rundir import RunDirectory, now
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_file

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"

    def take(self, items: Iterable[T]) -> Iterator[T]:
        """This shard's items: every `of`-th."""
        return islice(items, self.number - 1, None, self.of)

    def count(self, total: int) -> int:
        """How many of `total` items are this shard's."""
        return len(range(self.number - 1, total, self.of))


def parse_shard(text: str) -> Shard:
    """``2/8`` as a shard.

    Raises:
        UsageError: it is not i/n with 1 <= i <= n.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            f"--shard takes i/n with i from 1 to n, such as 2/8 for the second of eight parts; "
            f"not {text!r}."
        )
    return Shard(int(match[1]), int(match[2]))


def merge(path: Path) -> dict[str, Any]:
    """Join the shards of a run directory into one ``predictions.csv``, in the source's order.

    The shards' own files stay, so merging again gives the same.

    Args:
        path: the run directory.

    Returns:
        The merged run's description, as ``run.json`` has it.

    Raises:
        UsageError: there are no shards.
        CamcliError: a shard is missing, unfinished, or was made with other settings.
    """
    shards = [RunDirectory(path, shard) for shard in _find(path)]
    infos = [shard.read_info() for shard in shards]
    for shard, info in zip(shards, infos, strict=True):
        if info.get("state") != "finished":
            raise CamcliError(
                f"Shard {shard.shard} is {info.get('state')}, not finished; resume it first."
            )
        if differs := different(infos[0].get("config", {}), info.get("config", {})):
            raise CamcliError(
                f"Shards {shards[0].shard} and {shard.shard} were made with different settings "
                f"({differs}); their rows do not belong into one table. Do one of them again with "
                "--overwrite."
            )
    whole = RunDirectory(path)
    counts: dict[str, int] = {}
    for info in infos:
        for key, value in info["counts"].items():
            counts[key] = counts.get(key, 0) + value
    with whole_file(whole.csv) as part:
        written = 0
        with Journal(part, header(shards[0].csv)) as journal:
            for row in _round_robin([read_rows(shard.csv) for shard in shards]):
                journal.append(row)
                written += 1
        if written != counts["done"]:
            raise CamcliError(
                f"The shards' tables have {written} rows and their descriptions say "
                f"{counts['done']}: a table was changed or cut. Resume that shard."
            )
        _join_heatmaps([shard.heatmaps for shard in shards], whole.heatmaps)
    info = infos[0] | {
        "state": "finished",
        "counts": counts,
        "shards": len(shards),
        "written": now(),
        "seconds": max((i.get("seconds") or 0) for i in infos),
        "images_per_second": None,
    }
    whole.write_info(info)
    whole.finish()
    return info


def _join_heatmaps(parts: list[Path], whole: Path) -> None:
    """One file after the other: a line says which image it belongs to, so order means nothing."""
    parts = [part for part in parts if part.exists()]
    if not parts:
        return
    with whole_file(whole) as new, new.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)


def _find(path: Path) -> list[Shard]:
    found = {}
    for file in path.glob("run.*-of-*.json"):
        if match := re.fullmatch(r"run\.(\d+)-of-(\d+)\.json", file.name):
            found[int(match[1])] = Shard(int(match[1]), int(match[2]))
    if not found:
        raise UsageError(
            f"{path} has no shards; 'camcli batch --shard i/n --out {path}' makes them."
        )
    sizes = {shard.of for shard in found.values()}
    if len(sizes) > 1:
        raise CamcliError(
            f"{path} holds shards of several splits ({', '.join(f'n = {n}' for n in sorted(sizes))}"
            "); keep those of one."
        )
    (of,) = sizes
    missing = [f"{n}/{of}" for n in range(1, of + 1) if n not in found]
    if missing:
        raise CamcliError(
            f"{path} is incomplete. Missing: --shard {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more." if missing[5:] else ".")
        )
    return [found[n] for n in range(1, of + 1)]


def _round_robin(tables: list[Iterator[dict[str, str]]]) -> Iterator[dict[str, str]]:
    """Row k of the whole is in table k mod n; once one table ends, all must."""
    ended = False
    while not ended:
        for table in tables:
            row = next(table, None)
            if row is None:
                ended = True
            elif ended:
                raise CamcliError(
                    "The shards' tables do not fit together: the source changed between them."
                )
            else:
                yield row
