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

from camcli.cam.chunked import in_chunks
from camcli.cam.method_input import Evidence
from camcli.cam.score_predictor import Kriging

# Channels that a map which stops early looks at between two questions whether it may stop.
STEP = 16


def scorecam(e: Evidence) -> Tensor:
    """Score-CAM: Σ_k S(x ⊙ mask_k) A_k, S a probability. Wang et al. 2019, arXiv 1910.01279.

    As in the authors' code: no softmax over the channels.

    Args:
        e: with images.

    Returns:
        v (B, K).
    """
    return _weights(e, [{}])


def _weights(e: Evidence, variants: list[dict[str, Any]]) -> Tensor:
    """The mean of each channel's scores over variants of its mask; zero for channels not chosen."""
    chosen = _chosen(e)
    if e.effort.converge is not None:
        return _until_converged(e, chosen, e.effort.converge, variants)
    weights = torch.zeros(chosen.shape, dtype=e.A.dtype, device=e.A.device)
    weights[chosen] = _mean_scores(e, chosen.nonzero(), variants).to(weights.dtype)
    return weights


def _mean_scores(e: Evidence, pairs: Tensor, variants: list[dict[str, Any]]) -> Tensor:
    """(n,), the mean over the variants for each of `pairs` (n, 2)."""
    return torch.stack([_scores(e, pairs, **variant) for variant in variants]).mean(0)


def _chosen(e: Evidence) -> Tensor:
    """(B, K) bool: the channels to look at; with ``effort.channels`` those of largest variance."""
    A, count = e.A, e.effort.channels
    varies = _varies(A)
    if count is None or count >= A.shape[1]:
        return varies
    best = A.flatten(2).var(2).topk(count, dim=1).indices
    chosen = torch.zeros_like(varies).scatter_(1, best, torch.ones_like(best, dtype=torch.bool))
    return chosen & varies


def _varies(A: Tensor) -> Tensor:
    """(B, K) bool: the channels that are not the same everywhere."""
    return A.flatten(2).amax(2) > A.flatten(2).amin(2)


def _until_converged(
    e: Evidence, chosen: Tensor, least: float, variants: list[dict[str, Any]]
) -> Tensor:
    """A few channels at a time until the map has settled, the other scores predicted: v (B, K).

    What is expected of the cosine is a mean, and some maps are further off: over 24 ImageNet
    photographs and any number of channels up to twice as far. So twice as near is asked for.
    """
    channels = [row.nonzero()[:, 0] for row in chosen]
    known = {b: Kriging(e.A[b, some]) for b, some in enumerate(channels) if len(some)}
    weights = torch.zeros(chosen.shape, dtype=e.A.dtype, device=e.A.device)
    active = list(known)
    while active:
        picked = [known[b].choose(STEP) for b in active]
        pairs = torch.cat(
            [
                torch.stack([torch.full_like(some, b), channels[b][some]], 1)
                for b, some in zip(active, picked, strict=True)
            ]
        )
        scores = _mean_scores(e, pairs, variants)
        for b, got in zip(active, scores.split([len(some) for some in picked]), strict=True):
            known[b].learn(got)
        active = [
            b for b in active if not known[b].done and known[b].cosine() < 1 - (1 - least) / 2
        ]
    for b, kriging in known.items():
        weights[b, channels[b]] = kriging.scores().to(weights.dtype)
    return weights


def scorecam_softmax(e: Evidence) -> Tensor:
    """Score-CAM as pytorch-grad-cam computes it: softmax over channels of the masked logits.

    Nearly one-hot, because logits of different masks differ by more than one; masks are upsampled
    with aligned corners. Kept to compare with results that were made so.

    A constant channel's mask is black there, and takes part: one pass serves all of an image.

    Args:
        e: with images.

    Returns:
        v (B, K).
    """
    varies = _varies(e.A)
    first = torch.zeros_like(varies).scatter_(1, varies.int().argmin(1, keepdim=True), True)
    shown = varies | first  # the first constant channel, or channel 0 if all vary
    scores = e.A.new_zeros(shown.shape)
    scores[shown] = _scores(e, shown.nonzero(), aligned=True)
    return torch.where(varies, scores, scores[first][:, None]).softmax(1)


def sscam(e: Evidence) -> Tensor:
    """SS-CAM: Score-CAM with the mean score over noisy masks, σ = 2. arXiv 2006.14255, eq. 5-6.

    Args:
        e: with images; ``effort.samples`` masks a channel.

    Returns:
        v (B, K).
    """
    return _weights(e, [{"noise": 2.0, "sample": n} for n in range(e.effort.samples)])


def iscam(e: Evidence) -> Tensor:
    """IS-CAM: Score-CAM with the mean score over masks i/N · mask_k, i = 1..N. arXiv 2010.03023.

    Args:
        e: with images; ``effort.samples`` masks a channel.

    Returns:
        v (B, K).
    """
    steps = range(1, e.effort.samples + 1)
    return _weights(e, [{"share": n / e.effort.samples} for n in steps])


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

    def score(some: Tensor) -> Tensor:
        b, k = some.unbind(1)
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
        return e.scored(logits, b).to(e.A.dtype)

    return in_chunks(pairs, score, e.effort)


def _noise(masks: Tensor, channels: Tensor, seed: int, sample: int) -> Tensor:
    """Standard normal; the same for a channel whatever batch or chunk it is in."""
    drawn = [
        torch.randn(
            masks.shape[1:], generator=torch.Generator().manual_seed(hash((seed, sample, k)))
        )
        for k in channels.tolist()
    ]
    return torch.stack(drawn).to(masks)
