"""What does a network look at across a whole data set, and which classes rest on a shortcut?

Three suspicions, each about the correct predictions of one class against those of the others:

- stray: with masks, there is strong heat away from the object, and what the network sees there is
  the same thing in picture after picture. A mark that gives the class away is such a thing,
  wherever in the picture it is; clutter that a class happens to like is not the same each time;
- corner: without masks, the heat peaks in the same corner of the frame again and again;
- border: the heat lies along the border of the frame.

A class is flagged when it differs from the other classes both by much and not by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from camcli.cam.postprocess import scaled
from camcli.data.preprocess import View
from camcli.evaluate.canvas import SIDE, paint

MARGIN = 0.08  # of the photograph's side: heat so near to the object is the object's
CORNER = 0.25  # of the side
LEAST = 5  # correct predictions of a class below which nothing is said
GAP = {"stray": 0.08, "corner": 0.4, "border": 0.2}
SAMENESS = 0.13  # by how much stray evidence must be more alike than in the other classes
ALONE = 0.25  # gap of stray heat where it is not known what the network saw there
CHANCE = 0.01  # one-sided, divided by the number of classes
THUMB = 16  # side of the maps that are clustered


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """One photograph's heat.

    Attributes:
        rel: relative path.
        label: true class; None where it is unknown.
        pred: predicted class.
        prob: its probability.
        thumb: (THUMB, THUMB) float32 in [0, 1], the map on the squashed photograph.
        empty: no positive evidence; thumb is all 0.
        stray: strongest heat away from the object over the strongest; NaN without a mask.
        border: share of the heat in the outer tenth of what the network saw.
        patch: (K,) float32 of length 1, the evidence at the strongest stray cell by channel; None
            where it is not known.
        corner: which corner holds the maximum: 0 top left, 1 top right, 2 bottom left, 3 bottom
            right; -1 for none.
    """

    rel: str
    label: str | None
    pred: str
    prob: float
    thumb: np.ndarray
    empty: bool
    stray: float
    border: float
    corner: int
    patch: np.ndarray | None = None

    @property
    def right(self) -> bool:
        """Whether the prediction is the label, or there is no label to contradict it."""
        return self.label is None or self.label == self.pred


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a class is flagged.

    Attributes:
        label: the class.
        kind: ``stray``, ``corner`` or ``border``.
        value: mean over its correct predictions.
        others: mean over those of the other classes.
        sameness: ``stray`` only: mean cosine between the stray evidence of two photographs; None
            where the features are not known.
        p: probability of such a difference by chance (one-sided rank test).
        examples: relative paths, the most suspicious first.
    """

    label: str
    kind: str
    value: float
    others: float
    p: float
    examples: tuple[str, ...]
    sameness: float | None = None


