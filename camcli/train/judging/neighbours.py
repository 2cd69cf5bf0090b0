"""Which photographs are nearest to which, by their features: block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DIMENSIONS = 128
"""In which neighbours are looked for: ten times as fast as in all, with the same nearest ones."""
_SAMPLE = 20_000  # photographs by which the axes are found
_BLOCK = 2048


def reduced(
    features: np.ndarray, dimensions: int = DIMENSIONS, *, centred: bool = True
) -> np.ndarray:
    """Features on their first principal axes.

    Args:
        features: (N, K) of any precision.
        dimensions: at most so many axes.
        centred: whether their mean is taken off first. Copies then stand out more; without it,
            what has little in common with the others does.

    Returns:
        (N, D) float32, of root mean square 1 over all numbers.
    """
    count = len(features)
    some = features[:: max(1, count // _SAMPLE)].astype(np.float32)
    mean = some.mean(0, dtype=np.float64).astype(np.float32)
    if not centred:
        mean = np.zeros_like(mean)
    some -= mean
    axes = _principal(some, dimensions)
    out = np.empty((count, len(axes)), np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        out[block] = (features[block].astype(np.float32) - mean) @ axes.T
    unit = float(np.sqrt(np.square(out).mean(dtype=np.float64))) if out.size else 0.0
    return out / np.float32(unit) if unit > 0 else out


def _principal(points: np.ndarray, dimensions: int) -> np.ndarray:
    """(D, K) axes of points (N, K), by the smaller of their products: far faster than an SVD."""
    few = len(points) < points.shape[1]
    product = points @ points.T if few else points.T @ points
    values, vectors = np.linalg.eigh(product.astype(np.float64))
    values, vectors = values[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]
    real = values > 1e-7 * max(float(values[0]), 1e-30) if len(values) else values > 0
    vectors = vectors[:, real].astype(np.float32)
    if not few:
        return np.asarray(vectors.T)
    return np.asarray((points.T @ vectors / np.sqrt(values[real]).astype(np.float32)).T)


def nearest(
    points: np.ndarray, k: int, go_on: Callable[[], bool] = lambda: True
) -> tuple[np.ndarray, np.ndarray] | None:
    """The k nearest of each point by the cosine, itself left out.

    Args:
        points: (N, D) float32.
        k: neighbours, fewer than N.
        go_on: asked between blocks.

    Returns:
        (N, k) indices and (N, k) cosines, the nearest first; None where it was told to stop.
    """
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    unit = points / np.maximum(norms, 1e-12)
    count = len(unit)
    which, cosines = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    for start in range(0, count, _BLOCK):
        if not go_on():
            return None
        rows = unit[start : start + _BLOCK]
        best = np.full((len(rows), k), -2, np.float32)
        where = np.zeros((len(rows), k), np.int64)
        for other in range(0, count, 4 * _BLOCK):
            found = rows @ unit[other : other + 4 * _BLOCK].T
            own = np.arange(start, start + len(rows)) - other
            inside = (own >= 0) & (own < found.shape[1])
            found[np.flatnonzero(inside), own[inside]] = -2
            if other == 0:
                few = min(k, found.shape[1])
                top = np.argpartition(-found, few - 1, axis=1)[:, :few]
                values = np.take_along_axis(found, top, 1)
            else:
                top, values = _above(found, best[:, -1], k)
            both = np.concatenate([best, values], 1)
            places = np.concatenate([where, top + other], 1)
            order = np.argsort(-both, axis=1, kind="stable")[:, :k]
            best, where = np.take_along_axis(both, order, 1), np.take_along_axis(places, order, 1)
        which[start : start + len(rows)], cosines[start : start + len(rows)] = where, best
    return which, cosines


def _above(found: np.ndarray, least: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row that are above a number, which after a few blocks are few.

    Args:
        found: (B, M).
        least: (B,) the number of each row.
        k: at most so many.

    Returns:
        (B, k) columns and (B, k) values, -2 where there are no more.
    """
    rows, columns = np.divmod(np.flatnonzero(found > least[:, None]), found.shape[1])
    values = found[rows, columns]
    order = np.lexsort((-values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < k
    top, best = np.zeros((len(found), k), np.int64), np.full((len(found), k), -2, np.float32)
    top[rows[kept], rank[kept]], best[rows[kept], rank[kept]] = columns[kept], values[kept]
    return top, best
