"""A head that gets used to changed pictures: it learns to answer as it does to whole ones.

No labels are needed: what is learned is the network's own answer to the photograph as it is. Only
the head moves, and no farther from where it was than pays on photographs that it did not learn
from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.models.cutting.types import LinearHead
from camcli.printable import counted
from camcli.train.fitting.head import FeatureScale, linear

STRENGTHS = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001)
"""How strongly the head is held where it was, strong to weak."""
FEWEST = 4
"""Photographs, below which nothing can be learned on one half and judged on the other."""
_ROWS = 4096  # pictures that are learned from; more cost time and change little
_STEPS = 40
_LOOKS = 2 * 2 * _STEPS  # at the pictures of a half: of both halves, for some two strengths


@dataclass(frozen=True, slots=True)
class Adapted:
    """Two heads, each of which learned from the other half of the photographs.

    Attributes:
        heads: for the photographs of even and of odd number.
        strength: that held them; None where nothing beat the head as it was.
        before: mean loss of the head as it was, on changed pictures and whole ones.
        after: of the two heads on the halves that they did not learn from.
        floor: the loss of a head that answers to all pictures as it was asked to.
        kept_before: share of the answers to changed pictures (the class, or of each label whether
            it is there) that are those to the whole ones, of the head as it was.
        kept_after: the same of the two heads on the halves that they did not learn from.
    """

    heads: tuple[LinearHead, LinearHead]
    strength: float | None
    before: float
    after: float
    floor: float
    kept_before: float
    kept_after: float

    @property
    def learned(self) -> float:
        """The share of what there was to learn that was learned, 0 to 1."""
        gap = self.before - self.floor
        return (self.before - self.after) / gap if gap > 0 else 0.0

    def of(self, number: int) -> LinearHead:
        """The head that did not learn from the photograph of this number."""
        return self.heads[number % 2]


def adapt(head: LinearHead, pooled: Sequence[Tensor], *, labels: bool = False) -> Adapted:
    """Teach a head, on each half of the photographs, to answer to changed pictures as to whole.

    Half of the weight is the whole pictures', half the changed ones', as Hesse et al. 2024 train.

    Args:
        head: as it is.
        pooled: features (V, K) of the pictures of each photograph, the whole one first.
        labels: each output is a label of its own (sigmoid); else they share one softmax.

    Raises:
        ValueError: fewer photographs than `FEWEST`.
    """
    if len(pooled) < FEWEST:
        raise ValueError(counted(len(pooled), "photograph"))
    own = LinearHead(head.weight.cpu().float(), head.bias.cpu().float())
    halves = [_Half(own, list(pooled[first::2]), labels) for first in (0, 1)]
    fits = [half.fits() for half in halves]  # one strength after the other, as they are asked for
    before = sum(half.loss(own) for half in halves) / 2
    best: tuple[float, float | None, tuple[LinearHead, LinearHead]] = (before, None, (own, own))
    for strength, odd, even in zip(STRENGTHS, fits[1], fits[0], strict=True):
        after = (halves[0].loss(odd) + halves[1].loss(even)) / 2
        if after < best[0]:
            best = after, strength, (odd, even)
        elif after > best[0]:  # the loss has a single valley, and the weakest take longest
            break
    heads = best[2]
    # Head 0 did not learn from half 0.
    return Adapted(
        heads, best[1], before, best[0],
        floor=sum(half.floor() for half in halves) / 2,
        kept_before=sum(half.kept(own) for half in halves) / 2,
        kept_after=sum(half.kept(one) for half, one in zip(halves, heads, strict=True)) / 2,
    )  # fmt: skip


def expected_seconds(head: LinearHead, photographs: int, pictures: int) -> float:
    """About how long `adapt` will take, from timing one look at as many features.

    Args:
        head: as it is.
        photographs: how many.
        pictures: of each.
    """
    rows = min(_ROWS, max(1, photographs // 2) * pictures)
    few = min(rows, 512)
    X = torch.randn(few, head.channels)
    weight = torch.zeros(head.outputs, head.channels, requires_grad=True)
    start = perf_counter()
    with torch.enable_grad():
        (X @ weight.T).logsumexp(1).sum().backward()
    return (perf_counter() - start) * rows / few * _LOOKS


class _Half:
    """The pictures of one half, and what is to be answered to them."""

    def __init__(self, head: LinearHead, pooled: list[Tensor], labels: bool) -> None:
        each = max(1, _ROWS // max(len(pooled[0]), 1))
        pooled = pooled[:: -(-len(pooled) // each)]
        self._head, self._labels = head, labels
        self._X = torch.cat([rows.cpu().float() for rows in pooled])
        weights, wanted = [], []
        for rows in pooled:
            answer = linear(head, rows[:1].cpu())
            wanted.append((answer.sigmoid() if labels else answer.softmax(1)).expand(len(rows), -1))
            changed = max(len(rows) - 1, 1)
            weights += [0.5] + [0.5 / changed] * (len(rows) - 1)
        self._wanted = torch.cat(wanted)
        self._weights = torch.tensor(weights) / sum(weights)
        self._changed = torch.tensor([n > 0 for rows in pooled for n in range(len(rows))])

    def loss(self, head: LinearHead) -> float:
        """Of a head on these pictures."""
        return float(self._loss(linear(head, self._X)))

    def floor(self) -> float:
        """The entropy of what is wanted, below which no loss can be."""
        p = self._wanted
        each = -torch.special.xlogy(p, p)
        if self._labels:
            each = each - torch.special.xlogy(1 - p, 1 - p)
        return float(self._weights @ each.sum(1))

    def kept(self, head: LinearHead) -> float:
        """The share of a head's answers to changed pictures that are those that are wanted."""
        logits, wanted = linear(head, self._X[self._changed]), self._wanted[self._changed]
        same = (
            (logits > 0) == (wanted > 0.5) if self._labels else logits.argmax(1) == wanted.argmax(1)
        )
        return float(same.float().mean())

    def _loss(self, logits: Tensor) -> Tensor:
        if self._labels:
            each = F.binary_cross_entropy_with_logits(logits, self._wanted, reduction="none")
            return self._weights @ each.sum(1)
        return self._weights @ F.cross_entropy(logits, self._wanted, reduction="none")

    def fits(self) -> Iterator[LinearHead]:
        """The best head for each strength."""
        scale = FeatureScale.of(self._X)
        X, base = scale(self._X), linear(self._head, self._X)
        weight = torch.zeros_like(self._head.weight, requires_grad=True)
        bias = torch.zeros_like(self._head.bias, requires_grad=True)
        for strength in STRENGTHS:
            solver = torch.optim.LBFGS(
                [weight, bias],
                max_iter=_STEPS,
                line_search_fn="strong_wolfe",
                history_size=8,
                tolerance_grad=1e-5,
                tolerance_change=1e-7,
            )

            def step(strength: float = strength, solver: torch.optim.LBFGS = solver) -> Tensor:
                with torch.enable_grad():
                    solver.zero_grad()
                    loss = self._loss(base + X @ weight.T + bias)
                    loss = loss + strength / 2 * (weight.square().sum() + bias.square().sum())
                    loss.backward()
                return loss.detach()

            solver.step(step)
            moved = scale.fold(weight.detach(), bias.detach())
            yield LinearHead(self._head.weight + moved.weight, self._head.bias + moved.bias)
