"""The numbers of a class that a map can explain; a new one is an entry of `SCORES`.

Known without torch, as a command checks a name by this table. ``--score``, its help and the closed
forms read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from camcli.errors import UsageError
from camcli.models.spec import OutputKind

if TYPE_CHECKING:
    from torch import Tensor

    from camcli.models.cutting.types import LinearHead


def _never(output: OutputKind) -> bool:
    return False


@dataclass(frozen=True)
class ScoreKind:
    """One number of each class.

    Attributes:
        name: as ``--score`` has it.
        told: what it is, for ``--help``.
        of: (B, C) logits and what they are -> (B, C), differentiable; rows do not mix.
        straight: for what outputs it is a linear function of the logits: then closed forms that
            hold for logits hold for it.
        weights: its gradient by the mean of A through a linear head, by hand: head, logits (B, C),
            index (B,) and what the logits are -> (B, K). None: by differentiating `of`.
    """

    name: str
    told: str
    of: Callable[[Tensor, OutputKind], Tensor]
    straight: Callable[[OutputKind], bool] = _never
    weights: Callable[[LinearHead, Tensor, Tensor, OutputKind], Tensor] | None = None


def _probability(logits: Tensor, output: OutputKind) -> Tensor:
    from camcli.models.outputs import probabilities

    return probabilities(logits, output)


def _probability_weights(
    head: LinearHead, logits: Tensor, index: Tensor, output: OutputKind
) -> Tensor:
    """p_c (w_c - Σ_j p_j w_j); of labels with a sigmoid each p_c (1 - p_c) w_c."""
    w = head.weight[index]
    if output == "probabilities":
        return w
    p = _probability(logits, output)
    own = p.gather(1, index[:, None])
    return own * (w - p @ head.weight) if output == "softmax" else own * (1 - own) * w


SCORES: dict[str, ScoreKind] = {
    kind.name: kind
    for kind in (
        ScoreKind(
            "logit",
            "logit",
            of=lambda logits, output: logits,
            straight=lambda output: True,
            weights=lambda head, logits, index, output: head.weight[index],
        ),
        ScoreKind(
            "probability",
            "probability, after the softmax",
            of=_probability,
            straight=lambda output: output == "probabilities",
            weights=_probability_weights,
        ),
        # Adding one constant to all logits changes neither a probability nor this, so a winning
        # class with a negative logit still gets evidence.
        ScoreKind(
            "contrast",
            "contrast, the logit above the mean of all classes, which helps when a map is empty",
            of=lambda logits, output: logits - logits.mean(1, keepdim=True),
            straight=lambda output: True,
            weights=lambda head, logits, index, output: head.weight[index] - head.weight.mean(0),
        ),
    )
}
"""By name, the usual one first."""

AUTO_SCORE = "auto"
"""Which of them is left to `camcli.cam.map_options.settled`, which knows the network."""

# What a user may say: the type checker need not know which words these are, and the command does.
if TYPE_CHECKING:
    Score = str
    AskedScore = str
else:
    Score = Literal[tuple(SCORES)]
    AskedScore = Literal[(AUTO_SCORE, *SCORES)]


def check_score(name: str) -> Score:
    """`name` as a score.

    Raises:
        UsageError: there is no such score.
    """
    if name not in SCORES:
        raise UsageError(
            f"Unknown score {name!r}. Choose one of {', '.join((AUTO_SCORE, *SCORES))}."
        )
    return name


def told() -> str:
    """What there is to choose from, for ``--help``."""
    ways = [kind.told for kind in SCORES.values()]
    return f"{'; '.join(ways[:-1])}; or {ways[-1]}"
