"""A training run from its settings to its folder: the path that `camcli train` takes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from camcli.data.datasets.load import Dataset
from camcli.data.sources.splits import Split
from camcli.errors import UsageError
from camcli.models.cutting.cut import LinearHead
from camcli.train.backbones import with_backbone
from camcli.train.config import AUTO, TrainConfig
from camcli.train.dataset import read_data
from camcli.train.feature_pass.cache import cache_root
from camcli.train.feature_pass.shelf import make_room
from camcli.train.prepare import load_backbones
from camcli.train.processes import Team, team
from camcli.train.progress import Listener
from camcli.train.result import TrainResult, finished_result
from camcli.train.run_folder.rundir import ASKED, SEARCH, SEARCHED, TrainDirectory
from camcli.train.search.find import Search, Settled
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
    cache_limit: int | None = None,
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
        cache_limit: bytes of features that are kept, but for those of this run; None for all.
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
            offline=offline, cache_dir=cache_dir, cache_limit=cache_limit,
            listener=listener or Listener(), team=processes,
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
    cache_limit: int | None,
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
        config.check_head(measured=dataset.measured)
        for note in dataset.notes:
            listener.say(note)
        found = directory.settled() if resuming and config.searches else None
        search = asked = None
        if config.searches and dataset.measured and found is None:
            found = _unsearched(config)
        if config.searches and found is None:
            search = Search(config, dataset, device, offline, listener, team)
            run = Steps(config, directory, dataset, [search.first], listener, team)
        else:
            asked = config if found else None
            if resuming and not found and config.backbone == AUTO:  # it goes on with its own
                config = replace(config, backbone=directory.backbone() or AUTO)
            config = found or with_backbone(config)
            run = _prepared(config, directory, dataset, device, offline, listener, team)
            if asked:
                run.info[ASKED] = asked.to_dict()
            if resuming:
                run.info |= directory.searched()
    if not search:
        _tell_of_weights(run, listener)
    team.agree(None)  # all have looked at the folder
    try:
        state = finished = None
        with team.leader_first():
            if team.leads:
                directory.hold()
                # Another run may have begun, or ended, while the network was loaded.
                resuming = directory.check(asked or config, resume=resume, overwrite=overwrite)
                finished = finished_result(directory) if resuming else None
                if not resuming:
                    directory.begin(config, run.info, overwrite=overwrite)
                if not finished:
                    state = directory.load_state() if resuming else None
                    directory.sweep()
        state, finished = team.agree((state, finished))
        if finished:
            return replace(finished, leads=team.leads)
        features = cache_root(cache_dir) if config.cache else None
        started = time.time()
        if search and features:
            run = _settled(search.go(features), config, run, device, offline)
        result = run.go(features, state or {})
        if features and team.leads:
            there = make_room(features, cache_limit, since=started)
            if cache_limit is not None and there > cache_limit:
                listener.warn(
                    f"{there / 2**30:.1f} GB of features are kept, more than --cache-limit, as "
                    "this run used them: 'camcli cache clear' removes them."
                )
        return result
    finally:
        directory.let_go()


def _unsearched(config: TrainConfig) -> TrainConfig:
    """The settings of values, of which nothing is searched for: the first network that is here.

    Raises:
        UsageError: a search was asked for.
    """
    if config.search:
        raise UsageError(
            "--search compares heads of classes and of labels, and the data set is of values: "
            "leave it out."
        )
    return with_backbone(replace(config, search=False))


def _settled(
    found: Settled, asked: TrainConfig, before: Steps, device: str, offline: bool
) -> Steps:
    """Go on with what a search found, as if a user had written that."""
    directory = before.directory
    run = _prepared(
        found.config, directory, before.dataset, device, offline, before.listener, before.team
    )
    run.begun(before)
    run.info |= {ASKED: asked.to_dict(), SEARCHED: found.told}
    _tell_of_weights(run, before.listener)
    directory.write_csv(SEARCH, found.rows)
    directory.settle(found.config, run.info)
    return run


def _prepared(
    config: TrainConfig,
    directory: TrainDirectory,
    dataset: Dataset,
    device: str,
    offline: bool,
    listener: Listener,
    team: Team,
) -> Steps:
    """The run of settings of which nothing is open."""
    backbones = load_backbones(config, device, offline)
    run = Steps(config, directory, dataset, backbones, listener, team)
    if config.unfreeze:  # a wrong name should not wait for the first stage
        channels, classes = backbones[0].channels, len(dataset.classes)
        run.members[0].tunable(LinearHead(torch.zeros(classes, channels), torch.zeros(classes)))
    return run


def _tell_of_weights(run: Steps, listener: Listener) -> None:
    """What should be known of the networks before they are used."""
    made = [member.backbone.classifier.provenance for member in run.members]
    for note in dict.fromkeys(note for each in made for note in each.notes):
        listener.say(note)
    if any(each.source == "random" for each in made):
        listener.warn(_random(run.config))


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
