"""Suspect labels: probabilities by cross-validation on frozen features, then confident learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from camcli.evaluate.check.by_run import HeldOutPredictions
from camcli.evaluate.check.confident import wrong_labels
from camcli.evaluate.check.issue import CheckedPhoto, CheckIssue
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.properties.statistics import rank_tests
from camcli.printable import counted, percent, some
from camcli.train.fitting.loop import DivergedError, Recipe
from camcli.train.fitting.optimum import Problem
from camcli.train.judging.neighbours import DIMENSIONS, reduced
from camcli.train.progress import Listener

FOLDS = 5
CLEAR = 0.3
"""By how much another class must be likelier than the label to be listed in any case."""
TELLS = 0.35
"""2 AUC - 1 of the held-out probabilities against the labels, from which on they can be doubted.
Of labels drawn by lot it is near 0; with a third of the labels wrong it is still above."""
LEAST = 5
"""Photographs of a class, below which its labels are not judged."""
_STRENGTHS = tuple(10.0 ** (-e / 2) for e in range(-1, 9))  # of L2, strong to weak
_STEPS = 60  # of a solution: far more than probabilities to two digits need
_MANY = 5000  # photographs from which on more axes can be learnt on
_SEED = 0


def suspect_labels(
    photos: Sequence[CheckedPhoto],
    features: np.ndarray,
    alike: np.ndarray,
    several: bool,
    clock: Clock,
    listener: Listener,
    points: np.ndarray | None = None,
) -> list[CheckIssue]:
    """Photographs whose label is probably wrong, the clearest first.

    Args:
        photos: N, of which those without a label are left out.
        features: (N, K).
        alike: (N,) number of the group of copies that each is in: copies are kept in one fold, so
            that none is judged by its copy.
        several: whether a photograph has any number of labels, each of which is judged for itself.
        clock: when it is over, nothing is found.
        listener: shown a bar.
        points: the features as `reduced` gives them, where that was done before.
    """
    names, targets, kept = label_targets(photos, several, clock)
    if len(names) < (1 if several else 2) or len(kept) < 2 * LEAST:
        return []
    if points is None or len(kept) > _MANY:
        points = reduced(features, 2 * DIMENSIONS if len(kept) > _MANY else DIMENSIONS)
    points = points[kept]
    predicted = twice(torch.from_numpy(points), targets, alike[kept], clock, listener)
    if predicted is None:
        clock.skip("suspect labels: there was no time to judge them")
        return []
    return doubted(photos, names, targets, kept, predicted, several, clock)


def suspect_by_run(
    photos: Sequence[CheckedPhoto],
    contents: Sequence[str],
    run: HeldOutPredictions,
    several: bool,
    clock: Clock,
) -> list[CheckIssue]:
    """`suspect_labels` by what a run of training predicted, with its own features and head.

    Args:
        photos: N.
        contents: of each, SHA-256 in hex.
        run: its predictions.
        several: whether a photograph has any number of labels, each of which is judged for itself.
        clock: hears what could not be judged.

    Raises:
        UsageError: most of them are not photographs of which the run has predictions.
    """
    row = run.of(photos, contents)
    there = np.flatnonzero(row >= 0)
    if len(there) < len(photos):
        clock.skip(
            f"labels of {counted(len(photos) - len(there), 'photograph')} of which the run has no "
            "prediction: new or changed since, or in none of its folds"
        )
    own = [photos[i] for i in there.tolist()]
    names, targets, kept = label_targets(own, several, clock)
    if len(names) < (1 if several else 2) or len(kept) < 2 * LEAST:
        return []
    predicted = run.probabilities[row[there[kept]]]
    predicted = predicted[:, [run.classes.index(name) for name in names]]
    if not several:  # of the classes that are judged
        predicted = predicted / np.maximum(predicted.sum(1, keepdims=True), 1e-12)
    return doubted(own, names, targets, kept, predicted, several, clock)


def doubted(
    photos: Sequence[CheckedPhoto],
    names: Sequence[str],
    targets: Tensor,
    kept: np.ndarray,
    predicted: np.ndarray,
    several: bool,
    clock: Clock,
) -> list[CheckIssue]:
    """The labels that probabilities speak against, the clearest first.

    Args:
        photos: N.
        names: C classes that are judged.
        targets: (M,), or (M, C) of labels.
        kept: (M,) which photographs these are.
        predicted: (M, C) probabilities, each by a head that had not seen the photograph.
        several: whether a photograph has any number of labels.
        clock: hears what could not be judged.
    """
    if several:
        return _of_labels(photos, names, targets.numpy(), kept, predicted, clock)
    if float(np.mean(_tells(predicted, targets.numpy()))) < TELLS:
        right = float((predicted.argmax(1) == targets.numpy()).mean())
        clock.skip(
            "suspect labels: a classifier that was not trained on them agrees with "
            f"{percent(right)}, which is too little to doubt any of "
            f"{counted(len(kept), 'label')}. Either this network does not see "
            "what tells the classes apart, or many labels are wrong"
        )
        return []
    which, looks, margins = wrong_labels(predicted, targets.numpy(), CLEAR)
    issues = []
    for i, j, margin in zip(which, looks, margins, strict=True):
        photo = photos[kept[i]]
        issues.append(
            CheckIssue(
                "suspect label", photo.rel, float(margin),
                f"labelled {photo.label}, looks like {names[j]} ({predicted[i, j]:.2f})",
                label=photo.label, suggestion=names[j],
            )
        )  # fmt: skip
    return issues


def judged_classes(photos: Sequence[CheckedPhoto], several: bool) -> list[str]:
    """The classes whose labels `suspect_labels` judges, if there is time; sorted."""
    names = _learnable(photos, several)
    kept = len(photos) if several else sum(bool({*p.labels} & {*names}) for p in photos)
    return [] if len(names) < (1 if several else 2) or kept < 2 * LEAST else names


def _learnable(photos: Sequence[CheckedPhoto], several: bool) -> list[str]:
    """Classes with enough photographs, and of several labels with enough that lack it."""
    counts = Counter(name for photo in photos for name in photo.labels)
    untold = Counter(name for photo in photos for name in photo.unknown)
    total = len(photos)
    return sorted(
        n for n, c in counts.items()
        if c >= LEAST and (not several or total - c - untold[n] >= LEAST)
    )  # fmt: skip


def label_targets(
    photos: Sequence[CheckedPhoto], several: bool, clock: Clock
) -> tuple[list[str], Tensor, np.ndarray]:
    """Classes that can be judged, targets as a head takes them, and whose they are."""
    total = len(photos)
    names = _learnable(photos, several)
    if few := sorted({name for photo in photos for name in photo.labels} - set(names)):
        clock.skip(
            f"labels of {counted(len(few), 'class', 'classes')} with fewer than {LEAST} "
            f"photographs ({', '.join(few[:3])}{' ...' if few[3:] else ''}): too few to learn from"
        )
    place = {name: n for n, name in enumerate(names)}
    if several:
        targets = torch.zeros(total, len(names))
        for row, photo in zip(targets, photos, strict=True):
            row[[place[n] for n in photo.labels if n in place]] = 1
            row[[place[n] for n in photo.unknown if n in place]] = torch.nan
        return names, targets, np.arange(total)
    kept = np.array([i for i, p in enumerate(photos) if p.labels and p.labels[0] in place], int)
    return names, torch.tensor([place[photos[i].labels[0]] for i in kept]), kept


def twice(
    points: Tensor, targets: Tensor, groups: np.ndarray, clock: Clock, listener: Listener
) -> np.ndarray | None:
    """Mean of two `out_of_fold`: by all labels, and without those that are then suspect.

    A head that has learnt from wrong labels is unsure, and one that has not is too sure: the mean
    ranks better than either.
    """
    everything = np.ones(len(points), bool)
    first = out_of_fold(points, targets, groups, everything, clock, listener)
    if first is None or targets.ndim > 1:
        return first
    suspect, _, _ = wrong_labels(first, targets.numpy(), CLEAR)
    if not len(suspect):
        return first
    keep = everything.copy()
    keep[suspect] = False
    if len(np.unique(targets.numpy()[keep])) < len(np.unique(targets.numpy())):
        return first
    second = out_of_fold(points, targets, groups, keep, clock, listener)
    return first if second is None else (first + second) / 2


def out_of_fold(
    points: Tensor,
    targets: Tensor,
    groups: np.ndarray,
    keep: np.ndarray,
    clock: Clock,
    listener: Listener,
) -> np.ndarray | None:
    """Probabilities (N, C) of each photograph by a logistic regression that has not seen it.

    The strength of L2 is the one that predicts best, on these photographs as they are labelled:
    where labels are wrong that is a strong one, which does not learn them by heart.

    Args:
        points: (N, D) features.
        targets: (N,) or (N, C) of labels.
        groups: (N,) those of one group are in one fold.
        keep: (N,) whether to learn from each.
        clock: asked between solutions.
        listener: shown a bar.

    Returns:
        None where there was no time for a single strength.
    """
    fold, kept = torch.from_numpy(folds(targets, groups)), torch.from_numpy(keep)
    classes = targets.shape[1] if targets.ndim > 1 else int(targets.max()) + 1
    problems = [
        Problem(points[(fold != k) & kept], targets[(fold != k) & kept], classes, Recipe())
        for k in range(FOLDS)
    ]
    best, lowest, waited = None, np.inf, 0
    with listener.bar("judge labels", None, "fit") as bar:
        for strength in _STRENGTHS:
            logits = torch.zeros(len(points), classes)
            for k, problem in enumerate(problems):
                if clock.over:
                    return best
                try:
                    problem.solve(strength, _STEPS)
                except DivergedError:
                    return best
                weight, bias = problem.solution()
                logits[fold == k] = points[fold == k] @ weight.float().T + bias.float()
                bar.advance(1)
            loss = float(Recipe().loss(logits[kept], targets[kept]))
            if loss < lowest:
                probabilities = logits.sigmoid() if targets.ndim > 1 else logits.softmax(1)
                best, lowest, waited = probabilities.double().numpy(), loss, 0
            elif (waited := waited + 1) == 2:  # the loss has a single valley
                break
    return best


def folds(targets: Tensor, groups: np.ndarray) -> np.ndarray:
    """(N,) the fold of each, balanced by class; groups stay together."""
    rng = np.random.default_rng(_SEED)
    classes = targets.numpy() if targets.ndim == 1 else targets.nansum(1).int().numpy()
    fold = np.empty(len(classes), np.int64)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    own = np.empty(len(first), np.int64)
    turn = 0
    for c in np.unique(classes):
        members = np.flatnonzero(classes[first] == c)
        rng.shuffle(members)
        own[members] = (np.arange(len(members)) + turn) % FOLDS
        turn += len(members)
    fold[:] = own[inverse]
    return fold


def _tells(predicted: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(C,) 2 AUC - 1 of the probability of each class; `classes` (N,) are the labels."""
    count = predicted.shape[1]
    return np.array([rank_tests(predicted[:, c], classes, count)[0][c] for c in range(count)])


