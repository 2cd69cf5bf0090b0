"""Methods that change the features and watch the score: passes through the tail only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam.activations import cam
from camcli.cam.chunked import in_chunks
from camcli.cam.method_input import Evidence


def ablationcam(e: Evidence) -> Tensor:
    """Ablation-CAM: v_k = (S - S_k) / |S|, S_k without channel k. Desai & Ramaswamy 2020, eq. 4.

    The paper divides by S; with a negative winning score that would show evidence as
    counter-evidence, so the sign is kept here.

    Args:
        e: any; with a linear head no pass is needed.

    Returns:
        v (B, K).
    """
    S = e.scored(e.logits)
    S_k = ablated_scores(e) if e.head is None else ablated_scores_linear(e)
    size = S.abs()[:, None]
    return (S[:, None] - S_k) / torch.where(size == 0, 1, size)


def ablated_scores_linear(e: Evidence) -> Tensor:
    """S_k (B, K) for a linear head: exact, and no pass at all.

    Removing channel k takes w_jk mean(A_k) off every logit j.
    """
    assert e.head is not None
    mean = e.A.mean((2, 3))
    if not e.bends:
        # S is linear in the logits, so in the channels too.
        return e.scored(e.logits)[:, None] - mean * e.w()
    # (K, C) logits an image, one image at a time: 5 MB for 1280 channels and 1000 classes.
    rows = [
        e.scored(e.logits[b] - mean[b][:, None] * e.head.weight.T, torch.full((e.A.shape[1],), b))
        for b in range(len(e.A))
    ]
    return torch.stack(rows)


def ablated_scores(e: Evidence) -> Tensor:
    """S_k (B, K) for any tail: one pass through it for each channel that is not zero anyway."""

    def score(some: Tensor) -> Tensor:
        b, k = some.unbind(1)
        copies = e.A[b]  # indexing by a tensor copies
        copies[torch.arange(len(b), device=b.device), k] = 0
        return e.scored(e.tail(copies, b), b)

    out = e.scored(e.logits)[:, None].repeat(1, e.A.shape[1])
    alive = (e.A != 0).flatten(2).any(2)
    out[alive] = in_chunks(alive.nonzero(), score, e.effort).to(out.dtype)
    return out


# The neighbourhood that Recipro-CAM shows of each position, from the authors' code.
_WINDOW = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def reciprocam(e: Evidence) -> Tensor:
    """Recipro-CAM: M_ij = S(A ⊙ window around ij) - S(0). Byun & Lee 2022, arXiv 2209.14074.

    The authors scale the map to [0, 1]; here the score of empty features is taken off instead, so
    that zero means nothing. With a linear head this is Grad-CAM, blurred by the window.

    Args:
        e: any; without a linear head it takes h·w passes through the tail.

    Returns:
        (B, h, w).
    """
    B, _, h, w = e.A.shape
    window = _WINDOW.to(e.A)
    if e.head is not None and not e.bends:
        grad_cam = cam(e.A, e.w()) / (h * w)
        return functional.conv2d(grad_cam[:, None], window[None, None], padding=1)[:, 0]
    spots = torch.eye(h * w, device=e.A.device, dtype=e.A.dtype).view(-1, 1, h, w)
    masks = functional.conv2d(spots, window[None, None], padding=1)

    def score(some: Tensor) -> Tensor:
        b, spot = some.unbind(1)
        return e.scored(e.tail(e.A[b] * masks[spot], b), b)

    pairs = torch.cartesian_prod(
        torch.arange(B, device=e.A.device), torch.arange(h * w, device=e.A.device)
    )
    out = in_chunks(pairs, score, e.effort).view(B, h * w)
    nothing = e.scored(e.tail(torch.zeros_like(e.A)))
    return (out - nothing[:, None]).view(B, h, w)
