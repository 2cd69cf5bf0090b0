"""What a method may look at: one batch at one layer, and what is explained about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from camcli.cam.attention.relevances import Relevances
from camcli.cam.attention.seen import Attending
from camcli.cam.map_options import Effort
from camcli.cam.scores import Score
from camcli.cam.target import class_score, head_weights, is_bent
from camcli.errors import UsageError
from camcli.models.cutting.types import LinearHead, Tail
from camcli.models.localizer import Localizer
from camcli.models.spec import OutputKind

# normalised images (n, 3, H, W) -> (logits (n, C), A (n, K, h, w), tail), without autograd
See = Callable[[Tensor], tuple[Tensor, Tensor, Tail]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One batch at one layer.

    Attributes:
        A: features (B, K, h, w).
        logits: (B, C).
        index: (B,) int64, the class to explain in each image.
        tail: A -> logits.
        head: the tail as GAP + linear, or None when it is more.
        score: what number of the class.
        against: (B, n) int64, classes whose mean score is taken off; None for none.
        images: normalised, (B, 3, H, W), for methods that change them.
        see: the whole network.
        effort: for methods with many passes.
        forward: normalised images -> logits, with autograd through the whole network.
        output: what the logits are.
        named: whether the layer was asked for by name: a method may have another default.
        attend: normalised images -> the attention of the network that sees them; of this batch's,
            what was seen when they were looked at, if it was.
        follow: the same, for the relevance of what the network sees.
        localizer: of the network's checkpoint; it takes A of the last map.
        both_signs: whether a method that keeps what is positive alone is to keep the rest, too.
    """

    A: Tensor
    logits: Tensor
    index: Tensor
    tail: Tail
    head: LinearHead | None = None
    score: Score = "logit"
    against: Tensor | None = None
    images: Tensor | None = None
    see: See | None = None
    effort: Effort = field(default_factory=Effort)
    forward: Callable[[Tensor], Tensor] | None = None
    output: OutputKind = "softmax"
    named: bool = False
    attend: Callable[[Tensor], Attending] | None = None
    follow: Callable[[Tensor], Relevances] | None = None
    localizer: Localizer | None = None
    both_signs: bool = False

    @property
    def bends(self) -> bool:
        """Whether S is no linear function of the logits."""
        return is_bent(self.score, self.output)

    def scored(self, logits: Tensor, of: Tensor | None = None) -> Tensor:
        """The explained score (n,) of logits (n, C); `of` (n,) says whose each row is."""
        index = self.index if of is None else self.index[of]
        against = self.against if of is None or self.against is None else self.against[of]
        return class_score(logits, index, self.score, against, self.output)

    def w(self) -> Tensor:
        """∂S/∂mean(A) (B, K) through the linear head."""
        assert self.head is not None
        return head_weights(
            self.head, self.logits, self.index, self.score, self.against, self.output
        )

    def gradient(self) -> Tensor:
        """The gradient ∂S/∂A (B, K, h, w), by autograd through the tail and nothing else."""
        if self.head is not None:
            Z = self.A.shape[2] * self.A.shape[3]
            return (self.w() / Z)[:, :, None, None].expand_as(self.A)
        with torch.inference_mode(False), torch.enable_grad():
            A = self.A.clone().requires_grad_(True)
            # Images are independent, so the gradient of the sum holds each image's own gradient.
            (g,) = torch.autograd.grad(self.scored(self.tail(A)).sum(), A)
        return g

    def whole(self) -> tuple[Tensor, See]:
        """The images and the network, for methods that run it again.

        Raises:
            UsageError: this caller has features only.
        """
        if self.images is None or self.see is None:
            raise UsageError("This method changes the image and needs the whole network.")
        return self.images, self.see

    def differentiable(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The images and the network with autograd, for methods that look at every layer.

        Raises:
            UsageError: this caller has features only.
        """
        if self.images is None or self.forward is None:
            raise UsageError("This method looks at every layer and needs the whole network.")
        return self.images, self.forward

    def attended(self) -> tuple[Tensor, Callable[[Tensor], Attending]]:
        """The images and the network, of which the attention is seen.

        Raises:
            UsageError: this caller has features only.
        """
        if self.images is None or self.attend is None:
            raise UsageError("This method looks at attention and needs the whole network.")
        return self.images, self.attend

    def with_(self, **changes: Any) -> Evidence:
        """A copy with some fields changed."""
        return replace(self, **changes)
