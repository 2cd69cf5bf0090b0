"""The scores of masks that the network was not shown, told from those that it was.

Similar masks get similar scores, so the scores of one image are a sample of a smooth function of
the mask. Kriging (Gaussian process regression: Rasmussen & Williams 2006, algorithm 2.1, Matérn
covariance with ν = 3/2, eq. 4.17) predicts the others from a few, says how far the map made of them
may be from the full one, and picks the masks to show next: those that take most off that distance.
"""

from __future__ import annotations

import torch
from torch import Tensor

# What of a score is its own and follows from no other mask: a share of the variance.
_NUGGET = 0.01
# Rows of the covariance that exist at a time.
_ROWS = 512


class Kriging:
    """The scores v (K,) of one image's channels, and its map M = Σ_k v_k A_k.

    The covariance of all channels never exists as a whole: memory is K times the channels chosen.
    """

    def __init__(self, A: Tensor) -> None:
        """Channels A (K, h, w), none of which is constant."""
        self._A = A.flatten(1).float()
        low = self._A.amin(1, keepdim=True)
        self._masks = (self._A - low) / (self._A.amax(1, keepdim=True) - low)
        # Two masks that are this far apart, the root mean square of all pairs, differ.
        spread = (self._masks - self._masks.mean(0)).square().sum(1).mean()
        self._length = (2 * spread).sqrt().clamp_min(1e-6)
        K = len(self._A)
        self._variance = self._A.new_full((K,), 1 + _NUGGET)
        # C A, C the covariance given the chosen channels; tr AᵀCA is the map's variance.
        self._CA = torch.cat(
            [self._covariance(rows) @ self._A for rows in self._masks.split(_ROWS)]
        )
        self._CA += _NUGGET * self._A
        # Columns of the pivoted Cholesky factor of the covariance, one for each chosen channel.
        self._L = self._A.new_empty(K, 0)
        self._order: list[int] = []
        self._scores = self._A.new_empty(0)

    def _covariance(self, masks: Tensor) -> Tensor:
        """Of the scores of `masks` (n, h·w) with all K, (n, K); 1 for a mask with itself."""
        r = 3**0.5 * torch.cdist(masks, self._masks) / self._length
        return (1 + r) * torch.exp(-r)

    @property
    def done(self) -> bool:
        """Whether every channel was chosen."""
        return len(self._order) == len(self._A)

    def choose(self, count: int) -> Tensor:
        """The channels to show next, those first that tell most of the map.

        Args:
            count: how many, fewer if fewer are left.

        Returns:
            (n,) int64.
        """
        start = len(self._order)
        chosen = torch.zeros_like(self._variance, dtype=torch.bool)
        chosen[self._order] = True
        for _ in range(min(count, len(self._A) - start)):
            # By how much knowing a score would lower the map's variance.
            gain = (self._CA.square().sum(1) / self._variance).masked_fill(chosen, -1)
            k = int(gain.argmax())
            column = self._covariance(self._masks[k : k + 1])[0]
            column[k] += _NUGGET
            column = (column - self._L @ self._L[k]) / self._variance[k].sqrt()
            self._L = torch.cat([self._L, column[:, None]], 1)
            self._variance = (self._variance - column.square()).clamp_min(1e-6)
            self._CA = self._CA - column[:, None] * (column @ self._A)
            self._order.append(k)
            chosen[k] = True
        return torch.tensor(self._order[start:], device=self._A.device)

    def learn(self, scores: Tensor) -> None:
        """Take the scores (n,) of what `choose` last returned."""
        self._scores = torch.cat([self._scores, scores.float()])

    def _fit(self) -> tuple[Tensor, Tensor]:
        """The mean, and what each chosen score adds to what was known before it, standardised."""
        known = self._L[self._order]
        both = torch.stack([torch.ones_like(self._scores), self._scores], 1)
        one, v = torch.linalg.solve_triangular(known, both, upper=False).unbind(1)
        mean = (one @ v) / (one @ one)
        return mean, v - mean * one

    def scores(self) -> Tensor:
        """The scores (K,): as measured where they were, else as predicted."""
        mean, news = self._fit()
        v = mean + self._L @ news
        v[self._order] = self._scores
        return v

    def cosine(self) -> float:
        """About the cosine that the map has with the full one, so far."""
        _, news = self._fit()
        size = (self.scores() @ self._A).square().sum()
        # |error|² is expected to be σ² tr AᵀCA; 1 - cos is half of it, relative to the map.
        variance = news.square().sum() / max(1, len(news) - 1)
        error = variance * (self._CA * self._A).sum().clamp_min(0)
        return float(1 - error / (2 * size)) if size > 0 else 0.0
