"""The head's optimum: mean cross-entropy + l2/2 ‖w‖², which is convex, on features that stay.

What takes time with thousands of channels is that they are correlated: the curvature along the
first principal axis is 10^5 times that along the last, and L-BFGS alone learns that step by step.
Here it is given it: the Hessian is about XᵀDX + l2, D the images' mean p(1 - p), whose Cholesky
factor is where L-BFGS begins from, and begins again when D has changed; a few dozen steps then do
what took hundreds. The logits are linear along a step, so its length is found without looking at
the features again: two products with X a step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from camcli.train.fitting.linear_problem import LinearProblem
from camcli.train.fitting.loop import DivergedError, Recipe
from camcli.train.fitting.losses import known_labels

MEMORY = 20
"""Steps that L-BFGS remembers."""
AGAIN = 50
"""Steps after which the curvature is looked at again: hardly ever."""
ROWS = 4
"""For the curvature, this many times as many images as there are channels are enough."""
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
"""Share of the loss that may still be gained at the end. Log-probabilities are then within about
the root of that, far from what a decision, or the third digit of a held-out loss, depends on."""
LARGE, LARGE_TOLERANCE = 2 * 10**9, 1e-4
"""From so many products of features and weights on, the tolerance that takes half the steps: where
steps take long there are so many images that the loss itself is not known any better."""


class Problem(LinearProblem):
    """Features and targets, and what all strengths share."""

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        classes: int,
        recipe: Recipe,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Prepare.

        Args:
            features: (N, K), scaled; float32, or float64.
            targets: (N,), or (N, C) of labels.
            classes: C.
            recipe: gives label smoothing and class weights.
            sample_weight: (N,) of each image in the mean.
        """
        super().__init__(features, classes)
        X = self._X
        # Labels are right or not, each for itself: a problem for each, which share the features.
        self._labels = targets.ndim > 1
        truth, mass = truth_of(targets, classes, recipe, sample_weight)
        self._truth, self._mass = truth.to(X), mass.to(X)
        # Those whose curvature is taken: in no order that they might have been listed in.
        self._some = slice(None)
        if len(X) > 2 * ROWS * X.shape[1]:
            self._some = slice(None, None, len(X) // (ROWS * X.shape[1]))

    def solve(self, l2: float, iterations: int = 1000) -> None:
        """Go to the optimum for one strength from where it stands.

        Args:
            l2: strength; the bias is free.
            iterations: at most so many.

        Raises:
            DivergedError: a number on the way is not finite.
        """
        theta = self._theta
        loss, p, gradient = self._look(theta, l2)
        precondition = self._preconditioner(p, l2)
        steps: list[tuple[Tensor, Tensor, float]] = []
        near, tolerance = 0, TOLERANCE[self._X.dtype]
        if theta.numel() * len(self._X) >= LARGE:
            tolerance = LARGE_TOLERANCE
        for step in range(iterations):
            if step and step % AGAIN == 0:
                precondition, steps = self._preconditioner(p, l2), []
            self.steps += 1
            direction = _two_loops(gradient, steps, precondition)
            slope = float((gradient * direction).sum())
            if not torch.isfinite(direction).all() or not slope > -torch.inf:
                raise DivergedError("the solution is not a finite number in epoch 1")
            # The slope is twice the distance to the optimum, as far as the curvature is known.
            near = near + 1 if -slope <= 2 * tolerance * loss else 0
            if near == 2 or slope >= 0:
                break
            ahead = self._X @ direction[:, :-1].T + direction[:, -1]
            length = self._length(theta, direction, ahead, l2, slope)
            before = gradient
            theta = theta + length * direction
            self.logits = self.logits + length * ahead
            loss, p, gradient = self._look(theta, l2)
            change, bend = length * direction, gradient - before
            curvature = float((change * bend).sum())
            if not curvature > 0:  # rounding: there is nothing left to gain in this precision
                break
            steps = [*steps[1 - MEMORY :], (change, bend, curvature)]
        self._theta = theta
        self.logits = self._X @ theta[:, :-1].T + theta[:, -1]

    def _look(self, theta: Tensor, l2: float) -> tuple[float, Tensor, Tensor]:
        """Loss, probabilities (N, C) and gradient (C, K + 1) at `theta`, whose logits are there."""
        weight = theta[:, :-1]
        if self._labels:
            p = self.logits.sigmoid()
            loss = float((self._mass * softplus(self.logits) - self._truth * self.logits).sum())
        else:
            log_p = self.logits.log_softmax(1)
            p = log_p.exp()
            loss = -float((self._truth * log_p).sum())
        loss += 0.5 * l2 * float(weight.square().sum())
        residual = self._mass * p - self._truth
        gradient = torch.empty_like(theta)
        torch.mm(residual.T, self._X, out=gradient[:, :-1])
        gradient[:, :-1] += l2 * weight
        gradient[:, -1] = residual.sum(0)
        return loss, p, gradient

    def _preconditioner(self, p: Tensor, l2: float) -> Precondition:
        """The inverse of XᵀDX + l2, by its Cholesky factor."""
        weights = (self._mass * p * (1 - p)).mean(1, keepdim=True)
        share = max(float(weights.sum()), 1e-6)
        X, weights = self._X[self._some], weights[self._some]
        weights = weights * (share / max(float(weights.sum()), 1e-30))
        matrix = (X * weights).T @ X
        diagonal = matrix.diagonal()
        jitter = l2 + 1e-12
        diagonal += jitter
        while (found := torch.linalg.cholesky_ex(matrix)).info:
            if not jitter < 1e30:
                raise DivergedError("the solution is not a finite number in epoch 1")
            diagonal += 9 * jitter  # rounding made it indefinite
            jitter *= 10
        return Precondition(found.L, share)

    def _length(
        self, theta: Tensor, direction: Tensor, ahead: Tensor, l2: float, slope: float
    ) -> float:
        """How far to go: where the slope is a tenth of the one at the start, or none."""
        along, square = (
            float((each[:, :-1] * direction[:, :-1]).sum()) for each in (theta, direction)
        )
        true = float((self._truth * ahead).sum())
        low, high, length = 0.0, torch.inf, 1.0
        for _ in range(30):
            there_logits = self.logits + length * ahead
            p = there_logits.sigmoid() if self._labels else there_logits.softmax(1)
            weighted = self._mass * p * ahead
            there = float(weighted.sum()) - true + l2 * (along + length * square)
            if abs(there) <= -0.1 * slope:
                break
            low, high = (length, high) if there < 0 else (low, length)
            if self._labels:
                bend = float((weighted * (1 - p) * ahead).sum())
            else:
                mean = weighted.sum(1) / self._mass[:, 0].clamp_min(1e-30)
                bend = float((weighted * ahead).sum() - (self._mass[:, 0] * mean.square()).sum())
            newton = length - there / max(bend + l2 * square, 1e-30)
            if not low < newton < high:
                newton = 4 * length if high == torch.inf else 0.5 * (low + high)
            length = min(newton, 4 * length)
        return length


class Precondition:
    """The inverse of a curvature that is the same for all classes."""

    def __init__(self, factor: Tensor, share: float) -> None:
        self._factor, self._share = factor, share

    def __call__(self, gradient: Tensor) -> Tensor:
        """(C, K + 1) -> (C, K + 1)."""
        weight = torch.cholesky_solve(gradient[:, :-1].T, self._factor).T
        return torch.cat([weight, gradient[:, -1:] / self._share], 1)


def _two_loops(
    gradient: Tensor, steps: list[tuple[Tensor, Tensor, float]], precondition: Precondition
) -> Tensor:
    """The direction of L-BFGS (Nocedal 1980)."""
    q, shares = -gradient, []
    for change, bend, curvature in reversed(steps):
        share = float((change * q).sum()) / curvature
        q = q - share * bend
        shares.append(share)
    q = precondition(q)
    for (change, bend, curvature), share in zip(steps, reversed(shares), strict=True):
        q = q + (share - float((bend * q).sum()) / curvature) * change
    return q


def truth_of(
    targets: Tensor, classes: int, recipe: Recipe, sample_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What the loss is made of: T and M (N, C), or (N, 1) of classes, float64.

    Args:
        targets: (N,), or (N, C) of labels.
        classes: C.
        recipe: gives label smoothing and class weights.
        sample_weight: (N,) of each image in the mean.
    """
    make = _label_truth if targets.ndim > 1 else _truth
    return make(targets, classes, recipe, sample_weight)


def _truth(
    targets: Tensor, classes: int, recipe: Recipe, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(N, C) float64 T, so that the loss is -Σ T log p: torch's weighted, smoothed mean.

    And the images' mass in it, (N, 1).
    """
    count = len(targets)
    weights = torch.ones(count) if sample_weight is None else sample_weight
    of_class = torch.ones(classes) if recipe.class_weight is None else recipe.class_weight.cpu()
    share, of_class = weights.double(), of_class.double()
    smooth = recipe.label_smoothing
    truth = (smooth / classes) * of_class.expand(count, classes).clone()
    truth[torch.arange(count), targets] += (1 - smooth) * of_class[targets]
    truth = truth * (share / (share * of_class[targets]).sum())[:, None]
    return truth, truth.sum(1, keepdim=True)


def _label_truth(
    targets: Tensor, classes: int, recipe: Recipe, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(N, C) float64 T and M, so that the sum of the labels' losses is Σ M log(1 + e^z) - T z."""
    weights = torch.ones(len(targets)) if sample_weight is None else sample_weight
    positive = torch.ones(classes) if recipe.class_weight is None else recipe.class_weight.cpu()
    known, truth = known_labels(targets.cpu().double())
    truth = truth * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    # Of each label the mean over the images where it is known.
    share = weights.double()[:, None] * known
    share = share / share.sum(0).clamp_min(1e-30)
    yes = positive.double() * truth
    return yes * share, (yes + 1 - truth) * share
