"""What the convex problems of a linear head share: the features, and where the solution stands."""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 1 << 20
"""Up to so many numbers the features are taken in float64, which then costs nothing."""


class LinearProblem:
    """Features, and the head that is solved for on them.

    Attributes:
        logits: (N, C) at the last solution.
        steps: that were taken so far.
    """

    def __init__(self, features: Tensor, outputs: int) -> None:
        """Begin at a head of zeros.

        Args:
            features: (N, K), scaled; float32, or float64.
            outputs: C.
        """
        self._basis: Tensor | None = None
        exact = features.numel() <= SMALL and features.device.type != "mps"  # which has no float64
        X = features.double() if exact else features
        if len(X) < X.shape[1]:
            # The optimum is a sum of the images' features: N coordinates instead of K.
            self._basis, R = torch.linalg.qr(X.T)
            X = R.T.contiguous()
        self._X = X
        self.steps = 0
        self._theta = X.new_zeros(outputs, X.shape[1] + 1)
        self.logits = X.new_zeros(len(X), outputs)

    def begin_at(self, weight: Tensor, bias: Tensor) -> None:
        """Take (C, K) and (C,) as the point that the next solution starts from."""
        weight = weight.to(self._X)
        if self._basis is not None:
            weight = weight @ self._basis
        self._theta = torch.cat([weight, bias.to(weight)[:, None]], 1)
        self.logits = self._X @ self._theta[:, :-1].T + self._theta[:, -1]

    def solution(self) -> tuple[Tensor, Tensor]:
        """Weight (C, K) and bias (C,) where it stands."""
        weight, bias = self._theta[:, :-1], self._theta[:, -1].clone()
        return (weight.clone() if self._basis is None else weight @ self._basis.T), bias
