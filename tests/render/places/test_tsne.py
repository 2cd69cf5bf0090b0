import numpy as np
import pytest
from scipy.spatial.distance import cdist

from camcli.render.places.components import principal
from camcli.render.places.neighbours import nearest, nearest_of
from camcli.render.places.tsne import STEPS, affinities, gradient, tsne


def groups(n, k=8, width=30, spread=0.6):
    """Points around `k` centres, and which centre each is of."""
    draw = np.random.default_rng(3)
    centres = draw.standard_normal((k, width))
    which = draw.integers(0, k, n)
    points = centres[which] + spread * draw.standard_normal((n, width))
    return points.astype(np.float32), which


@pytest.fixture(scope="module")
def laid_out():
    points, which = groups(400)
    return points, which, tsne(points)


def exact_gradient(y, others, weights):
    """The paper's equation, with all pairs."""
    n = len(y)
    P = np.zeros((n, n))
    np.put_along_axis(P, others, weights, 1)
    P = (P + P.T) / (2 * n)
    gaps = y[:, None] - y[None]
    q = 1 / (1 + (gaps**2).sum(2))
    np.fill_diagonal(q, 0)
    return (((P - q / q.sum()) * q)[:, :, None] * gaps).sum(1)


@pytest.mark.parametrize(("spread", "wrong"), [(1e-2, 1e-5), (1, 1e-3), (8, 0.03)])
def test_the_gradient_on_the_grid_is_that_of_all_pairs(spread, wrong):
    points, _ = groups(500)
    others, weights = affinities(points, 15)
    y = np.random.default_rng(0).standard_normal((500, 2)) * spread
    exact = exact_gradient(y, others, weights)
    error = gradient(y, others, weights, 1.0) - exact
    assert np.linalg.norm(error) < wrong * np.linalg.norm(exact)


def test_each_point_has_as_many_neighbours_as_the_perplexity_says():
    points, _ = groups(300)
    others, weights = affinities(points, 12)
    np.testing.assert_allclose(weights.sum(1), 1)
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(1)
    np.testing.assert_allclose(np.exp(entropy), 12, rtol=1e-3)
    assert not (others == np.arange(300)[:, None]).any()


def test_it_is_as_good_as_scikit_learns(laid_out):
    manifold = pytest.importorskip("sklearn.manifold", reason="scikit-learn is not installed")
    points, _, places = laid_out
    theirs = manifold.TSNE(perplexity=15, init="pca", random_state=0).fit_transform(points)
    ours, other = (
        manifold.trustworthiness(points, each, n_neighbors=10) for each in (places, theirs)
    )
    assert ours > other - 0.02
    assert ours > manifold.trustworthiness(points, principal(points, 2), n_neighbors=10) + 0.05


def test_groups_stay_together_and_the_same_points_get_the_same_places(laid_out):
    points, which, places = laid_out
    found, _ = nearest(places, 10)
    assert (which[found] == which[:, None]).mean() > 0.97
    assert np.array_equal(tsne(points), places)


def test_each_step_is_told():
    told = []
    tsne(groups(30)[0], lambda: told.append(1))
    assert len(told) == STEPS


@pytest.mark.parametrize("n", [4, 5, 13])
def test_few_points_and_copies_of_one_have_places(n):
    points = np.repeat(np.eye(3, 7, dtype=np.float32), (n + 2) // 3, 0)[:n]
    places = tsne(points)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


def test_the_nearest_are_those_of_scipy():
    points, _ = groups(200)
    exact = cdist(points, points)
    np.fill_diagonal(exact, np.inf)
    numbers, distance = nearest(points, 7)
    np.testing.assert_array_equal(numbers, np.argsort(exact, 1)[:, :7])
    np.testing.assert_allclose(distance, np.sort(exact, 1)[:, :7], rtol=1e-3)
    among = nearest_of(points[:50], points[50:], 3)
    np.testing.assert_array_equal(among, np.argsort(exact[:50, 50:], 1)[:, :3])


def test_principal_components_are_those_of_the_singular_value_decomposition():
    points, _ = groups(60, width=9)
    found = principal(points, 4)
    centred = points - points.mean(0)
    U, S, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(U * S)[:, :4], atol=1e-3)
    assert (np.abs(found.max(0)) >= np.abs(found.min(0))).all()
    assert principal(points[:3], 9).shape == (3, 3)
