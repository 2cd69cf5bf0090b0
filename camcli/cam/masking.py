"""Methods that show the network masked images: Score-CAM and its relatives.

Each channel of A, upsampled to the image and scaled to [0, 1], is a mask; what the network says of
the masked image is the channel's weight. (image, channel) pairs wait in one queue and go through
the network a chunk at a time: masks and masked images exist for one chunk only. A channel that is
the same everywhere masks nothing and has no weight, so it costs nothing either, as in the authors'
code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam.activations import cam
from camcli.cam.evidence import Evidence

# Channels that a map which stops early has looked at, at least.
FEWEST = 64


def scorecam(e: Evidence) -> Tensor:
    """Score-CAM: Σ_k S(x ⊙ mask_k) A_k, S a probability. Wang et al. 2019, arXiv 1910.01279.

    As in the authors' code: no softmax over the channels.

    Args:
        e: with images.

    Returns:
        v (B, K).
    """
    if e.effort.converge is not None:
        return _until_converged(e, _chosen(e), e.effort.converge)
    return _mean_scores(e, [{}])


def _mean_scores(e: Evidence, variants: list[dict[str, Any]]) -> Tensor:
    """The mean of each channel's scores over variants of its mask; zero for channels not chosen."""
    chosen = _chosen(e)
    pairs = chosen.nonzero()
    scores = torch.zeros(chosen.shape, dtype=e.A.dtype, device=e.A.device)
    for variant in variants:
        scores[chosen] += _scores(e, pairs, **variant) / len(variants)
    return scores


def _chosen(e: Evidence) -> Tensor:
    """(B, K) bool: the channels to look at; with ``effort.channels`` those of largest variance."""
    A, count = e.A, e.effort.channels
    varies = A.flatten(2).amax(2) > A.flatten(2).amin(2)
    if count is None or count >= A.shape[1]:
        return varies
    best = A.flatten(2).var(2).topk(count, dim=1).indices
    chosen = torch.zeros_like(varies).scatter_(1, best, torch.ones_like(best, dtype=torch.bool))
    return chosen & varies


def _until_converged(e: Evidence, chosen: Tensor, least: float) -> Tensor:
    """Twice as many channels at each step, most varying first, until the map stays: v (B, K).

    Channels not yet looked at count for nothing. Counting them with the mean weight of the others
    would bring the maps of all steps close to one another whether or not they are right. What is
    still to come changes a map more than the last doubling did, so that must have changed it four
    times less than what is allowed: on 8 ImageNet photographs a demand of 0.98 then gave 0.986 to
    1.000, where the demand itself as the criterion gave down to 0.925.
    """
    least = 1 - (1 - least) / 4
    variance = e.A.flatten(2).var(2).masked_fill(~chosen, -1)
    ranked = variance.argsort(1, descending=True)
    rank = torch.arange(e.A.shape[1], device=e.A.device)
    count = chosen.sum(1)
    weights = torch.zeros_like(variance)
    active, maps, step = count > 0, torch.zeros_like(e.A[:, 0]), 0
    while bool(active.any()):
        start, step = step, max(16, 2 * step)
        take = torch.zeros_like(chosen).scatter_(
            1, ranked, ((rank >= start) & (rank < step)).expand_as(chosen)
        )
        take &= chosen & active[:, None]
        weights[take] = _scores(e, take.nonzero())
        before, maps = maps, cam(e.A, weights)
        same = functional.cosine_similarity(
            maps.clamp(min=0).flatten(1), before.clamp(min=0).flatten(1)
        )
        active = active & (count > step) & ~((same >= least) & (step >= FEWEST))
    return weights


def scorecam_softmax(e: Evidence) -> Tensor:
    """Score-CAM as pytorch-grad-cam computes it: softmax over channels of the masked logits.

    Nearly one-hot, because logits of different masks differ by more than one; masks are upsampled
    with aligned corners. Kept to compare with results that were made so.

    Args:
        e: with images.

    Returns:
        v (B, K).
    """
    pairs = torch.ones(e.A.shape[:2], dtype=torch.bool, device=e.A.device).nonzero()
    return _scores(e, pairs, aligned=True).view(e.A.shape[:2]).softmax(1)


def sscam(e: Evidence) -> Tensor:
    """SS-CAM: Score-CAM with the mean score over noisy masks, σ = 2. arXiv 2006.14255, eq. 5-6.

    Args:
        e: with images; ``effort.samples`` masks a channel.

    Returns:
        v (B, K).
    """
    return _mean_scores(e, [{"noise": 2.0, "sample": n} for n in range(e.effort.samples)])


def iscam(e: Evidence) -> Tensor:
    """IS-CAM: Score-CAM with the mean score over masks i/N · mask_k, i = 1..N. arXiv 2010.03023.

    Args:
        e: with images; ``effort.samples`` masks a channel.

    Returns:
        v (B, K).
    """
    steps = range(1, e.effort.samples + 1)
    return _mean_scores(e, [{"share": n / e.effort.samples} for n in steps])


def _scores(
    e: Evidence,
    pairs: Tensor,
    *,
    aligned: bool = False,
    noise: float = 0.0,
    sample: int = 0,
    share: float = 1.0,
) -> Tensor:
    """S of each masked image.

    Args:
        e: with images.
        pairs: (n, 2) int64, image and channel.
        aligned: upsample with aligned corners.
        noise: standard deviation of what is added to a mask.
        sample: number of the noise, so that each is another one.
        share: what a mask is multiplied by.

    Returns:
        (n,).
    """
    images, see = e.whole()
    out = e.A.new_empty(len(pairs))
    for start in range(0, len(pairs), e.effort.chunk):
        b, k = pairs[start : start + e.effort.chunk].unbind(1)
        channels = e.A[b, k][:, None]
        masks = functional.interpolate(
            channels, images.shape[2:], mode="bilinear", align_corners=aligned
        )
        low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
        # Asked of A itself: upsampling a constant makes rounding errors, which would be scaled up.
        varies = channels.amax((2, 3), keepdim=True) > channels.amin((2, 3), keepdim=True)
        masks = torch.where(varies, (masks - low) / torch.where(high > low, high - low, 1), 0)
        if noise:
            masks = masks + noise * _noise(masks, k, e.effort.seed, sample)
        logits, _, _ = see(images[b] * (share * masks))
        out[start : start + len(b)] = e.scored(logits, b).to(out.dtype)
    return out


def _noise(masks: Tensor, channels: Tensor, seed: int, sample: int) -> Tensor:
    """Standard normal; the same for a channel whatever batch or chunk it is in."""
    drawn = [
        torch.randn(
            masks.shape[1:], generator=torch.Generator().manual_seed(hash((seed, sample, k)))
        )
        for k in channels.tolist()
    ]
    return torch.stack(drawn).to(masks)
