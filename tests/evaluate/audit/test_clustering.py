import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score

from camcli.evaluate.audit.clustering import LARGEST, kmeans, spectral


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
