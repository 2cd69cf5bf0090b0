"""Relevance of the tokens that come to a network's first attention, seen while the network runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from camcli.cam.attention.rules import Rules
from camcli.cam.attention.structure import lie_in_corners
from camcli.models.cutting.tokens import TensorLayout, layout_of, to_maps

_NORMS = ("layer_norm", "rms_norm", "group_norm")


@dataclass(frozen=True, slots=True)
class TokenRelevance:
    """What came back to the tokens of some images.

    Attributes:
        values: R = A ⊙ g̃, shaped as the tokens are: (n, P + h·w, K), or (n, h, w, K), say.
        layout: where they lie in the image.
    """

    values: Tensor
    layout: TensorLayout

    def maps(self) -> Tensor:
        """(n, h, w)."""
        return to_maps(self.values, self.layout)[0].sum(1)


class Relevances(Rules):
    """The rules, and a note of the tokens that come to the first attention, within one run.

    They are what the last normalisation before it is given: the value that the block's first
    branch is added to. Where there is none before, as in transformers that normalise after each
    sum, they are what the last linear layer is given, which makes queries, keys or values.

    Attributes:
        logits: (n, C), with the graph behind them, once `finish` was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logits: Tensor | None = None
        self._met = False
        self._normed: list[Tensor] = []
        self._projected: list[Tensor] = []

    def finish(self, logits: Tensor) -> None:
        """Say what the network returned, (n, C)."""
        self.logits = logits

    def meet(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Note what a function is given, and let gradients begin there."""
        if self._met:
            return
        whole = name == "multi_head_attention_forward"
        x = args[0] if args else kwargs.get("query")
        if isinstance(x, Tensor) and x.is_floating_point() and x.ndim in (3, 4):
            if name in _NORMS:
                self._normed.append(_begins(x))
            elif name == "linear" or whole:
                self._projected.append(_begins(x))
        self._met = whole or name in ("softmax", "scaled_dot_product_attention")

    def tokens(self, images: Tensor) -> tuple[Tensor, TensorLayout] | None:
        """What was noted, and where it lies; nothing where there is no attention.

        Args:
            images: that the network was given, (n, 3, H, W).
        """
        for x in (*reversed(self._normed), *reversed(self._projected)) if self._met else ():
            # What has another number of rows is cut into windows, or heads.
            layout = layout_of(tuple(x.shape), (images.shape[2], images.shape[3]))
            if layout is not None and len(x) == len(images):
                return x, layout
        return None

    def in_order(self, images: Tensor) -> bool:
        """Whether there are such tokens, and they lie row by row, if they lie in a row.

        Args:
            images: that the network was given, (2 or more, 3, H, W), with a gradient.
        """
        found = self.tokens(images)
        if found is None:
            return False
        x, layout = found
        if layout.kind != "tokens" or not x.requires_grad:
            return True
        (_, h, w), first = layout.shape, layout.prefix
        return lie_in_corners(x[0, first + w - 1], x[1, first + (h - 1) * w], images)

    def of(self, images: Tensor, score: Callable[[Tensor], Tensor]) -> TokenRelevance | None:
        """How much of a score comes from each token; nothing where there is no attention.

        Args:
            images: that the network was given, (n, 3, H, W).
            score: logits (n, C) -> S (n,).
        """
        found = self.tokens(images)
        if found is None or self.logits is None:
            return None
        A, layout = found
        with torch.inference_mode(False), torch.enable_grad():
            # Kept: another class of the same images may be asked for.
            (g,) = torch.autograd.grad(score(self.logits).sum(), A, retain_graph=True)
        return TokenRelevance(A.detach() * g, layout)


def token_relevance(
    images: Tensor, forward: Callable[[Tensor], Tensor], score: Callable[[Tensor], Tensor]
) -> TokenRelevance | None:
    """The relevance of the tokens that come to a network's first attention.

    Args:
        images: (n, 3, H, W).
        forward: images -> logits (n, C), differentiable.
        score: logits -> S (n,).

    Returns:
        Nothing where the network has no attention, or no tokens on a grid before it.
    """
    with torch.inference_mode(False), torch.enable_grad():
        with Relevances() as seen:
            logits = forward(images.clone())
        seen.finish(logits)
    return seen.of(images, score)


def _begins(x: Tensor) -> Tensor:
    """The same, from which gradients are going to be known."""
    return x if x.requires_grad or not torch.is_grad_enabled() else x.requires_grad_(True)
