"""The run directory: ``predictions.csv``, ``overlays/``, ``run.json``; who may write into it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from errno import ENOENT
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from camcli.batch.journal import drop_torn_row, header, read_rows
from camcli.errors import CamcliError, UsageError
from camcli.files import lock, write_whole

if TYPE_CHECKING:
    from camcli.batch.shard import Shard

CSV, INFO, OVERLAYS, SHEET = "predictions.csv", "run.json", "overlays", "contact_sheet.jpg"
HEATMAPS, REPORT = "heatmaps.jsonl", "report"
_TEMPORARY = ".tmp"
# All that camcli puts into a run directory, and so all that --overwrite may delete.
_OURS = (CSV, INFO, HEATMAPS, OVERLAYS, SHEET, REPORT, _TEMPORARY)
_FIRST_COLUMNS = ["path", "label", "pred"]


def _of_shard(name: str, shard: Shard) -> str:
    """``predictions.csv`` of shard 2/8 is ``predictions.2-of-8.csv``."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a dot file keeps its whole name
    return f"{stem}.{shard}{suffix}"


# As a Path writes it, which has one slash of s3://bucket.
_URL = re.compile(r"[A-Za-z][\w+.-]+:/")
_SHARD_FILE = re.compile(r".+\.\d+-of-(\d+)(\.\w+)?")


