"""A classifier of one's own: what ``camcli train`` is asked, and how it is done."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.cam.method_facts import TRAINED
from camcli.data.datasets.registry import NAMED
from camcli.errors import UnavailableError, UsageError
from camcli.models import spec
from camcli.models.loading.sources import AskedModel, check_asked
from camcli.ours import read_record
from camcli.settings import Settings
from camcli.train.backbones import why_this_one, with_backbone
from camcli.train.config import AUTO, KEEP, TrainConfig
from camcli.train.feature_pass.shelf import read_limit
from camcli.train.progress import Listener, LogListener
from camcli.train.run_folder.rundir import BEST, INFO, TrainDirectory
from camcli.train.torchrun import several, speaks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from camcli.data.datasets.load import Dataset
    from camcli.data.sources.refs import ImageRef
    from camcli.evaluate.measured.box_files import Box
    from camcli.train.result import TrainResult


@dataclass(frozen=True, slots=True)
class TrainJob(Settings):
    """A training run that is to be made.

    Attributes:
        config: what decides what is learned.
        out: the run's folder.
        resume: go on with an interrupted run there.
        overwrite: replace an earlier run there.
        download: fetch a named data set that is not on this machine.
        device: where the network runs.
        offline: never touch the network for weights.
        cache_dir: where features are kept; None for the user's cache folder.
        cache_limit: how much of them, such as ``20GB``; None for what the environment says.
    """

    config: TrainConfig = field(default_factory=TrainConfig)
    out: Path = Path("camcli-train")
    resume: bool = False
    overwrite: bool = False
    download: bool = False
    device: str = "auto"
    offline: bool = False
    cache_dir: Path | None = None
    cache_limit: str | None = None

    def check(self) -> None:
        """Refuse, without torch and before images are looked for, what cannot be meant.

        Raises:
            UsageError: what names no network or device, a folder in use, a download of what has no
                name, or TensorBoard's files without TensorBoard.
            UnavailableError: a backbone whose package is not installed.
            CamcliError: a file that holds no weights.
        """
        spec.check_device(self.device)
        read_limit(self.cache_limit)
        spec.check_input_size(self.config.input_size)
        drawn = set(self.config.kinds()) == {"random"}
        weights = "random" if drawn else self.config.weights
        name = with_backbone(self.config).backbone
        kept = self.config.head == KEEP and spec.is_checkpoint_name(name)
        try:
            if not kept:
                check_asked(AskedModel(name, weights))
            spec.check_weights(self.config.weights, name)
        except UsageError as error:  # which speaks of the option that the other commands have
            raise UsageError(str(error).replace("--model ", "--backbone ")) from error
        if self.config.tensorboard:
            from camcli.train.live.board import check_tensorboard

            check_tensorboard()
        if self.download:
            self._check_download()
        if self.config.boxes and not os.path.lexists(self.config.boxes):
            raise UsageError(f"There are no boxes at {self.config.boxes}: no such file or folder.")
        if self.config.head == KEEP and several():
            raise UsageError(f"--head {KEEP} is the work of one process: leave torchrun out.")
        if not several():  # of several, one looks first
            self._is_resumed()

    def read(self, listener: Listener | None = None) -> Dataset | None:
        """Fetch the data set if that was asked for, and read what is in it; without torch.

        Args:
            listener: hears what is going on; by default the log does.

        Returns:
            None where there is a run to go on with, or several processes share the work: those read
            one after the other.

        Raises:
            UsageError: the data set is not fit for training.
            UnavailableError: it is not on this machine.
        """
        from camcli.train.dataset import read_data

        listener = listener or LogListener()
        if self.download:
            self._fetch(listener)
        if several() or self._is_resumed():
            return None
        if self.config.head == KEEP:
            self._photographs(listener)
            return None
        with listener.slow(f"Looking for images in {self.config.data} ..."):
            try:
                found = read_data(self.config)
            except UsageError as error:
                if not self.config.boxes or not os.path.lexists(self.config.data):
                    raise
                raise UsageError(
                    f"{error} From boxes alone, without labels, a localizer is learnt with --head "
                    f"{KEEP} --backbone NAME."
                ) from error
        if self.config.boxes:
            self._boxed(found)
        return found

    def run(self, listener: Listener | None = None, dataset: Dataset | None = None) -> TrainResult:
        """Train, from the data set to the folder with the checkpoint.

        Args:
            listener: hears what is going on; by default the log does.
            dataset: what `read` gave, if that was called.

        Raises:
            UsageError: as `check` and `read` do, or layers that the network has not.
            UnavailableError: the data set or the weights are not on this machine.
            CamcliError: what a disk or a damaged file can do; or training that diverged.
        """
        listener = listener or LogListener()
        if dataset is None:
            self.check()
            dataset = self.read(listener)
        if speaks():
            if why := why_this_one(self.config):
                listener.say(why)
            wanted = self.config
            auto = wanted.searches and wanted.backbone == AUTO
            name = "networks" if auto else with_backbone(wanted).backbone
            listener.say(f"Loading {name} ...")

        if self.config.head == KEEP:
            from camcli.train.localizer import train_localizer

            refs, boxes = self._photographs(listener)
            return train_localizer(
                self.config, self.out, refs, boxes, resume=self.resume, overwrite=self.overwrite,
                device=self.device, offline=self.offline, listener=listener,
            )  # fmt: skip
        from camcli.train.run import train

        result = train(
            self.config, self.out, resume=self.resume, overwrite=self.overwrite,
            device=self.device, offline=self.offline, cache_dir=self.cache_dir,
            cache_limit=read_limit(self.cache_limit), listener=listener,
            dataset=dataset,
        )  # fmt: skip
        if self.config.boxes and result.leads:
            self._add_localizer(result, dataset, listener)
        return result

    def _add_localizer(
        self, result: TrainResult, dataset: Dataset | None, listener: Listener
    ) -> None:
        """Train on the boxes, once the network is as it stays."""
        from camcli.train.dataset import read_data
        from camcli.train.localizer import add_localizer

        refs, boxes = self._boxed(dataset or read_data(self.config), listener.warn)
        add_localizer(
            result.checkpoint, refs, boxes, device=self.device, model=self.config.backbone,
            listener=listener,
        )  # fmt: skip

    def _boxed(
        self, dataset: Dataset, warn: Callable[[str], object] = lambda text: None
    ) -> tuple[list[ImageRef], dict[str, tuple[Box, ...]]]:
        """The photographs that are no test images, and their boxes by relative path."""
        from camcli.evaluate.measured.annotations import read_boxes
        from camcli.evaluate.measured.box_sizes import fitted

        found = read_boxes(Path(self.config.boxes or "")).match(item.ref for item in dataset.items)
        learnt = [*dataset.split("train"), *dataset.split("val")]
        refs = [item.ref for item in learnt]
        _check_boxed(refs, found)
        return refs, fitted(found, refs, warn)

    def _photographs(self, listener: Listener) -> tuple[list[ImageRef], dict[str, tuple[Box, ...]]]:
        """Photographs without labels, and their boxes by relative path."""
        from camcli.evaluate.measured.annotations import read_boxes
        from camcli.evaluate.measured.box_sizes import fitted
        from camcli.jobs.photographs import find_photographs

        if not self.config.data:
            raise UsageError("Nothing to train on: name the photographs of the boxes with --data.")
        _, refs = find_photographs(self.config.data, "none", listener)
        found = read_boxes(Path(self.config.boxes or "")).match(refs)
        _check_boxed(refs, found)
        return refs, fitted(found, refs, listener.warn)

    def looking(self, dataset: Dataset | None = None) -> list[str]:
        """The command that shows what the trained network looks at in the same images, in words.

        Args:
            dataset: what was trained on; None where it was not read, as the run was finished.

        Returns:
            Words of a shell's command; its run directory is one that is free.
        """
        if self.config.head == KEEP:
            return [
                "camcli", "batch", self.config.data, "--checkpoint", str(self.out / BEST),
                "--method", TRAINED.name, "--out", self._free(f"{self.out}-maps"), "--report",
            ]  # fmt: skip
        recorded = (read_record(self.out / INFO) or {}).get("data", {})
        layout = dataset.layout if dataset else str(recorded.get("layout"))
        images, labels = self.config.data, self.config.labels
        if images in NAMED and not os.path.lexists(images):
            images = str(dataset.root) if dataset else str(recorded.get("root"))
        kind = Path(images).suffix.lower()
        if kind == ".txt":
            # A list, in which the folders are the labels; a run takes them only when told to.
            images = images if images.startswith("@") else f"@{images}"
            labels = "folder" if labels == "auto" else labels
        elif kind == ".csv":
            # A table names its images, and a run takes the folder that holds them.
            there = dataset.folder if dataset else recorded.get("folder")
            labels = images
            images = str(there or Path(images).parent)
        elif labels == "auto" and layout == "names":
            labels = "prefix"  # which a run takes only where it is told to
        out = self._free(f"{self.out}-maps")
        backbone = self.config.backbone
        own = ["--model", backbone] if spec.is_own_code(backbone) else []
        named = ["--labels", labels] if labels != "auto" else []
        checkpoint = ["--checkpoint", str(self.out / BEST)]
        return ["camcli", "batch", images, *own, *checkpoint, *named, "--out", out, "--report"]

    @staticmethod
    def _free(name: str) -> str:
        """A folder's name that is free, with a number behind it if need be."""
        out, number = name, 1
        while os.path.lexists(out):
            number += 1
            out = f"{name}-{number}"
        return out

    def _is_resumed(self) -> bool:
        """Whether there is a run to go on with."""
        return TrainDirectory(self.out).check(
            self.config, resume=self.resume, overwrite=self.overwrite
        )

    def _check_download(self) -> None:

        if self.config.data not in NAMED:
            raise UsageError(
                f"--download fetches a data set that has a name ({', '.join(NAMED)}), and --data "
                f"is {self.config.data!r}."
            )

    def _fetch(self, listener: Listener) -> None:
        """Fetch a named set that is not here yet; the licence and the size are shown first."""
        from camcli.data.datasets.fetch import announcement, fetch
        from camcli.data.datasets.locate import locate
        from camcli.data.datasets.paths import data_places

        folder = Path(self.config.data_dir) if self.config.data_dir else None
        try:
            locate(self.config.data, folder)
        except UnavailableError:
            if several():
                raise UsageError(
                    f"Several processes cannot --download at once: run 'camcli data fetch "
                    f"{self.config.data}' first, on each machine."
                ) from None
            to = data_places(folder)[0]
            listener.say(announcement(self.config.data, to))
            fetch(self.config.data, to)


def _check_boxed(refs: Sequence[ImageRef], boxes: Mapping[str, object]) -> None:
    """Refuse too few before a network is trained for them.

    Raises:
        UsageError: fewer than two of the photographs have a box.
    """
    count = sum(ref.rel in boxes for ref in refs)
    if count < 2:
        have = "one has a box" if count else "none has a box (those of test images are not used)"
        raise UsageError(
            f"A localizer is trained on photographs with boxes, and of {len(refs)} {have}: draw "
            "boxes on 2 at least, and better on 5 to 10 of each class."
        )
