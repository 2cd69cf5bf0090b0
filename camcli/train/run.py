"""A training run from its settings to its folder: the path that `camcli train` takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from camcli.data.datasets.load import Dataset
from camcli.data.sources.splits import Split
from camcli.models.cutting.cut import LinearHead
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data
from camcli.train.feature_pass.cache import cache_root
from camcli.train.prepare import load_backbones
from camcli.train.processes import Team, team
from camcli.train.progress import Listener
from camcli.train.result import TrainResult, finished_result
from camcli.train.run_folder.rundir import TrainDirectory
from camcli.train.steps import Steps

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    offline: bool = False,
    cache_dir: Path | None = None,
    listener: Listener | None = None,
    dataset: Dataset | None = None,
) -> TrainResult:
    """Train a head, and perhaps layers of the backbone, on a data set.

    Args:
        config: the settings.
        out: the run's folder.
        resume: go on with an interrupted run there.
        overwrite: replace an earlier run there.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network.
        cache_dir: where features are kept; by default the user's cache folder.
        listener: hears what is going on.
        dataset: what `camcli.train.dataset.read_data` gave for these settings, if it was called.

    Returns:
        Where the checkpoint is and what it reached.

    Raises:
        UsageError: wrong settings, a data set that is not fit for training, a folder in use.
        UnavailableError: the data set or the weights are not on this machine.
        CamcliError: what a disk or a damaged file can do.

    Example:
        >>> config = TrainConfig(data="photos", backbone="efficientnet_lite0")
        >>> train(config, Path("run")).scores["val"]["top1"]  # doctest: +SKIP
    """
    with team() as processes:
        if not processes.leads:
            listener = None
        return _train(
            config, out, resume=resume, overwrite=overwrite, device=processes.device(device),
            offline=offline, cache_dir=cache_dir, listener=listener or Listener(), team=processes,
            dataset=dataset,
        )  # fmt: skip


def _train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool,
    overwrite: bool,
    device: str,
    offline: bool,
    cache_dir: Path | None,
    listener: Listener,
    team: Team,
    dataset: Dataset | None,
) -> TrainResult:
    """`train` in one of its processes."""
    directory = TrainDirectory(out, writes=team.leads)
    with team.leader_first():
        resuming = directory.check(config, resume=resume, overwrite=overwrite)
        if resuming and (finished := finished_result(directory)):
            listener.say(f"The run in {out} is finished already.")
            return replace(finished, leads=team.leads)
        dataset = dataset or read_data(config)
        for note in dataset.notes:
            listener.say(note)
        backbones = load_backbones(config, device, offline)
        run = Steps(config, directory, dataset, backbones, listener, team)
        if config.unfreeze:  # a wrong name should not wait for the first stage
            channels, classes = backbones[0].channels, len(dataset.classes)
            run.members[0].tunable(LinearHead(torch.zeros(classes, channels), torch.zeros(classes)))
    for note in dict.fromkeys(n for b in backbones for n in b.classifier.provenance.notes):
        listener.say(note)
    if any(b.classifier.provenance.source == "random" for b in backbones):
        listener.warn(_random(config))
    team.agree(None)  # all have looked at the folder
    try:
        state = finished = None
        with team.leader_first():
            if team.leads:
                directory.hold()
                # Another run may have begun, or ended, while the network was loaded.
                resuming = directory.check(config, resume=resume, overwrite=overwrite)
                finished = finished_result(directory) if resuming else None
                if not resuming:
                    directory.begin(config, run.info, overwrite=overwrite)
                if not finished:
                    state = directory.load_state() if resuming else None
                    directory.sweep()
        state, finished = team.agree((state, finished))
        if finished:
            return replace(finished, leads=team.leads)
        return run.go(cache_root(cache_dir) if config.cache else None, state or {})
    finally:
        directory.let_go()


def _random(config: TrainConfig) -> str:
    """What to say of random weights."""
    if config.unfreeze and config.members:
        return (
            "a member's weights are RANDOM at the start: all of its layers learn in the second "
            "stage, which takes many images and epochs to be of use."
        )
    return (
        "the backbone's weights are RANDOM: its features mean little, so what the head learns "
        "from them does, too. Fine for a smoke test."
    )