def _of_labels(
    photos: Sequence[CheckedPhoto],
    names: Sequence[str],
    targets: np.ndarray,
    kept: np.ndarray,
    predicted: np.ndarray,
    clock: Clock,
) -> list[CheckIssue]:
    """Each label for itself: there or not are two classes."""
    issues = []
    unseen = []
    for c, name in enumerate(names):
        known = np.flatnonzero(np.isfinite(targets[:, c]))
        own, probs = targets[known, c].astype(int), predicted[known, c]
        if rank_tests(probs, own, 2)[0][1] < TELLS:
            unseen.append(name)
            continue
        which, looks, margins = wrong_labels(np.stack([1 - probs, probs], 1), own, CLEAR)
        for i, there, margin in zip(known[which], looks, margins, strict=True):
            photo = photos[kept[i]]
            has = "without" if there else "with"
            issues.append(
                CheckIssue(
                    "suspect label", photo.rel, float(margin),
                    f"labelled {has} {name}, which is there with probability "
                    f"{predicted[i, c]:.2f}",
                    label=photo.label, suggestion=f"{'add' if there else 'remove'} {name}",
                )
            )  # fmt: skip
    if unseen:
        clock.skip(
            f"suspect labels of {counted(len(unseen), 'label')} ({some(unseen, 3)}): this network "
            "hardly sees what they mean"
        )
    return sorted(issues, key=lambda issue: -issue.score)
