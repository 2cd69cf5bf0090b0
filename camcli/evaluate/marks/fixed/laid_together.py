"""Where photographs of a class, laid on each other, have the same drawn in them, and others not.

At each place of each canvas the class's mean is compared with that of the others. A mark covers
many pixels, so squared differences, in units of chance, are added up over windows; the largest sum
of all places says something only if classes that are drawn by lot have none like it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.marks.fixed.canvases import (
    CHANNELS,
    SharedCanvas,
    Strokes,
    canvases,
    laid,
    scales,
)

LOTS = 20  # classes drawn by lot
WINDOWS = ((5, 5), (17, 5), (5, 17))  # pairs of pixels: blots, lines of text, lines upright
LEAST = 3.5  # standard deviations of the largest sum by lot, above the mean of those
ROUGH = 15.0  # by which features differ at the least: where all photographs are blank
_EULER = 0.5772156649


@dataclass(frozen=True, slots=True)
class DifferingPlace:
    """A place of a canvas at which two sets of photographs differ.

    Attributes:
        canvas: the canvas.
        box: left, top, right, bottom in its pixels.
        strength: standard deviations beyond what classes drawn by lot have at the most.
        p: of as much by chance, anywhere.
    """

    canvas: SharedCanvas
    box: tuple[int, int, int, int]
    strength: float
    p: float


def differing_patches(
    own: Sequence[AuditedPhoto],
    others: Sequence[AuditedPhoto],
    drawn: Strokes,
    clock: Clock,
    seed: int = 0,
) -> list[DifferingPlace]:
    """Where the photographs of two sets differ, whichever has more there.

    Args:
        own: photographs of a class.
        others: as many, or so, of others.
        drawn: what is drawn in them.
        clock: is asked after each canvas.
        seed: of the lots.

    Returns:
        Places, the clearest first. The same mark may be in several of them.
    """
    photos = [*own, *others]
    rng = np.random.default_rng(seed)
    member = np.arange(len(photos)) < len(own)
    weights = np.stack([_contrast(member), *(_contrast(rng.permutation(member))
                                             for _ in range(LOTS))])  # fmt: skip
    sums: list[tuple[SharedCanvas, np.ndarray]] = []
    by_lot = np.zeros((LOTS, CHANNELS // 2, len(WINDOWS)))
    for scale in scales(photos):
        # One that cannot be read is empty.
        blank = np.zeros((CHANNELS, 1, 1), np.int8)
        features = [blank if (one := drawn(photo, scale)) is None else one[0] for photo in photos]
        for canvas in canvases(scale):
            if clock.over:
                clock.skip("marks at fixed places of some photographs, for want of time")
                return []
            stack = np.stack([laid(one, canvas) for one in features])
            found = _sums(stack.reshape(len(photos), -1), weights, canvas)
            by_lot = np.maximum(by_lot, found[1:].reshape(*by_lot.shape, -1).max(-1))
            sums.append((canvas, found[0]))
    middle, spread = by_lot.mean(0), np.maximum(by_lot.std(0, ddof=1), 1e-3)
    patches = []
    for canvas, found in sums:
        beyond = (found - middle[..., None, None]) / spread[..., None, None]
        kind = np.unravel_index(
            beyond.reshape(-1, beyond[0, 0].size).max(1).argmax(), by_lot[0].shape
        )
        patches += _patches(canvas, beyond[kind], found[kind], by_lot[0].size)
    return sorted(patches, key=lambda patch: -patch.strength)


def _contrast(member: np.ndarray) -> np.ndarray:
    """Weights whose sum of features is the difference of two means, in units of its spread."""
    n, m = member.sum(), (~member).sum()
    return np.where(member, 1 / n, -1 / m).astype(np.float32) / np.float32(np.sqrt(1 / n + 1 / m))


def _sums(stack: np.ndarray, weights: np.ndarray, canvas: SharedCanvas) -> np.ndarray:
    """Mean squared difference about each pair of pixels, in units of chance.

    Args:
        stack: (N, CHANNELS * height * width) int8.
        weights: (W, N), see `_contrast`.
        canvas: of the features.

    Returns:
        (W, CHANNELS / 2, windows, height / 2, width / 2) float32: edges and colours apart.
    """
    values = stack.astype(np.float32)
    variance = np.einsum("np,np->p", values, values) / len(values) - values.mean(0) ** 2
    t = weights @ values
    t /= np.sqrt(np.maximum(variance, 0) + ROUGH**2)
    t *= t
    width, height = canvas.size
    halves = t.reshape(len(weights), CHANNELS // 2, 2, height // 2, 2, width // 2, 2)
    mean = halves.mean((2, 4, 6))
    return np.stack(
        [[[cv2.blur(one, window) for window in WINDOWS] for one in both] for both in mean]
    )


def _patches(
    canvas: SharedCanvas, beyond: np.ndarray, sums: np.ndarray, kinds: int
) -> list[DifferingPlace]:
    """Places of one canvas that stand out, at most two."""
    left = beyond.copy()
    found = []
    for _ in range(2):
        peak = float(left.max())
        if peak < LEAST:
            break
        y, x = np.unravel_index(left.argmax(), left.shape)
        # The place reaches as far as half of what there is at its middle.
        near = (sums > max(0.4 * float(sums[y, x]), 1.8)).astype(np.uint8)
        _, names, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
        name = names[y, x]
        x0, y0, width, height = (int(value) for value in stats[name][:4])
        left[names == name] = -np.inf
        left[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = -np.inf
        # Gumbel's law of largest values, for each kind of sum.
        p = kinds * -math.expm1(-math.exp(-(1.2825 * peak + _EULER)))
        box = 2 * x0, 2 * y0, 2 * (x0 + width), 2 * (y0 + height)
        found.append(DifferingPlace(canvas, box, peak, min(1.0, p)))
    return found
