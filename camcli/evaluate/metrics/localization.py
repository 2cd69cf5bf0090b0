"""Localization metrics: accumulate() one photograph at a time, compute() for the whole set.

Every metric keeps a small row a photograph, so `compute` can weight the photographs: equal weights
give the metric, resampled weights its bootstrap (`camcli.evaluate.metrics.bootstrap`).

Scores are (SIDE, SIDE) maps in [0, 1] as `camcli.evaluate.measured.square_canvas.paint` makes
them, quantised to `LEVELS` levels as wsolevaluation's box evaluator does. An empty (all 0) map
finds no box and hits nothing; NaN is refused.
"""

from __future__ import annotations

import cv2
import numpy as np

from camcli.errors import UsageError
from camcli.evaluate.measured.square_canvas import SIDE, Truth
from camcli.evaluate.metrics.means import Means

LEVELS = 256
IOUS = (0.3, 0.5, 0.7)
_PAIRS = 1 << 20  # of boxes, compared at a time


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes given by their edges.

    Args:
        boxes: (n, 4) x0, y0, x1, y1.
        others: (m, 4).

    Returns:
        (n, m); 0 for two boxes without area.

    Example:
        >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]])).round(3)
        array([[0.333]])
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(2).astype(np.float64)
    areas = [(b[:, 2:] - b[:, :2]).clip(0).prod(1) for b in (boxes, others)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _best_iou(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) best IoU of each of n boxes with any of m true ones, in parts that memory holds."""
    step = max(1, _PAIRS // len(truth))
    parts = (boxes[i : i + step] for i in range(0, len(boxes), step))
    return np.concatenate([iou(part, truth).max(1) for part in parts])


def quantised(score: np.ndarray) -> np.ndarray:
    """(H, W) scores in [0, 1] as uint8.

    Raises:
        ValueError: NaN, or outside [0, 1].
    """
    if not np.isfinite(score).all() or score.min() < 0 or score.max() > 1:
        raise ValueError("scores must be finite and in [0, 1]")
    return (score * 255).astype(np.uint8)


def boxes_at(levels: np.ndarray, level: int) -> np.ndarray:
    """The boxes around the parts of a map strictly above a level.

    As in wsolevaluation: all contours, those of holes included.

    Args:
        levels: (H, W) uint8.
        level: 0 to 254.

    Returns:
        (n, 4) boxes by their edges, that around the largest contour first.
    """
    above = (levels > level).view(np.uint8)
    contours, _ = cv2.findContours(above, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return np.zeros((0, 4))
    areas = np.array([cv2.contourArea(c) for c in contours])
    boxes = np.array([cv2.boundingRect(c) for c in contours], np.float64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes[np.argsort(-areas, kind="stable")]


class BoxAccuracy:
    """MaxBoxAcc, MaxBoxAccV2 and top-1/top-5 localization error (Choe et al. 2020, 2001.07437).

    MaxBoxAcc: share of photographs whose box overlaps a true one with IoU >= 0.5, for the one
    threshold of the maps, the same for all photographs, that makes the share largest; the box goes
    around the largest contour. MaxBoxAccV2 takes the best of all contours' boxes and averages over
    IoU 0.3, 0.5 and 0.7, each with its own best threshold. Photographs without a box do not count.

    Boxes are compared by their edges; wsolevaluation adds a pixel to the sides of inclusive boxes.
    """

    def __init__(self) -> None:
        self._largest: list[np.ndarray] = []
        self._any: list[np.ndarray] = []
        self._ranks: list[tuple[bool, bool] | None] = []
        self._has: list[bool] = []

    def accumulate(
        self, score: np.ndarray, truth: Truth, right: tuple[bool, bool] | None = None
    ) -> None:
        """Add a photograph.

        Args:
            score: (SIDE, SIDE) in [0, 1], of the true class where it is known.
            truth: its boxes.
            right: whether the true class was predicted first, and among the first five; None when
                the true class is not known.
        """
        levels = quantised(score)
        rows = np.zeros((2, LEVELS - 1), np.float32)
        # The boxes change only at levels that occur in the map.
        present = np.unique(levels)
        for below, level in zip(np.r_[0, present[:-1]], present, strict=True):
            if level and len(truth.boxes):
                overlap = _best_iou(boxes_at(levels, int(below)), truth.boxes)
                rows[0, below:level] = overlap[0]
                rows[1, below:level] = overlap.max()
        self._largest.append(rows[0])
        self._any.append(rows[1])
        self._ranks.append(right)
        self._has.append(len(truth.boxes) > 0)

    def curve(
        self, threshold: float, weights: np.ndarray | None = None, *, every: bool = False
    ) -> np.ndarray:
        """Box accuracy (LEVELS - 1,) at each level of the map, for one IoU.

        Args:
            threshold: IoU from which a box is right.
            weights: (N,) of the photographs; equal by default.
            every: any contour's box (V2) rather than the largest's.
        """
        return self._share(np.stack(self._any if every else self._largest) >= threshold, weights)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The metrics, in [0, 1]; NaN where no photograph has boxes.

        Args:
            weights: (N,) of the photographs; equal by default.
        """
        if not any(self._has):
            return {}
        found = {"maxboxacc": float(self.curve(0.5, weights).max())}
        for threshold in IOUS:
            v2 = self.curve(threshold, weights, every=True)
            found[f"maxboxacc_v2@{round(threshold * 100)}"] = float(v2.max())
        found["maxboxacc_v2"] = float(
            np.mean([found[f"maxboxacc_v2@{round(t * 100)}"] for t in IOUS])
        )
        if all(rank is not None for rank in self._ranks):
            right = np.array(self._ranks, bool)
            hits = np.stack(self._largest) >= 0.5
            for place, name in enumerate(("top1_loc_error", "top5_loc_error")):
                found[name] = 1 - float(self._share(hits & right[:, place, None], weights).max())
        return found

    def chosen(self, every: bool = True) -> dict[float, int]:
        """The level of the map (0 to 254) that is best for each IoU; the middle of a tie."""
        best = {}
        for threshold in IOUS:
            curve = self.curve(threshold, every=every)
            ties = np.flatnonzero(curve >= curve.max() - 1e-9)
            best[threshold] = int(ties[len(ties) // 2])
        return best

    def at(self, levels: dict[float, int], every: bool = True) -> dict[float, float]:
        """Accuracy for each IoU at levels that were chosen on other photographs."""
        return {t: float(self.curve(t, every=every)[level]) for t, level in levels.items()}

    def _share(self, hits: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        counts = np.array(self._has, np.float64)
        if weights is not None:
            counts = counts * weights
        return counts @ hits / max(counts.sum(), 1e-12)


class Pixels:
    """PxAP, pixel AUC, TPR and FPR at a threshold, and the best IoU, against masks.

    PxAP (Choe et al. 2020) and the AUC pool the pixels of all photographs; IoU is averaged over
    photographs, at the one threshold that makes it largest. Ignored pixels do not count.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        """`threshold`: share of a map's maximum above which TPR and FPR take a pixel as found.

        Raises:
            UsageError: it is not in [0, 1).
        """
        if not 0 <= threshold < 1:
            raise UsageError(f"The threshold must be at least 0 and below 1, not {threshold}.")
        self.threshold = threshold
        self._hists: list[np.ndarray] = []

    def accumulate(self, score: np.ndarray, truth: Truth) -> None:
        """Add a photograph that has a mask; others are left out."""
        if truth.mask is None:
            return
        levels = quantised(score)
        keep = np.ones_like(truth.mask) if truth.ignore is None else ~truth.ignore
        parts = (levels[keep & truth.mask], levels[keep & ~truth.mask])
        self._hists.append(np.stack([np.bincount(p, minlength=LEVELS) for p in parts]))

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The metrics; nothing when no photograph has a mask.

        Args:
            weights: (N,) of the photographs with masks; equal by default.
        """
        if not self._hists:
            return {}
        hists = np.stack(self._hists).astype(np.float64)  # (N, 2, LEVELS)
        weights = np.ones(len(hists)) if weights is None else weights
        pooled = np.tensordot(weights, hists, 1)
        if not pooled.sum(1).all():
            return {}
        # Pixels at or above a level, from the highest level down.
        tp, fp = pooled[:, ::-1].cumsum(1)
        recall, fall = tp / tp[-1], fp / fp[-1]
        found = tp + fp > 0
        precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=found)
        each_tp, each_fp = np.moveaxis(hists[:, :, ::-1].cumsum(2), 1, 0)
        positives = each_tp[:, -1:]
        ious = each_tp / np.maximum(positives + each_fp, 1)
        # Strictly above the threshold: levels from floor(255 t) + 1 on.
        place = LEVELS - 2 - int(self.threshold * 255)
        return {
            "pxap": float((precision * np.diff(recall, prepend=0)).sum()),
            "pixel_auc": _area(np.r_[0, recall], np.r_[0, fall]),
            "tpr": float(recall[place]),
            "fpr": float(fall[place]),
            "iou": float((weights @ ious / weights.sum()).max()),
        }


def _area(y: np.ndarray, x: np.ndarray) -> float:
    """Under a curve, by trapezoids."""
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


class PerImage(Means):
    """The means of `pointing`, `energy`, `kl_divergence` and `correlation`."""

    def __init__(self, tolerance: float = 15) -> None:
        """`tolerance`: of the pointing game, in the photograph's pixels."""
        super().__init__()
        self.tolerance = tolerance

    def accumulate(self, score: np.ndarray, truth: Truth) -> None:
        """Add a photograph; one without a single pixel of the object has no numbers."""
        row: dict[str, float] = {}
        if truth.region.any():
            row["pointing"] = pointing(score, truth, self.tolerance)
            row["energy"] = energy(score, truth)
            if truth.mask is not None and (
                truth.ignore is None or (truth.mask & ~truth.ignore).any()
            ):
                row["kl"] = kl_divergence(score, truth.mask, truth.ignore)
                row["correlation"] = correlation(score, truth.mask, truth.ignore)
        self.add(row)


def pointing(score: np.ndarray, truth: Truth, tolerance: float = 15) -> float:
    """Whether the map's maximum is on the object (Zhang et al. 2016, arXiv 1608.00507).

    Args:
        score: (SIDE, SIDE), at least 0.
        truth: the object; a hit may be outside it by up to `tolerance`.
        tolerance: in the photograph's pixels.

    Returns:
        1 or 0; where several pixels share the maximum, the share of them that hit. An empty map
        points nowhere: 0.
    """
    if not score.max() > 0:
        return 0.0
    rows, columns = np.nonzero(score == score.max())
    hit = truth.region[rows, columns]
    if tolerance > 0 and not hit.all():
        wide, high = truth.size[0] / SIDE, truth.size[1] / SIDE
        # A map may be flat: row by row, and each pixel with the nearest of each column alone.
        above = _rows_away(truth.region) * high
        for row in np.unique(rows[~hit]):
            here = np.flatnonzero((rows == row) & ~hit)
            beside = (columns[here][:, None] - np.arange(SIDE)) * wide
            hit[here] = (beside**2 + above[row] ** 2).min(1) <= tolerance**2
    return float(hit.mean())


def _rows_away(region: np.ndarray) -> np.ndarray:
    """How many rows away the nearest pixel of a region in the same column is, (H, W); or inf."""
    rows = np.arange(len(region), dtype=np.float64)[:, None]
    before = np.maximum.accumulate(np.where(region, rows, -np.inf), axis=0)
    after = np.minimum.accumulate(np.where(region, rows, np.inf)[::-1], axis=0)[::-1]
    return np.minimum(rows - before, after - rows)


def energy(score: np.ndarray, truth: Truth) -> float:
    """Share of the heat that is on the object (Wang et al. 2020, arXiv 1910.01279); 0 if empty."""
    heat = score if truth.ignore is None else np.where(truth.ignore, 0, score)
    total = float(heat.sum(dtype=np.float64))
    return float(heat[truth.region].sum(dtype=np.float64)) / total if total > 0 else 0.0


def kl_divergence(score: np.ndarray, mask: np.ndarray, ignore: np.ndarray | None = None) -> float:
    """Σ p log(p / q) in nats, from the mask's even density p to the map's density q.

    As the MIT saliency benchmark defines it (Bylinskii et al. 2016, arXiv 1604.03605), with its
    ε = 2.2e-16 against zeros; an empty map counts as an even density.

    Args:
        score: (H, W), at least 0.
        mask: (H, W) bool with at least one pixel that is not ignored.
        ignore: (H, W) bool, or None.
    """
    q, p = _kept(score, mask, ignore)
    eps = np.finfo(np.float64).eps
    q = q / q.sum() if q.sum() > 0 else np.full_like(q, 1 / len(q))
    p = p / p.sum()
    return float((p * np.log(eps + p / (q + eps))).sum())


def correlation(score: np.ndarray, mask: np.ndarray, ignore: np.ndarray | None = None) -> float:
    """Pearson's correlation of map and mask over the pixels; 0 for a constant map or mask."""
    q, p = _kept(score, mask, ignore)
    q, p = q - q.mean(), p - p.mean()
    norm = float(np.sqrt((q @ q) * (p @ p)))
    return float(q @ p) / norm if norm > 0 else 0.0


def _kept(
    score: np.ndarray, mask: np.ndarray, ignore: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    keep = np.ones_like(mask) if ignore is None else ~ignore
    return score[keep].astype(np.float64), mask[keep].astype(np.float64)


class Localization:
    """All localization metrics of one row of the table."""

    def __init__(self, threshold: float = 0.5, tolerance: float = 15) -> None:
        self.boxes = BoxAccuracy()
        self.pixels = Pixels(threshold)
        self.each = PerImage(tolerance)
        self._masked: list[bool] = []

    def accumulate(
        self, score: np.ndarray, truth: Truth, right: tuple[bool, bool] | None = None
    ) -> None:
        """Add a photograph; see `BoxAccuracy.accumulate`."""
        self.boxes.accumulate(score, truth, right)
        self.pixels.accumulate(score, truth)
        self.each.accumulate(score, truth)
        self._masked.append(truth.mask is not None)

    def __len__(self) -> int:
        return len(self._masked)

    def compute(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """Every metric that the annotations allow, by name.

        Args:
            weights: (N,) of the photographs; equal by default.
        """
        masked = None if weights is None else weights[np.array(self._masked, bool)]
        return {
            **self.boxes.compute(weights),
            **self.each.compute(weights),
            **self.pixels.compute(masked),
        }
