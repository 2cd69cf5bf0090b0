"""The tables, maps and pictures of a sharded run become those of one run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from camcli.batch.run_files.rundir import RunDirectory, now
from camcli.batch.run_files.same_settings import different
from camcli.batch.run_files.shard import Shard
from camcli.batch.summary.label_summary import LABELS, label_summary, recorded
from camcli.batch.summary.value_summary import VALUES, value_summary
from camcli.batch.tables.columns import joined
from camcli.batch.tables.journal import Journal
from camcli.batch.tables.reading import header
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_file
from camcli.ours import FILES, folder_of
from camcli.printable import counted


def merge(path: Path, files: Sequence[str] = ()) -> dict[str, Any]:
    """Join the shards of a run directory into one ``predictions.csv``, in the source's order.

    The shards' own files stay, so merging again gives the same.

    Args:
        path: the run directory.
        files: names of what will be written beside: the table in another format.

    Returns:
        The merged run's description, as ``run.json`` has it. Its ``listing`` is None where the
        shards are older and do not say what they found in the source.

    Raises:
        UsageError: there are no shards, or somebody's file is in the place of one to be written.
        CamcliError: a shard is missing, unfinished, or was made with other settings or of other
            images; or a table does not have the rows that it should have.
    """
    shards = [RunDirectory(path, shard) for shard in _find(path)]
    infos = [shard.read_info() for shard in shards]
    for shard, info in zip(shards, infos, strict=True):
        if info.get("state") != "finished":
            raise CamcliError(
                f"Shard {shard.shard} is {info.get('state')}, not finished; resume it first."
            )
        first, where = infos[0], (folder_of(infos[0]), folder_of(info))
        if differs := different(first.get("config", {}), info.get("config", {}), where):
            raise CamcliError(
                f"Shards {shards[0].shard} and {shard.shard} were made with different settings "
                f"({differs}); their rows do not belong into one table. Do one of them again with "
                "--overwrite."
            )
    images = _same_images(shards, infos)
    whole = RunDirectory(path)
    whole.check_merged(files)
    counts: dict[str, int] = {}
    for info in infos:
        for key, value in info.get("counts", {}).items():
            counts[key] = counts.get(key, 0) + value
    with whole_file(whole.csv) as part:
        written = 0
        columns = _columns(shards)
        seen: set[int] = set()
        tables = [_checked(shard, images, seen) for shard in shards]
        with Journal(part, columns) as journal:
            for row in _round_robin(tables):
                journal.append(dict.fromkeys(columns, "") | row)
                written += 1
        if written != counts.get("done"):
            raise CamcliError(
                f"The shards' tables have {written} rows and their descriptions say "
                f"{counts.get('done')}: a table was changed or cut. Resume that shard."
            )
        _join_heatmaps([shard.heatmaps for shard in shards], whole.heatmaps)
    info = infos[0] | {
        "state": "finished",
        "counts": counts,
        FILES: whole.files,
        "shards": len(shards),
        "written": now(),
        "seconds": max(_seconds(i) for i in infos),
        "images_per_second": None,
    }
    info.pop(LABELS, None)
    if found := label_summary(whole.csv):
        info[LABELS] = recorded(*found)
    info.pop(VALUES, None)
    if values := value_summary(whole.csv):
        info[VALUES] = values
    whole.write_info(info)
    whole.finish()
    return info


def _seconds(info: dict[str, Any]) -> float:
    seconds = info.get("seconds")
    return seconds if isinstance(seconds, int | float) else 0


def _same_images(shards: list[RunDirectory], infos: list[dict[str, Any]]) -> int | None:
    """How many images all shards found in the source; None where older ones do not say.

    Raises:
        CamcliError: they did not find the same.
    """
    listings = [info.get("listing") for info in infos]
    if not all(isinstance(listing, dict) for listing in listings):
        return None
    first: Any = listings[0]
    for shard, listing in zip(shards, listings, strict=True):
        if listing != first:
            one, two = (each.get("images") for each in (first, listing or {}))
            how = f"{one} and {two}" if one != two else f"{one} each, but not the same"
            raise CamcliError(
                f"The source changed between shards {shards[0].shard} and {shard.shard}: they "
                f"found other images in it ({how}), so images would be missing or twice in the "
                "table. Do those shards that saw the old one again with --overwrite, or all of "
                "them."
            )
    images = first.get("images")
    return images if isinstance(images, int) else None


def _columns(shards: list[RunDirectory]) -> list[str]:
    """The columns of all tables together; one that an older camcli made may lack some.

    Raises:
        CamcliError: one has others.
    """
    first = header(shards[0].csv)
    for shard in shards:
        if joined([first, header(shard.csv)]) is None:
            raise CamcliError(
                f"{shard.csv} has other columns than the first shard's table; do one of the two "
                "again with --overwrite."
            )
    found = joined(header(shard.csv) for shard in shards)
    assert found is not None
    return found


def _checked(shard: RunDirectory, images: int | None, seen: set[int]) -> Iterator[dict[str, str]]:
    """A shard's rows.

    Args:
        shard: whose.
        images: how many the source has, if that is known.
        seen: digests of the paths that were met in any shard.

    Raises:
        CamcliError: it has too few or too many rows, or a path twice.
    """
    part, count = shard.shard, 0
    assert part is not None
    for row in shard.rows():
        digest = hashlib.blake2b(os.fsencode(row["path"]), digest_size=8).digest()
        if (key := int.from_bytes(digest, "big")) in seen:
            raise CamcliError(
                f"{row['path']!r} has two rows, the second of them in {shard.csv.name}: the source "
                "changed between the shards. Do them again with --overwrite."
            )
        seen.add(key)
        count += 1
        yield row
    if images is not None and count != part.count(images):
        raise CamcliError(
            f"{shard.csv.name} has {counted(count, 'row')}, and of the {images} images "
            f"{part.count(images)} are this shard's: the table was changed or cut, or the source "
            "changed while the shard was interrupted. Do it again with --overwrite."
        )


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
