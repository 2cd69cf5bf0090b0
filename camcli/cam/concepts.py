"""Deep feature factorization: the few concepts of which the features of images are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS, SETTLED = 1000, 1e-7


@dataclass(frozen=True, slots=True)
class Concepts:
    """V ≈ H W, both nowhere negative: n concepts, the one that explains most first.

    Attributes:
        maps: H, where each concept is: (B, n, h, w) for each of the batches.
        vectors: W, its features (n, K), each of length 1.
        explained: 1 - ‖V - H W‖² / ‖V‖², in [0, 1]; negative features count as unexplained.
    """

    maps: tuple[Tensor, ...]
    vectors: Tensor
    explained: float


def factorise(batches: Sequence[Tensor], n: int) -> Concepts:
    """DFF: V ≈ H W, V the features A of all positions of all images. arXiv 1806.10206, eq. 2-3.

    Collins, Achanta & Süsstrunk 2018. min ‖max(V, 0) - H W‖² with H, W >= 0 by hierarchical
    alternating least squares (Cichocki & Phan 2009, 10.1587/transfun.E92.A.708) from NNDSVD
    (Boutsidis & Gallopoulos 2008), so that the same images always have the same concepts. What
    images have in common is found only when they are factorised together.

    Args:
        batches: features A (B, K, h, w); h and w may differ between batches.
        n: concepts; fewer are found in features that have fewer.
    """
    rows = torch.cat([A.movedim(1, 3).flatten(0, 2) for A in batches])
    V = rows.clamp(min=0)
    H, W = _start(V, min(n, *V.shape))
    total = float(V.cpu().double().square().sum())
    last = total
    for _ in range(ROUNDS):
        _improve(W, H.T @ H, H.T @ V)
        gram, crossed = W @ W.T, V @ W.T
        _improve(H.T, gram, crossed.T)
        error = total - 2 * float((crossed * H).sum()) + float((gram * (H.T @ H)).sum())
        if last - error <= SETTLED * total:
            break
        last = error
    H, W = _ordered(H, W)
    size = float(rows.cpu().double().square().sum())
    left = float((rows - H @ W).cpu().double().square().sum())
    parts = H.split([A.shape[0] * A.shape[2] * A.shape[3] for A in batches])
    maps = tuple(
        part.view(A.shape[0], *A.shape[2:], -1).movedim(3, 1)
        for part, A in zip(parts, batches, strict=True)
    )
    return Concepts(maps, W, 1 - left / size if size else 0.0)


def shares(maps: Tensor, vectors: Tensor, tail: Callable[[Tensor], Tensor]) -> Tensor:
    """What each concept alone adds to every class: S(H_j W_j) - S(0).

    For a linear head that is mean(H_j) (W_j · w_c), and all concepts with the bias and what the
    factorization leaves over sum to S_c.

    Args:
        maps: H (B, n, h, w).
        vectors: W (n, K).
        tail: A -> logits (B, C).

    Returns:
        (B, n, C).
    """
    B, _, h, w = maps.shape
    nothing = tail(maps.new_zeros(B, vectors.shape[1], h, w))
    if not len(vectors):
        return nothing[:, None][:, :0]
    alone = [
        tail(maps[:, j, None] * vector[:, None, None]) - nothing for j, vector in enumerate(vectors)
    ]
    return torch.stack(alone, 1)


def _start(V: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """NNDSVD: the stronger of the positive and the negative half of each singular pair."""
    tall = V.shape[0] >= V.shape[1]
    gram = (V.T @ V if tall else V @ V.T).cpu().double()
    values, vectors = torch.linalg.eigh(gram)  # ascending
    values, vectors = values[-n:].flip(0).clamp(min=0), vectors[:, -n:].flip(1).to(V)
    others = (V @ vectors if tall else V.T @ vectors) / values.sqrt().clamp(min=1e-12).to(V)
    left, right = (others, vectors) if tall else (vectors, others)
    H, W = torch.zeros_like(left), torch.zeros_like(right.T)
    for j, size in enumerate(values.sqrt().tolist()):
        halves = [
            (x.clamp(min=0), y.clamp(min=0))
            for x, y in ((left[:, j], right[:, j]), (-left[:, j], -right[:, j]))
        ]
        strength = [float(x.norm() * y.norm()) for x, y in halves]
        x, y = halves[strength[1] > strength[0]]
        if max(strength) > 0:
            scale = (size * max(strength)) ** 0.5
            H[:, j], W[j] = x / x.norm() * scale, y / y.norm() * scale
    return H, W


def _improve(W: Tensor, gram: Tensor, target: Tensor) -> None:
    """One row of W after the other at its optimum, in place; the other factor stays as it is."""
    for j, own in enumerate(gram.diagonal().tolist()):
        if own > 0:
            W[j] = (W[j] + (target[j] - gram[j] @ W) / own).clamp(min=0)


def _ordered(H: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of length 1; the concepts with most of the features first, without empty ones."""
    length = W.norm(dim=1)
    H, W = H * length, W / torch.where(length > 0, length, 1)[:, None]
    strength = H.norm(dim=0)
    order = strength.argsort(descending=True, stable=True)
    order = order[strength[order] > 1e-6 * strength.max()]
    return H[:, order], W[order]
