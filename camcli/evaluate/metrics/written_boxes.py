"""Boxes as a run writes them: how well they fit, and which threshold makes them fit best.

MaxBoxAcc takes the best of all thresholds for the set on which it is measured, so nobody gets the
boxes that it speaks of. Here a threshold is given, or chosen by the boxes of a few photographs and
judged by others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcli.cam.box_threshold import BoxThreshold
from camcli.cam.postprocess import boxes_of
from camcli.data.decode.preprocess import View
from camcli.evaluate.measured.square_canvas import SIDE, Truth
from camcli.evaluate.metrics.localization import IOUS, iou

SHARES = np.arange(1, 255) / 255
"""The shares of a map's maximum that are tried, 1/255 apart."""
# Standard deviation, in steps of the shares, over which neighbours are averaged before the best is
# taken: with five photographs the curve has steps that no other photographs have.
_SMOOTH = 5


def overlaps(
    heatmap: np.ndarray,
    view: View,
    size: tuple[int, int],
    truth: Truth,
    thresholds: list[BoxThreshold],
) -> np.ndarray:
    """IoU of a map's box with the best true one, (n,) for n thresholds; 0 for an empty map.

    Args:
        heatmap: (h, w), signed and unscaled.
        view: the part of the photograph that it covers, in its pixels.
        size: (width, height) of the photograph.
        truth: its boxes, at least one.
        thresholds: as `camcli.cam.postprocess.describe` takes them.
    """
    boxes = boxes_of(heatmap, view, size, thresholds)
    if boxes is None:
        return np.zeros(len(thresholds))
    ratio = np.array([SIDE / size[0], SIDE / size[1]] * 2)
    return iou(np.array(boxes) * ratio, truth.boxes).max(1)


def fit_of(overlap: float) -> dict[str, float]:
    """The metrics of one photograph's box: its IoU, and whether that reaches each of `IOUS`."""
    return {
        "box_iou": overlap,
        **{f"box_acc@{round(least * 100)}": float(overlap >= least) for least in IOUS},
        "box_acc": float(np.mean([overlap >= least for least in IOUS])),
    }


def best_share(curves: np.ndarray) -> int:
    """Which of `SHARES` gives the best mean IoU, neighbours averaged; the middle of a tie.

    Args:
        curves: (N, len(SHARES)) IoU of each photograph's box.
    """
    mean = curves.mean(0)
    reach = 3 * _SMOOTH
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTH) ** 2)
    smooth = np.convolve(np.pad(mean, reach, mode="edge"), kernel / kernel.sum(), "valid")
    ties = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    return int(ties[len(ties) // 2])


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, and what it is worth.

    Attributes:
        share: of a map's maximum.
        low: of its 95% interval, by drawing the photographs again.
        high: likewise.
        overlap: mean IoU of the photographs by which it was chosen.
        held_out: IoU of each photograph's box with the threshold that the others choose, (N,); of
            one alone with its own.
    """

    share: float
    low: float
    high: float
    overlap: float
    held_out: np.ndarray


def choose(curves: np.ndarray, *, repeats: int = 500, seed: int = 0) -> Choice:
    """The threshold that fits the boxes of some photographs best.

    Args:
        curves: (N, len(SHARES)) IoU of each photograph's box at each share.
        repeats: sets drawn for the interval; 0 for none, which is then the share itself.
        seed: of these.
    """
    count = len(curves)
    best = best_share(curves)
    rng = np.random.default_rng(seed)
    drawn = [best_share(curves[rng.integers(count, size=count)]) for _ in range(repeats)] or [best]
    low, high = np.quantile(SHARES[drawn], (0.025, 0.975))
    others = [np.delete(curves, n, 0) if count > 1 else curves for n in range(count)]
    held_out = [
        curve[best_share(rest)] for curve, rest in zip(curves, others, strict=True)
    ]  # fmt: skip
    return Choice(
        float(SHARES[best]), float(low), float(high), float(curves[:, best].mean()),
        np.array(held_out),
    )  # fmt: skip
