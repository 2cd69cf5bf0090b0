"""Groups of alike points: k-means, how many groups there are, and spectral clustering (SpRAy)."""

from __future__ import annotations

import cv2
import numpy as np

NEIGHBOURS = 10
SAMPLE = 1000  # points by which is judged how many groups there are
LEAST_APART = 0.15
"""Mean silhouette below which points are no groups: on photographs, classes in which nothing
repeats have 0.05 to 0.11, those with a planted mark 0.2 to 0.47."""
LARGEST = 2000  # photographs whose graph is solved exactly; more would take minutes and gigabytes


def kmeans(points: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """Cluster numbers (N,), 0 for the largest; k-means++, the best of five starts.

    Args:
        points: (N, D).
        k: clusters; fewer when there are fewer points.
        seed: of the starts. OpenCV's generator is set.
    """
    k = min(k, len(points))
    if k <= 1:
        return np.zeros(len(points), int)
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    _, found, _ = cv2.kmeans(
        np.ascontiguousarray(points, np.float32), k, None, criteria, 5, cv2.KMEANS_PP_CENTERS
    )  # type: ignore[call-overload]
    return _by_size(found[:, 0])


def how_many(points: np.ndarray, most: int, seed: int = 0) -> int:
    """How many groups k-means should look for: the number with the largest mean silhouette.

    Rousseeuw 1987, 10.1016/0377-0427(87)90125-7, on up to `SAMPLE` of the points.

    Args:
        points: (N, D).
        most: groups.
        seed: of the sample and the starts.

    Returns:
        1 to `most`; `most` itself where no number of groups is well apart (`LEAST_APART`), so that
        each of them is at least of one kind.
    """
    most = min(most, len(points))
    if len(points) > SAMPLE:
        points = points[np.random.default_rng(seed).permutation(len(points))[:SAMPLE]]
    best, found = LEAST_APART, most
    apart = _distances(points)
    for k in range(2, most + 1):
        score = _silhouette(apart, kmeans(points, k, seed))
        if score > best + 1e-9:
            best, found = score, k
    return found


def _distances(points: np.ndarray) -> np.ndarray:
    flat = points.astype(np.float64)
    square = (flat**2).sum(1)
    return np.sqrt(np.maximum(square[:, None] + square[None] - 2 * flat @ flat.T, 0))


def _silhouette(apart: np.ndarray, labels: np.ndarray) -> float:
    """Mean of (b - a) / max(a, b): a is the mean distance to the own group, b to the next one."""
    groups = int(labels.max()) + 1
    if groups < 2:
        return 0.0
    of = np.eye(groups)[labels]
    counts = of.sum(0)
    total = apart @ of  # (N, groups)
    rows = np.arange(len(labels))
    own = counts[labels]
    a = total[rows, labels] / np.maximum(own - 1, 1)
    means = total / np.maximum(counts, 1)
    means[rows, labels] = np.inf
    means[:, counts == 0] = np.inf
    b = means.min(1)
    largest = np.maximum(a, b)
    scores = np.where((own > 1) & (largest > 0), (b - a) / np.where(largest > 0, largest, 1), 0)
    return float(scores.mean())


def spectral(points: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """Cluster numbers (N,), 0 for the largest, by the graph of nearest neighbours.

    SpRAy (Lapuschkin et al. 2019, 10.1038/s41467-019-08987-4): a symmetric graph of the nearest
    neighbours, the eigenvectors of its normalised Laplacian with the smallest eigenvalues; the
    largest gap between the eigenvalues, up to the k-th, says how many clusters there are; k-means
    finds them.

    Args:
        points: (N, D), N at most `LARGEST`.
        k: most clusters.
        seed: of k-means.

    Raises:
        ValueError: too many points.
    """
    n = len(points)
    if n > LARGEST:
        raise ValueError(f"{n} points are too many for spectral clustering; take k-means")
    if n <= 2 or k <= 1:
        return np.zeros(n, int)
    flat = points.astype(np.float64)
    square = (flat**2).sum(1)
    distance = square[:, None] + square[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, : min(NEIGHBOURS, n - 1)]
    graph = np.zeros((n, n))
    graph[np.arange(n)[:, None], nearest] = 1
    graph = np.maximum(graph, graph.T)
    root = 1 / np.sqrt(graph.sum(1))
    values, vectors = np.linalg.eigh(np.eye(n) - root[:, None] * graph * root[None])
    most = min(k, n - 1)
    count = 1 + int(np.argmax(np.diff(values[: most + 1])))
    embedded = vectors[:, :count]
    norms = np.linalg.norm(embedded, axis=1, keepdims=True)
    return kmeans(embedded / np.maximum(norms, 1e-12), count, seed)


def _by_size(labels: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[labels]
