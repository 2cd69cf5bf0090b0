"""What more photographs would give: heads on fewer of them, and the law that they follow.

Errors fall as a power of the number of images, down to a floor (Hestness et al. 2017,
arXiv 1712.00409): e(n) = c + a n^-b. Heads are solved on ever more of the images; the law through
their errors on the same held-out images tells what twice as many would give. Its interval comes
from drawing those images anew, whole groups at a time, and from how far the law is from the points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.optimum import Problem
from camcli.train.judging.controls import right_share
from camcli.train.judging.folds import ALWAYS
from camcli.train.judging.intervals import Z
from camcli.train.judging.neighbours import reduced
from camcli.train.judging.words import twice_in_words

SHARES = (0.0625, 0.125, 0.25, 0.35, 0.5, 0.7, 1.0)
"""Of the images outside a fold, which a head learns from."""
AXES = 256
"""Principal axes of the features, on which heads follow the same curve as on all."""
FEWEST_A_CLASS = 5
"""Images of a class, on average, from which on a head is worth a point of the curve."""
LEAST_POINTS = 4
JUDGED = 2000
"""Held-out images that are enough: of large sets fewer folds are judged."""
_STRENGTHS = tuple(10.0 ** (-e / 2) for e in range(-1, 10))  # of L2, strong to weak
_STEPS = 15  # of a solution: probabilities to two digits
_POWERS = np.linspace(0.15, 1.5, 28)
_DRAWS = 500


@dataclass(frozen=True)
class LearningCurve:
    """Errors by the number of images that were learnt from.

    Attributes:
        sizes: numbers of images, ascending.
        errors: share of wrong decisions on the held-out images, one a size.
        lows: lower ends of their 95% intervals.
        highs: upper ends.
        floor: c of the law.
        scale: a.
        power: b.
        images: N, all training images.
        gain: by how much the error would fall with 2 N images.
        low: of its 95% interval.
        high: likewise.
    """

    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    floor: float
    scale: float
    power: float
    images: int
    gain: float
    low: float
    high: float

    def at(self, images: float) -> float:
        """The law's error for so many images."""
        return float(self.floor + self.scale * images**-self.power)


def learning_curve(
    features: Tensor,
    targets: Tensor,
    classes: int,
    fold: Tensor,
    groups: Sequence[int],
    seed: int = 0,
    advance: Callable[[int], object] = lambda count: None,
    points: Tensor | None = None,
) -> LearningCurve | None:
    """Solve heads on ever more images, and extrapolate.

    Args:
        features: (N, K) of images as they are.
        targets: (N,), or (N, C) of labels, whose decisions each count.
        classes: C.
        fold: (N,) as `camcli.train.judging.folds.folds` gives them.
        groups: (N,) equal for images that belong together.
        seed: of the draws.
        advance: called with 1 after each size.
        points: the features on `AXES` axes, where they are known already.

    Returns:
        None where there are too few images for so many points.
    """
    sizes = sizes_of(fold, classes)
    if not sizes:
        return None
    total, some = len(fold), enough(fold)
    if points is None:
        points = torch.from_numpy(reduced(features.numpy(), AXES))
    judge = [(fold == k).nonzero()[:, 0] for k in range(some)]
    learn = [_order(targets, (fold != k).nonzero()[:, 0], classes, seed + k) for k in range(some)]
    wrong = []
    first = 0
    for size in sizes:
        some_of = [rows[:size] for rows in learn]
        found, best = _wrong(points, targets, classes, judge, some_of, first)
        wrong.append(found)
        first = max(best - 1, 0)  # the more there is to learn from, the weaker
        advance(1)
    held = torch.cat(judge).tolist()
    return extrapolated(sizes, np.stack(wrong), [groups[i] for i in held], total, seed)


def sizes_of(fold: Tensor, classes: int) -> list[int]:
    """The numbers of images that heads are solved on; none where they are too few for a curve."""
    known = fold[fold != ALWAYS]
    if not len(known):
        return []
    outside = len(fold) - round(len(known) / (int(known.max()) + 1))
    sizes = sorted({round(s * outside) for s in SHARES if s * outside >= FEWEST_A_CLASS * classes})
    return sizes if len(sizes) >= LEAST_POINTS else []


def in_words(curve: LearningCurve) -> str:
    """What twice as many photographs would give, in points of accuracy."""
    return twice_in_words(curve.gain, curve.low, curve.high)


def enough(fold: Tensor) -> int:
    """How many folds, from the first, hold `JUDGED` images; all where they hold fewer."""
    sizes = torch.bincount(fold[fold != ALWAYS])
    return min(len(sizes), int((sizes.cumsum(0) < JUDGED).sum()) + 1)


def _order(targets: Tensor, rows: Tensor, classes: int, seed: int) -> Tensor:
    """`rows` shuffled so that each beginning has about the same share of every class."""
    generator = torch.Generator().manual_seed(seed)
    rows = rows[torch.randperm(len(rows), generator=generator)]
    if targets.ndim > 1:
        return rows
    own = targets[rows]
    counts = torch.bincount(own, minlength=classes)
    place = torch.empty(len(rows), dtype=torch.double)
    for c in range(classes):
        place[own == c] = (torch.arange(int(counts[c])).double() + 0.5) / max(int(counts[c]), 1)
    return rows[place.argsort(stable=True)]


