"""Relevance of the tokens that come to a network's first attention, seen while the network runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from camcli.cam.attention.rules import Rules
from camcli.cam.attention.structure import lie_in_corners
from camcli.models.cutting.tokens import TensorLayout, layout_of, to_maps

_NORMS = ("layer_norm", "native_layer_norm", "rms_norm", "group_norm")
# What a norm that is written out does first, to what it is given.
_MEASURES = (
    "mean", "var", "var_mean", "std", "std_mean", "pow", "__pow__", "square", "norm",
    "linalg_norm", "linalg_vector_norm", "normalize", "mul", "__mul__", "multiply", "einsum",
)  # fmt: skip
_PRODUCTS = ("mul", "__mul__", "multiply", "einsum")
_ADDS = ("add", "__add__", "__radd__", "add_", "sub", "__sub__")
_MADE = "_camcli_made"  # within this run
_SOFTMAX = ("softmax", "special_softmax", "log_softmax", "special_log_softmax")


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

    They are the last value before it that all of the logits is made of: the one that the block's
    first branch is added to, whoever wrote the norm before the branch. What a norm or a linear
    layer within the branch is given is not: the sum goes around it.

    Attributes:
        logits: (n, C), with the graph behind them, once `finish` was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logits: Tensor | None = None
        self._met = False
        self._noted: list[Tensor] = []
        self._around = False
        self._whole: dict[int, bool] = {}

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        out = super().__torch_function__(func, types, args, kwargs)
        if not self._met:
            given = [x for x in _pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
            if getattr(func, "__name__", "") == "conv2d" or any(map(_is_made, given)):
                for value in out if isinstance(out, tuple | list) else (out,):
                    if isinstance(value, Tensor) and not any(value is x for x in given):
                        setattr(value, _MADE, True)
        return out

    def finish(self, logits: Tensor) -> None:
        """Say what the network returned, (n, C)."""
        self.logits = logits

    def meet(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Note what a function is given, and let gradients begin there."""
        if self._met:
            self._around = self._around or (name in _ADDS and self._goes_around(args))
            return
        whole = name == "multi_head_attention_forward"
        x = args[0] if args else kwargs.get("query", kwargs.get("input"))
        if name == "einsum" and len(args) == 3:
            x, args = args[1], args[1:]
        if isinstance(x, Tensor) and x.is_floating_point() and x.ndim in (3, 4):
            squared = name not in _PRODUCTS or (len(args) > 1 and args[1] is x)
            measured = name in _MEASURES and squared
            # What is the network's own, a table of places, say, is no token and stays as it is.
            # So nn.MultiheadAttention begins with `batch_first`; what is added to it goes around.
            turned = name == "transpose" and x.ndim == 3 and tuple(args[1:]) == (1, 0)
            plain = whole or turned or name == "linear" or name in _NORMS
            if _is_made(x) and (plain or measured):
                self._noted.append(_begins(x))
        among = isinstance(x, Tensor) and x.ndim > 2
        square = (
            isinstance(x, Tensor) and x.ndim > 2 and x.requires_grad and x.shape[-1] == x.shape[-2]
        )
        written = name == "exp" and square
        named = (name in _SOFTMAX and among) or name == "scaled_dot_product_attention"
        self._met = whole or named or written

    @property
    def bypassed(self) -> bool:
        """Whether as much as was followed was added to it, with no gradient to follow."""
        return self._around

    def _goes_around(self, args: Sequence[Any]) -> bool:
        """Whether to what is followed as much is added that is not, and was made of the images."""
        if len(args) < 2 or not all(isinstance(value, Tensor) for value in args[:2]):
            return False
        one, other = args[:2]
        if one.shape != other.shape or one.requires_grad == other.requires_grad:
            return False
        return any(one.shape == x.shape for x in self._noted)

    def tokens(self, images: Tensor) -> tuple[Tensor, TensorLayout] | None:
        """What was noted, and where it lies; nothing where there is no attention.

        Nor where something goes around all that was noted.

        Args:
            images: that the network was given, (n, 3, H, W).
        """
        for x in reversed(self._noted) if self._met else ():
            # What has another number of rows is cut into windows, or heads.
            layout = layout_of(tuple(x.shape), (images.shape[2], images.shape[3]))
            if layout is not None and len(x) == len(images) and self._is_all(x):
                return x, layout
        return None

    def _is_all(self, x: Tensor) -> bool:
        """Whether every way from the logits back to what was noted leads through a value."""
        if self.logits is None or not self.logits.requires_grad or not x.requires_grad:
            return True
        if id(x) not in self._whole:
            edge = torch.autograd.graph.get_gradient_edge(x)
            end = torch.autograd.graph.get_gradient_edge(self.logits)
            ahead: list[tuple[Any, int]] = [(end.node, end.output_nr)]
            seen, starts, met = set(ahead), {_start(x) for x in self._noted if x.is_leaf}, False
            stop = (edge.node, edge.output_nr)
            while ahead:
                at = ahead.pop()
                if at == stop:
                    met = True
                    continue
                if at[0] in starts:
                    self._whole[id(x)] = False
                    break
                for after in at[0].next_functions:
                    if after[0] is not None and after not in seen:
                        seen.add(after)
                        ahead.append(after)
            else:
                self._whole[id(x)] = met
        return self._whole[id(x)]

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


def _start(leaf: Tensor) -> Any:
    """Where gradients end, in the graph."""
    return torch.autograd.graph.get_gradient_edge(leaf).node


def _is_made(value: Tensor) -> bool:
    """Whether a value is the images, or was made of them."""
    pixels = value.ndim == 4 and value.shape[1] == 3 and not isinstance(value, torch.nn.Parameter)
    return pixels or getattr(value, _MADE, False)
