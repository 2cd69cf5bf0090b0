"""What a map explains: one class's score, as a logit, a probability or a contrast."""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.cam.scores import SCORES, Score
from camcli.models.cutting.cut import LinearHead
from camcli.models.spec import OutputKind


def is_bent(score: Score, output: OutputKind) -> bool:
    """Whether a score is no linear function of the logits: a probability that they become."""
    return not SCORES[score].straight(output)


def class_score(
    logits: Tensor,
    index: Tensor,
    score: Score,
    against: Tensor | None = None,
    output: OutputKind = "softmax",
) -> Tensor:
    """S, the number that a map explains.

    - logit: S_c
    - probability: p_c, softmax(S)_c or sigmoid(S_c)
    - contrast: S_c - mean_j S_j

    Args:
        logits: (B, C).
        index: (B,) int64, the class c of each image.
        score: which of `SCORES`.
        against: (B, n) int64, classes whose mean score is taken off.
        output: what the logits are.

    Returns:
        (B,), differentiable.
    """
    logits = SCORES[score].of(logits, output)
    S = logits.gather(1, index[:, None])[:, 0]
    return S if against is None else S - logits.gather(1, against).mean(1)


def head_weights(
    head: LinearHead,
    logits: Tensor,
    index: Tensor,
    score: Score,
    against: Tensor | None = None,
    output: OutputKind = "softmax",
) -> Tensor:
    """w_eff = dS/d mean(A): `class_score` differentiated through a linear head, by hand if known.

    - logit: w_c
    - probability: p_c (w_c - Σ_j p_j w_j); of labels with a sigmoid each p_c (1 - p_c) w_c
    - contrast: w_c - mean_j w_j

    Args:
        head: weights (C, K).
        logits: (B, C).
        index: (B,) int64.
        score: which score.
        against: (B, n) int64, or None.
        output: what the logits are.

    Returns:
        (B, K).
    """
    if against is not None:
        others = [
            head_weights(head, logits, column, score, output=output) for column in against.unbind(1)
        ]
        own = head_weights(head, logits, index, score, output=output)
        return own - torch.stack(others).mean(0)
    by_hand = SCORES[score].weights
    if by_hand is not None:
        return by_hand(head, logits, index, output)
    with torch.inference_mode(False), torch.enable_grad():
        S = logits.detach().clone().requires_grad_()
        total = SCORES[score].of(S, output).gather(1, index.clone()[:, None]).sum()
        (slope,) = torch.autograd.grad(total, S)
        return slope @ head.weight


def nearest_classes(logits: Tensor, index: Tensor, n: int) -> Tensor:
    """The n classes whose logits are nearest to that of the target, without it.

    Args:
        logits: (B, C).
        index: (B,) int64.
        n: how many; fewer if there are fewer other classes.

    Returns:
        (B, min(n, C - 1)) int64.
    """
    distance = (logits - logits.gather(1, index[:, None])).abs()
    distance = distance.scatter(1, index[:, None], float("inf"))
    return distance.topk(min(n, logits.shape[1] - 1), dim=1, largest=False).indices


def top_classes(logits: Tensor, n: int) -> Tensor:
    """Indices (B, n) of the n best classes, best first; fewer if there are fewer classes."""
    return torch.topk(logits, min(n, logits.shape[1]), dim=1).indices
