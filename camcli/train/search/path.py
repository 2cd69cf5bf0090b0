"""The strengths of a linear head, each judged by images it has not seen: all folds at once.

The heads of the folds are solved side by side: they share the features, so one product with them
serves all; L-BFGS takes its steps in each for itself. One Cholesky factor a strength stands for the
curvature of every fold, as `camcli.train.fitting.optimum` does for one head, and each strength
begins where the stronger one before it ended.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from camcli.train.fitting.loop import DivergedError

MEMORY = 10
"""Steps that L-BFGS remembers."""
TOLERANCE = 1e-5
"""Share of a fold's loss that may still be gained: far below what candidates differ by."""
STEPS = 200
"""At most so many for a strength; those that need more are no candidates for a winner."""
JITTER = 1e-7
"""Share of the mean curvature that is added to every direction, so that rounding is not taken for
curvature."""


class Folded(NamedTuple):
    """What the heads of the folds are solved for.

    Attributes:
        truth: (N, F, C) T; a fold's own images have none.
        mass: (N, F, C) or (N, F, 1): M. The loss of a fold is Σ M log Σ e^z - T z, and of labels
            Σ M log(1 + e^z) - T z.
        labels: whether it is of labels.
    """

    truth: Tensor
    mass: Tensor
    labels: bool


def compact(features: Tensor) -> Tensor:
    """The same points in as few coordinates: (N, K) -> (N, min(N, K)), turned, all angles kept."""
    if len(features) >= features.shape[1]:
        return features
    return torch.linalg.qr(features.T, mode="r").R.T.contiguous()


