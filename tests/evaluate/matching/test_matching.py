"""Features, matches and alignments, against similarities that are known and OpenCV's matcher."""

import math

import cv2
import numpy as np
import pytest

from camcli.evaluate.matching.alignment import (
    alignments,
    chained,
    inverse,
    moved,
    whole_picture,
)
from camcli.evaluate.matching.local_features import local_features
from camcli.evaluate.matching.matches import all_matches, matches, mutual


def jpeg(rgb, quality):
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (7, 7), (3, 3000), (40, 40)])
def test_tiny_and_blank_pictures_have_no_features(shape):
    found = local_features(np.full((*shape, 3), 90, np.uint8))
    assert len(found) == 0
    assert found.descriptors.shape == (0, 128)
    assert not len(matches(found, found).pairs)
    assert list(all_matches([found, found])) == [[], []]


def test_descriptors_are_of_norm_one_and_points_are_those_of_the_photograph(make_scene):
    rgb = make_scene(0, 900, 1200)
    found = local_features(rgb, side=480)
    assert found.shape == (900, 1200)
    assert found.ratio == pytest.approx(0.4)
    assert np.linalg.norm(found.descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.points[:, 0].max() > 1000  # in its own pixels, not in those looked at
    assert (found.points < [1200, 900]).all()
    assert len(local_features(rgb, most=50)) == 50


def test_grey_is_as_good_as_colour(make_scene):
    rgb = make_scene(0)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(local_features(rgb).points, local_features(grey).points)


def test_mutual_neighbours_are_those_of_opencv(make_scene):
    one, other = local_features(make_scene(1)), local_features(make_scene(2))
    reference = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(
        one.descriptors, other.descriptors
    )
    # Of unit vectors: |a - b|^2 = 2 - 2 a.b
    expected = {(m.queryIdx, m.trainIdx) for m in reference if 1 - m.distance**2 / 2 >= 0.85}
    found = matches(one, other, 0.85)
    assert set(map(tuple, found.pairs.tolist())) == expected
    assert len(expected) > 5


def test_all_pairs_at_once_are_those_one_by_one(make_scene):
    features = [local_features(make_scene(s)) for s in range(3)]
    features.insert(1, local_features(np.zeros((50, 50, 3), np.uint8)))
    together = {(m.one, m.other): m for ms in all_matches(features, 0.85, 1) for m in ms}
    for i in range(4):
        for j in range(i + 1, 4):
            alone = matches(features[i], features[j], 0.85)
            if not len(alone.pairs):
                assert (i, j) not in together
                continue
            pairs = together[i, j].pairs
            assert set(map(tuple, pairs.tolist())) == set(map(tuple, alone.pairs.tolist()))


def test_mutual_neighbours_of_a_small_matrix():
    pairs, values = mutual(np.array([[0.95, 0.99], [0.97, 0.2], [0.1, 0.91]]), 0.9)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (1, 0)]
    assert sorted(values.tolist()) == [0.97, 0.99]


@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (0.6, 0), (1.7, 20), (1, -75)])
def test_a_known_similarity_is_recovered_within_a_pixel(make_scene, scale, degrees):
    patch = make_scene(5, 90, 120)
    one, other = make_scene(6, 360, 480), make_scene(7, 400, 440)
    one[100:190, 200:320] = patch
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    middle = np.array([59.5, 44.5])
    matrix = np.hstack([turn, (np.array([210, 190]) - turn @ middle)[:, None]])
    laid = cv2.warpAffine(patch, matrix, (440, 400), flags=cv2.INTER_AREA)
    mask = cv2.warpAffine(np.full((90, 120), 255, np.uint8), matrix, (440, 400)) > 128
    other[mask] = laid[mask]
    a, b = local_features(one), local_features(other)
    (found,) = alignments(a, b, matches(a, b).pairs)
    corners = np.array([[0, 0], [119, 0], [0, 89], [119, 89]])
    expected = moved(matrix, corners)
    assert np.abs(moved(found.matrix, corners + np.array([200, 100])) - expected).max() < 1.0
    assert found.scale == pytest.approx(scale, rel=0.03)
    assert math.degrees(found.turn) == pytest.approx(degrees, abs=1)


def test_two_things_in_two_photographs_are_two_alignments(make_scene):
    patches = make_scene(5, 80, 80), make_scene(8, 80, 80)
    one, other = make_scene(6, 360, 480), make_scene(7, 360, 480)
    one[20:100, 20:100], one[200:280, 300:380] = patches
    other[200:280, 10:90], other[30:110, 380:460] = patches
    a, b = local_features(one), local_features(other)
    found = alignments(a, b, matches(a, b).pairs)
    assert len(found) == 2
    offsets = sorted(np.round(f.matrix[:, 2]).astype(int).tolist() for f in found)
    assert np.abs(np.array(offsets) - [[-10, 180], [80, -170]]).max() <= 1


def test_matrices_chain_and_invert():
    first = np.array([[0.8, -0.6, 3], [0.6, 0.8, -2.0]])
    second = np.array([[0, -2, 1], [2, 0, 5.0]])
    points = np.random.default_rng(0).normal(size=(6, 2))
    assert moved(chained(first, second), points) == pytest.approx(
        moved(second, moved(first, points))
    )
    assert moved(inverse(first), moved(first, points)) == pytest.approx(points)


def test_photographs_of_chance_do_not_align(make_scene):
    rng = np.random.default_rng(0)
    noise = [cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), np.uint8), (0, 0), s) * 1
             for s in (0.5, 1, 2, 2, 3, 3)]  # fmt: skip
    features = [local_features(n) for n in noise]
    features += [local_features(make_scene(20 + s)) for s in range(10)]
    for found in all_matches(features):
        for m in found:
            assert not alignments(features[m.one], features[m.other], m.pairs)


def near_duplicate(one, other):
    """How two photographs that are nearly one lie on each other, as a class's are told apart."""
    found = alignments(one, other, matches(one, other).pairs, inliers=8, most=1)
    return next((a for a in found if whole_picture(one, other, a)), None)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: jpeg(x, 40),
        lambda x: x[15:-15, 20:-20],
        lambda x: np.clip(x * 0.7 + 20, 0, 255).astype(np.uint8),
        lambda x: cv2.resize(x, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    ],
)
def test_a_photograph_and_its_copy_are_near_duplicates(make_scene, change):
    rgb = make_scene(3)
    assert near_duplicate(local_features(rgb), local_features(change(rgb))) is not None


def test_a_mirrored_copy_is_one_of_the_mirrored_photograph(make_scene):
    rgb = make_scene(3)
    one, other = local_features(rgb), local_features(np.ascontiguousarray(rgb[:, ::-1]))
    assert near_duplicate(one, other) is None
    assert near_duplicate(local_features(rgb[:, ::-1][:, ::-1]), one) is not None


def test_a_thing_or_a_frame_in_two_photographs_makes_no_near_duplicate(make_scene):
    one, other, third = make_scene(3), make_scene(4), make_scene(5)
    framed = one.copy(), other.copy()
    for rgb in framed:
        rgb[:40], rgb[-40:], rgb[:, :40], rgb[:, -40:] = (
            third[:40], third[-40:], third[:, :40], third[:, -40:],
        )  # fmt: skip
    one[100:200, 100:250] = other[100:200, 100:250] = third[100:200, 100:250]
    for a, b in ((one, other), framed):
        a, b = local_features(a), local_features(b)
        assert alignments(a, b, matches(a, b).pairs)
        assert near_duplicate(a, b) is None
