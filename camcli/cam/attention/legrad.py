"""LeGrad: what each block's score would lose or gain, were a token looked at more."""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.cam.attention.blocks import Blocks
from camcli.cam.attention.grid import by_blocks
from camcli.cam.method_input import Evidence


@by_blocks
def legrad(e: Evidence, blocks: Blocks, logits: Tensor) -> Tensor:
    """LeGrad: mean over blocks l, heads and queries of (∂s_l/∂P_l)⁺. arXiv 2404.03214, eq. 6-9.

    s_l is the score that the network's own ending (the last norm, the pooling and the head) gives
    to the mean of the tokens that block l returns. ∂s_l/∂P_l does not leave the block: all that the
    blocks before it take is the forward pass. The mean stands in place of every token, so that it
    is the paper's z̄_l whichever token the ending reads.

    Returns:
        What each token is given, (B, N).
    """
    total = torch.zeros(())
    for call in blocks.calls:
        assert call.tokens is not None
        z = call.tokens
        mean = z.mean(blocks.along(z), keepdim=True).expand_as(z)
        s = e.scored(blocks.ending(mean)).sum()
        (g,) = torch.autograd.grad(s, call.O, retain_graph=True)
        d = call.gradient(g)
        total = total.to(g) + (d if e.both_signs else d.clamp_(min=0)).mean((1, 2))
    return total / len(blocks.calls)
