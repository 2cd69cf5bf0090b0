"""The folder of a training run: settings, progress, checkpoints, metrics and pictures."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from camcli.batch.run_files.recorded_paths import same_place
from camcli.errors import CamcliError, UsageError
from camcli.files import write_whole
from camcli.locks import is_still, lock
from camcli.models.weights.formats import recognise
from camcli.ours import FILES, KIND, current_folder, finite, folder_of, read_record, remove
from camcli.spreadsheet import cell
from camcli.train.config import AUTO, TrainConfig
from camcli.train.config_file import check_values, to_toml

BEST, LAST, STATE, INFO = "best.safetensors", "last.safetensors", "state.pt", "run.json"
CONFIG, EPOCHS, SUMMARY, CURVES = "config.toml", "metrics.csv", "metrics.json", "curves.png"
BOARD, BOARD_ENDING = "tensorboard", ".camcli"
"""The folder of TensorBoard's files, and how those end that camcli wrote."""
OUT_OF_FOLD = "out_of_fold.csv"
"""Every image, judged by a head that has not seen it."""
CURVE_TABLE, CROSSING = "learning_curve.csv", "crossing.csv"
"""Errors by the number of training images, and photographs that are in two splits."""
SEARCH = "search.csv"
"""What a search tried."""
LOCK = ".camcli.lock"
"""Held while a run is written; removed at its end. (Files that are renamed into place cannot be
held: the next one of that name is another file.)"""
# All that camcli writes here; run.json lists what it wrote, and so what --overwrite may delete.
_OURS = (
    BEST, LAST, STATE, INFO, CONFIG, EPOCHS, SUMMARY, "predictions.csv", "skipped.csv",
    CURVES, "per_class-val.csv", "per_class-test.csv", "confusion-val.png",
    "confusion-test.png", "confusion-val.csv", "confusion-test.csv", "confused-val.csv",
    "confused-test.csv", OUT_OF_FOLD, CURVE_TABLE, "learning_curve.png",
    CROSSING, SEARCH,
)  # fmt: skip
ASKED = "asked"
"""In run.json: the settings as they were before a search settled what they left open."""
SEARCHED = "search"
"""Likewise: what the search found, in short."""
_BEFORE: dict[str, Any] = {
    **TrainConfig().to_dict(), "weights_key": None, "search": False, "layer_decay": 1.0, "ema": 0.0,
}  # fmt: skip
"""What a run of an older camcli, which did not ask for it, was made with."""
_MEMBER = re.compile(r"member-\d+(-last)?\.safetensors")
# Settings that a run may be resumed with others of: they change nothing of what is learnt.
_FREE = ("tensorboard",)
_PATHS = ("data", "data_dir", "labels", "backbone", "weights", "boxes")
"""Settings that may be paths, which are the same however they are written."""
_SECOND = ("epochs2", "lr2", "augment2", "layer_decay", "ema", "mixup", "randaugment", "bn")
"""Settings of no use without a second stage."""


def _members(count: int) -> list[str]:
    names = (f"member-{n}" for n in range(1, count + 1))
    return [name + end for name in names for end in (".safetensors", "-last.safetensors")]


SPLIT_WORDS = {"val": "validation", "test": "test"}
"""What the held-out splits are called for people."""


def decimal(value: float | None) -> str:
    """A number in a table; empty where there is none."""
    return "" if value is None else f"{value:.6f}"


def _same(key: str, before: object, now: object, where: tuple[Path | None, Path | None]) -> bool:
    """Whether a setting is as it was; `where` is the folder of each in which it was typed."""
    if key in _PATHS and isinstance(before, str) and isinstance(now, str):
        return same_place(before, now, where)
    return before == now


@contextmanager
def telling_how_to_go_on(folder: Path) -> Iterator[None]:
    """A file of a run that cannot be written ends it, and says how it goes on.

    Args:
        folder: of the run.

    Raises:
        CamcliError: as within, with that.
    """
    try:
        yield
    except CamcliError as error:
        raise CamcliError(f"{error}{how_to_go_on(folder)}") from error


def how_to_go_on(folder: Path) -> str:
    """What --resume would do with what is in a folder; empty where it is no run's yet."""
    if (folder / STATE).is_file():
        return (
            " What was finished is kept; when the cause is gone, run the same command with "
            "--resume."
        )
    if (folder / INFO).is_file():
        return (
            " When the cause is gone, run the same command with --resume: there is no epoch to go "
            "on from, so it begins with the features."
        )
    return ""


