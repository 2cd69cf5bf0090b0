"""Alike maps: the maps of each predicted class in clusters, and one map that merges them.

Photographs are alike where the network looks at the same thing in the same place. Which thing, is
known by the features of the hottest region (`Fact.region`); where they are not known, as of a run's
maps, photographs are compared by place alone. The thing counts more than the place (`THING`): a
mark at a random place of each photograph is one cluster then, and else as many as there are places.

Three options change what is clustered and drawn, and nothing of what is flagged:

- stretching (`stretched`) makes maps of unlike contrast comparable;
- texture masking (`texture_of`) takes heat away where the photograph is flat;
- merging (`merged`) lays the clusters' maps over each other, the most confident in front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.data.decode.images import load_image
from camcli.errors import ImageError, UsageError
from camcli.evaluate.audit.clustering import LARGEST, kmeans, put_together, spectral
from camcli.evaluate.audit.map_stats import THUMB, Fact
from camcli.evaluate.measured.square_canvas import SIDE

THING = 3.0
"""Weight of what is in the hottest region beside where the heat is, both of length 1 on average."""
ALIKE = 0.35
"""Mean cosine between the regions of two clusters from which on they are of the same thing.

Measured on photographs of cats and dogs: two of which the network looks at the same sticker have
0.47 to 0.60 on average, at the same line of text 0.62 to 0.87, at cats' faces 0.48 to 0.71; of
classes in which nothing repeats 0.19 to 0.31. Of photographs with a sticker anywhere, on 90% of a
class, 94%, 98% and 100% are in one cluster then (three stickers), and on 5% to 50% of a class 85%
to 100%; all of its typical photographs show it. By the place alone it is 15% to 40%, and the
typical photographs show anything.
"""
TYPICAL = 6  # photographs of a cluster
WINDOW = 17  # canvas pixels a side in which texture is measured: a cell of a 7x7 map has 32
FLAT = 8.0  # grey levels: noise and gradients of a sky stay below, edges and fur lie above


@dataclass(frozen=True, slots=True)
class Grouping:
    """How maps are prepared and clustered.

    Attributes:
        spectral: spectral clusters rather than k-means.
        k: most clusters a class; None for `most_clusters`.
        stretch: stretch each map's histogram first.
        texture: then take the heat off flat parts of the photograph.
        merge: also merge the clusters' mean maps of each class by confidence.
    """

    spectral: bool = False
    k: int | None = None
    stretch: bool = False
    texture: bool = False
    merge: bool = False

    def __str__(self) -> str:
        """Which options a picture was made with."""
        words = {"stretched": self.stretch, "flat parts masked": self.texture}
        kind = "spectral clusters" if self.spectral else "k-means clusters"
        return ", ".join([kind, *(word for word, on in words.items() if on)])


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Alike maps of one predicted class.

    Attributes:
        members: relative paths.
        mean: (THUMB, THUMB) float32 with maximum 1 (all 0 if there is no heat).
        probability: mean of the predictions.
        typical: the members nearest to the centre, the nearest first.
    """

    members: tuple[str, ...]
    mean: np.ndarray
    probability: float
    typical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """What `group` found.

    Attributes:
        clusters: by predicted class; the largest first, or with `Grouping.merge` the most
            confident.
        textured: by predicted class and relative path, the share of the heat on textured parts;
            empty unless asked.
    """

    clusters: dict[str, list[Cluster]]
    textured: dict[tuple[str, str], float]

    def number_of(self) -> dict[tuple[str, str], int]:
        """Predicted class and relative path -> number of the cluster within the class, from 0."""
        return {
            (name, rel): number
            for name, own in self.clusters.items()
            for number, cluster in enumerate(own)
            for rel in cluster.members
        }


