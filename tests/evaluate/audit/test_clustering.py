import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score

from camcli.evaluate.audit.clustering import (
    LARGEST,
    kmeans,
    put_together,
    spectral,
)


def test_kmeans_finds_blobs_largest_first():
    points, truth = make_blobs((50, 30, 20), 8, cluster_std=0.5, random_state=1)
    found = kmeans(points, 3)
    assert adjusted_rand_score(truth, found) == 1
    assert np.bincount(found).tolist() == [50, 30, 20]
    assert (kmeans(points, 3) == found).all()


def test_spectral_finds_what_kmeans_cannot():
    points, truth = make_circles(200, factor=0.3, noise=0.03, random_state=0)
    assert adjusted_rand_score(truth, kmeans(points, 2)) < 0.1
    found = spectral(points, 2)
    assert adjusted_rand_score(truth, found) == 1
    theirs = SpectralClustering(2, affinity="nearest_neighbors", random_state=0).fit_predict(points)
    assert adjusted_rand_score(theirs, found) == 1


def test_spectral_finds_how_many():
    points, truth = make_blobs((50, 30, 20), 8, cluster_std=0.5, random_state=1)
    assert adjusted_rand_score(truth, spectral(points, 8)) == 1


@pytest.mark.parametrize("cluster", [kmeans, spectral])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_or_equal_points(cluster, n):
    assert len(cluster(np.random.default_rng(0).random((n, 5)), 10)) == n
    assert len(cluster(np.ones((n, 5)), 10)) == n


def test_too_many_for_a_graph():
    with pytest.raises(ValueError, match="k-means"):
        spectral(np.zeros((LARGEST + 1, 1)), 3)


def unit(*rows):
    points = np.array(rows, float)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_groups_of_the_same_direction_are_put_together():
    """Cosines between groups: 0 and 2 0.6, 1 and 2 0.8, 0 and 1 0."""
    directions = unit((1, 0), (0, 1), (0, 1), (0.6, 0.8))
    labels = np.array([1, 0, 0, 2])
    assert put_together(labels, directions, 0.9).tolist() == [1, 0, 0, 2]
    assert put_together(labels, directions, 0.7).tolist() == [1, 0, 0, 0]
    # Of the one, the other three are at 0, 0 and 0.6: 0.2 on average.
    assert put_together(labels, directions, 0.21).tolist() == [1, 0, 0, 0]
    assert put_together(labels, directions, 0.19).tolist() == [0, 0, 0, 0]
    assert put_together(np.zeros(4, int), directions, 0.5).tolist() == [0] * 4
    # Against each other.
    assert put_together(np.array([0, 1]), unit((1, 0), (-1, 0)), -0.9).tolist() == [0, 1]
    assert put_together(np.array([0, 1]), unit((1, 0), (-1, 0)), -1).tolist() == [0, 0]


def test_groups_are_put_together_as_average_linkage_does():
    from scipy.cluster.hierarchy import fcluster, linkage

    rng = np.random.default_rng(4)
    directions = unit(*(rng.standard_normal((4, 6)).repeat(8, 0) + rng.standard_normal((32, 6))))
    ours = put_together(np.arange(32), directions, 0.4)
    theirs = fcluster(linkage(directions, "average", "cosine"), 0.6, "distance")
    assert adjusted_rand_score(ours, theirs) == 1
    assert 1 < ours.max() < 31