class TrainDirectory:
    """One run's folder on disk.

    Attributes:
        path: the folder.
        writes: whether this process writes.

    Of several processes that train together one writes; the methods of the others leave the disk
    alone.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self._held: IO[bytes] | None = None

    def hold(self) -> None:
        """Make the folder, and be the only one who writes there until `let_go`.

        A process that ends in any way lets go. Whoever holds should `check` again: another run may
        have begun, or ended, just before.

        Raises:
            UsageError: somebody else is training into it.
            CamcliError: it cannot be written.
        """
        if not self.writes:
            return
        path = self.path / LOCK
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            while self._held is None:
                file = path.open("ab")
                if not _alone(file):
                    file.close()
                    raise self._busy()
                # Whoever held it before may just have removed it, and a third one made a new one.
                if is_still(file, path):
                    self._held = file
                else:
                    file.close()
        except OSError as error:
            raise CamcliError(f"Cannot write to {self.path}: {error.strerror}.") from error

    def let_go(self) -> None:
        """Let others write; does nothing where nothing is held."""
        if self._held is None:
            return
        if sys.platform == "win32":  # where an open file cannot be removed; nor by whoever waits
            self._held.close()
        with suppress(OSError):  # the folder was removed meanwhile
            (self.path / LOCK).unlink()
        self._held.close()
        self._held = None

    def _check_alone(self) -> None:
        """Refuse a folder that another run is written to; no need to load a network for that."""
        path = self.path / LOCK
        if self._held is not None or not self.writes or not path.is_file():
            return
        with suppress(OSError), path.open("ab") as file:
            if not _alone(file):
                raise self._busy()

    def _busy(self) -> UsageError:
        return UsageError(
            f"Another camcli is training into {self.path} at this moment. Wait for its end, or "
            "choose another --out."
        )

    def check(self, config: TrainConfig, *, resume: bool, overwrite: bool) -> bool:
        """Whether there is a run to go on with; touches nothing.

        Args:
            config: of this run; a resumed one must have the same.
            resume: go on with what is there.
            overwrite: `begin` will replace it.

        Raises:
            UsageError: the folder holds something and neither was asked for, or another run, or
                somebody writes there at this moment.
        """
        if resume and overwrite:
            raise UsageError("--resume keeps the run and --overwrite deletes it: give one.")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; --out must name a folder.")
        self._check_alone()
        if not self.path.is_dir() or all(path.name == LOCK for path in self.path.iterdir()):
            return False
        before = self._read_info()
        if not (resume or overwrite):
            raise UsageError(
                f"{self.path} is not empty. Add --resume to go on with that run, --overwrite to "
                "replace it, or choose another --out."
            )
        if not resume:
            listed = self._listed(before)
            for name in self._there():
                if name not in listed:
                    raise UsageError(
                        f"{self.path / name} was not written by that run, so it will not be "
                        "replaced. Move it away, or choose another --out."
                    )
            return False
        self._check_same(config, before)
        return True

    def _check_same(self, config: TrainConfig, info: Mapping[str, Any]) -> None:
        """Refuse to go on with a run of other settings, be it as asked for or as settled."""
        recorded = [info.get(name) for name in (ASKED, "config")]
        made = [{**_BEFORE, **each} for each in recorded if isinstance(each, dict)] or [_BEFORE]
        now = {"weights_key": None, **json.loads(json.dumps(config.to_dict()))}
        if config.backbone == AUTO and not config.searches:  # any will do: the one that it has
            del now["backbone"]
        if not any("search" in each for each in recorded if isinstance(each, dict)):
            # What is left open now had a value then: compare what this run would do.
            now |= {"search": config.searches, "solver": config.head_solver()}
            if config.unfreeze:
                now["augment2"] = config.variation()
                made = [{**x, "augment2": "parts" if x["augment"] else "none"} for x in made]
            else:
                now["patience"] = config.patience_of(1)
                now = {key: value for key, value in now.items() if key not in _SECOND}
        where = folder_of(info), current_folder()
        other = [
            [key for key, value in now.items()
             if key not in _FREE and not _same(key, each.get(key), value, where)]
            for each in made
        ]  # fmt: skip
        if all(other):
            key = other[0][0]
            raise UsageError(
                f"{self.path} was made with {key} = {made[0].get(key)!r}, and this run has "
                f"{now[key]!r}. Resume with the same, or choose another --out."
            )

    def begin(self, config: TrainConfig, info: Mapping[str, Any], *, overwrite: bool) -> None:
        """Empty the folder, which is held, of an earlier run, and write down the settings."""
        if not self.writes:
            return
        try:
            before = read_record(self.path / INFO) if overwrite else None
            old = self._listed(before) if before else []
            remove(self.path, [STATE])  # a resume must not go on with another run's
            # From here on the folder is that of the new run, whenever this one is killed.
            will = [*_OURS, *_members(len(info.get("members", ())))]
            self.write_json(INFO, {**info, KIND: "train", FILES: [*will, *old]})
            remove(self.path, [name for name in old if name != INFO])
        except OSError as error:
            raise CamcliError(f"Cannot write to {self.path}: {error.strerror}.") from error
        self.write(CONFIG, to_toml(config).encode("utf-8", "surrogateescape"))
        self.write_json(INFO, {**info, KIND: "train", FILES: will})

    def settle(self, config: TrainConfig, info: Mapping[str, Any]) -> None:
        """Write down the settings that a search ended in, and go on with `info`."""
        self.write(CONFIG, to_toml(config).encode("utf-8", "surrogateescape"))
        will = [*_OURS, *_members(len(info.get("members", ())))]
        self.write_json(INFO, {**info, KIND: "train", FILES: will})

    def settled(self) -> TrainConfig | None:
        """The settings that the search of an unfinished run ended in; None where it has not yet."""
        info = self._read_info()
        if ASKED not in info:
            return None
        return TrainConfig(**check_values(info["config"], str(self.path / INFO)))

    def backbone(self) -> str | None:
        """The network of the run that is there."""
        name = self._read_info()["config"]["backbone"]
        return name if isinstance(name, str) else None

    def searched(self) -> dict[str, Any]:
        """What ``run.json`` keeps of a search that the run began with."""
        info = self._read_info()
        return {name: info[name] for name in (ASKED, SEARCHED) if isinstance(info.get(name), dict)}

    def finish(self, info: Mapping[str, Any]) -> None:
        """Write ``run.json`` of a finished run: with it goes the list of what was written."""
        self.write_json(INFO, {**info, KIND: "train", FILES: self._there()})

    def _there(self) -> list[str]:
        """The files in the folder that have names of camcli's, whoever wrote them."""
        names = [name for name in _OURS if (self.path / name).exists()]
        members = (path.name for path in self.path.glob("member-*.safetensors"))
        return [
            *names, *sorted(name for name in members if _MEMBER.fullmatch(name)), *self._board()
        ]  # fmt: skip

    def _listed(self, info: Mapping[str, Any]) -> list[str]:
        """The files that a run wrote, as its ``run.json`` says; an older one says nothing."""
        files = info.get(FILES, self._there())
        names = files if isinstance(files, list) else []
        # TensorBoard's have the time in their names, which nobody knew when the run began.
        return list(dict.fromkeys([*(n for n in names if isinstance(n, str)), *self._board()]))

    def _board(self) -> list[str]:
        """TensorBoard's files that camcli wrote."""
        found = (self.path / BOARD).rglob(f"events.out.tfevents.*{BOARD_ENDING}")
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it is either whole or not there.

        Raises:
            CamcliError: disk full, folder removed, no permission.
        """
        if not self.writes:
            return
        try:
            write_whole(self.path / name, data)
        except OSError as error:
            raise CamcliError(
                f"Cannot write {self.path / name}: {error.strerror}.{how_to_go_on(self.path)}"
            ) from error

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Plain values as JSON, which has no NaN: what is no number is null."""
        text = json.dumps(finite(values), indent=2, allow_nan=False)
        self.write(name, (text + "\n").encode())

    def write_csv(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """A table; the columns are all keys, in the order in which they first appear.

        A cell whose value is no finite number is empty.
        """
        rows = [finite(row) for row in rows]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(map(cell, columns))
        # Class and file names are not for a spreadsheet to run.
        writer.writerows([cell(row.get(name, "")) for name in columns] for row in rows)
        # Paths need not be valid Unicode.
        self.write(name, text.getvalue().encode("utf-8", "surrogateescape"))

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace what `load_state` will find: tensors, numbers, texts, lists and dicts."""
        import torch  # not above: whether a run may be there is asked before that

        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        self.write(STATE, buffer.getvalue())

    def load_state(self) -> dict[str, Any] | None:
        """The state of an unfinished run; None if it stopped before the first epoch.

        Raises:
            CamcliError: the file is damaged.
        """
        path = self.path / STATE
        if not path.is_file():
            return None
        import torch

        try:
            recognise(path)  # its sizes are within reason
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["stage"] not in (1, 2):
                raise ValueError("there is no such stage")
        except Exception as error:
            raise CamcliError(
                f"{path} is damaged: delete it, and --resume starts from the cached features."
            ) from error
        return dict(state)

    def sweep(self) -> None:
        """Delete what a killed process was writing; nobody else writes here while this runs."""
        for part in self.path.glob(".camcli-*.part") if self.writes else ():
            part.unlink(missing_ok=True)

    def clear_state(self) -> None:
        """A finished run needs none."""
        if self.writes:
            (self.path / STATE).unlink(missing_ok=True)

    def _read_info(self) -> dict[str, Any]:
        """What ``run.json`` says: this tells a run of training from any other folder."""
        path = self.path / INFO
        try:
            info = json.loads(path.read_text("utf-8"))
            # A run.json of another program may well say "train", too.
            if info["command"] == "train" and {"data", "backbone"} <= info["config"].keys():
                return dict(info)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        raise UsageError(
            f"{self.path} is not a training run of camcli (it has no {INFO} of one), so it will "
            "not be touched. Choose another --out."
        )


def _alone(file: IO[bytes]) -> bool:
    """Lock an open file; true also where the file system has no locks."""
    try:
        return lock(file, wait=False)
    except OSError:
        return True
