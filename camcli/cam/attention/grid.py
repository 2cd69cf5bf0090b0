"""Which blocks' attention lies on a grid of places, and which tokens have no place in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import torch
from torch import Tensor

from camcli.cam.attention.blocks import Blocks
from camcli.cam.attention.seen import Attending
from camcli.cam.attention.structure import OUT_OF_ORDER, why_not_in_order, why_not_places
from camcli.cam.method_input import Evidence
from camcli.errors import UsageError
from camcli.models.cutting.tokens import MOST_PREFIX, layout_of

COMPILED = "is a program (TorchScript, torch.export), in which attention is not followed"


def why_no_attention(watch: Attending, A: Tensor, images: Tensor) -> str | None:
    """What a network has in place of attention that lies on a grid; None where it has that.

    Args:
        watch: who saw it run.
        A: its features (B, K, h, w).
        images: (B, 3, H, W), two or more; with a gradient it is seen where tokens come from, too.
    """
    found = _blocks(watch, A, images)
    if isinstance(found, str):
        return found
    assert watch.logits is not None
    why = why_not_places(found, watch.logits)
    return why or (why_not_in_order(found, images) if images.requires_grad else None)


def blocks_of(watch: Attending, A: Tensor, images: Tensor) -> Blocks:
    """The blocks that a map can be made of.

    The arguments are those of `why_no_attention`.

    Raises:
        UsageError: there are none; says what there is.
    """
    found = _blocks(watch, A, images)
    if isinstance(found, str):
        raise UsageError(
            f"This method needs a transformer whose tokens all look at each other, and this "
            f"network {found}: {instead(found)}."
        )
    return found


def instead(why: str) -> str:
    """What to do where attention explains nothing.

    Args:
        why: of `why_no_attention`.
    """
    if why == COMPILED:
        return (
            "give the module that it was made of (--model FILE.py:FACTORY), or take attnlrp or "
            "gradcam, which explain any network"
        )
    if why == OUT_OF_ORDER:
        return "name a layer of maps before its tokens (--layer; 'camcli layers' lists them)"
    return "take attnlrp or gradcam, which explain any network"


def _blocks(watch: Attending, A: Tensor, images: Tensor) -> Blocks | str:
    B, more = len(images), _more_of_P(watch, A.shape[2] * A.shape[3])
    if not watch.calls:
        return more or "computes no attention that can be seen"
    shapes = [call.shape for call in watch.calls]
    if any(rows != B for rows, _, _ in shapes):
        return (
            "looks at other parts of a picture than all of it at once (within windows, say), or "
            "holds its heads in an order that is not followed"
        )
    mutual = [call for call in watch.calls if call.shape[1] == call.shape[2]]
    if not mutual:
        return more or "has no attention by which all tokens look at each other"
    ending = watch.ending
    if ending is None or all(call.tokens is None for call in mutual):
        return (
            "adds what comes out of attention to its tokens in a way that is not followed, or has "
            "no tokens in a row to add it to"
        )
    calls = [
        call for call in mutual
        if call.tokens is not None and call.tokens.shape == ending.tokens.shape
    ]  # fmt: skip
    N = calls[-1].shape[2] if calls else 0
    place = _grid(N, A, images)
    if place is None:
        return "has tokens that do not lie on a grid of places"
    # What comes after the last tokens, such as pooling by attention, is part of the ending.
    inner = watch.calls[: watch.calls.index(calls[-1]) + 1]
    if len(inner) > len(calls):
        return "attends in other ways, too, than among all tokens of one size, block by block"
    if more := _more_of_P(watch, place[0] * place[1]):
        return more
    if not ending.tokens.requires_grad:
        return "computes without gradients"
    return Blocks(calls, ending, N - place[0] * place[1], place)


def _more_of_P(watch: Attending, places: int) -> str | None:  # noqa: N802 - as in the formulas
    """What is said where a softmax by which so many places look at each other is not just P."""
    if watch.fused:
        return COMPILED
    for shape in watch.unfollowed:
        if len(shape) > 2 and all(0 <= side - places <= MOST_PREFIX for side in shape[-2:]):
            if watch.program:
                return COMPILED
            return (
                "does something with who looks at whom that is not followed (it mixes heads, say, "
                "gates them, or multiplies from the other side)"
            )
    return None


def _grid(N: int, A: Tensor, images: Tensor) -> tuple[int, int] | None:
    """The grid (h, w) that N tokens lie on, some of them before it."""
    h, w = A.shape[2:]
    if 0 <= N - h * w <= MOST_PREFIX:
        return h, w
    held = layout_of((len(A), N, 1), (images.shape[2], images.shape[3]))
    return None if held is None else (held.shape[1], held.shape[2])


def by_blocks(make: Callable[[Evidence, Blocks, Tensor], Tensor]) -> Callable[[Evidence], Tensor]:
    """A method out of what it makes of its blocks.

    Args:
        make: (evidence, blocks, the logits (B, C) with a gradient) -> what each token is given,
            (B, N).

    Returns:
        evidence -> M (B, h, w).
    """

    @wraps(make)
    def method(e: Evidence) -> Tensor:
        images, attend = e.attended()
        watch = attend(images)
        blocks = blocks_of(watch, e.A, images)
        rows, N, _ = blocks.calls[-1].shape
        if rows == N and rows > 1:  # what is a token and what an image, no shape tells
            half = rows // 2
            parts = (_some(e, slice(0, half)), _some(e, slice(half, rows)))
            return torch.cat([method(part) for part in parts])
        assert watch.logits is not None
        with torch.inference_mode(False), torch.enable_grad():
            return blocks.on_grid(make(e, blocks, watch.logits)).detach().to(e.A.dtype)

    return method


def _some(e: Evidence, of: slice) -> Evidence:
    """The same of some of the images."""
    assert e.images is not None
    return replace(
        e, A=e.A[of], logits=e.logits[of], index=e.index[of], images=e.images[of],
        against=None if e.against is None else e.against[of],
    )  # fmt: skip
