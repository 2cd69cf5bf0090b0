"""The files of a run's folder: their names, and what has been written into them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from camcli.batch.run_files import ownership
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables.reading import NEEDED, read_rows
from camcli.errors import CamcliError, UsageError
from camcli.ours import OVERLAYS, read_record

CSV, INFO, SHEET = "predictions.csv", "run.json", "contact_sheet.jpg"
HEATMAPS, REPORT = "heatmaps.jsonl", "report"
_TEMPORARY = ".tmp"
# As a Path writes it, which has one slash of s3://bucket, on Windows another one.
_URL = re.compile(r"[A-Za-z][\w+.-]+:[/\\]")


def _of_shard(name: str, shard: Shard) -> str:
    """``predictions.csv`` of shard 2/8 is ``predictions.2-of-8.csv``."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a dot file keeps its whole name
    return f"{stem}.{shard}{suffix}"


class RunPaths:
    """One run's files, or those of one shard.

    Attributes:
        path: the folder.
        shard: which part of the run this is; None for all of it.
        csv: its table, which is also its journal.
        heatmaps: its maps.
        info: its description, ``run.json``.
        overlays: where pictures go.
        temporary: for half-written files; removed at the end.
    """

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        """Name a run directory; nothing is touched.

        Raises:
            UsageError: it is a URL.
        """
        if _URL.match(str(path)):
            raise UsageError(
                f"--out is a folder, not a URL such as {path}: rows are appended to a file there, "
                "which object stores cannot do. Copy the run when it is done."
            )
        self.path = path
        self.shard = shard
        self.overlays = path / OVERLAYS
        self.csv, self.heatmaps, self.info, self.temporary = (
            path / (name if shard is None else _of_shard(name, shard))
            for name in (CSV, HEATMAPS, INFO, _TEMPORARY)
        )

    def __str__(self) -> str:
        return str(self.path) if self.shard is None else f"Shard {self.shard} of {self.path}"

    def read_info(self) -> dict[str, Any]:
        """What ``run.json`` says.

        Raises:
            CamcliError: it cannot be read.
        """
        try:
            info = json.loads(self.info.read_text("utf-8"))
        except OSError as error:
            raise CamcliError(f"Cannot read {self.info}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise CamcliError(f"Cannot read {self.info}: it is no JSON ({error}).") from error
        if problem := ownership.problem_of(info):
            raise CamcliError(f"{self.info} is not a run's description: {problem}.")
        return dict(info)

    def earlier(self) -> dict[str, Any]:
        """What ``run.json`` says, if anything."""
        return read_record(self.info) or {}

    def rows(self) -> Iterator[dict[str, str]]:
        """The finished rows; none if there is no table yet.

        Raises:
            CamcliError: it is not the table of a run.
        """
        return read_rows(self.csv, NEEDED) if self.csv.exists() else iter(())
