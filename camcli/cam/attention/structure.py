"""Whether what attends are places: tried out on the graph of one run, not told from sizes.

Sizes lie: a network may let channels attend to each other, as many as it has places, or mix places
in further ways that nobody saw. A gradient shows what a value is made of, and is exactly zero where
it is made of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam.attention.blocks import Blocks

# What a method multiplies the blocks' attention for, and what LeGrad needs of a block.
NOT_PLACES = "attends to something else than single places (to channels, or mixtures of places)"
MORE = "mixes places in other ways, too, than by the attention that can be seen"
OUT_OF_ORDER = (
    "has values in its first attention that do not lie row by row, behind the class token if there "
    "is one (tokens in another order, or heads held before the images)"
)
SEVERAL = "decides on more than the last block's tokens"
OTHERWISE = "does something to its last tokens that cannot be repeated"


def why_not_places(blocks: Blocks, logits: Tensor) -> str | None:
    """Why the attention of some blocks is not all that happens between places; None where it is.

    One token n is followed through each block, from z_{l-1} to z_l: the block's keys and queries
    number n are made of it alone, and what does not come out of attention stays with it.

    Args:
        blocks: of one run whose graph is there still.
        logits: that it ended with, (B, C).
    """
    with torch.inference_mode(False), torch.enable_grad():
        return (
            _why_not_the_ending(blocks, logits)
            or _why_not_within(blocks)
            or _why_not_the_last_alone(blocks, logits)
        )


def why_not_in_order(blocks: Blocks, images: Tensor) -> str | None:
    """Why tokens do not lie row by row behind the prefix; None where they do, or nobody can tell.

    What the first attention knows of the last place of the first row is made of that corner of the
    picture more than of any other, and so the first place of the last row.

    Args:
        blocks: of one run whose graph is there still.
        images: that the network was given, (2 or more, 3, H, W), with a gradient.
    """
    V, (h, w) = blocks.calls[0].V, blocks.grid
    if not V.requires_grad:
        return None
    V = V.reshape(len(images), -1, *V.shape[-2:])
    right, below = (V[n, :, blocks.prefix + k] for n, k in enumerate((w - 1, (h - 1) * w)))
    return None if lie_in_corners(right, below, images) else OUT_OF_ORDER


def lie_in_corners(right: Tensor, below: Tensor, images: Tensor) -> bool:
    """Whether values are made of the upper right of the first image, and the lower left of another.

    Args:
        right: of the first image, of any shape.
        below: of the second, of the same.
        images: (2 or more, 3, H, W), with a gradient. Of what was not made of them all is true.
    """
    with torch.inference_mode(False), torch.enable_grad():
        (g,) = _gradients(torch.stack([right, below]), [images])
    if g is None:
        return True
    energy = functional.adaptive_avg_pool2d(g.square().sum(1)[:2], 2).flatten(1)
    # Weights of zero ask no place; layouts of one row or column are none.
    return not bool(energy.amax(1).all()) or energy.argmax(1).tolist() == [1, 2]


def _why_not_the_ending(blocks: Blocks, logits: Tensor) -> str | None:
    with torch.no_grad():
        again = blocks.ending(blocks.ending.tokens)
    near = 1e-3 * float(logits.detach().abs().max())
    return None if torch.allclose(again, logits, rtol=1e-3, atol=near) else OTHERWISE


def _why_not_within(blocks: Blocks) -> str | None:
    along = blocks.along(blocks.ending.tokens)
    N = blocks.ending.tokens.shape[along]
    n = blocks.prefix + (N - blocks.prefix) // 2  # a place
    earlier = [None, *(call.tokens for call in blocks.calls)]
    # The last first: what comes to the first block is not known, so that less is found out of it.
    for call, before in reversed(list(zip(blocks.calls, earlier, strict=False))):
        assert call.tokens is not None
        came: list[Tensor] = []
        held = call.O.register_hook(_noting(came))
        inputs = [call.O] if before is None else [call.O, before]
        try:
            grads = _gradients(call.tokens.select(along, n), inputs)
        finally:
            held.remove()
        if before is not None and grads[1] is not None and not _only(grads[1], along, n):
            return MORE
        # A query is the token that is made of it.
        if not came or not _only(came[0], -2, n):
            return NOT_PLACES
        if before is not None:
            # Values without a gradient are the same for every photograph.
            made = _gradients(call.V.select(-2, n), [before]) if call.V.requires_grad else [None]
            if made[0] is None or not _only(made[0], along, n):
                return NOT_PLACES
    return None


def _why_not_the_last_alone(blocks: Blocks, logits: Tensor) -> str | None:
    """Whether all that the network's answer takes of attention comes by its last tokens."""
    last = _node(blocks.ending.tokens)
    attention = {_node(call.O) for call in blocks.calls}
    seen, ahead = {last}, [_node(logits)]
    while ahead:
        node = ahead.pop()
        if node in attention:
            return SEVERAL
        if node not in seen:
            seen.add(node)
            ahead += [after for after, _ in node.next_functions if after is not None]
    return None


def _node(value: Tensor) -> Any:
    """Where a value stands in the graph."""
    return torch.autograd.graph.get_gradient_edge(value).node


def _gradients(of: Tensor, inputs: list[Tensor]) -> list[Tensor | None]:
    """Of a sum with factors, which a norm does not make zero."""
    factors = torch.linspace(1, 2, of.numel(), device=of.device, dtype=of.dtype).sin_()
    return list(
        torch.autograd.grad(
            (of * factors.reshape(of.shape)).sum(), inputs, retain_graph=True, allow_unused=True
        )
    )


def _noting(came: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """A hook that keeps what comes and lets nothing pass on."""

    def hook(g: Tensor) -> Tensor:
        came.append(g)
        return torch.zeros_like(g)

    return hook


def _only(g: Tensor, dim: int, n: int) -> bool:
    """Whether nothing comes to others than number n of a dimension.

    To that, too, nothing may come: of a block whose weights are zero, as pruned ones are, or of one
    that has just been added.
    """
    others = g.detach().clone()
    others.select(dim, n).zero_()
    return not bool((others != 0).any())
