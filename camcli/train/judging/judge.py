"""How good a run's head really is: everything that is told of it besides its validation numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from camcli.data.sources.splits import Split
from camcli.printable import counted
from camcli.train.feature_pass.examples import Examples
from camcli.train.fitting.head import FeatureScale
from camcli.train.judging import controls, curve
from camcli.train.judging.crossing import (
    SplitCopy,
    crossings,
    in_sequence,
    nearest_of,
    without,
)
from camcli.train.judging.folds import ALWAYS, folds_of, joined
from camcli.train.judging.intervals import Interval, share
from camcli.train.judging.neighbours import reduced
from camcli.train.judging.out_of_fold import HeadTrials, out_of_fold
from camcli.train.judging.temperature import FEWEST, best_temperature, reliability
from camcli.train.progress import Listener

HELD: tuple[Split, ...] = ("val", "test")
LARGE = 10**9
"""Images times channels times classes, above which not all folds are judged."""
_WORDS = {"val": "validation", "test": "test"}


@dataclass
class Judgement:
    """What was found.

    Attributes:
        record: of ``metrics.json``, plain values: ``out_of_fold``, ``controls``,
            ``learning_curve``, ``temperature`` and ``crossing``, each where it is known.
        temperature: by which the logits are divided.
        fold: (N,) of the training images, `ALWAYS` for those that are not judged; None where
            nothing was judged by folds.
        logits: (N, C) of the training images by heads that had not seen them, NaN for those that
            always train; None likewise. Divided by the temperature.
        curve: errors by number of images; None where there are too few.
        crossed: photographs that are in two splits.
        warnings: what a person should know before believing the numbers.
        dealt: number of folds, of which those of a large set are not all judged.
    """

    record: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    fold: Tensor | None = None
    logits: Tensor | None = None
    curve: curve.LearningCurve | None = None
    crossed: list[SplitCopy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dealt: int = 0


def judge(
    splits: Mapping[Split, Examples],
    trials: Sequence[HeadTrials],
    held: Mapping[Split, tuple[Tensor, Tensor]],
    classes: Sequence[str],
    *,
    folds: int,
    seed: int,
    tuned: bool,
    searched: bool,
    listener: Listener,
) -> Judgement:
    """Judge a head in all ways that its features make cheap.

    Args:
        splits: the images.
        trials: heads as those of the run, one entry a network, whose logits are averaged; empty
            where features are not kept.
        held: by held-out split with images: features (M, K) as the first frozen network sees them,
            and the run's logits (M, C).
        classes: the C names.
        folds: into how many the training images are dealt; 0 for none.
        seed: of the run.
        tuned: whether layers of the network have learnt as well, so that the run's own logits are
            not those of the heads that are tried here.
        searched: whether the way of looking was chosen by the same training images.
        listener: shown bars.
    """
    found = Judgement()
    train = splits["train"]
    groups = joined([x.group for x in train.items], train.contents)
    if folds and trials:
        fold = folds_of(train, folds, seed)
        if int(fold.max()) > 0:
            _by_folds(found, train, trials, fold, groups, classes, seed, tuned, listener)
    found.temperature = _temperature(found, splits, held, tuned)
    if found.logits is not None:
        found.logits = found.logits / (1.0 if tuned else found.temperature)
        _told_of_folds(found, train, groups, tuned, searched)
    if trials:
        _crossed(found, splits, trials[0], held, listener)
    return found


def groups_of(examples: Examples) -> list[int]:
    """A number for each image, equal for those that are right or wrong together."""
    return joined([x.group for x in examples.items], examples.contents)


def accuracy(logits: Tensor, examples: Examples) -> Interval:
    """Share of right decisions with its interval: of classes the accuracy."""
    return share(controls.right_share(logits, examples.targets), groups_of(examples))


def _by_folds(
    found: Judgement,
    train: Examples,
    trials: Sequence[HeadTrials],
    fold: Tensor,
    groups: Sequence[int],
    classes: Sequence[str],
    seed: int,
    tuned: bool,
    listener: Listener,
) -> None:
    """Out-of-fold logits, the controls, and the learning curve."""
    count, C, targets = int(fold.max()) + 1, len(classes), train.targets
    plain = trials[0].plain
    # Of a large set a fold or two have images enough, and a head on the others takes its time.
    some = curve.enough(fold) if plain.numel() * C > LARGE else count
    with listener.bar("judge by folds", some * len(trials), "fold") as bar:
        each = [out_of_fold(own, fold, C, bar.advance, some) for own in trials]
    found.fold = torch.where(fold < some, fold, ALWAYS)
    found.logits, found.dealt = torch.stack(each).mean(0), count
    scaled = FeatureScale.of(plain, trials[0].blocks)(plain)
    points = torch.from_numpy(reduced(scaled.numpy(), curve.AXES))
    rows = ((fold >= 0) & (fold < curve.enough(fold))).nonzero()[:, 0]
    own = controls.right_share(found.logits[rows], targets[rows])
    votes = controls.neighbours(points, targets, C, fold, rows)
    near = controls.right_share(votes, targets[rows])
    most = controls.majority(targets, C)
    held = [groups[i] for i in rows.tolist()]
    always = most.right[rows.numpy()]
    found.record["controls"] = {
        "images": len(rows),
        "head": float(own.mean()),
        "neighbours": {"k": controls.NEIGHBOURS, "accuracy": float(near.mean())},
        "majority": {
            "says": [classes[c] for c in most.said.nonzero()[:, 0].tolist()],
            "accuracy": float(always.mean()),
        },
    }
    gain = controls.better(own, always, held)
    if bool((always == 1).all()):
        found.warnings.append(
            "all images that folds can judge have the same truth, for of everything else there are "
            "too few: how good the head is, the numbers do not say."
        )
    elif gain.low <= 0:
        found.warnings.append(
            f"the head is hardly better than to say the same of every image ({own.mean():.3f} of "
            f"its decisions are right, {always.mean():.3f} then): this backbone does not see what "
            "tells the classes apart, or the labels are wrong (camcli check looks for that)."
        )
    lost = controls.better(near, own, held)
    if lost.low > 0:
        found.warnings.append(
            f"the {controls.NEIGHBOURS} nearest images do better ({near.mean():.3f}) than the head "
            f"({own.mean():.3f}): it has not learnt enough, so try --solver lbfgs or more --epochs."
        )
    with listener.bar("learning curve", len(curve.sizes_of(fold, C)), "size") as bar:
        found.curve = curve.learning_curve(
            plain, targets, C, fold, groups, seed, bar.advance, points=points
        )
    if found.curve:
        law = found.curve
        found.record["learning_curve"] = {
            "images": law.images,
            "sizes": list(law.sizes),
            "errors": list(law.errors),
            "law": {"floor": law.floor, "scale": law.scale, "power": law.power},
            "twice": {"gain": law.gain, "low": law.low, "high": law.high},
        }


def _temperature(
    found: Judgement,
    splits: Mapping[Split, Examples],
    held: Mapping[Split, tuple[Tensor, Tensor]],
    tuned: bool,
) -> float:
    """By the validation images; without enough of them by the folds, of a head that was not tuned.

    It goes into the record, with the calibration before and after.
    """
    by, logits, targets = "", torch.zeros(0), torch.zeros(0)
    if "val" in held and len(held["val"][1]) >= FEWEST:
        by, logits, targets = "validation", held["val"][1], splits["val"].targets
    elif found.logits is not None and found.fold is not None and not tuned:
        kept = found.fold != ALWAYS
        by, logits, targets = "folds", found.logits[kept], splits["train"].targets[kept]
    if not by or len(targets) < FEWEST:
        return 1.0
    best = best_temperature(logits, targets)
    told: dict[str, Any] = {"value": best, "by": by, "images": len(targets)}
    if found.logits is not None and found.fold is not None and not tuned:
        kept = found.fold != ALWAYS
        told["out_of_fold"] = _before_and_after(
            found.logits[kept], splits["train"].targets[kept], best
        )
    for name, (_, own) in held.items():
        told[name] = _before_and_after(own, splits[name].targets, best)
    found.record["temperature"] = told
    return best


def _before_and_after(logits: Tensor, targets: Tensor, temperature: float) -> dict[str, float]:
    before, after = reliability(logits, targets), reliability(logits / temperature, targets)
    return {
        "ece_before": before["ece"], "ece": after["ece"],
        "log_loss_before": before["log_loss"], "log_loss": after["log_loss"],
    }  # fmt: skip


def _told_of_folds(
    found: Judgement, train: Examples, groups: Sequence[int], tuned: bool, searched: bool
) -> None:
    """The record's ``out_of_fold``."""
    assert found.fold is not None
    assert found.logits is not None
    rows = (found.fold != ALWAYS).nonzero()[:, 0]
    logits, targets = found.logits[rows], train.targets[rows]
    right = controls.right_share(logits, targets)
    own = [groups[i] for i in rows.tolist()]
    interval = share(right, own)
    found.record["out_of_fold"] = {
        "of": "the head before fine-tuning" if tuned else "the head",
        "images": len(rows),
        "not_judged": len(found.fold) - len(rows),
        "folds": found.dealt,
        "folds_judged": len(found.fold[rows].unique()),
        "groups": len(set(own)),
        "searched": searched,
        "accuracy": interval.value,
        "low": interval.low,
        "high": interval.high,
        **reliability(logits, targets),
    }


