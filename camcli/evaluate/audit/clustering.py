"""Groups of alike points: k-means, groups put together, and spectral clustering as in SpRAy."""

from __future__ import annotations

import cv2
import numpy as np

NEIGHBOURS = 10
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


def put_together(labels: np.ndarray, directions: np.ndarray, alike: float) -> np.ndarray:
    """Groups whose members point the same way as one group: average linkage from these groups on.

    The two groups with the largest mean cosine between their members become one, again and again,
    as long as that is at least `alike`.

    Args:
        labels: (N,), of groups from 0 on.
        directions: (N, D), of length 1.
        alike: mean cosine.

    Returns:
        Cluster numbers (N,), 0 for the largest.
    """
    sums = [directions[labels == n].sum(0, dtype=np.float64) for n in range(int(labels.max()) + 1)]
    counts = np.bincount(labels).tolist()
    home = list(range(len(sums)))  # of each group, among those that are left
    while len(sums) > 1:
        means = np.stack([total / max(1, n) for total, n in zip(sums, counts, strict=True)])
        cosines = np.triu(means @ means.T - 2, 1)  # pairs are negative, the rest 0
        first, second = divmod(int(np.where(cosines < 0, cosines, -9).argmax()), len(sums))
        if cosines[first, second] + 2 < alike:
            break
        sums[first] += sums.pop(second)
        counts[first] += counts.pop(second)
        home = [first if n == second else n - (n > second) for n in home]
    return _by_size(np.asarray(home)[labels])


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
