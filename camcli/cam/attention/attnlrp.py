"""AttnLRP: how much of the score comes from each token, by layer-wise relevance propagation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from camcli.cam.attention.rules import Rules
from camcli.cam.method_input import Evidence
from camcli.models.cutting.tokens import TensorLayout, layout_of, to_maps

# So many images go back through the whole network at a time on a CPU, where more are not faster:
# a ViT-B keeps about 150 MB of each.
_AT_ONCE = 4
_ATTENTION = ("scaled_dot_product_attention", "multi_head_attention_forward")


def attnlrp(e: Evidence) -> Tensor:
    """AttnLRP: M = Σ_k A_k ⊙ g̃_k. Achtibat 2024, arXiv 2402.05602.

    g̃ is the gradient by the rules of `camcli.cam.attention.rules`. A are the tokens that enter the
    first block with attention, or the maps of the layer where the network is cut: if that was
    named, if the network has no attention, or if the caller has nothing else.

    Args:
        e: with images and the whole network, unless a layer was named.

    Returns:
        M (B, h, w), signed. What the class token and other prefix tokens add is in no map.
    """
    if e.named or e.images is None or e.forward is None:
        return _at(e)
    images, forward = e.differentiable()
    at_once = _AT_ONCE if images.device.type == "cpu" else e.effort.chunk
    maps = []
    for of in torch.arange(len(images), device=images.device).split(at_once):

        def score(logits: Tensor, of: Tensor = of) -> Tensor:
            return e.scored(logits, of)

        found = token_relevance(images[of], forward, score)
        if found is None:
            return _at(e)
        maps.append(found.maps())
    return torch.cat(maps).to(e.A.dtype)


def has_tokens(images: Tensor, forward: Callable[[Tensor], Tensor]) -> bool:
    """Whether a network has attention, and tokens on a grid before it.

    Args:
        images: (n, 3, H, W), whatever they show.
        forward: images -> logits (n, C).
    """
    with torch.no_grad(), _Entering(images) as seen:
        forward(images)
    return seen.tokens() is not None


def _at(e: Evidence) -> Tensor:
    """M at the layer where the network is cut."""
    if e.head is not None:  # linear: its gradient is what every rule says
        return (e.A * e.gradient()).sum(1)
    with torch.inference_mode(False), torch.enable_grad():
        A = e.A.clone().requires_grad_(True)
        with Rules():
            logits = e.tail(A)
        (g,) = torch.autograd.grad(e.scored(logits).sum(), A)
    return (e.A * g).sum(1)


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


def token_relevance(
    images: Tensor, forward: Callable[[Tensor], Tensor], score: Callable[[Tensor], Tensor]
) -> TokenRelevance | None:
    """The relevance of the tokens that enter the first block with attention.

    Args:
        images: (n, 3, H, W).
        forward: images -> logits (n, C), differentiable.
        score: logits -> S (n,).

    Returns:
        Nothing where the network has no attention, or no tokens on a grid before it.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = images.clone()
        try:
            with _Entering(x) as seen:
                S = score(forward(x)).sum()
        except RuntimeError as error:
            if "leaf" not in str(error):
                raise
            # Somebody writes over the tokens, which may not be where a gradient ends.
            with _Entering(x.requires_grad_(True)) as seen:
                S = score(forward(x)).sum()
        found = seen.tokens()
        if found is None:
            return None
        A, layout = found
        (g,) = torch.autograd.grad(S, A)
    return TokenRelevance(A.detach() * g, layout)


class _Entering(Rules):
    """The rules, and a note of the tokens that come to the first attention.

    They are what the last normalisation before it is given: the value that the block's first
    branch is added to. Where there is none before, as in transformers that normalise after each
    sum, they are what the last linear layer is given, which makes queries, keys or values.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.count, self.image = len(images), (images.shape[2], images.shape[3])
        self.met = False
        self.normed: Tensor | None = None
        self.projected: Tensor | None = None

    def meet(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Note what a function is given, and let gradients begin there."""
        if self.met or (not args and name not in _ATTENTION):
            return
        x = args[0] if args else kwargs.get("query")
        if not isinstance(x, Tensor):
            return
        if name in ("layer_norm", "rms_norm", "group_norm") and self._is_map(x):
            self.normed = _begins(x)
        elif name == "linear" and self._is_map(x):
            self.projected = _begins(x)
        elif name == "multi_head_attention_forward":
            self.met = True
            if self.normed is None and self.projected is None:
                # torch's own attention may be given (tokens, images, K).
                self.projected = _begins(x) if self._is_map(x) else None
        elif name == "scaled_dot_product_attention" or (name == "softmax" and x.ndim > 2):
            self.met = True

    def tokens(self) -> tuple[Tensor, TensorLayout] | None:
        """What was noted, and where it lies; nothing where there is no attention."""
        found = self.projected if self.normed is None else self.normed
        layout = None if found is None else self._layout(found)
        return (found, layout) if self.met and found is not None and layout else None

    def _layout(self, x: Tensor) -> TensorLayout | None:
        return layout_of(tuple(x.shape), self.image)

    def _is_map(self, x: Tensor) -> bool:
        its_own = x.is_floating_point() and len(x) == self.count
        return its_own and self._layout(x) is not None


def _begins(x: Tensor) -> Tensor:
    """The same, from which gradients are going to be known."""
    return x if x.requires_grad or not torch.is_grad_enabled() else x.requires_grad_(True)
