"""A flat map of the data: alike photographs lie beside each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from camcli.render.places.components import principal
from camcli.render.places.neighbours import nearest_of

SAMPLE = 5_000
"""Photographs that are laid out, a quarter of a minute by t-SNE; others are put where those are
that they resemble most."""
SIDE = 65_534  # places are whole numbers from 0 to this
_COMPONENTS = 50  # of the features, that neighbours are looked for by
_FEW = 12  # photographs that are too few for neighbourhoods to mean anything
_AT_ONCE = 500  # photographs that are laid out in a moment
PERPLEXITY = 15.0  # neighbours that count, about
_RESEMBLED = 5  # of those that have places, that others are put among
_NEAR, _AROUND = 6.0, 0.35  # in distances between neighbours on the map

HOW = ("UMAP", "t-SNE", "principal components")

Tick = Callable[[], None]
Working = Callable[[str], AbstractContextManager[None]]
"""What is being done -> a context in which it is, and a person is told."""


@dataclass(frozen=True, slots=True)
class DataMap:
    """Where photographs lie.

    Attributes:
        x: (N,) int32 from 0 to `SIDE`; -1 of a photograph whose features are not known.
        y: likewise; 0 is at the top.
        how: by what, in words for a person: ``UMAP``, ``t-SNE`` or ``principal components``.
        drawn: photographs that were laid out.
        placed: others that were put beside those that they resemble.
        unknown: photographs that have no place.
    """

    x: np.ndarray
    y: np.ndarray
    how: str
    drawn: int
    placed: int
    unknown: int


def stacked(features: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Features that can be compared with each other.

    Args:
        features: of each photograph (n,), or None.

    Returns:
        The numbers (M,) int64 of the photographs that have any, and their features (M, n) float32;
        those of another length than most, which another network made, count as none.
    """
    lengths = Counter(len(each) for each in features if each is not None)
    if not lengths:
        return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    usual = lengths.most_common(1)[0][0]
    ids = [n for n, each in enumerate(features) if each is not None and len(each) == usual]
    rows = np.empty((len(ids), usual), np.float32)
    for row, number in enumerate(ids):
        rows[row] = features[number]
    return np.asarray(ids, np.int64), rows


def lay_out(
    features: Sequence[np.ndarray | None],
    *,
    sample: int = SAMPLE,
    working: Working | None = None,
) -> DataMap | None:
    """Places of photographs; the same photographs get the same ones.

    UMAP does it where its package is installed, and else scikit-learn's t-SNE.

    Args:
        features: of each photograph (n,), or None.
        sample: photographs that are laid out at most, drawn at random.
        working: hears about what takes longer than a moment.

    Returns:
        None where no two photographs have features.
    """
    ids, rows = stacked(features)
    if len(ids) < 2:
        return None
    points = principal(rows, _COMPONENTS)
    drawn = np.arange(len(ids))
    if len(ids) > sample:
        drawn = np.sort(np.random.RandomState(0).choice(len(ids), sample, replace=False))
    flat, how = _flat(points[drawn], working)
    places = np.empty((len(ids), 2), np.float32)
    places[drawn] = flat
    rest = np.setdiff1d(np.arange(len(ids)), drawn)
    if len(rest):
        places[rest] = _beside(points[rest], points[drawn], flat)
    whole = np.full((2, len(features)), -1, np.int32)
    whole[:, ids] = _scaled(places).T
    return DataMap(
        whole[0], whole[1], how, len(drawn), len(rest), len(features) - len(ids)
    )  # fmt: skip


def _flat(points: np.ndarray, working: Working | None) -> tuple[np.ndarray, str]:
    """(N, 2) float32, and what they were made by."""
    n = len(points)
    if n < _FEW or not points.any():
        flat = principal(points, 2)
        return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), "principal components"
    slow = working(f"Laying out {n:,} photographs ...") if working and n > _AT_ONCE else None
    with slow or nullcontext():
        if (flat_by_umap := _umap(points)) is not None:
            return flat_by_umap, "UMAP"
        return _tsne(points), "t-SNE"


def _beside(points: np.ndarray, known: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Places of photographs among those that have some.

    Each lies around the one that it resembles most, drawn to the next ones where those are near in
    the map, too: the mean of places in two groups would be in none of them. How far around is by
    chance, and within the room that there is, so that many which resemble one are seen as many.

    Args:
        points: (N, D).
        known: (M, D).
        flat: (M, 2), their places.

    Returns:
        (N, 2) float32.
    """
    found = nearest_of(points, known, min(_RESEMBLED, len(known)))
    near = flat[found]  # (N, k, 2)
    # The second nearest of a place is its nearest other.
    room = np.linalg.norm(flat[nearest_of(flat, flat, 2)[:, 1]] - flat, axis=1)
    # Who lies alone does not scatter those that resemble it over the whole map; and in a small
    # group there is as much room as each would have if all were spread evenly.
    even = float(np.ptp(flat, axis=0).max()) / math.sqrt(len(flat) + len(points))
    room = np.maximum(np.minimum(room, 3 * np.median(room)), even)[found[:, 0]]
    apart = np.linalg.norm(near - near[:, :1], axis=2)
    gaps = np.stack([((points - known[each]) ** 2).sum(1) for each in found.T], 1)
    weights = np.where(apart <= _NEAR * room[:, None], 1 / (gaps + 1e-9), 0)
    places = (near * weights[:, :, None]).sum(1) / weights.sum(1)[:, None]
    aside = np.random.RandomState(0).standard_normal(places.shape)
    return (places + _AROUND * room[:, None] * aside).astype(np.float32)


def _tsne(points: np.ndarray) -> np.ndarray:
    """By scikit-learn (van der Maaten and Hinton 2008), the same for the same points."""
    from sklearn.manifold import TSNE  # takes a second to import

    # Copies of one photograph would never part: they get places of their own beside each other.
    apart = 1e-4 * float(points.std()) * np.random.RandomState(0).standard_normal(points.shape)
    made = TSNE(2, perplexity=min(PERPLEXITY, (len(points) - 1) / 3), init="pca", random_state=0,
                max_iter=500)  # fmt: skip
    return np.asarray(made.fit_transform(points + apart.astype(np.float32)), np.float32)


def _umap(points: np.ndarray) -> np.ndarray | None:
    """By the package umap-learn, if it is installed and works."""
    try:
        from umap import UMAP

        made = UMAP(n_neighbors=min(15, len(points) - 1), random_state=0, init="pca")
        flat = np.asarray(made.fit_transform(points), np.float32)
    except Exception:  # its compiler complains in many ways; t-SNE needs none
        return None
    return flat if flat.shape == (len(points), 2) and np.isfinite(flat).all() else None


def _scaled(places: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to `SIDE`, as far apart in both directions as they were."""
    low, high = places.min(0), places.max(0)
    span = float((high - low).max()) or 1.0
    middle = (places - (low + high) / 2) / span + 0.5
    return np.rint(np.clip(middle, 0, 1) * SIDE).astype(np.int32)


def compact(
    features: Sequence[np.ndarray | None], budget: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Features in few bytes, by which a page finds the photographs that are most alike.

    Args:
        features: of each photograph (n,), or None.
        budget: bytes.

    Returns:
        The numbers (M,) of the photographs that have any, and (M, d) int8, whose distances are
        proportional to those of the features; None where no two photographs have any.
    """
    ids, rows = stacked(features)
    if len(ids) < 2:
        return None
    points = principal(rows, max(8, budget // len(ids)))
    high = float(np.abs(points).max()) or 1.0
    return ids, np.rint(points * (127 / high)).astype(np.int8)
