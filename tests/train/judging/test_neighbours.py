import numpy as np
import pytest

from camcli.train.judging import neighbours
from camcli.train.judging.neighbours import nearest, reduced


@pytest.mark.parametrize("block", [7, 64, 2048])
def test_nearest_is_what_sorting_everything_gives(block, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    points = np.random.default_rng(0).normal(size=(150, 9)).astype(np.float32)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    wanted = unit @ unit.T
    np.fill_diagonal(wanted, -2)
    which, cosines = nearest(points, 6)
    assert (which == np.argsort(-wanted, 1)[:, :6]).all()
    assert cosines == pytest.approx(np.sort(-wanted, 1)[:, :6] * -1, abs=1e-5)


def test_it_can_be_stopped():
    assert nearest(np.ones((4, 2), np.float32), 2, lambda: False) is None


def test_few_neighbours_of_few_points():
    which, _ = nearest(np.eye(2, dtype=np.float32), 1)
    assert which.tolist() == [[1], [0]]


@pytest.mark.parametrize("count", [30, 400])
def test_reduced_keeps_distances_where_there_are_few_axes(count):
    rng = np.random.default_rng(1)
    low = rng.normal(size=(count, 5))
    features = (low @ rng.normal(size=(5, 60)) + 3).astype(np.float16)
    points = reduced(features, 8)
    assert points.shape[0] == count
    assert points.shape[1] <= 8
    full = features.astype(np.float64) - features.astype(np.float64).mean(0)
    one, two = (np.linalg.norm(x[:20, None] - x[None, :20], axis=-1) for x in (points, full))
    ratio = one[two > 0] / two[two > 0]
    assert ratio.std() / ratio.mean() < 0.01


def test_features_that_are_all_the_same_are_no_trouble():
    points = reduced(np.ones((6, 4), np.float16))
    assert np.isfinite(points).all()
    assert nearest(points, 3) is not None
