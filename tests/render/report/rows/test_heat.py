"""Maps on a page: levels, sizes, and how alike two of them are."""

import base64

import numpy as np
import pytest

from camcli.render.report.rows.heat import MeanMap, PageMap, affordable_side, similarity

WHOLE = np.array([0.0, 0, 1, 1])


def page_map(values, *, empty=False, signed=False):
    record = {"target": "x", "prob": 0.25, "empty": empty, "values": np.array(values, float)}
    return PageMap.of(record, {"x": 7}.__getitem__, signed)


def decoded(text):
    h, w, cells = text.split(",")
    return np.frombuffer(base64.b64decode(cells), np.uint8).reshape(int(h), int(w))


def test_levels_are_shares_of_the_maximum_and_what_is_negative_is_none():
    one = page_map([[0, 1, -4], [2, 0.5, 0]])
    assert (one.target, one.prob) == (7, 0.25)
    assert one.cells.tolist() == [[0, 128, 0], [255, 64, 0]]
    assert decoded(one.text(9)).tolist() == one.cells.tolist()
    assert one.against is None


def test_signed_levels_share_one_scale():
    """The strongest of either sign is at the end: here -4, so 2 is half of the way up."""
    one = page_map([[0, 2, -4]], signed=True)
    assert decoded(one.text(9, signed=True)).tolist() == [[128, 192, 0]]
    only = page_map([[0, -1]], signed=True)
    assert only.cells is None
    assert only.drawn
    assert decoded(only.text(9, signed=True)).tolist() == [[128, 0]]


@pytest.mark.parametrize("values", [[[0, 0]], [[-1, 0]], []], ids=str)
def test_nothing_positive_is_nothing_to_draw(values):
    one = page_map(values)
    assert not one.drawn
    assert one.text(9) == ""


def test_large_maps_are_averaged_down():
    values = np.kron(np.array([[0, 1], [1, 0]]), np.ones((8, 16)))
    cells = decoded(page_map(values).text(4))
    assert cells.shape == (2, 4)
    assert cells.tolist() == [[0, 0, 255, 255], [255, 255, 0, 0]]


def test_all_maps_fit_the_budget():
    for count in (1, 100, 5000):
        side = affordable_side(count, budget=1 << 20)
        assert 4 <= side <= 32
        if side < 32:
            assert count * (6 + 4 * -(-((side + 1) ** 2) // 3)) > 1 << 20
    assert affordable_side(1) == 32


def test_likeness_is_the_cosine():
    a = np.array([[3, 0], [4, 0]], np.uint8)
    b = np.array([[4, 3], [0, 0]], np.uint8)
    assert similarity(a, a * 2, WHOLE, WHOLE) == pytest.approx(1)
    assert similarity(a, b, WHOLE, WHOLE) == pytest.approx(12 / 25)
    assert similarity(a, np.array([[0, 9], [0, 9]], np.uint8), WHOLE, WHOLE) == 0
    assert similarity(a, a * 0, WHOLE, WHOLE) == 0
    assert similarity(b, a, WHOLE, WHOLE) == similarity(a, b, WHOLE, WHOLE)


def test_maps_of_different_views_are_laid_on_the_photograph():
    """The left half, seen alone and hot, is the left half of the whole."""
    left = np.full((4, 4), 200, np.uint8)
    whole = np.zeros((4, 4), np.uint8)
    whole[:, :2] = 200
    half = np.array([0.0, 0, 0.5, 1])
    same = similarity(left, whole, half, WHOLE)
    assert same > 0.9
    other = similarity(left, whole, np.array([0.5, 0, 1, 1]), WHOLE)
    assert other < 0.2
    assert similarity(left, left, half, np.array([0.5, 0, 1, 1])) == 0


def test_the_mean_of_maps():
    mean = MeanMap(side=2)
    assert mean.text() == ""
    mean.add(np.array([[0, 100], [200, 0]], np.uint8))
    mean.add(np.array([[0, 100], [0, 0]], np.uint8))
    # Sums 0, 200, 200, 0: scaled to their maximum.
    assert decoded(mean.text()).tolist() == [[0, 255], [255, 0]]
    assert mean.count == 2


def test_a_map_of_a_value_has_no_probability():
    record = {"target": "age", "prob": None, "empty": False, "values": np.eye(2)}
    assert PageMap.of(record, lambda name: 3).prob is None
