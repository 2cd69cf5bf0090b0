"""A run that is judged: the heads that are tried are as its own, on the features that it kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from camcli.data.sources.splits import Split
from camcli.models.cutting.types import LinearHead
from camcli.models.loading.checkpoint import load_checkpoint, without_temperature
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import Examples, Looker
from camcli.train.fitting.head_stage import EpochRow
from camcli.train.fitting.loop import Recipe
from camcli.train.judging.judge import Judgement, accuracy, judge
from camcli.train.judging.out_of_fold import HeadTrials
from camcli.train.member import EnsembleMember
from camcli.train.progress import Listener


def judge_run(
    config: TrainConfig,
    members: Sequence[EnsembleMember],
    lookers: Sequence[Looker],
    splits: Mapping[Split, Examples],
    logits: Mapping[Split, Tensor],
    recipe: Callable[[int], Recipe],
    rows: Sequence[EpochRow],
    *,
    searched: bool,
    leads: bool,
    listener: Listener,
) -> Judgement:
    """How good a run's head really is, by its features.

    Args:
        config: of the run.
        members: its networks.
        lookers: have their features.
        splits: the images.
        logits: (M, C) of the held-out splits that have images.
        recipe: of a member's head, by its number.
        rows: the epochs of all.
        searched: whether the way of looking was chosen by the same images.
        leads: whether this process does it; others, that share the looking, get an empty one.
        listener: shown bars.
    """
    if splits["train"].measured:
        if config.folds:
            listener.say(
                "Values are judged on held-out images only: no folds, controls or learning curve."
            )
        return Judgement()
    if config.folds and not config.cache:
        listener.say(
            "Not judged by folds, controls and a learning curve: with --no-cache no features are "
            "kept to make them of."
        )
    several = len(members) > 1
    trials: list[HeadTrials] = []
    held = {name: (torch.zeros(0), own) for name, own in logits.items()}
    if config.cache:
        for n, (member, looker) in enumerate(zip(members, lookers, strict=True)):
            own = [row for row in rows if not several or row["member"] == n + 1]
            trials.append(head_trials(member, splits["train"], looker, recipe(n), own))
        for name, z in logits.items():
            held[name] = (members[0].frozen(splits[name], lookers[0]).features, z)
    if not leads:
        return Judgement()
    return judge(
        splits, trials, held, members[0].classes, folds=config.folds, seed=config.seed,
        tuned=bool(config.unfreeze), searched=searched, listener=listener,
    )  # fmt: skip


def head_trials(
    member: EnsembleMember,
    train: Examples,
    looker: Looker,
    recipe: Recipe,
    rows: Sequence[EpochRow],
) -> HeadTrials:
    """What heads as a member's are trained with on some of its images; features are kept.

    Args:
        member: whose.
        train: the training images.
        looker: has their features.
        recipe: of the head.
        rows: its epochs, of which one says which strength it has.
    """
    views = member.views(looker, train, shown=False).all()
    plain = views[0]
    if member.config.augment and not member.config.mirror:  # of which none shows them as they are
        plain = member.frozen(train, looker, "train").features
    strengths = [row for row in rows if row.get("stage", 1) == 1 and "l2" in row]
    best = min(strengths, key=lambda row: row.get("val_loss", 0.0), default=None)
    start = None
    if not member.unfreeze and member.config.head == "linear":
        saved = without_temperature(load_checkpoint(member.best))
        start = LinearHead(saved.weight, saved.bias)
    return HeadTrials(
        views, plain, train.targets, len(member.classes), recipe, member.heads,
        None if best is None else float(best["l2"]), member.backbone.blocks, member.config.head,
        start,
    )  # fmt: skip


def interval(logits: Tensor, examples: Examples) -> dict[str, float]:
    """The ends of the interval of the share of images that are right; of labels, of decisions."""
    if examples.measured:
        return {}
    told = accuracy(logits, examples)
    if examples.labels:
        return {"right": told.value, "right_low": told.low, "right_high": told.high}
    return {"top1_low": told.low, "top1_high": told.high}