class RunDirectory:
    """One run's folder on disk, or one shard's part of it.

    Attributes:
        path: the folder.
        shard: which part of the run this is; None for all of it.
        csv: its table, which is also its journal.
        heatmaps: its maps.
        overlays: where pictures go.
        temporary: for half-written files; removed at the end.
    """

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        """Name a run directory; nothing is touched yet.

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
        self.csv, self.heatmaps, self._info, self.temporary = (
            path / (name if shard is None else _of_shard(name, shard))
            for name in (CSV, HEATMAPS, INFO, _TEMPORARY)
        )
        self._held: IO[bytes] | None = None

    def prepare(self, config: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready to be written.

        Args:
            config: what decides the rows (model, method, ...), as plain JSON values; a resumed run
                must have the same.
            resume: go on with what is there.
            overwrite: delete what an earlier run left there, and nothing else.

        Raises:
            UsageError: the folder holds something and neither was asked for, or another run, or
                somebody writes there at this moment.
            CamcliError: it cannot be written.
        """
        if resume and overwrite:
            raise UsageError("--resume keeps the rows and --overwrite deletes them: give one.")
        try:
            self._check_free(resume, overwrite)  # before anything is put into a stranger's folder
            self.path.mkdir(parents=True, exist_ok=True)
            self._hold()
            try:
                # Another run may have begun, and ended, just before the lock.
                there = self._check_free(resume, overwrite)
                if there and overwrite:
                    self._clear()
                if resume and self._info.is_file():
                    self._check_same(config)
                if resume:
                    drop_torn_row(self.csv)
                shutil.rmtree(self.temporary, ignore_errors=True)
                if config.get("overlays", True):
                    self.overlays.mkdir(exist_ok=True)
                self.temporary.mkdir(exist_ok=True)
            except BaseException:
                self._let_go()
                raise
        except OSError as error:
            raise CamcliError(f"Cannot write to {self.path}: {error.strerror}.") from error

    def _check_free(self, resume: bool, overwrite: bool) -> bool:
        """Whether a run is there already.

        Raises:
            UsageError: there is, or something else is, and nobody asked to go on.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; --out must name a folder.")
        names = {p.name for p in self.path.iterdir()} if self.path.is_dir() else set()
        if self.csv.is_file() and not self.csv.stat().st_size:
            names.discard(self.csv.name)
        # A run that was killed before its first row has just these.
        newborn = names <= {OVERLAYS, self.temporary.name}
        there, ours = bool(names), newborn or self._info.is_file()
        shards_of = {int(m[1]) for m in map(_SHARD_FILE.fullmatch, names) if m}
        if self.shard is not None:
            # What other shards left is none of this one's business.
            there = any(self._is_mine(name) for name in names)
            ours = newborn or bool(shards_of)
            if others := shards_of - {self.shard.of}:
                raise UsageError(
                    f"{self.path} holds shards of {max(others)}, which do not go with --shard "
                    f"{self.shard.number}/{self.shard.of}. Take that number, or another --out."
                )
        elif shards_of:
            raise UsageError(
                f"{self.path} holds the shards of a run: 'camcli merge {self.path}' joins them. To "
                "run anew, choose another --out."
            )
        if not ours and self.csv.name in names and header(self.csv)[:3] == _FIRST_COLUMNS:
            if not overwrite:
                raise UsageError(
                    f"{self.path} has rows, but run.json, which says what model and method made "
                    "them, is gone. Put it back, start again with --overwrite, or choose another "
                    "--out."
                )
            ours = True
        if not ours:
            raise UsageError(
                f"{self.path} is not empty and not a run of camcli, so it will not be "
                "touched. Choose another --out."
            )
        if there and not (resume or overwrite):
            raise UsageError(
                f"{self._name} is not empty. Add --resume to go on with that run, --overwrite "
                "to replace it, or choose another --out."
            )
        return there

    def _hold(self) -> None:
        """Be the only one who writes, until `finish`, or until this process ends in any way.

        Raises:
            UsageError: somebody else does.
        """
        self._held = self.csv.open("ab")
        try:
            alone = lock(self._held, wait=False)
        except OSError:  # a network disk without locks
            return
        if not alone:
            self._let_go()
            raise UsageError(
                f"Another camcli is writing to {self._name} at this moment. Wait for its end, or "
                "choose another --out."
            )

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    @property
    def _name(self) -> str:
        return str(self.path) if self.shard is None else f"Shard {self.shard} of {self.path}"

    def _is_mine(self, name: str) -> bool:
        mine = (self.csv, self.heatmaps, self._info, self.temporary)
        return name in {path.name for path in mine}

    def _clear(self) -> None:
        # A shard shares its overlays with others; its own are replaced one by one.
        victims = [self.path / name for name in _OURS]
        if self.shard is not None:
            victims = [self.csv, self.heatmaps, self._info, self.temporary]
        # A table in another format (`camcli.batch.export`) would be one of other rows.
        victims += [self.csv.with_suffix(suffix) for suffix in (".jsonl", ".parquet")]
        for victim in victims:
            if victim == self.csv:  # held open, so it must stay the same file
                os.truncate(victim, 0)
                continue
            if victim.is_dir() and not victim.is_symlink():
                shutil.rmtree(victim)
            else:
                victim.unlink(missing_ok=True)

    def _check_same(self, config: dict[str, Any]) -> None:
        try:
            before = self.read_info().get("config", {})
        except CamcliError as error:
            raise CamcliError(
                f"{error}. Start again with --overwrite, or choose another --out."
            ) from error
        if differs := different(before, json.loads(json.dumps(config))):
            raise UsageError(
                f"The run in {self.path} and this one differ: {differs}. Resume with the same, or "
                "choose another --out."
            )

    def read_info(self) -> dict[str, Any]:
        """What ``run.json`` says.

        Raises:
            CamcliError: it cannot be read.
        """
        try:
            info = json.loads(self._info.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CamcliError(f"Cannot read {self._info}: {error}") from error
        if not isinstance(info, dict):
            raise CamcliError(f"{self._info} is not a run's description.")
        return info

    def write_info(self, info: dict[str, Any]) -> None:
        """Replace ``run.json`` in one step."""
        text = json.dumps(info, indent=2, ensure_ascii=True) + "\n"
        self.write(self._info, text.encode())

    def rows(self) -> Iterator[dict[str, str]]:
        """The finished rows; none if there is no table yet."""
        return read_rows(self.csv) if self.csv.exists() else iter(())

    def write(self, path: Path, data: bytes) -> None:
        """Write a file so that it is either whole or not there.

        Raises:
            CamcliError: disk full, folder removed, no permission.
        """
        try:
            try:
                self._write(path, data)
            except FileNotFoundError:  # one of the two folders was removed at this very moment
                self._write(path, data)
            # If all was removed or renamed, the second folder of this name is not the run's: a
            # row, which goes to the first, must not name a picture there.
            if not self._info.exists():
                raise FileNotFoundError(ENOENT, "the folder was removed or renamed meanwhile")
        except OSError as error:
            raise CamcliError(
                f"Cannot write {path}: {error.strerror}. What was finished is kept; when the "
                "cause is gone, run the same command with --resume."
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        self.temporary.mkdir(exist_ok=True)  # gone after `finish`
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, aside=self.temporary)

    def finish(self) -> None:
        """Remove the folder of half-written files, and let others write."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._let_go()


def different(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first setting that two runs do not share, and its two values; empty if there is none."""
    for key in other | one:  # options that are not used are not there
        if one.get(key) != other.get(key):
            return f"{key} {_say(one.get(key))} and {_say(other.get(key))}"
    return ""


def now() -> str:
    """The time of day for ``run.json``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _say(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items() if not isinstance(v, dict | list))
    return repr(value)