class Path:
    """Heads of all folds on the same features, from strength to strength.

    Attributes:
        logits: (N, F, C) at the last solution.
        steps: that were taken so far.
    """

    def __init__(self, features: Tensor, problem: Folded) -> None:
        """Prepare; `features` (N, K) are centred and scaled, float32."""
        self._X = compact(features)
        self._truth, self._mass, self._labels = problem
        N, F, C = self._truth.shape
        self._shape = (F, C)
        self.steps = 0
        self._theta = self._X.new_zeros(F, C, self._X.shape[1] + 1)
        self.logits = self._X.new_zeros(N, F, C)
        self._p = torch.full_like(self.logits, 0.5 if self._labels else 1 / C)

    def solve(self, l2: float, until: float = math.inf) -> bool:
        """Go to the optimum of each fold for one strength, from where it stands.

        Args:
            l2: strength.
            until: when to stop on the way, as `time.perf_counter` tells it.

        Returns:
            Whether there was time to arrive.

        Raises:
            DivergedError: a number on the way is not finite.
        """
        theta = self._theta
        loss, gradient = self._look(theta, l2)
        factor, share = self._curvature(l2)
        steps: list[tuple[Tensor, Tensor, Tensor]] = []
        near = torch.zeros(len(theta), dtype=torch.int64)
        arrived = True
        for _ in range(STEPS):
            if time.perf_counter() > until:
                arrived = False
                break
            self.steps += 1
            direction = _two_loops(gradient, steps, factor, share)
            slope = _dot(gradient, direction)
            if not slope.isfinite().all():
                raise DivergedError("the solution is not a finite number in a search")
            near = torch.where(-slope <= 2 * TOLERANCE * loss, near + 1, 0)
            if bool(((near > 1) | (slope >= 0)).all()):
                break
            # A fold that has arrived stays there.
            moves = (near < 2) & (slope < 0)
            direction = direction * moves[:, None, None]
            ahead = self._times(direction)
            length = self._length(theta, direction, ahead, l2, slope)
            before = gradient
            theta = theta + length[:, None, None] * direction
            self.logits = self.logits + length[None, :, None] * ahead
            loss, gradient = self._look(theta, l2)
            change, bend = length[:, None, None] * direction, gradient - before
            curved = _dot(change, bend)
            steps = [*steps[1 - MEMORY :], (change, bend, curved)]
        self._theta = theta
        self.logits = self._times(theta)
        return arrived

    def _times(self, theta: Tensor) -> Tensor:
        """X θ: (F, C, K + 1) -> (N, F, C)."""
        flat = theta.flatten(0, 1)
        out = torch.addmm(flat[:, -1], self._X, flat[:, :-1].T)
        return out.reshape(len(self._X), *self._shape)

    def _look(self, theta: Tensor, l2: float) -> tuple[Tensor, Tensor]:
        """Losses (F,) and gradients (F, C, K + 1) at `theta`, whose logits are there."""
        weight = theta[..., :-1]
        if self._labels:
            self._p = self.logits.sigmoid()
            losses = self._mass * softplus(self.logits) - self._truth * self.logits
        else:
            log_p = self.logits.log_softmax(2)
            self._p = log_p.exp()
            losses = -self._truth * log_p
        loss = losses.sum((0, 2)) + 0.5 * l2 * weight.square().sum((1, 2))
        residual = self._mass * self._p - self._truth
        gradient = torch.empty_like(theta)
        flat = residual.flatten(1)
        gradient[..., :-1] = (flat.T @ self._X).reshape(weight.shape) + l2 * weight
        gradient[..., -1] = residual.sum(0)
        return loss, gradient

    def _curvature(self, l2: float) -> tuple[Tensor, float]:
        """The Cholesky factor of XᵀDX + l2, D the mean of the folds' and classes' p(1 - p)."""
        weights = (self._mass * self._p * (1 - self._p)).mean((1, 2))[:, None]
        share = max(float(weights.sum()), 1e-6)
        matrix = (self._X * weights).T @ self._X
        diagonal = matrix.diagonal()
        jitter = l2 + JITTER * float(diagonal.mean()) + 1e-12
        diagonal += jitter
        while (found := torch.linalg.cholesky_ex(matrix)).info:
            if not jitter < 1e30:
                raise DivergedError("the solution is not a finite number in a search")
            diagonal += 9 * jitter
            jitter *= 10
        return found.L, share

    def _length(
        self, theta: Tensor, direction: Tensor, ahead: Tensor, l2: float, slope: Tensor
    ) -> Tensor:
        """How far each fold goes (F,): where its slope is a tenth of that at the start."""
        along = _dot(theta[..., :-1], direction[..., :-1])
        square = _dot(direction[..., :-1], direction[..., :-1])
        true = (self._truth * ahead).sum((0, 2))
        low = torch.zeros_like(slope)
        high, length = torch.full_like(slope, torch.inf), torch.ones_like(slope)
        for _ in range(20):
            there_logits = self.logits + length[None, :, None] * ahead
            p = there_logits.sigmoid() if self._labels else there_logits.softmax(2)
            weighted = self._mass * p * ahead
            there = weighted.sum((0, 2)) - true + l2 * (along + length * square)
            far = there.abs() > -0.1 * slope
            if not far.any():
                break
            low = torch.where(there < 0, length, low)
            high = torch.where(there < 0, high, length)
            if self._labels:
                bend = (weighted * (1 - p) * ahead).sum((0, 2))
            else:
                mean = (p * ahead).sum(2)
                bend = (weighted * ahead).sum((0, 2)) - (self._mass[..., 0] * mean.square()).sum(0)
            newton = length - there / (bend + l2 * square).clamp_min(1e-30)
            middle = torch.where(high.isinf(), 4 * length, 0.5 * (low + high))
            newton = torch.where((newton > low) & (newton < high), newton, middle)
            length = torch.where(far, torch.minimum(newton, 4 * length), length)
        return length


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(F, ...), (F, ...) -> (F,)."""
    return torch.einsum("fck,fck->f", a, b)


def _two_loops(
    gradient: Tensor, steps: list[tuple[Tensor, Tensor, Tensor]], factor: Tensor, share: float
) -> Tensor:
    """The directions of L-BFGS (Nocedal 1980), one a fold; a step without curvature is no step."""
    q, shares = -gradient, []
    for change, bend, curved in reversed(steps):
        share_of = torch.where(curved > 0, _dot(change, q) / curved.clamp_min(1e-30), 0)
        q = q - share_of[:, None, None] * bend
        shares.append(share_of)
    flat = q.flatten(0, 1)
    weight = torch.cholesky_solve(flat[:, :-1].T, factor).T
    q = torch.cat([weight, flat[:, -1:] / share], 1).reshape(q.shape)
    for (change, bend, curved), share_of in zip(steps, reversed(shares), strict=True):
        back = torch.where(curved > 0, _dot(bend, q) / curved.clamp_min(1e-30), 0)
        q = q + (share_of - back)[:, None, None] * change
    return q