def _wrong(
    points: Tensor,
    targets: Tensor,
    classes: int,
    judge: Sequence[Tensor],
    learn: Sequence[Tensor],
    first: int,
) -> tuple[np.ndarray, int]:
    """(M,) share of wrong decisions of each judged image, by heads of the best strength.

    And its place among the strengths, of which those from `first` on are tried.
    """
    recipe = Recipe()
    truth = targets[torch.cat(list(judge))]
    problems = [Problem(points[rows], targets[rows], classes, recipe) for rows in learn]
    best, lowest, waited, place = torch.zeros(len(truth), classes), np.inf, 0, first
    for number in range(first, len(_STRENGTHS)):
        each = []
        for problem, rows in zip(problems, judge, strict=True):
            problem.solve(_STRENGTHS[number], _STEPS)
            weight, bias = problem.solution()
            each.append(points[rows] @ weight.float().T + bias.float())
        logits = torch.cat(each)
        loss = float(recipe.loss(logits, truth))
        if loss < lowest:
            best, lowest, waited, place = logits, loss, 0, number
        elif (waited := waited + 1) == (1 if first else 2):  # the loss has a single valley
            break
    return 1 - right_share(best, truth), place


def extrapolated(
    sizes: Sequence[int], wrong: np.ndarray, groups: Sequence[int], images: int, seed: int = 0
) -> LearningCurve:
    """The law through errors, and what it says of twice as many images.

    Args:
        sizes: (S,) numbers of images, ascending; at least three.
        wrong: (S, M) share of wrong decisions of each judged image.
        groups: (M,) equal for judged images that belong together.
        images: N.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    _, keys = np.unique(groups, return_inverse=True)
    count = int(keys.max()) + 1
    n = np.asarray(sizes, np.float64)
    sums = np.stack([np.bincount(keys, row, count) for row in wrong])  # (S, G)
    weight = np.bincount(keys, minlength=count).astype(np.float64)
    drawn = rng.multinomial(count, np.full(count, 1 / count), _DRAWS).astype(np.float64)
    errors = (drawn @ sums.T) / np.maximum(drawn @ weight, 1)[:, None]
    found = sums.sum(1) / weight.sum()
    floor, scale, power = (x[0] for x in fit_law(n, found[None]))
    # What the draws of images to learn from add: the points lie about the law by so much.
    residual = found - (floor + scale * n**-power)
    freedom = max(len(n) - 3, 1)
    spread = float(np.sqrt(np.square(residual).sum() / freedom))
    # Below 0, too, which no error is: else a floor that is near it could only be drawn above it.
    _, a, b = fit_law(n, errors + rng.normal(0, spread, errors.shape), least=-1.0)
    gains = a * (float(images) ** -b - (2.0 * images) ** -b)
    gain = float(scale * (float(images) ** -power - (2.0 * images) ** -power))
    low, high = np.quantile(gains, _levels(gains, gain))
    lows, highs = np.quantile(errors, (0.025, 0.975), axis=0)
    return LearningCurve(
        tuple(sizes), tuple(found.tolist()), tuple(lows.tolist()), tuple(highs.tolist()),
        float(floor), float(scale), float(power), images, gain,
        float(min(low, gain)), float(max(high, gain)),
    )  # fmt: skip


def _levels(draws: np.ndarray, value: float) -> tuple[float, float]:
    """The ends of a 95% interval among draws, which lie to one side of the value that is drawn for.

    A floor that cannot be below 0 moves draws that way (bias-corrected percentiles, Efron 1981).
    """
    below = float((draws < value).mean() + (draws == value).mean() / 2)
    normal = NormalDist()
    shift = 2 * normal.inv_cdf(min(max(below, 1e-3), 1 - 1e-3))
    return normal.cdf(shift - Z), normal.cdf(shift + Z)


def fit_law(
    n: np.ndarray, errors: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floor c, scale a (negative where errors grow) and power b of each row, by least squares.

    Large numbers of images count for more: the law is of the tail.

    Args:
        n: (S,) numbers of images.
        errors: (B, S).
        least: that the floor can be.

    Returns:
        (B,) each.
    """
    w = np.sqrt(n / n.max())
    total, mean = w.sum(), (errors * w).sum(1) / w.sum()
    best = np.full(len(errors), np.inf)
    c, a, b = mean.copy(), np.zeros(len(errors)), np.ones(len(errors))
    for power in _POWERS:
        x = n**-power
        centre = float((w * x).sum() / total)
        slope = (errors - mean[:, None]) @ (w * (x - centre)) / (w * np.square(x - centre)).sum()
        level = mean - slope * centre
        below = level < least  # then the law through that floor
        slope = np.where(below, (errors - least) @ (w * x) / (w * x * x).sum(), slope)
        level = np.where(below, least, level)
        lost = (np.square(errors - level[:, None] - slope[:, None] * x) * w).sum(1)
        better = lost < best
        best[better] = lost[better]
        c[better], a[better], b[better] = level[better], slope[better], power
    return c, a, b