def _crossed(
    found: Judgement,
    splits: Mapping[Split, Examples],
    trials: HeadTrials,
    held: Mapping[Split, tuple[Tensor, Tensor]],
    listener: Listener,
) -> None:
    """Photographs that are in two splits, and what the numbers are without them."""
    features: dict[Split, Tensor] = {"train": trials.plain}
    features |= {name: rows for name, (rows, _) in held.items()}
    with listener.bar("look for copies", None, "pair") as bar:
        found.crossed = crossings(splits, features, bar.advance)
    told: dict[str, Any] = {}
    for name, (rows, logits) in held.items():
        images = splits[name]
        own = [x for x in found.crossed if x.split == name]
        if own:
            same = sum(x.kind == "same file" for x in own)
            scores = controls.right_share(logits, images.targets)
            left = without(scores, images.items, own)
            told[name] = {
                "images": len(own), "same_file": same, "of": len(images.items),
                "accuracy": float(scores.mean()),
                "accuracy_without": float(left.mean()) if len(left) else None,
            }  # fmt: skip
            found.warnings.append(_copies(name, own, told[name]))
        if len(images.items) and not any(x.group for x in images.items):
            nearest = nearest_of(rows.float(), trials.plain.float())[0].tolist()
            found.warnings += _sequence(name, images, splits["train"], nearest, told)
    if told:
        found.record["crossing"] = told


def _copies(name: str, own: Sequence[SplitCopy], told: Mapping[str, Any]) -> str:
    first = own[0]
    left = told["accuracy_without"]
    number = "" if left is None else f" Without them {left:.3f} is right, with them "
    number += f"{told['accuracy']:.3f}." if number else ""
    return (
        f"{len(own)} of {counted(told['of'], f'{_WORDS[name]} image')} "
        f"{'is a copy of one' if len(own) == 1 else 'are copies of some'} in another split, such "
        f"as {first.path!a} of {first.copy_of!a} ({first.kind}): crossing.csv has them.{number} "
        "Remove them, or keep them together with --group."
    )


def _sequence(
    name: Split, images: Examples, train: Examples, nearest: Sequence[int], told: dict[str, Any]
) -> list[str]:
    run = in_sequence(images.items, train.items, nearest)
    if run is None:
        return []
    hits, chance = run
    told[f"{name}_in_sequence"] = {"images": hits, "by_chance": chance, "of": len(images.items)}
    return [
        f"{hits} of {counted(len(images.items), f'{_WORDS[name]} image')} look most like a "
        f"training image that is next to them by name (by chance {chance:.0f} would): frames of a "
        "video or a burst, of which the numbers say too much. Hold whole ones out with --group."
    ]
