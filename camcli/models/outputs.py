"""What a network's outputs are: logits of one class out of many, of labels, or probabilities.

It belongs to the classifier beside the names of its classes, and nothing downstream softmaxes by
itself: a softmax of what is softmaxed already is never above 0.73 for two classes, and one output
alone would always have the probability 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from camcli.errors import UsageError
from camcli.models.classes.thresholds import read_thresholds
from camcli.models.spec import OutputKind

# Labels are predictions from here on, unless the user says otherwise.
POSITIVE = 0.5


@dataclass(frozen=True, slots=True)
class Output:
    """What a network's outputs are, and how that was found out.

    Attributes:
        kind: what they are after the cut: an activation at the end of the graph is left out.
        told: a sentence for the user about what was recognised or assumed; empty for the usual.
        several: of ``probabilities``: whether several of them can be right at once, as those of
            labels.
        assumed: whether neither the user nor the network says what they are, so that what real
            photographs give may say it better.
        unbounded: whether they come from a linear layer, so that no numbers of a few images make
            probabilities of them.
        thresholds: the probability above which a label is predicted, one a class; None for one
            half. Of two classes that exclude each other the second is predicted from its own on.
    """

    kind: OutputKind = "softmax"
    told: str = ""
    several: bool = False
    assumed: bool = False
    unbounded: bool = False
    thresholds: tuple[float, ...] | None = None

    @property
    def multi_label(self) -> bool:
        """Whether several classes can be right at once: each has a threshold of its own."""
        return self.kind == "sigmoid" or (self.kind == "probabilities" and self.several)

    @property
    def measures(self) -> bool:
        """Whether the outputs are values, and there are neither classes nor probabilities."""
        return self.kind == "none"

    def deciding(self, asked: float | str | Path, classes: tuple[str, ...]) -> Output:
        """The same, predicting from other probabilities on.

        Args:
            asked: one for all, or a CSV file of one a class.
            classes: of the network.

        Raises:
            UsageError: nothing is predicted by a threshold, or there is no such threshold.
        """
        if self.measures or not (self.multi_label or len(classes) == 2):
            what = (
                "its outputs are values"
                if self.measures
                else f"the best of {len(classes)} is predicted"
            )
            raise UsageError(
                "--threshold (of evaluate --label-threshold) is for networks of labels, and for "
                f"two classes; of this one {what}: "
                "leave it out, or say --output sigmoid if several classes can be right at once."
            )
        found, missing = read_thresholds(asked, classes, exclusive=not self.multi_label)
        told = " ".join(filter(None, [self.told, missing]))
        return replace(self, thresholds=found, told=told, assumed=False)

    def positives(self, probs: Sequence[float]) -> list[int]:
        """The labels that are predicted, the most probable first.

        Args:
            probs: of one picture, one a class.

        Returns:
            Indices of all labels above their threshold; none of a network that is not
            `multi_label`.
        """
        if not self.multi_label:
            return []
        least = self.thresholds or (POSITIVE,) * len(probs)
        found = [c for c, (p, t) in enumerate(zip(probs, least, strict=True)) if p > t]
        return sorted(found, key=lambda c: -probs[c])

    def best(self, logits: Tensor, n: int) -> Tensor:
        """The n best classes, best first.

        The first is what the network predicts: of two classes that exclude each other the second
        one if its probability reaches its threshold. Of values there is no best: they are listed
        in the network's order.

        Args:
            logits: S (B, C).
            n: how many.

        Returns:
            Indices (B, min(n, C)) int64.
        """
        count = min(n, logits.shape[1])
        if self.measures:
            return torch.arange(count, device=logits.device).expand(len(logits), count)
        if self.thresholds and not self.multi_label and logits.shape[1] == 2:
            # In double precision, as the threshold is: 0.7 as a float32 is less than 0.7.
            second = probabilities(logits.double(), self.kind)[:, 1] >= self.thresholds[1]
            return torch.stack([second, ~second], 1).long()[:, :count]
        return torch.topk(logits, count, dim=1).indices


def largest(values: Tensor) -> float:
    """The largest magnitude of values, for tolerances: what is no number counts as 0."""
    if not values.numel():
        return 0.0
    return float(values.abs().nan_to_num(0.0, 0.0, 0.0).max())


def probabilities(logits: Tensor, kind: OutputKind) -> Tensor:
    """Of each class, (B, C) in [0, 1]; differentiable.

    Args:
        logits: S (B, C), as a `Cut` returns them.
        kind: what they are.

    Raises:
        UsageError: they are values, of which there are none.
    """
    _refuse_values(kind)
    if kind == "softmax":
        return logits.softmax(1)
    return logits if kind == "probabilities" else logits.sigmoid()


def _refuse_values(kind: OutputKind) -> None:
    if kind == "none":
        raise UsageError(
            "This network's outputs are values and not classes (--output none): there are no "
            "probabilities, and nothing that could be right or wrong."
        )


def log_probabilities(logits: Tensor, kind: OutputKind) -> Tensor:
    """Their logarithms, (B, C), precise where they are near 0.

    Raises:
        UsageError: they are values, of which there are none.
    """
    _refuse_values(kind)
    if kind == "softmax":
        return logits.log_softmax(1)
    if kind == "probabilities":
        return logits.clamp(min=torch.finfo(logits.dtype).tiny).log()
    return functional.logsigmoid(logits)


def rows_of(out: Any, count: int) -> Tensor | None:
    """A network's answer for `count` images as logits (count, C); None where it is something else.

    ``(count,)`` of a network with one output, and maps of one pixel (count, C, 1, 1), are. Whole
    numbers are the index of a class or a yes or no, and no scores.
    """
    if not isinstance(out, Tensor) or out.ndim == 0 or len(out) != count or not out.numel():
        return None
    if not out.is_floating_point():
        return None
    if sum(side > 1 for side in out.shape[1:]) > 1:
        return None
    return out.reshape(count, -1)


def what_else(out: Any) -> str:
    """What a network returned that is no (B, C) logits, and what to do, for the end of a message.

    Args:
        out: its answer for two pictures or more.
    """
    if isinstance(out, Tensor):
        shape = "x".join(map(str, out.shape))
        if out.is_floating_point() and out.ndim == 4:
            K = out.shape[1]
            return (
                f"a tensor of {shape}, which are feature maps and no scores: put what makes scores "
                "of them behind, as nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
                f"nn.Linear({K}, CLASSES))"
            )
        if out.is_floating_point():
            return f"a tensor of {shape}" if shape else "a single number"
        kind = str(out.dtype).removeprefix("torch.")
        return (
            f"{kind} numbers{' of ' * bool(shape)}{shape}: let it return the scores before they "
            "are decided on"
        )
    parts: list[tuple[str, Any]] = []
    if isinstance(out, Mapping):
        parts = [(repr(str(key)), value) for key, value in out.items()]
    elif isinstance(out, tuple | list):
        parts = [(str(number), value) for number, value in enumerate(out)]
    elif not isinstance(out, str | int | float | type(None)):
        parts = [(f".{key}", value) for key, value in getattr(out, "__dict__", {}).items()]
    of = ", ".join(
        f"{key} {'x'.join(map(str, value.shape))}"
        for key, value in parts[:6]
        if isinstance(value, Tensor)
    )
    name = "None" if out is None else f"a {type(out).__name__}"
    return (
        f"{name}{' of ' * bool(of)}{of}: wrap it in a module whose forward returns the scores of "
        "the classes and nothing else"
    )


def label_names(names: tuple[str, ...] | None, outputs: int, model: str) -> tuple[str, ...] | None:
    """The two names of a network with one output, from what the user named.

    Args:
        names: one, of what the output speaks for; or two, of the output's 0 first; or None.
        outputs: of the network.
        model: its name, for the error.

    Returns:
        Two names, or None where the network has more outputs.

    Raises:
        UsageError: there are more than two.
    """
    if outputs != 1:
        return None
    if names is None:
        return "0", "1"
    if len(names) > 2:
        raise UsageError(
            f"{model} has one output, which tells two classes apart, and {len(names)} names were "
            "given: give two, that of the output's 0 first, or one, of what the output speaks for."
        )
    return names if len(names) == 2 else (f"not {names[0]}", names[0])


def is_two_named(names: tuple[str, ...]) -> bool:
    """Whether a user named two classes of a network with one output, and not what it is of."""
    return names != ("0", "1") and names[0] != f"not {names[1]}"


def value_names(names: tuple[str, ...], model: str) -> tuple[str, ...]:
    """The one name of a network with one output that is a value, from its two as a classifier.

    Args:
        names: as `label_names` made them.
        model: the network's name, for the error.

    Raises:
        UsageError: the user gave two.
    """
    if len(names) == 2 and not is_two_named(names):
        return ("value",) if names == ("0", "1") else (names[1],)
    raise UsageError(
        f"{model} has one output, taken for a value (--output none), and {len(names)} names were "
        "given: give one, of what it measures."
    )


class TwoSided(nn.Module):
    """A tail with one output as the two columns of a binary network.

    The logit z becomes (-z, z), a probability p becomes (1 - p, p).
    """

    def __init__(self, tail: Callable[..., Tensor], kind: OutputKind) -> None:
        super().__init__()
        self.tail, self.kind = tail, kind

    def forward(self, A: Tensor, *context: object) -> Tensor:
        """(B, 2) of what the tail takes."""
        return two_sided(self.tail(A, *context), self.kind)


def two_sided(out: Tensor, kind: OutputKind) -> Tensor:
    """One output (B, 1) as (B, 2)."""
    other = 1 - out if kind == "probabilities" else -out
    return torch.cat([other, out], 1)
