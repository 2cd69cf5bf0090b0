"""The run directory: ``predictions.csv``, ``overlays/``, ``run.json``; who may write into it."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from camcli.batch.run_files import ownership
from camcli.batch.run_files.disk_names import DiskNames
from camcli.batch.run_files.run_paths import REPORT, SHEET, RunPaths
from camcli.batch.run_files.shard import Shard
from camcli.batch.run_files.vacancy import check_free, check_same
from camcli.batch.tables.columns import LASTING
from camcli.batch.tables.journal import drop_torn_row
from camcli.batch.tables.reading import header, is_as_written
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.files import only_this_file, whole_file, why, write_whole
from camcli.locks import lock
from camcli.ours import FILES, KIND, OVERLAYS, finite, read_record, remove
from camcli.printable import printable
from camcli.render.picture_files import is_made_here

# What run.json says while --overwrite deletes the run that it described.
CLEARING = "being replaced"


class RunDirectory(RunPaths):
    """One run's folder on disk, or one shard's part of it, that one run at a time writes into.

    Attributes:
        files: what else the run writes, by name: a contact sheet, its table in other formats.
        shared: whether somebody's files may lie where overlays go, which are not replaced.
        disk: what names are taken there; known once it is prepared.
    """

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        """Name a run directory; nothing is touched yet.

        Raises:
            UsageError: it is a URL.
        """
        super().__init__(path, shard)
        self._held: list[IO[bytes]] = []
        self.files: list[str] = []
        self.disk = DiskNames()
        self.shared = False

    def prepare(
        self, config: dict[str, Any], *, resume: bool, overwrite: bool, files: Sequence[str] = ()
    ) -> None:
        """Make the folder ready to be written.

        Args:
            config: what decides the rows (model, method, ...), as plain JSON values; a resumed run
                must have the same.
            resume: go on with what is there.
            overwrite: delete what an earlier run wrote there, as its own record says, and nothing
                else.
            files: names of what the run will write beside its table, maps and overlays.

        Raises:
            UsageError: the folder holds something and neither was asked for, or another run, or
                somebody writes there at this moment; or somebody's file is in the way.
            CamcliError: it cannot be written.
        """
        if resume and overwrite:
            raise UsageError("--resume keeps the rows and --overwrite deletes them: give one.")
        try:
            check_free(
                self, resume=resume, overwrite=overwrite
            )  # before anything is put into a stranger's folder
            self.path.mkdir(parents=True, exist_ok=True)
            self._hold()
            try:
                # Another run may have begun, and ended, just before the lock.
                there = check_free(self, resume=resume, overwrite=overwrite)
                self._check_files(files)
                if resume and self.info.is_file():
                    check_same(self, config)
                    # Killed while --overwrite deleted: the rows left have no pictures any more.
                    overwrite = self.read_info().get("state") == CLEARING
                if there and overwrite:
                    self._clear(config)
                if resume:
                    self._check_appendable()
                    drop_torn_row(self.csv)
                self.files = list(dict.fromkeys([*self.files, *files]))
                ownership.sweep(self.temporary)
                if config.get("overlays", True):
                    self.overlays.mkdir(exist_ok=True)
                self.temporary.mkdir(exist_ok=True)
                self.disk = DiskNames.of(self.temporary, self.overlays)
            except BaseException:
                self._let_go()
                raise
        except OSError as error:
            raise CamcliError(f"Cannot write to {self.path}: {why(error)}.") from error

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse what `prepare` would refuse whatever the run is; touches nothing.

        Raises:
            UsageError: as there.
            CamcliError: the folder cannot be read.
        """
        if resume and overwrite:
            raise UsageError("--resume keeps the rows and --overwrite deletes them: give one.")
        try:
            check_free(self, resume=resume, overwrite=overwrite)
        except OSError as error:
            raise CamcliError(f"Cannot write to {self.path}: {why(error)}.") from error

    def check_source(self, paths: Iterable[str]) -> None:
        """Refuse to overwrite the run where its own pictures are what is going to be read.

        Args:
            paths: of the source, absolute.

        Raises:
            UsageError: as it says.
        """
        if info := read_record(self.info):
            files = ownership.recorded(info, SHEET, self.csv.stem)
            ownership.check_kept(self.path, OVERLAYS, REPORT, files, paths)

    def _hold(self) -> None:
        """Be the only one who writes, until `finish`, or until this process ends in any way.

        Raises:
            UsageError: somebody else does.
        """
        self._held.append(self.csv.open("ab"))
        try:
            alone = lock(self._held[-1], wait=False)
        except OSError:  # a network disk without locks
            return
        if not alone:
            self._let_go()
            raise UsageError(
                f"Another camcli is writing to {self} at this moment. Wait for its end, or "
                "choose another --out."
            )

    def _let_go(self) -> None:
        while self._held:
            self._held.pop().close()

    def replace_table(self, write: Callable[[Path], object]) -> None:
        """Put another table in the place of this one, in one step.

        Args:
            write: fills the new file; the old one is still there.

        Raises:
            CamcliError: it cannot be written; the old one stays.
        """
        try:
            with whole_file(self.csv, aside=self.temporary) as part:
                write(part)
                if sys.platform == "win32":  # where no open file is replaced
                    self._let_go()
                else:  # nobody gets in between, with the old file or the new one
                    self._held.append(part.open("ab"))
                    with suppress(OSError):
                        lock(self._held[-1], wait=False)
            if not self._held:
                self._hold()
        except OSError as error:
            raise CamcliError(f"Cannot write {self.csv}: {why(error)}.") from error

    def _check_files(self, files: Sequence[str]) -> None:
        """Learn what the earlier run wrote besides, and refuse to write over anything else.

        Raises:
            UsageError: somebody's file has the name of one that is going to be written.
        """
        self.files = ownership.recorded(read_record(self.info) or {}, SHEET, self.csv.stem)
        known = set(self.files)
        if self.shard is not None:  # shards draw one contact sheet, the last of them stays
            for other in self.path.glob("run.*-of-*.json"):
                known.update(ownership.recorded(read_record(other) or {}, SHEET, self.csv.stem))
        for name in files:
            if name not in known and os.path.lexists(self.path / name):
                raise UsageError(
                    f"{self.path / name} is there and no file of that run, so it will not be "
                    "replaced. Move it away, or choose another --out."
                )

    def _clear(self, config: dict[str, Any]) -> None:
        """Delete an earlier run; killed at any moment, what is left is known as a run to replace.

        A shard shares its overlays with others, which may have drawn them since; its own are
        replaced one by one.
        """
        about = {KIND: ownership.BATCH, "state": CLEARING, "config": config, "written": now()}
        self.write_info({**about, "camcli": "", "counts": {}, "provenance": {}, FILES: self.files})
        if self.shard is None:
            self.shared = True
            # The table says which pictures there are, so it comes last.
            remove(self.overlays, ownership.overlays_of(self.csv, OVERLAYS))
            if self.overlays.is_dir() and not any(self.overlays.iterdir()):
                ownership.remove_folder(self.overlays)
            if (self.path / REPORT).is_dir():
                from camcli.render.report.page.folder import remove_page

                remove_page(self.path / REPORT)
        remove(self.path, [self.heatmaps.name, *self.files])
        self.files = []
        os.truncate(self.csv, 0)  # held open, so it must stay the same file

    def _check_appendable(self) -> None:
        """Refuse to append rows of one kind to those of another.

        Raises:
            UsageError: a spreadsheet has saved the table, or a column of it is gone.
        """
        if not is_as_written(self.csv):
            raise UsageError(
                f"{self.csv} was saved by another program (its first line is not as 'camcli batch' "
                "wrote it), so no rows can be added. Put the run's own file back, save it as CSV "
                "with commas and without a byte order mark, or start again with --overwrite."
            )
        names = header(self.csv)
        if names and (missing := [name for name in LASTING if name not in names]):
            raise UsageError(
                f"{self.csv} has no column {missing[0]!r}, which every run's table has, so no rows "
                "can be added. Put the run's own file back, or start again with --overwrite."
            )

    def write_info(self, info: dict[str, Any]) -> None:
        """Replace ``run.json`` in one step."""
        text = json.dumps(finite(info), indent=2, ensure_ascii=True, allow_nan=False) + "\n"
        self.write(self.info, text.encode())

    def check_merged(self, files: Sequence[str]) -> None:
        """Refuse to put the joined table of shards in the place of somebody's files.

        Raises:
            UsageError: there is one.
        """
        for file, ours in (
            (self.info, lambda: ownership.is_run(read_record(self.info))),
            (self.csv, lambda: ownership.is_table(self.csv)),
            (self.heatmaps, lambda: ownership.is_heatmaps(self.heatmaps)),
        ):
            if os.path.lexists(file) and not ours():
                raise UsageError(
                    f"{file} is not what 'camcli merge' writes under that name, so it will not be "
                    "replaced. Move it away."
                )
        self._check_files(files)
        self.files = list(dict.fromkeys([*self.files, *files]))

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
            if not self.info.exists():
                raise FileNotFoundError(errno.ENOENT, "the folder was removed or renamed meanwhile")
        except OSError as error:
            raise CamcliError(
                f"Cannot write {path}: {why(error)}. What was finished is kept; when the "
                "cause is gone, run the same command with --resume."
            ) from error

    def write_overlay(self, path: Path, data: bytes) -> None:
        """Write one image's picture so that it is either whole or not there.

        Raises:
            ImageError: there can be no file of this name; others can be written.
            CamcliError: as `write` does.
        """
        if self.shared and os.path.lexists(path) and not is_made_here(os.fspath(path)):
            raise ImageError(
                f"{printable(path)} was there and no picture of camcli's, so it is not replaced; "
                "move it away, or choose another --out."
            )
        try:
            self.write(path, data)
        except CamcliError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or not self.info.exists():
                raise
            if not only_this_file(cause, self.overlays):
                raise
            raise ImageError(f"{printable(path)} cannot be written: {cause.strerror}.") from cause

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, data, aside=self.temporary)
        except FileNotFoundError:  # the first in its folder, or since `finish`
            self.temporary.mkdir(exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data, aside=self.temporary)

    def finish(self) -> None:
        """Remove the folder of half-written files, and let others write."""
        ownership.sweep(self.temporary)
        self._let_go()


def now() -> str:
    """The time of day for ``run.json``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
