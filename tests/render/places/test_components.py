"""Components and neighbours against SciPy and NumPy."""

import numpy as np
from scipy.spatial.distance import cdist

from camcli.render.places.components import principal
from camcli.render.places.neighbours import nearest_of


def test_the_nearest_are_those_of_scipy():
    points = np.random.default_rng(0).standard_normal((200, 9)).astype(np.float32)
    exact = cdist(points[:50], points[50:])
    among = nearest_of(points[:50], points[50:], 3)
    np.testing.assert_array_equal(among, np.argsort(exact, 1)[:, :3])


def test_principal_components_are_those_of_the_singular_value_decomposition():
    points = np.random.default_rng(1).standard_normal((60, 9)).astype(np.float32)
    found = principal(points, 4)
    centred = points - points.mean(0)
    U, S, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(U * S)[:, :4], atol=1e-3)
    assert (np.abs(found.max(0)) >= np.abs(found.min(0))).all()
    assert principal(points[:3], 9).shape == (3, 3)
