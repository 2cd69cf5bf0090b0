"""A head that asks the training images: the votes of those that are nearest to a picture.

It is no linear layer, so its maps come by autograd, as those of any network: what decides is how
near a picture is to the few that vote, and these are followed back to its places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from camcli.models.pooling.statistics import EPS

SHARPNESS = 50.0
"""How much more a nearer image counts: exp(50 cos)."""
DOUBT = 0.01
"""So much of a vote is everybody's: what no neighbour is stays possible, and logits finite."""


class NearestHead(nn.Module):
    """Maps (B, K', h, w) -> logits (B, C) by the k nearest images.

    Near is by the cosine of the numbers, each multiplied with `scale` before. They are not centred,
    which would gain nothing: so only their proportions decide, and gradient times features adds up
    to 0, what speaks for a class against what speaks against it. Votes are weighted by
    exp(sharpness · cosine) and add up to one. The softmax of the logits, or of labels the sigmoid
    of each, gives the votes back, but for `DOUBT`.
    """

    features: Tensor
    targets: Tensor
    scale: Tensor

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        outputs: int,
        *,
        k: int = 20,
        scale: Tensor | None = None,
        sharpness: float = SHARPNESS,
        temperature: float = 1.0,
    ) -> None:
        """Keep the images that vote.

        Args:
            features: (N, K') as a pooling gives them.
            targets: (N,) int64, the class of each; of labels (N, C), 1 for those it has.
            outputs: C.
            k: how many vote; at most N.
            scale: (K',); by default one.
            sharpness: how much more the nearer ones count.
            temperature: what the logits are divided by.
        """
        super().__init__()
        self.outputs, self.k = outputs, min(k, len(features))
        self.sharpness, self.temperature = sharpness, temperature
        scale = features.new_ones(features.shape[1]) if scale is None else scale
        self.register_buffer("scale", scale.float())
        # Rounded to 16 bits, in which a checkpoint holds them: so it says after loading what it
        # said before.
        self.register_buffer("features", self._unit(features.float()).half().float())
        self.register_buffer("targets", targets)

    @classmethod
    def of_units(
        cls,
        features: Tensor,
        targets: Tensor,
        outputs: int,
        scale: Tensor,
        settings: Mapping[str, Any],
    ) -> NearestHead:
        """One whose features (N, K') are of unit length already, as a checkpoint holds them."""
        head = cls(features[:1], targets, outputs, scale=scale)
        head.features = features.float()
        head.k = min(settings["k"], len(features))
        head.sharpness, head.temperature = settings["sharpness"], settings["temperature"]
        return head

    @property
    def channels(self) -> int:
        """K'."""
        return len(self.scale)

    def forward(self, A: Tensor) -> Tensor:
        """Logits (B, C) of maps A (B, K', h, w)."""
        return self.votes(A.mean((2, 3)))

    def votes(self, s: Tensor) -> Tensor:
        """Logits (B, C) of the numbers s (B, K')."""
        near = self._unit(s) @ self.features.to(s.dtype).T
        return self.counted(*near.topk(self.k, 1))

    def counted(self, cosine: Tensor, who: Tensor) -> Tensor:
        """Logits (B, C) of the votes of images `who` (B, k) that are so near (B, k)."""
        weight = (self.sharpness * cosine).softmax(1)
        if self.targets.ndim == 2:
            share = (weight[:, :, None] * self.targets[who].to(weight)).sum(1)
            return ((1 - DOUBT) * share + DOUBT / 2).logit() / self.temperature
        share = weight.new_zeros(len(who), self.outputs).scatter_add(1, self.targets[who], weight)
        return ((1 - DOUBT) * share + DOUBT / self.outputs).log() / self.temperature

    def others(self, some: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest to some of the images that vote, but for themselves.

        Args:
            some: (B,) which images.
            owner: (N,) int64; those with the same number are the same photograph.

        Returns:
            How near (B, k) and which they are (B, k), as `counted` takes them.
        """
        near = self.features[some] @ self.features.T
        near = near.masked_fill(owner[some, None] == owner, -math.inf)
        cosine, who = near.topk(self.k, 1)
        return cosine, who

    def _unit(self, s: Tensor) -> Tensor:
        return functional.normalize(s * self.scale.to(s.dtype), dim=1, eps=EPS)

    def settings(self) -> dict[str, float]:
        """What is no tensor of it, for a checkpoint's description."""
        return {"k": self.k, "sharpness": self.sharpness, "temperature": self.temperature}
