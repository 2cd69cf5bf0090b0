"""What reference photographs look like to a network: mean and spread of the features at a layer.

With A (K, h, w) the features of a photograph, μ the mean over all positions of all references and
Σ the covariance over the same positions, drawn towards a multiple of the identity,

    u = (Ā - μ)ᵀ Σ⁻¹ (Ā - μ)                        how far its mean Ā over the positions is
    v = mean_ij (A_ij - μ)ᵀ Σ⁻¹ (A_ij - μ)          how far its places are, one by one
    S = (u - mean u) / σ_u + (v - mean v) / σ_v     the difference, in standard deviations

where mean and σ are those of the references, each of which is held against the others: a reference
is compared with what is left when its fifth of the photographs is taken away. A shift of the whole
photograph is in u, a small spot in v. Their own S, kept in order, say how unusual a value is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from camcli.errors import UsageError

FEWEST = 3
"""References that are needed at least: of fewer each would be held against one."""
ENOUGH = 20
"""Of fewer references their own differences, and so the place among them, say little."""
FOLDS = 5
SHRINK = 0.01
"""How much of Σ is a multiple of the identity. From 0.0001 to 0.01 the heat on textiles was the
same (benchmarks/against.py); so much is stable with few references, too."""


@dataclass(frozen=True)
class Usual:
    """What the references of a network look like at one layer.

    Attributes:
        mean: μ, (K,) float64.
        factor: L with L Lᵀ = Σ⁻¹, (K, K) float64.
        centre: mean of u and v over the references, (2,) float64.
        spread: their standard deviations, (2,) float64.
        scores: S of the references, ascending, (n,) float64.
    """

    mean: Tensor
    factor: Tensor
    centre: Tensor
    spread: Tensor
    scores: Tensor

    @property
    def count(self) -> int:
        """n, the number of references."""
        return len(self.scores)

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, for a file."""
        names = ("mean", "factor", "centre", "spread", "scores")
        return {name: getattr(self, name) for name in names}


def usual_of(tensors: Mapping[str, Tensor]) -> Usual:
    """From the tensors of a file, as `Usual.tensors` gave them.

    Raises:
        TypeError: one is missing, or there is another.
        ValueError: one has another shape than it can have.
    """
    usual = Usual(**{name: tensor.double() for name, tensor in tensors.items()})
    K = usual.mean.numel()
    shapes = {"mean": (K,), "factor": (K, K), "centre": (2,), "spread": (2,)}
    if any(tuple(tensors[name].shape) != shape for name, shape in shapes.items()):
        raise ValueError("these are not the tensors of references")
    return usual


def distances(z: Tensor, factor: Tensor) -> Tensor:
    """The two distances u and v, (B, 2), of features less μ, z (B, K, h, w), by L (K, K)."""
    places = z.flatten(2).transpose(1, 2)  # (B, hw, K)
    u = (places.mean(1) @ factor).square().sum(1)
    v = (places @ factor).square().sum(2).mean(1)
    return torch.stack([u, v], 1)


def fit_usual(features: Iterable[Tensor], again: Iterable[Tensor]) -> Usual:
    """What references look like.

    Args:
        features: A (K, h, w) of one reference after another, of any h and w.
        again: the same in the same order: all of them at once would not fit into memory.

    Raises:
        UsageError: there are too few, or all are the same to the network.
    """
    folds = _Folds.of(features)
    n = folds.images
    if n < FEWEST:
        raise UsageError(f"--against needs {FEWEST} photographs or more, and has {n}.")
    mean, factor = folds.metric(None)
    without: dict[int, tuple[Tensor, Tensor]] = {}
    rows = []
    for number, A in enumerate(again):
        fold = number % folds.count
        if fold not in without:
            without[fold] = folds.metric(fold)
        left, its = without[fold]
        rows.append(distances((A.double() - left[:, None, None])[None], its)[0])
    found = torch.stack(rows)
    centre = found.mean(0)
    # Of equal ones no difference would be a small one.
    spread = found.std(0).clamp(min=1e-6 * float(centre.abs().max().clamp(min=1e-30)))
    scores = ((found - centre) / spread).sum(1).sort().values
    return Usual(mean, factor, centre, spread, scores)


class _Folds:
    """Sums over the positions of the references, kept for each fifth of them."""

    def __init__(self, count: int, channels: int, about: Tensor) -> None:
        """`about` (K,) is near μ: what is summed is the difference from it."""
        self.count, self.images, self._about = count, 0, about
        self._positions = torch.zeros(count, dtype=torch.float64)
        self._sums = torch.zeros(count, channels, dtype=torch.float64)
        self._squares = torch.zeros(count, channels, channels, dtype=torch.float64)

    @classmethod
    def of(cls, features: Iterable[Tensor]) -> _Folds:
        """Those of features A (K, h, w), one reference after another."""
        first, rest = _begun(features)
        made = cls(min(FOLDS, len(first)) or 1, len(first[0]) if first else 0, _centre(first))
        for A in rest:
            fold = made.images % made.count
            z = (A.double().flatten(1) - made._about[:, None]).to(A.dtype)  # centred: exact enough
            made._positions[fold] += z.shape[1]
            made._sums[fold] += z.sum(1)
            made._squares[fold] += (z @ z.T).double()
            made.images += 1
        return made

    def metric(self, left_out: int | None) -> tuple[Tensor, Tensor]:
        """μ (K,) and L (K, K) of all references but for one fifth.

        Raises:
            UsageError: they are all the same.
        """
        kept = torch.ones(self.count, dtype=torch.bool)
        if left_out is not None:
            kept[left_out] = False
        N = self._positions[kept].sum()
        shift = self._sums[kept].sum(0) / N
        cov = self._squares[kept].sum(0) / N - torch.outer(shift, shift)
        size = float(cov.diagonal().mean())
        if not size > 1e-12 * float((self._about + shift).square().mean()):
            raise UsageError(
                "To the network all photographs of --against are the same, everywhere: take "
                "others, or another --layer."
            )
        eye = torch.eye(len(cov), dtype=torch.float64)
        lower = torch.linalg.cholesky((1 - SHRINK) * cov + SHRINK * size * eye)
        # Σ = C Cᵀ, so Σ⁻¹ = C⁻ᵀ C⁻¹.
        factor = torch.linalg.solve_triangular(lower, eye, upper=False).T
        return self._about + shift, factor.contiguous()


def _begun(features: Iterable[Tensor]) -> tuple[list[Tensor], Iterator[Tensor]]:
    """The first few, and all of them."""
    each = iter(features)
    first = list(islice(each, FOLDS))

    def all_of_them() -> Iterator[Tensor]:
        yield from first
        yield from each

    return first, all_of_them()


def _centre(first: list[Tensor]) -> Tensor:
    if not first:
        return torch.zeros(0, dtype=torch.float64)
    return torch.stack([A.double().mean((1, 2)) for A in first]).mean(0)
