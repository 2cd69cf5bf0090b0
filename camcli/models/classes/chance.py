"""Whether predictions agree with labels no more than by chance, and what to check first then."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from camcli.printable import printable

_SURE = 0.05
# Of the images of a class, so many are called by one wrong name where the order is another one.
_MOSTLY = 0.5
_ONE_ANSWER = 0.9
_EXACT = 20_000

Answered = Mapping[tuple[int, int], int]
"""How many images of a true class are predicted as which: (true, predicted) -> count."""


def chance_doubt(pairs: Answered, classes: Sequence[str], notes: Sequence[str] = ()) -> str:
    """What to say where predictions are right as often as by chance; empty where they are not.

    By chance means: each prediction, and each label, as often as now, but dealt out at random. It
    is said if so many right ones are no surprise then (a binomial test at 5%), and would be one
    for a network that is halfway from there to perfect: so a few images do not alarm.

    Args:
        pairs: of all images whose label names a class.
        classes: the C class names.
        notes: what was recognised and assumed of the network.
    """
    total = sum(pairs.values())
    labels, predicted = Counter[int](), Counter[int]()
    for (true, pred), count in pairs.items():
        if count:
            labels[true] += count
            predicted[pred] += count
    if len(labels) < 2:
        return ""
    right = sum(count for (true, pred), count in pairs.items() if true == pred)
    chance = sum(labels[c] * predicted[c] for c in labels) / total**2
    likely = at_least(right, total, chance) > _SURE
    if not likely or 1 - at_least(right + 1, total, (1 + chance) / 2) > _SURE:
        return ""
    if right:
        start = (
            f"The accuracy, {right / total:.4f}, is what chance gives for these labels "
            f"({chance:.4f}): "
        )
    elif chance:
        start = (
            f"None of {total} predictions is right, and by chance a share of {chance:.4f} "
            "would be: "
        )
    else:
        start = (
            f"None of {total} predictions is right, since no class that a label names is ever "
            "predicted: "
        )
    return (
        start
        + "something that was assumed is wrong, or it has learned nothing. "
        + _first(pairs, labels, predicted, classes, notes)
    )


def _first(
    pairs: Answered,
    labels: Counter[int],
    predicted: Counter[int],
    classes: Sequence[str],
    notes: Sequence[str],
) -> str:
    """What to check first, by how the predictions are wrong."""
    total = sum(pairs.values())
    best = {true: max(_answers(pairs, true).items(), key=lambda each: each[1]) for true in labels}
    agreed = sum(count for _, count in best.values())
    if agreed > _MOSTLY * total and len({pred for pred, _ in best.values()}) == len(labels):
        example = next((true, pred) for true, (pred, _) in best.items() if true != pred)
        one, other = (printable(str(classes[c])) for c in example)
        return (
            f"Check the order of the classes first (--classes): the network tells the labels apart "
            f"({agreed / total:.2f} of the images), but calls '{one}' mostly '{other}'."
        )
    name, most = predicted.most_common(1)[0]
    text = " ".join(notes)
    if "smaller ones" in text:
        return "Check the size of the input first (--input-size), then mean and std (--preprocess)."
    if most > _ONE_ANSWER * total:
        return (
            f"Check the preprocessing first (--preprocess: mean and std, values to 1 or to 255): "
            f"nearly all images are called '{printable(str(classes[name]))}', as when pixels are "
            "on another scale."
        )
    return (
        "Check the preprocessing first (--preprocess: mean and std, then the size, then bgr), then "
        "the order of the classes (--classes)."
    )


def _answers(pairs: Answered, true: int) -> dict[int, int]:
    return {pred: count for (label, pred), count in pairs.items() if label == true}


def at_least(successes: int, trials: int, chance: float) -> float:
    """Probability of at least so many successes, in a binomial distribution.

    Args:
        successes: k.
        trials: n.
        chance: p of one, in [0, 1].
    """
    if successes <= 0 or chance >= 1:
        return 1.0
    if successes > trials or chance <= 0:
        return 0.0
    if trials > _EXACT:  # the sum would take long, and is a normal distribution's by then
        spread = math.sqrt(trials * chance * (1 - chance))
        return 0.5 * math.erfc((successes - 0.5 - trials * chance) / (spread * math.sqrt(2)))
    log_p, log_q = math.log(chance), math.log1p(-chance)
    whole = math.lgamma(trials + 1)
    terms = (
        math.exp(
            whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            + k * log_p + (trials - k) * log_q
        )
        for k in range(successes, trials + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(terms))
