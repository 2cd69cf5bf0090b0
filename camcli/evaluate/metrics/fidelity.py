"""F-Fidelity: what the network loses when some of what a map shows is taken away, at random.

Zheng et al. 2025 (arXiv 2410.02970): taking all of an explanation away makes pictures that no
network has ever seen, and so does taking away more than a small share of a photograph. So only a
share β of the patches ever goes, drawn at random from the s hottest (FFid+), or the s coldest
(FFid-), and the network has been made used to photographs without a random share β.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.evaluate.metrics.faithfulness import Ask
from camcli.evaluate.metrics.single_deletion import edges

PATCHES = 14
"""Patches a side: maps of networks are about so fine, and single pixels would be noise."""
ALPHA, BETA = 0.5, 0.1
SIZES = (0.1, 0.3, 0.5, 0.7, 0.9)
DRAWS = 8


def spread(patches: Tensor, shape: tuple[int, int]) -> Tensor:
    """Values of patches (n, P, P) at each pixel, (n, H, W)."""
    side = patches.shape[-1]
    index = []
    for pixels in shape:
        ends = torch.tensor(edges(pixels, side)[1:], device=patches.device)
        place = torch.arange(pixels, device=patches.device)
        index.append(torch.bucketize(place, ends, right=True))
    return patches[:, index[0]][:, :, index[1]]


def patch_means(heat: Tensor, side: int = PATCHES) -> Tensor:
    """The mean heat (H, W) of each patch, (side, side)."""
    number = torch.arange(side * side, device=heat.device).reshape(1, side, side)
    number = spread(number, (heat.shape[0], heat.shape[1]))
    flat = number.flatten()
    sums = torch.zeros(side * side, dtype=heat.dtype, device=heat.device)
    sums.index_add_(0, flat, heat.flatten())
    return (sums / flat.bincount(minlength=side * side).clamp(min=1)).reshape(side, side)


def at_random(x: Tensor, draws: int = DRAWS, share: float = BETA, seed: int = 0) -> Tensor:
    """Images (draws, 3, H, W), each without a random share of the patches of x (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    gone = torch.rand(draws, PATCHES, PATCHES, generator=generator) < share
    return _without(x, gone.to(x.device))


def fidelity(
    x: Tensor,
    heat: Tensor,
    ask: Ask,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """FFid+ and FFid- of a map: means over sizes s and draws.

    Of the s hottest patches each goes with the probability min(α, β / s), so that on average no
    more than β of the photograph is ever gone; likewise of the s coldest.

    Args:
        x: (3, H, W).
        heat: (H, W).
        ask: images -> the probability of the class, of a network that is used to such pictures.
        alpha: most that goes of an explanation.
        beta: most that goes of a photograph.
        draws: pictures for each size.
        seed: of the draws, which are the same for all maps.

    Returns:
        Falls of the probability: without the hottest (high is good), without the coldest (low is).
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(len(SIZES), draws, PATCHES * PATCHES, generator=generator).to(x.device)
    order = patch_means(heat).flatten().argsort(descending=True, stable=True)
    gone = []
    for pixels in (order, order.flip(0)):
        for size, values in zip(SIZES, drawn, strict=True):
            chosen = torch.zeros(len(order), dtype=torch.bool, device=x.device)
            chosen[pixels[: round(size * len(order))]] = True
            gone.append((values < min(alpha, beta / size)) & chosen)
    masks = torch.cat(gone).reshape(-1, PATCHES, PATCHES)
    whole = float(ask(x[None])[0])
    hottest, coldest = ask(_without(x, masks)).chunk(2)
    return whole - float(hottest.mean()), whole - float(coldest.mean())


def _without(x: Tensor, gone: Tensor) -> Tensor:
    """X (3, H, W) without patches (n, P, P) bool, which become the mean colour: (n, 3, H, W)."""
    return x[None] * ~spread(gone, (x.shape[1], x.shape[2]))[:, None]