def fact_of(
    heatmap: np.ndarray,
    view: View,
    size: tuple[int, int],
    *,
    rel: str,
    label: str | None,
    pred: str,
    prob: float,
    mask: np.ndarray | None = None,
    evidence: np.ndarray | None = None,
) -> Fact:
    """What one map says.

    Args:
        heatmap: (h, w), signed.
        view: the part of the photograph that it covers, in its pixels.
        size: (width, height) of the photograph.
        rel: relative path.
        label: true class, as the network names it, or None.
        pred: predicted class.
        prob: its probability.
        mask: (SIDE, SIDE) bool, the object on the canvas, or None.
        evidence: (K, h, w), what each channel says for the class, at least 0, or None.
    """
    heat = scaled(heatmap)
    if heat is None:
        none = np.zeros((THUMB, THUMB), np.float32)
        return Fact(rel, label, pred, prob, none, True, math.nan, 0.0, -1)
    thumb = cv2.resize(paint(heatmap, view, size), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    stray, patch = math.nan, None
    if mask is not None:
        stray, at = stray_heat(heat, view, size, mask)
        if at is not None and evidence is not None:
            patch = evidence[:, at[0], at[1]]
            patch = (patch / max(float(np.linalg.norm(patch)), 1e-12)).astype(np.float32)
    return Fact(
        rel, label, pred, prob, thumb, False, stray, border_share(heat), corner_of(heat), patch
    )


def stray_heat(
    heat: np.ndarray, view: View, size: tuple[int, int], mask: np.ndarray
) -> tuple[float, tuple[int, int] | None]:
    """Strongest cell that does not touch the object and its margin, of a map with maximum 1.

    Args:
        heat: (h, w) in [0, 1].
        view: the part of the photograph that it covers.
        size: (width, height) of the photograph.
        mask: (SIDE, SIDE) bool.

    Returns:
        Its heat in [0, 1], and its (row, column); NaN and None when the mask is empty or no cell
        is free of the object.
    """
    if not mask.any():
        return math.nan, None
    margin = round(MARGIN * SIDE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    near = cv2.dilate(mask.astype(np.uint8), disc)
    h, w = heat.shape
    edges_x = (view[0] + (view[2] - view[0]) * np.arange(w + 1) / w) * SIDE / size[0]
    edges_y = (view[1] + (view[3] - view[1]) * np.arange(h + 1) / h) * SIDE / size[1]
    x = np.clip(np.round(edges_x).astype(int), 0, SIDE)
    y = np.clip(np.round(edges_y).astype(int), 0, SIDE)
    sums = cv2.integral(near)  # (SIDE + 1, SIDE + 1)
    touched = (
        sums[np.ix_(y[1:], x[1:])] - sums[np.ix_(y[:-1], x[1:])]
        - sums[np.ix_(y[1:], x[:-1])] + sums[np.ix_(y[:-1], x[:-1])]
    )  # fmt: skip
    free = touched <= 0.02 * np.maximum(np.diff(y)[:, None] * np.diff(x)[None], 1)
    if not free.any():
        return math.nan, None
    row, column = np.unravel_index(int(np.where(free, heat, -1).argmax()), heat.shape)
    return float(heat[row, column]), (int(row), int(column))


def sameness(facts: Iterable[Fact]) -> float:
    """Mean cosine between the stray evidence of two different photographs; NaN if unknown."""
    patches = [f.patch for f in facts if f.patch is not None]
    n = len(patches)
    if n < 2:
        return math.nan
    stack = np.stack(patches).astype(np.float64)
    cosines = stack @ stack.T
    return float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))


def border_share(heat: np.ndarray) -> float:
    """Share of the heat in the outer tenth of the frame; heat is (h, w), at least 0."""
    fine = cv2.resize(heat, (100, 100), interpolation=cv2.INTER_LINEAR)
    return 1 - float(fine[10:90, 10:90].sum(dtype=np.float64) / fine.sum(dtype=np.float64))


def corner_of(heat: np.ndarray) -> int:
    """The corner that holds the maximum, 0 to 3 in reading order, or -1."""
    h, w = heat.shape
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    y, x = (row + 0.5) / h, (column + 0.5) / w
    near_y, near_x = min(y, 1 - y) < CORNER, min(x, 1 - x) < CORNER
    return int(2 * (y > 0.5) + (x > 0.5)) if near_y and near_x else -1


def suspicions(facts: Sequence[Fact]) -> list[Suspicion]:
    """The classes whose correct predictions rest on something else than those of the others.

    Args:
        facts: of all photographs.

    Returns:
        The strongest first; nothing when there are fewer than two classes with `LEAST` correct
        predictions.
    """
    right: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.right and not fact.empty:
            right.setdefault(fact.pred, []).append(fact)
    names = [name for name, own in right.items() if len(own) >= LEAST]
    found = []
    for name in names:
        own, others = right[name], [f for other in names if other != name for f in right[other]]
        for kind in GAP:
            found += _suspect(name, kind, own, others, CHANCE / len(names))
    alike = {name: sameness(right[name]) for name in names}
    found = [_alike(s, alike) for s in found]
    found = [s for s in found if _convincing(s, alike)]
    # A class whose corner is suspected need not be told that a corner is at the border.
    cornered = {s.label for s in found if s.kind == "corner"}
    found = [s for s in found if not (s.kind == "border" and s.label in cornered)]
    return sorted(found, key=lambda s: s.others - s.value)


