"""t-SNE in NumPy: places in the plane at which alike points are neighbours.

The gradient is that of van der Maaten and Hinton (2008), `Visualizing Data using t-SNE`. What every
point does to every other is a convolution, so it is done on a grid by FFT (Linderman et al. 2019,
10.1038/s41592-018-0308-4): time grows with the number of points, not with its square, and 20,000
points take half a minute on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from camcli.render.places.neighbours import nearest

PERPLEXITY = 15.0  # neighbours that count, about
EARLY, STEPS = 150, 500  # with attraction 12 times as strong, and in all
_EXAGGERATED = 12.0
# Places of the grid lie so far apart: the force between two points changes over distances of 1.
_CELL = 0.4
_SIZES = (64, 96, 128, 160, 192, 240, 288, 360, 432, 512, 600)  # cells a side; quick to transform
_FEW = 300  # points of which all pairs are looked at
_TAPS = 4  # grid places a side that a point is spread over (cubic)


def tsne(points: np.ndarray, tick: Callable[[], None] | None = None) -> np.ndarray:
    """Places of points in the plane, the same for the same points.

    Args:
        points: (N, D), N at least 4.
        tick: called after each of `STEPS` steps.

    Returns:
        (N, 2) float32, around 0.
    """
    n = len(points)
    others, weights = affinities(points, min(PERPLEXITY, (n - 1) / 3))
    y = _start(points)
    speed, gains = np.zeros_like(y), np.ones_like(y)
    for step in range(STEPS):
        strength, momentum = (_EXAGGERATED, 0.5) if step < EARLY else (1.0, 0.8)
        # n / strength is the largest that is stable (Belkina et al. 2019), and few points need it.
        rate = max(n / _EXAGGERATED, min(n, 200) / strength)
        slope = gradient(y, others, weights, strength)
        same = slope * speed > 0
        gains = np.maximum(np.where(same, 0.8 * gains, gains + 0.2), 0.01)
        speed = momentum * speed - rate * gains * slope
        y = y + speed
        y -= y.mean(0)
        if tick:
            tick()
    return y.astype(np.float32)


def affinities(points: np.ndarray, perplexity: float) -> tuple[np.ndarray, np.ndarray]:
    """How near each point's nearest others are to it: the p_{j|i} of t-SNE.

    Args:
        points: (N, D).
        perplexity: exponential of the entropy that each row has.

    Returns:
        The others' numbers (N, k) and weights (N, k), which sum to 1 a row; half the sum of both
        directions, over N, is the p_ij of the paper.
    """
    k = min(len(points) - 1, max(3, round(2 * perplexity)))
    others, distance = nearest(points, k)
    square = distance.astype(np.float64) ** 2
    square -= square[:, :1]  # the nearest's weight is 1 before they are scaled
    wanted = np.log(min(perplexity, 0.95 * k))
    low, high = np.zeros(len(points)), np.full(len(points), np.inf)
    scale = np.median(square[:, -1]) or 1.0
    beta = np.full(len(points), 1.0 / scale)
    for _ in range(60):
        weights = np.exp(-square * beta[:, None])
        total = weights.sum(1)
        entropy = np.log(total) + beta * (square * weights).sum(1) / total
        wide = entropy > wanted
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), 2 * beta, (low + np.minimum(high, 1e300)) / 2)
    weights = np.exp(-square * beta[:, None])
    return others, weights / weights.sum(1, keepdims=True)


def gradient(y: np.ndarray, others: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Of the Kullback-Leibler divergence, over 4, with attraction `strength` times as strong.

    Args:
        y: places (N, 2) float64.
        others: see `affinities`.
        weights: see `affinities`.
        strength: 1 for the divergence itself.

    Returns:
        (N, 2) float64.
    """
    return strength * _attraction(y, others, weights) - _repulsion(y)


