import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from camcli.render.places import layout as rooms
from camcli.render.places.layout import SIDE, compact, lay_out


def nearest(points, k):
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)


def photographs(n, k=6, width=64):
    draw = np.random.default_rng(1)
    centres = draw.standard_normal((k, width))
    which = np.arange(n) % k
    points = centres[which] + 0.5 * draw.standard_normal((n, width))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return list(points.astype(np.float16)), which


@pytest.fixture(autouse=True)
def no_umap(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)


def test_alike_photographs_are_beside_each_other_also_those_that_were_not_drawn():
    features, which = photographs(240)
    found = lay_out(features, sample=120)
    assert (found.how, found.drawn, found.placed, found.unknown) == ("t-SNE", 120, 120, 0)
    places = np.stack([found.x, found.y], 1)
    assert places.min() == 0
    assert places.max() == SIDE
    near = nearest(places.astype(np.float32), 5)
    assert (which[near] == which[:, None]).mean() > 0.95
    again = lay_out(features, sample=120)
    assert np.array_equal(again.x, found.x)
    assert np.array_equal(again.y, found.y)


def test_photographs_without_features_have_no_place():
    features, _ = photographs(40)
    features[3] = None
    features[7] = np.ones(5, np.float16)  # of another network
    found = lay_out(features)
    assert np.flatnonzero(found.x < 0).tolist() == [3, 7]
    assert np.flatnonzero(found.y < 0).tolist() == [3, 7]
    assert (found.drawn, found.unknown) == (38, 2)
    ids, numbers = compact(features, 10_000)
    assert ids.tolist() == [n for n in range(40) if n not in (3, 7)]
    assert numbers.shape == (38, 38)


@pytest.mark.parametrize("features", [[], [None, None], [np.ones(4, np.float16), None]])
def test_there_is_no_map_of_nothing(features):
    assert lay_out(features) is None
    assert compact(features, 1000) is None


@pytest.mark.parametrize("n", [2, 3, 11])
def test_few_photographs_are_laid_out_by_components(n):
    features, _ = photographs(n)
    found = lay_out(features)
    assert found.how == "principal components"
    assert ((found.x >= 0) & (found.x <= SIDE)).all()


def test_copies_of_one_photograph_lie_on_one_place():
    found = lay_out([np.ones(8, np.float16)] * 30)
    assert found.how == "principal components"
    assert len(set(found.x)) == len(set(found.y)) == 1


def test_umap_is_taken_where_it_is_installed(monkeypatch):
    asked = {}

    class UMAP:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, points):
            asked["shape"] = points.shape
            return points[:, :2] * [1, 3]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    features, _ = photographs(60)
    found = lay_out(features, sample=50)
    assert found.how == "UMAP"
    assert asked["shape"] == (50, 50)
    assert asked["random_state"] == 0  # the same map each time
    assert asked["n_neighbors"] == 15


@pytest.mark.parametrize("flat", [np.full((40, 2), np.nan), np.ones((40, 3)), RuntimeError("no")])
def test_a_umap_that_fails_is_replaced(monkeypatch, flat):
    class UMAP:
        def __init__(self, **options):
            pass

        def fit_transform(self, points):
            if isinstance(flat, Exception):
                raise flat
            return flat

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    assert lay_out(photographs(40)[0]).how == "t-SNE"


def test_what_is_slow_is_told(monkeypatch):
    monkeypatch.setattr(rooms, "_AT_ONCE", 30)
    told = []

    @contextmanager
    def working(title):
        told.append(title)
        yield

    lay_out(photographs(40)[0], working=working)
    assert told == ["Laying out 40 photographs ..."]
    told.clear()
    lay_out(photographs(20)[0], working=working)
    assert not told


def test_compact_features_find_the_same_neighbours():
    features, _ = photographs(200)
    exact = nearest(np.stack(features), 3)
    _, numbers = compact(features, 200 * 64)
    assert numbers.dtype == np.int8
    assert numbers.shape == (200, 64)
    found = nearest(numbers.astype(np.float32), 3)
    assert np.mean([len(set(a) & set(b)) / 3 for a, b in zip(exact, found, strict=True)]) > 0.95
    assert compact(features, 200 * 20)[1].shape == (200, 20)


def test_many_that_resemble_one_are_seen_as_many_and_stay_with_it():
    features, which = photographs(1200)
    found = lay_out(features, sample=60)
    places = np.stack([found.x, found.y], 1)
    assert len({tuple(place) for place in places.tolist()}) > 1150
    near = nearest(places.astype(np.float32), 5)
    assert (which[near] == which[:, None]).mean() > 0.95
