"""What a map is like by itself: how small its heat is, and whether it agrees with itself.

Nothing here asks whether a map is true. A map of one pixel is as sparse as can be, and one that is
always the same agrees with itself wholly: that is why the controls stand beside.

Everything is a function of heat (H, W) in [0, 1], as `measured.seen.heat_on` makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def mean_heat(heat: Tensor) -> float:
    """The mean: what Poppi et al. 2021 (2104.10252) call complexity, ‖Φ‖₁ per pixel; low is small.

    Example:
        >>> mean_heat(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
        0.5
    """
    return float(heat.double().mean())


def sparseness(heat: Tensor) -> float:
    """Gini index of the heat (Chalasani et al. 2020, 1810.06583): 0 even, near 1 a single pixel.

    Returns:
        NaN for an empty map.

    Example:
        >>> sparseness(torch.ones(2, 2))
        0.0
        >>> sparseness(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        0.75
    """
    values = heat.flatten().double().sort().values
    total, n = float(values.sum()), len(values)
    if total <= 0:
        return math.nan
    rank = torch.arange(1, n + 1, dtype=torch.float64, device=values.device)
    return float((2 * rank - n - 1) @ values) / (n * total)


def complexity(heat: Tensor) -> float:
    """Entropy of the shares of the heat (Bhatt et al. 2020, 2005.00631) over that of an even map.

    The paper's entropy grows with the number of pixels; divided by its greatest value, log(H·W), it
    is 1 for an even map and 0 for a single pixel, whatever the input's size.

    Returns:
        NaN for an empty map.

    Example:
        >>> complexity(torch.ones(3, 3))
        1.0
    """
    p = heat.flatten().double()
    total = float(p.sum())
    if total <= 0:
        return math.nan
    p = p / total
    return round(float(torch.special.entr(p).sum()) / math.log(len(p)), 12)


def pearson(a: Tensor, b: Tensor) -> float:
    """Correlation of two maps of one shape; 0 where one of them is even."""
    a, b = a.flatten().double(), b.flatten().double()
    a, b = a - a.mean(), b - b.mean()
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 0 else 0.0


def coherency(x: Tensor, heat: Tensor, explain: Callable[[Tensor], Tensor]) -> float:
    """Whether what a map shows, alone, has the same map (Poppi et al. 2021): 1 yes, 0 the opposite.

    (1 + the correlation of Φ(x ⊙ Φ(x)) with Φ(x)) / 2.

    Args:
        x: (3, H, W), normalised.
        heat: its map.
        explain: an image (3, H, W) -> its heat (H, W) for the same class.
    """
    return (pearson(explain(x * heat), heat) + 1) / 2


def adcc(drop: float, coherent: float, mean: float) -> float:
    """Average drop, coherency and complexity in one number (Poppi et al. 2021); high is good.

    Args:
        drop: `faithfulness.average_drop`.
        coherent: `coherency`.
        mean: `mean_heat`.

    Returns:
        The harmonic mean of coherency, 1 - complexity and 1 - drop: 0 where one of them is 0.
    """
    return harmonic(coherent, 1 - mean, 1 - drop)


def arcc(road: float, coherent: float, mean: float) -> float:
    """As `adcc`, with ROAD instead of the drop (Domeniconi et al. 2026, 2605.14641); high is good.

    Args:
        road: `faithfulness.road`, from -0.5 to 0.5; twice of it counts, and nothing below 0.
        coherent: `coherency`.
        mean: `mean_heat`.
    """
    return harmonic(coherent, 1 - mean, min(max(2 * road, 0.0), 1.0))


def harmonic(*values: float) -> float:
    """The harmonic mean of numbers that are at least 0; 0 where one of them is.

    Example:
        >>> harmonic(1.0, 0.5, 0.25)
        0.42857142857142855
    """
    return 0.0 if min(values) <= 0 else len(values) / sum(1 / value for value in values)
