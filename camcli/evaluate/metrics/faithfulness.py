"""Does the network need what the map shows? Pixels are taken away and the network asked again.

Everything here is a function of a normalised image x (3, H, W), where 0 is the mean colour, a
heat map (H, W) in [0, 1] and `Ask`: images (n, 3, H, W) -> the probability of the explained class
(n,), or its logit where a function says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

Ask = Callable[[Tensor], Tensor]
STEPS = 16
PERCENTILES = (20, 40, 60, 80)
# Smaller pictures are filled from a flat one.
_COARSEST = 8


def ranked(heat: Tensor) -> Tensor:
    """Pixel numbers (H·W,), hottest first; ties in reading order."""
    return heat.flatten().argsort(descending=True, stable=True)


def blurred(x: Tensor, kernel: int = 11, sigma: float = 5.0) -> Tensor:
    """(3, H, W) with its details gone: the picture that insertion starts from."""
    t = torch.arange(kernel, dtype=x.dtype, device=x.device) - kernel // 2
    bell = torch.exp(-(t**2) / (2 * sigma**2))
    channels, pad = len(x), kernel // 2
    bell = (bell / bell.sum()).repeat(channels, 1, 1, 1)
    x = F.conv2d(F.pad(x[None], (pad, pad, 0, 0), mode="replicate"), bell, groups=channels)
    x = F.conv2d(
        F.pad(x, (0, 0, pad, pad), mode="replicate"), bell.transpose(2, 3), groups=channels
    )
    return x[0]


def exchanged(x: Tensor, other: Tensor, order: Tensor, steps: int = STEPS) -> Tensor:
    """X with its first 0, 1/steps, ... 1 of the pixels in `order` from `other`.

    Returns:
        (steps + 1, 3, H, W).
    """
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    place = place.reshape(x.shape[1:])
    counts = torch.arange(steps + 1, device=x.device) * len(order) // steps
    taken = place[None, None] < counts[:, None, None, None]
    return torch.where(taken, other[None], x[None])


def deletion(x: Tensor, heat: Tensor, ask: Ask, steps: int = STEPS) -> float:
    """Area under p while the hottest pixels become grey (Petsiuk 2018, 1806.07421); low is good."""
    return curve_area(ask(exchanged(x, torch.zeros_like(x), ranked(heat), steps)))


def insertion(x: Tensor, heat: Tensor, ask: Ask, steps: int = STEPS) -> float:
    """Area under p while the hottest pixels of a blurred image become sharp; high is good."""
    return curve_area(ask(exchanged(blurred(x), x, ranked(heat), steps)))


def curve_area(p: Tensor) -> float:
    """Trapezoids under (n,) values at even steps from 0 to 1."""
    return float((p[0] / 2 + p[1:-1].sum() + p[-1] / 2) / (len(p) - 1))


def average_drop(x: Tensor, heat: Tensor, ask: Ask) -> tuple[float, float]:
    """Whether the image under its own map is still the class (Chattopadhay 2017, 1710.11063).

    Returns:
        max(p - p_masked, 0) / p, and 1 if p_masked > p, else 0.
    """
    before, after = ask(torch.stack([x, x * heat])).tolist()
    return max(before - after, 0.0) / max(before, 1e-12), float(after > before)


def road(
    x: Tensor, heat: Tensor, ask: Ask, percentiles: Sequence[int] = PERCENTILES, seed: int = 0
) -> float:
    """Mean of (p without the coldest - p without the hottest pixels) / 2; high is good.

    ROAD (Rong 2022, arXiv 2202.00449) fills what is taken away by noisy linear imputation, so that
    the shape of the hole tells the network nothing.
    """
    order = ranked(heat)
    holes = []
    for pixels in (order, order.flip(0)):
        for percent in percentiles:
            hole = torch.zeros(len(order), dtype=torch.bool, device=x.device)
            hole[pixels[: round(len(order) * percent / 100)]] = True
            holes.append(hole.reshape(heat.shape))
    p = ask(imputed(x, torch.stack(holes), seed=seed))
    hottest, coldest = p.chunk(2)
    return float((coldest - hottest).mean() / 2)


def imputed(
    x: Tensor, holes: Tensor, *, noise: float = 0.01, seed: int = 0, tolerance: float = 5e-4
) -> Tensor:
    """Fill holes so that each of their pixels is the mean of its eight neighbours, plus noise.

    Direct neighbours weigh 1/6 and diagonal ones 1/12, as in ROAD; the linear system is solved by
    conjugate gradients, because it is the Laplacian of a graph and no matrix need be built.

    Args:
        x: (3, H, W).
        holes: (n, H, W) bool, what to fill; not all of an image.
        noise: standard deviation of what is added to filled pixels.
        seed: of the noise.
        tolerance: relative residual; at 5e-4 what is left is smaller than the noise.

    Returns:
        (n, 3, H, W).
    """
    n, (channels, H, W) = len(holes), x.shape
    images = x.expand(n, channels, H, W)
    solution = _filled(images, holes, tolerance)
    generator = torch.Generator().manual_seed(seed)
    grain = torch.randn(n, channels, H, W, generator=generator).to(x) * noise
    return torch.where(holes[:, None], solution + grain, images)


def _filled(images: Tensor, holes: Tensor, tolerance: float) -> Tensor:
    """Each pixel of a hole as the mean of its neighbours: (n, C, H, W), 0 outside of holes.

    The search begins at what the same system says of a picture of half the size, where far pixels
    are near: from a flat one it would need several times the steps.
    """
    hole = holes[:, None].to(images.dtype)
    H, W = images.shape[2:]
    known = images * (1 - hole)
    mean = known.sum((2, 3), keepdim=True) / (1 - hole).sum((2, 3), keepdim=True).clamp(min=1)
    solution = mean * hole
    if min(H, W) >= _COARSEST:
        share = F.avg_pool2d(1 - hole, 2, ceil_mode=True)
        half = F.avg_pool2d(known, 2, ceil_mode=True) / share.clamp(min=1e-6)
        inner = share[:, 0] == 0
        half = half + _filled(half, inner, tolerance)
        solution = F.interpolate(half, (H, W), mode="bilinear") * hole

    def spread(values: Tensor) -> Tensor:
        # [1 2 1]ᵀ[1 2 1] without its middle, by shifts: many times faster than a grouped
        # convolution on a CPU.
        v = F.pad(values, (1, 1, 1, 1))
        v = v[..., :-2] + v[..., 2:] + 2 * v[..., 1:-1]
        v = v[..., :-2, :] + v[..., 2:, :] + 2 * v[..., 1:-1, :]
        return (v - 4 * values) / 12

    degree = spread(torch.ones_like(images[:1]))
    b = spread(known) * hole
    residual = b - (degree * solution - spread(solution)) * hole
    direction = residual.clone()
    rr = (residual**2).sum((1, 2, 3), keepdim=True)
    stop = tolerance**2 * (b**2).sum((1, 2, 3), keepdim=True)
    for _ in range(10 * (H + W)):
        if bool((rr <= stop).all()):
            break
        image_of = (degree * direction - spread(direction)) * hole
        step = rr / (direction * image_of).sum((1, 2, 3), keepdim=True).clamp(min=1e-30)
        step = torch.where(rr > stop, step, torch.zeros_like(step))
        solution = solution + step * direction
        residual = residual - step * image_of
        new = (residual**2).sum((1, 2, 3), keepdim=True)
        direction = residual + new / rr.clamp(min=1e-30) * direction
        rr = new
    return solution


def infidelity(x: Tensor, heat: Tensor, logit: Ask, *, samples: int = 32, seed: int = 0) -> float:
    """How badly the heat under a square foretells what greying it costs; 0 is best, 1 is useless.

    Yeh et al. 2019 (arXiv 1901.09392) with square removals: E (β I·Φ - Δf)² where I·Φ is the heat
    in a square and Δf the fall of the logit when it becomes grey. A map has no unit, so β is the
    best factor that is not negative, and the result is divided by E Δf²: 1 means that the map
    foretells nothing, or the wrong way round.

    Args:
        x: (3, H, W).
        heat: (H, W).
        logit: images -> the logit of the class.
        samples: squares, of a quarter of the shorter side.
        seed: of their places.
    """
    H, W = heat.shape
    side = max(1, min(H, W) // 4)
    generator = torch.Generator().manual_seed(seed)
    tops = torch.randint(H - side + 1, (samples,), generator=generator).tolist()
    lefts = torch.randint(W - side + 1, (samples,), generator=generator).tolist()
    holed = x.repeat(samples + 1, 1, 1, 1)
    sums = torch.empty(samples)
    for n, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        holed[n + 1, :, top : top + side, left : left + side] = 0
        sums[n] = heat[top : top + side, left : left + side].sum()
    S = logit(holed).cpu()
    falls = S[0] - S[1:]
    total = float((falls**2).sum())
    if total == 0:
        return 0.0
    norm = float((sums**2).sum())
    beta = max(float((sums * falls).sum()) / norm, 0.0) if norm > 0 else 0.0
    return float(((beta * sums - falls) ** 2).sum()) / total


def max_sensitivity(
    x: Tensor,
    explain: Callable[[Tensor], Tensor],
    *,
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
) -> float:
    """How much the map can change when the image hardly does (Yeh 2019); 0 is best.

    max ‖Φ(x + δ) - Φ(x)‖ / ‖Φ(x)‖ over even noise |δ| <= radius.

    Args:
        x: (3, H, W).
        explain: images (n, 3, H, W) -> maps (n, h, w) of one class.
        radius: in units of the normalised image.
        samples: draws of δ.
        seed: of the draws.

    Returns:
        NaN when the map is all zero.
    """
    generator = torch.Generator().manual_seed(seed)
    delta = (torch.rand(samples, *x.shape, generator=generator).to(x) * 2 - 1) * radius
    maps = explain(torch.cat([x[None], x + delta])).flatten(1)
    norm = float(maps[0].norm())
    return float((maps[1:] - maps[0]).norm(dim=1).max()) / norm if norm > 0 else float("nan")
