"""Attention followed through the blocks, as it is and by its gradient: the controls."""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.cam.attention.blocks import Blocks
from camcli.cam.attention.grid import by_blocks
from camcli.cam.method_input import Evidence


@by_blocks
def rollout(e: Evidence, blocks: Blocks, logits: Tensor) -> Tensor:
    """Attention rollout: Π_l ½ (I + mean_heads P_l). arXiv 2005.00928, eq. 1.

    Returns:
        What each token is given by those that the ending reads, (B, N).
    """
    with torch.no_grad():
        R = _unit(blocks, logits)
        for call in blocks.calls:
            R = (R + call.weights.mean(1) @ R) / 2
    return _read(R, blocks)


@by_blocks
def chefer(e: Evidence, blocks: Blocks, logits: Tensor) -> Tensor:
    """Chefer's relevance: R += mean_heads (P_l ⊙ ∂S/∂P_l)⁺ R. arXiv 2103.15679, eq. 5-6.

    Returns:
        What each token is given by those that the ending reads, (B, N).
    """
    outs = [call.O for call in blocks.calls]
    gradients = torch.autograd.grad(e.scored(logits).sum(), outs, retain_graph=True)
    with torch.no_grad():
        R = _unit(blocks, logits)
        for call, g in zip(blocks.calls, gradients, strict=True):
            R = R + (call.weights * call.gradient(g)).clamp_(min=0).mean(1) @ R
    return _read(R, blocks)


def _unit(blocks: Blocks, like: Tensor) -> Tensor:
    """I (N, N)."""
    return torch.eye(blocks.calls[-1].shape[2], device=like.device, dtype=like.dtype)


def _read(R: Tensor, blocks: Blocks) -> Tensor:
    """The mean (B, N) of the rows of R (B, N, N) of tokens that the ending reads.

    That is the class token; where that was distilled, both; where tokens are averaged, all those.
    """
    z = blocks.ending.tokens.detach().requires_grad_(True)
    # Of a sum with factors, which a head without a bias does not make zero.
    logits = blocks.ending(z)
    factors = torch.linspace(1, 2, logits.shape[1], device=z.device, dtype=z.dtype)
    (g,) = torch.autograd.grad((logits * factors).sum(), z)
    g = g if blocks.along(z) == 1 else g.transpose(0, 1)
    read = (g != 0).any(2).to(R.dtype)  # (B, N)
    share = read / read.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("bn,bnm->bm", share, R)
