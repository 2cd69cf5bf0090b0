"""Linear heads of values: standardised targets, and the optimum of squared or Huber's errors.

Both are convex. The squared one is ridge regression, one Cholesky factor a strength; Huber's is
solved with the same factor again and again, whose curvature is never less than its own, so that
each step goes down (majorise and minimise).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from camcli.models.cutting.types import LinearHead
from camcli.train.fitting.linear_problem import LinearProblem
from camcli.train.fitting.loop import DivergedError, Recipe
from camcli.train.fitting.losses import HUBER, known_labels

VALUE_GRID = tuple(10.0 ** (-e / 2) for e in range(-4, 8))
"""Strengths that are tried, strong to weak. Squares bend four times as much as a class's loss does
and more, so that the best one is stronger, too."""
DONE = {torch.float32: 1e-7, torch.float64: 1e-14}
"""Share of the loss that may still be gained at the end."""


@dataclass(frozen=True)
class ValueScale:
    """The affine map of values during training: (y - centre) / unit.

    Attributes:
        centre: (C,) float64.
        unit: likewise.
    """

    centre: Tensor
    unit: Tensor

    @classmethod
    def of(cls, targets: Tensor, *, robust: bool = False) -> ValueScale:
        """Of targets (N, C) float64, NaN for unknown.

        Args:
            targets: each value is known of some image.
            robust: centre and unit are the median and 1.48 times the median distance from it, which
                gross errors do not move; else mean and standard deviation.
        """
        centre, unit = [], []
        for column in targets.double().T:
            own = column[~column.isnan()]
            middle = own.median() if robust else own.mean()
            spread = 1.4826 * (own - middle).abs().median() if robust else own.std(correction=0)
            spread = spread if spread > 0 else own.std(correction=0)
            centre.append(middle)
            unit.append(spread if spread > 0 else torch.ones_like(spread))
        return cls(torch.stack(centre), torch.stack(unit))

    def __call__(self, targets: Tensor) -> Tensor:
        """Targets (N, C) float64 -> standardised, float32."""
        return ((targets - self.centre) / self.unit).float()

    def fold(self, head: LinearHead) -> LinearHead:
        """The head whose outputs are the values themselves, from one of standardised ones."""
        weight = head.weight.double() * self.unit[:, None]
        bias = head.bias.double() * self.unit + self.centre
        return LinearHead(weight.float(), bias.float())


class ValueProblem(LinearProblem):
    """Features and values, and what all strengths share, as `optimum.Problem` is of classes."""

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        recipe: Recipe,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Prepare.

        Args:
            features: (N, K), scaled; float32, or float64.
            targets: (N, C), standardised; NaN for unknown.
            recipe: says which errors are minimised.
            sample_weight: (N,) of each image in the mean.
        """
        super().__init__(features, targets.shape[1])
        X = self._X
        known, truth = known_labels(targets.to(X))
        weights = torch.ones(len(X)) if sample_weight is None else sample_weight
        mass = weights.to(X)[:, None] * known
        self._truth, self._mass = truth, mass / mass.sum(0).clamp_min(1e-30)
        self._huber = recipe.objective == "huber"
        # What is known of the same images has one curvature.
        self._alike: dict[bytes, list[int]] = {}
        for c in range(targets.shape[1]):
            key = known[:, c].cpu().numpy().tobytes()
            self._alike.setdefault(key, []).append(c)
        self._grams: dict[bytes, Tensor] = {}

    def solve(self, l2: float, iterations: int = 1000) -> None:
        """Minimise each value's mean error + l2/2 ‖w‖², the bias free.

        Args:
            l2: strength.
            iterations: at most so many, of Huber's.

        Raises:
            DivergedError: a number on the way is not finite.
        """
        for key, own in self._alike.items():
            factor = self._factor(key, own[0], l2)
            for _ in range(iterations):
                self.steps += 1
                gradient = self._gradient(own, l2)
                step = torch.cholesky_solve(gradient.T, factor).T
                if not step.isfinite().all():
                    raise DivergedError("the solution is not a finite number in epoch 1")
                self._theta[own] -= step
                self.logits[:, own] = self._X @ self._theta[own, :-1].T + self._theta[own, -1]
                gained = float((gradient * step).sum())
                if gained <= DONE[self._X.dtype] * self._loss(own, l2):
                    break

    def _factor(self, key: bytes, c: int, l2: float) -> Tensor:
        """Cholesky factor of the curvature of a value's squares, (K + 1, K + 1)."""
        if key not in self._grams:
            wide = torch.cat([self._X, self._X.new_ones(len(self._X), 1)], 1)
            self._grams[key] = (wide * self._mass[:, c : c + 1]).T @ wide
        matrix = self._grams[key].clone()
        diagonal = matrix.diagonal()
        diagonal[:-1] += l2
        jitter = 1e-12
        while (found := torch.linalg.cholesky_ex(matrix)).info:
            if not jitter < 1e30:
                raise DivergedError("the solution is not a finite number in epoch 1")
            diagonal += jitter  # rounding made it indefinite
            jitter *= 10
        return found.L

    def _gradient(self, own: list[int], l2: float) -> Tensor:
        off = self.logits[:, own] - self._truth[:, own]
        if self._huber:
            off = off.clamp(-HUBER, HUBER)
        residual = self._mass[:, own] * off
        gradient = torch.cat([residual.T @ self._X, residual.sum(0)[:, None]], 1)
        gradient[:, :-1] += l2 * self._theta[own, :-1]
        return gradient

    def _loss(self, own: list[int], l2: float) -> float:
        off = (self.logits[:, own] - self._truth[:, own]).abs()
        near = off.clamp(max=HUBER) if self._huber else off
        errors = self._mass[:, own] * near * (off - 0.5 * near)
        return float(errors.sum() + 0.5 * l2 * self._theta[own, :-1].square().sum())
