"""What a network's outputs are, from its last activation, its numbers, and what the user says."""

from __future__ import annotations

from torch import Tensor

from camcli.errors import UsageError
from camcli.models.cutting.scores.final_activation import Family
from camcli.models.outputs import Output
from camcli.models.spec import OutputKind

# How near to 1 the probabilities of an image must sum.
_SUM = 1e-3


def settle(
    raw: Tensor, family: Family | None, asked: OutputKind | None, *, linear: bool = False
) -> tuple[Output, bool]:
    """What a network's outputs are, and whether the activation at its end is left out.

    Args:
        raw: what the network says of trial images, (n, C).
        family: of the activation that it ends in; None where none was found.
        asked: what the user says that they are; None to find out.
        linear: whether it ends in a linear layer or a convolution, whose outputs have no bounds: no
            numbers make probabilities of them.

    Raises:
        UsageError: it cannot be what the user says, or nothing that has a probability.
    """
    if asked == "none":  # the numbers themselves, whatever made them
        return Output("none"), False
    if raw.shape[1] == 1:
        return _settle_one(raw, family, asked)
    if asked == "binary":
        raise UsageError(
            f"--output binary is for networks with one output, and this one has {raw.shape[1]}: "
            "take softmax, or sigmoid where several classes can be right at once."
        )
    if asked == "softmax":
        return Output("softmax"), family == "softmax"
    if asked == "sigmoid":
        if family == "softmax":
            raise UsageError(
                "--output sigmoid: this network ends in a softmax, so its classes exclude each "
                "other. Leave --output out."
            )
        return Output("sigmoid"), family == "sigmoid"
    if family is not None:
        told = (
            "The network ends in a softmax: probabilities are its own, and maps explain the "
            "logits before it."
            if family == "softmax"
            else "The network ends in a sigmoid: each class has a probability of its own, which "
            "do not sum to 1, and maps explain the logits before it."
        )
        return Output(family, told), True
    within = bool(((raw >= -1e-6) & (raw <= 1 + 1e-6)).all())
    summing = within and bool(((raw.sum(1) - 1).abs() < _SUM).all())
    if asked == "probabilities":
        _check_range(raw, within)
        told = "Maps explain the probabilities: no activation was found that could be left out."
        if not summing:
            told += (
                " They do not sum to 1: each class has one of its own, and several can be right."
            )
        return Output("probabilities", told, several=not summing), False
    if summing:
        told = (
            "The network's outputs are probabilities, which sum to 1: they are shown as they are, "
            "and maps explain them and not the logits, as no softmax was found that could be left "
            "out."
        )
        return Output("probabilities", told), False
    if bool((raw <= 1e-6).all()) and bool(((raw.exp().sum(1) - 1).abs() < _SUM).all()):
        told = (
            "The network's outputs are logarithms of probabilities, which sum to 1: these are "
            "shown, and maps explain the logarithms and not the logits, as no log_softmax was "
            "found that could be left out."
        )
        return Output("softmax", told), False
    if asked is None and (what := _no_scores(raw)):
        raise UsageError(
            f"The network's outputs are no scores of classes but {what}: let it return "
            "probabilities, or what goes into its last step; --output softmax takes them for "
            "logits all the same, --output none for measurements."
        )
    told = (
        "The network's outputs lie between 0 and 1 on trial images and are taken for logits: say "
        "--output probabilities if they are probabilities."
    )
    told = told if within and not linear else ""
    return Output("softmax", told, assumed=True, unbounded=linear), False


def _no_scores(raw: Tensor) -> str:
    """What else a network's outputs (n, C) are, where numbers show it; empty if they do not."""
    sums, least = raw.sum(1), float(raw.min())
    if least >= 0 and bool(((sums - 100).abs() < 100 * _SUM).all()):
        return "percentages, which sum to 100"
    if least >= 0 and bool((((-raw).exp().sum(1) - 1).abs() < _SUM).all()):
        return "negative logarithms of probabilities, of which the smallest is the likeliest"
    return ""


def _settle_one(
    raw: Tensor, family: Family | None, asked: OutputKind | None
) -> tuple[Output, bool]:
    """The same for a network with one output."""
    if family == "softmax":
        raise UsageError(
            "The network softmaxes its one output, which is 1 for every picture: let it return "
            "what goes into the softmax, or give it one output a class."
        )
    if asked == "softmax":
        raise UsageError(
            "--output softmax: the softmax of one output is 1 for every picture; this network has "
            "one. Take binary."
        )
    if family == "sigmoid":
        told = (
            "The network has one output and ends in a sigmoid: that is the probability of its "
            "second class, and the first class has the rest."
        )
        return Output("binary", "" if asked else told), True
    if asked == "probabilities":
        _check_range(raw, bool(((raw >= -1e-6) & (raw <= 1 + 1e-6)).all()))
        return Output("probabilities"), False
    if asked:
        return Output("binary"), False
    told = (
        "The network has one output, taken for the logit of its second class against its first: "
        "the probability is its sigmoid. Say --output probabilities if it is one already, and "
        "--output none if it measures something, an age, say."
    )
    return Output("binary", told, assumed=True), False


def _check_range(raw: Tensor, within: bool) -> None:
    """Refuse what are no probabilities.

    Raises:
        UsageError: they are outside of [0, 1].
    """
    if not within:
        low, high = float(raw.min()), float(raw.max())
        raise UsageError(
            f"--output probabilities: on trial images this network says {low:.3g} to {high:.3g}, "
            "and probabilities are 0 to 1. Leave --output out."
        )