def group(facts: Sequence[Fact], how: Grouping) -> Alike:
    """Cluster the maps of each predicted class; empty maps are left out.

    Raises:
        UsageError: a class has too many photographs for spectral clusters, or a photograph whose
            texture is asked for is not where it was.
    """
    classes: dict[str, list[Fact]] = {}
    for fact in facts:
        if not fact.empty:
            classes.setdefault(fact.pred, []).append(fact)
    clusters: dict[str, list[Cluster]] = {}
    shares: dict[tuple[str, str], float] = {}
    for name, own in classes.items():
        if how.spectral and len(own) > LARGEST:
            raise UsageError(
                f"{name} has {len(own)} photographs: too many for spectral clusters. Use kmeans."
            )
        maps = []
        for fact in own:
            heat = stretched(fact.thumb) if how.stretch else fact.thumb
            if how.texture:
                texture = _texture(fact)
                shares[name, fact.rel] = float((fact.thumb * texture).sum() / fact.thumb.sum())
                heat = heat * texture
            maps.append(heat)
        stack = np.stack(maps)
        points, things = _points(own, stack)
        k = how.k or most_clusters(len(own))
        found = spectral(points, k) if how.spectral else kmeans(points, k)
        if things is not None and not how.spectral:
            found = put_together(found, things, ALIKE)
        clusters[name] = [
            _cluster([own[i] for i in where], stack[where], points[where])
            for where in (np.flatnonzero(found == n) for n in range(int(found.max()) + 1))
        ]
        if how.merge:
            clusters[name].sort(key=lambda c: -c.probability)
    return Alike(clusters, shares)


def _points(own: Sequence[Fact], maps: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """What is compared, (N, D) float32, and what is in the hottest regions, where it is known."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    regions = [fact.region for fact in own if fact.region is not None]
    if len(regions) < len(own) or len({len(region) for region in regions}) != 1:
        return flat, None
    length = math.sqrt(float(np.einsum("nd,nd->n", flat, flat).mean()))
    things = np.stack(regions).astype(np.float32)
    points = np.hstack([flat / np.float32(max(length, 1e-12)), np.float32(THING) * things])
    return points, things


def most_clusters(photographs: int) -> int:
    """Ten, and no more than one for three photographs: clusters of one or two say nothing."""
    return min(10, max(1, photographs // 3))


def _cluster(own: Sequence[Fact], maps: np.ndarray, points: np.ndarray) -> Cluster:
    mean = maps.mean(0)
    top = float(mean.max())
    mean = (mean / top if top > 0 else mean).astype(np.float32)
    apart = points - points.mean(0, dtype=np.float64).astype(np.float32)
    far = np.einsum("nd,nd->n", apart, apart)
    nearest = np.argsort(far, kind="stable")[:TYPICAL]
    return Cluster(
        tuple(f.rel for f in own), mean, float(np.mean([f.prob for f in own])),
        tuple(own[i].rel for i in nearest),
    )  # fmt: skip


def stretched(heat: np.ndarray, low: float = 2, high: float = 98) -> np.ndarray:
    """A map (h, w) with its histogram stretched: the low percentile becomes 0, the high one 1."""
    bottom, top = np.percentile(heat, (low, high))
    if top <= bottom:
        return np.zeros_like(heat)
    return np.clip((heat - bottom) / (top - bottom), 0, 1).astype(np.float32)


def texture_of(rgb: np.ndarray) -> np.ndarray:
    """Where a photograph shows anything, as opposed to sky, walls and studio backgrounds.

    A pixel is textured where the standard deviation of the grey levels in the `WINDOW` around it
    is at least `FLAT`.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        (THUMB, THUMB) float32, the share of textured pixels in each cell of the squashed
        photograph.
    """
    grey = cv2.resize(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    ).astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)

    variance = np.maximum(mean(grey * grey) - mean(grey) ** 2, 0)
    textured = (variance >= FLAT**2).astype(np.float32)
    return cv2.resize(textured, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def _texture(fact: Fact) -> np.ndarray:
    try:
        return texture_of(load_image(fact.photo))
    except ImageError as error:
        raise UsageError(f"--texture looks at the photographs again: {error}") from error


def merged(clusters: Sequence[Cluster]) -> np.ndarray:
    """One map of a class: its clusters' mean maps laid over each other by confidence.

    With mean maps m_1, m_2, ... in [0, 1] and mean probabilities p_1 >= p_2 >= ...:

        R = Σ_n p_n m_n Π_{i<n} (1 - m_i)

    So a cell tells the confidence of the most confident cluster that looks there, and what less
    confident ones look at shows only where the others are cold. Merged in any other order, or
    averaged, a large cluster of doubtful predictions would hide a small one of sure ones.

    Args:
        clusters: of one class, in any order.

    Returns:
        (THUMB, THUMB) float32 in [0, 1].
    """
    merged = np.zeros((THUMB, THUMB), np.float32)
    free = np.ones_like(merged)
    for cluster in sorted(clusters, key=lambda c: -c.probability):
        merged += cluster.probability * cluster.mean * free
        free *= 1 - cluster.mean
    return merged