def _suspect(
    name: str, kind: str, own: Sequence[Fact], others: Sequence[Fact], chance: float
) -> list[Suspicion]:
    if kind == "corner":
        corners = [f.corner for f in own if f.corner >= 0]
        common = max(set(corners), key=corners.count) if corners else 0
        values, rest = ([float(f.corner == common) for f in part] for part in (own, others))
        kept = list(own)
    else:
        kept = [f for f in own if math.isfinite(getattr(f, kind))]
        values = [getattr(f, kind) for f in kept]
        rest = [v for v in (getattr(f, kind) for f in others) if math.isfinite(v)]
    if len(values) < LEAST or len(rest) < LEAST:
        return []
    mean, other = float(np.mean(values)), float(np.mean(rest))
    p = rank_test(values, rest)
    if mean - other < GAP[kind] or p > chance:
        return []
    order = sorted(range(len(values)), key=lambda i: (-values[i], -kept[i].prob))
    examples = tuple(kept[i].rel for i in order[:5])
    return [Suspicion(name, kind, mean, other, p, examples)]


def _alike(s: Suspicion, alike: dict[str, float]) -> Suspicion:
    known = s.kind == "stray" and math.isfinite(alike[s.label])
    return replace(s, sameness=alike[s.label]) if known else s


def _convincing(s: Suspicion, alike: dict[str, float]) -> bool:
    """Whether stray heat is on the same thing again and again, or much, if that is not known."""
    if s.kind != "stray":
        return True
    rest = [v for name, v in alike.items() if name != s.label and math.isfinite(v)]
    if s.sameness is None or not rest:
        return s.value - s.others >= ALONE
    return s.sameness - float(np.mean(rest)) >= SAMENESS


def rank_test(values: Sequence[float], others: Sequence[float]) -> float:
    """Mann and Whitney's test that `values` tend to be larger: one-sided p, normal with ties."""
    n, m = len(values), len(others)
    pooled = np.r_[np.asarray(values, float), np.asarray(others, float)]
    _, inverse, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (counts**3 - counts).sum() / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = (u - n * m / 2 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One class in numbers; means over its correct predictions.

    Attributes:
        label: the class.
        right: correct predictions.
        count: photographs that have it as label, or as prediction where there is no label.
        stray: mean, NaN without masks.
        border: mean.
        corner: share of the maxima in the commonest corner.
        flags: kinds of suspicion.
    """

    label: str
    right: int
    count: int
    stray: float
    border: float
    corner: float
    flags: tuple[str, ...]


def summarise(facts: Sequence[Fact], found: Iterable[Suspicion]) -> list[ClassSummary]:
    """Every class, flagged ones first, then by how much heat strays or lies at the border."""
    flags: dict[str, list[str]] = {}
    for suspicion in found:
        flags.setdefault(suspicion.label, []).append(suspicion.kind)
    classes: dict[str, list[Fact]] = {}
    for fact in facts:
        classes.setdefault(fact.label or fact.pred, []).append(fact)
    rows = []
    for label, own in classes.items():
        right = [f for f in own if f.right and not f.empty]
        strays = [f.stray for f in right if math.isfinite(f.stray)]
        corners = [f.corner for f in right if f.corner >= 0]
        rows.append(
            ClassSummary(
                label, sum(f.right for f in own), len(own),
                float(np.mean(strays)) if strays else math.nan,
                float(np.mean([f.border for f in right])) if right else 0.0,
                max(map(corners.count, set(corners))) / len(right) if corners else 0.0,
                tuple(flags.get(label, ())),
            )
        )  # fmt: skip
    return sorted(
        rows, key=lambda r: (not r.flags, -(r.border if math.isnan(r.stray) else r.stray), r.label)
    )
