import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score, silhouette_score

from camcli.evaluate.audit.clustering import (
    LARGEST,
    SAMPLE,
    _distances,
    _silhouette,
    how_many,
    kmeans,
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


@pytest.mark.parametrize("seed", range(3))
def test_silhouettes_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((40, 6)).astype(np.float32)
    labels = rng.integers(0, 5, 40)
    labels[:2] = 5, 6  # a group of one scores 0
    expected = silhouette_score(points, labels)
    assert _silhouette(_distances(points), labels) == pytest.approx(expected, abs=1e-6)


def test_how_many_groups_there_are():
    points, _ = make_blobs((50, 30, 20), 8, cluster_std=0.5, random_state=1)
    assert how_many(points, 10) == 3
    assert how_many(points, 2) == 2
    many, _ = make_blobs((SAMPLE, SAMPLE, SAMPLE), 8, cluster_std=0.5, random_state=1)
    assert how_many(many, 10) == 3
    # Points of no groups are cut as finely as is allowed.
    assert how_many(np.random.default_rng(0).standard_normal((300, 50)), 10) == 10
    assert [how_many(np.ones((n, 3)), 10) for n in (1, 2, 12)] == [1, 2, 10]
