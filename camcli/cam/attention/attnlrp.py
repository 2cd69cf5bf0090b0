"""AttnLRP: how much of the score comes from each token, by layer-wise relevance propagation."""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.cam.attention.rules import Rules
from camcli.cam.method_input import Evidence


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
    if e.named or e.images is None or e.follow is None:
        return _at(e)
    found = e.follow(e.images).of(e.images, e.scored)
    return _at(e) if found is None else found.maps().to(e.A.dtype)


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