def _attraction(y: np.ndarray, others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_j p_ij (y_i - y_j) / (1 + d_ij^2), (N, 2)."""
    n = len(others)
    ends = others.ravel()
    found = np.empty_like(y)
    gaps = [y[:, None, axis] - y[others, axis] for axis in (0, 1)]
    pull = weights / (1 + gaps[0] ** 2 + gaps[1] ** 2) / (2 * n)
    for axis in (0, 1):
        force = pull * gaps[axis]
        found[:, axis] = force.sum(1) - np.bincount(ends, force.ravel(), n)
    return found


def _repulsion(y: np.ndarray) -> np.ndarray:
    """sum_j q_ij (y_i - y_j) / (1 + d_ij^2), (N, 2): each point is pushed by all others."""
    if len(y) <= _FEW:
        return _repulsion_of_few(y)
    low = y.min(0)
    size, cell = _grid(float((y.max(0) - low).max()))
    near, far = _kernels(size, cell)
    # Four grid places a side, from the one before the point's own cell on; the rim is never left.
    place = (y - low) / cell + 1
    first = np.clip(np.floor(place).astype(np.intp), 1, size - 3)
    taps = _cubic(place - first)  # (2, N, 4)
    index = (
        (first[:, 0, None, None] - 1 + np.arange(_TAPS)[:, None]) * size
        + (first[:, 1, None, None] - 1 + np.arange(_TAPS))
    ).reshape(len(y), -1)
    shares = (taps[0][:, :, None] * taps[1][:, None, :]).reshape(len(y), -1)
    charges = [np.ones(len(y)), y[:, 0], y[:, 1]]
    flat = index.ravel()
    waves = []
    for charge in charges:
        grid = np.zeros((2 * size, 2 * size), np.float32)
        found = np.bincount(flat, (shares * charge[:, None]).ravel(), size * size)
        grid[:size, :size] = found.reshape(size, size)
        waves.append(cv2.dft(grid))
    potentials = [
        cv2.dft(cv2.mulSpectrums(wave, kernel, 0), flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)[
            :size, :size
        ].ravel()
        for wave, kernel in zip([waves[0], *waves], (near, far, far, far), strict=True)
    ]
    z, one, x1, x2 = ((potential[index] * shares).sum(1) for potential in potentials)
    # Its own share is 1; on a grid that is coarser than that it is not known so well.
    total = max(float(z.sum()) - len(y), 0.01 * len(y))
    return np.stack([y[:, 0] * one - x1, y[:, 1] * one - x2], 1) / total


def _repulsion_of_few(y: np.ndarray) -> np.ndarray:
    """The same from all pairs."""
    gaps = y[:, None] - y[None]
    near = 1 / (1 + (gaps**2).sum(2))
    np.fill_diagonal(near, 0)
    return ((near**2)[:, :, None] * gaps).sum(1) / max(float(near.sum()), 1e-12)


def _cubic(offset: np.ndarray) -> np.ndarray:
    """Weights (2, N, 4) of the cubic through the grid places at -1, 0, 1 and 2, at (N, 2)."""
    t = offset.T[:, :, None]
    return np.concatenate([
        -t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6,
    ], axis=2)  # fmt: skip


def _grid(span: float) -> tuple[int, float]:
    """Cells a side, and how large one is, for points that lie so far apart.

    Few sizes and few cells occur, so that spectra can be kept: a cell is `_CELL` but for points
    that are very near each other, or very far apart.
    """
    wanted = span / _CELL + _TAPS
    size = next((s for s in _SIZES if s >= wanted), _SIZES[-1])
    if _SIZES[0] <= wanted <= _SIZES[-1]:
        return size, _CELL
    power = math.ceil(math.log(max(span, 1e-9) / (size - _TAPS)) / math.log(1.1))
    return size, 1.1**power


@lru_cache(maxsize=8)
def _kernels(size: int, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of 1 / (1 + d^2) and of its square, on a ring of twice the grid."""
    steps = np.arange(2 * size)
    square = (np.minimum(steps, 2 * size - steps) * cell) ** 2
    near = 1 / (1 + square[:, None] + square)
    return cv2.dft(near.astype(np.float32)), cv2.dft((near**2).astype(np.float32))


def _start(points: np.ndarray) -> np.ndarray:
    """The two directions in which the points differ most, tiny: forces decide, not the scale."""
    from camcli.render.places.components import principal

    y = principal(points, 2).astype(np.float64)
    if y.shape[1] < 2:
        y = np.concatenate([y, np.zeros((len(y), 2 - y.shape[1]))], 1)
    y /= max(float(y[:, 0].std()), 1e-12) / 1e-2
    # Copies of one photograph would never part: they get places of their own beside each other.
    return y + 1e-3 * np.random.RandomState(0).standard_normal(y.shape)
