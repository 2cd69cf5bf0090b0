"""The canvas on which maps meet annotations: places worked out by hand."""

import numpy as np
import pytest

from camcli.evaluate.measured.annotations import truth_of
from camcli.evaluate.measured.square_canvas import (
    SIDE,
    Truth,
    box_of,
    centre_box,
    centre_gaussian,
    fill,
    noise,
    paint,
)


def test_pixels_whose_centres_lie_in_a_box():
    inside = fill(np.array([[10, 20, 13, 22.5], [0, 0, 0.5, 9]]))
    rows, columns = np.nonzero(inside)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (y, x) for y in (20, 21) for x in (10, 11, 12)
    }
    # From the centre itself on, up to it and without it.
    assert np.argwhere(fill(np.array([[0.5, 0.5, 1.5, 1.5]]))).tolist() == [[0, 0]]


def test_the_box_of_a_mask_is_by_edges():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[20:30, 40] = True
    assert box_of(mask).tolist() == [[40, 20, 41, 30]]
    assert box_of(mask & False).shape == (0, 4)
    assert (fill(box_of(mask)) == mask).all()


@pytest.mark.parametrize("size", [(448, 112), (112, 448), (1000, 750)])
def test_boxes_are_squashed_axis_by_axis(size):
    """From a quarter to a half of the width, from a half to three quarters of the height."""
    width, height = size
    truth = truth_of(size, [(width / 4, height / 2, width / 2, height * 3 / 4)])
    assert truth.boxes == pytest.approx(np.array([[56, 112, 112, 168]]))
    assert truth.size == size
    assert truth.mask is None
    assert np.array_equal(truth.region, fill(truth.boxes))


def test_boxes_are_cut_at_the_photographs_edges_and_those_outside_are_none():
    truth = truth_of((100, 200), [(-50, 100, 50, 999), (120, 0, 150, 10)])
    assert truth.boxes == pytest.approx(np.array([[0, 112, 112, 224]]))


def test_a_mask_gives_its_box_where_there_is_none():
    mask = np.zeros((50, 100), bool)
    mask[10:20, 50:75] = True
    truth = truth_of((200, 100), mask=mask)
    # The mask covers the photograph: 50 of 100 columns are 112 of 224, 10 of 50 rows 44.8.
    assert truth.boxes.tolist() == [[112, 45, 168, 90]]
    assert truth.region is truth.mask
    own = truth_of((200, 100), [(0, 0, 20, 10)], mask)
    assert own.boxes == pytest.approx(np.array([[0, 0, 22.4, 22.4]]))


@pytest.mark.parametrize("size", [(448, 448), (896, 448), (300, 500)])
def test_a_map_of_the_whole_photograph_is_upsampled_as_it_is_drawn(size):
    """Bilinear, the edges of the map at the photograph's: 0 and 4 rise from 1/4 to 3/4."""
    heat = np.array([[0.0, 4.0]], np.float32)
    painted = paint(heat, (0, 0, *map(float, size)), size)
    t = (np.arange(SIDE) + 0.5) / SIDE
    assert painted[100] == pytest.approx(np.clip(2 * t - 0.5, 0, 1), abs=0.02)
    assert (painted == painted[0]).all()


def test_what_was_not_seen_is_cold_also_for_min_max():
    heat = np.array([[1.0, 2.0]], np.float32)
    for scale in ("relu", "minmax"):
        painted = paint(heat, (100.0, 0.0, 300.0, 200.0), (400, 200), scale)
        assert (painted[:, :56] == 0).all()
        assert (painted[:, 168:] == 0).all()
        assert painted[0, 167] == pytest.approx(1)
        assert painted[0, 56] == pytest.approx(0.5 if scale == "relu" else 0)


def test_controls_know_the_middle_and_nothing_else():
    for control in (centre_box(), centre_gaussian()):
        assert control.shape == (SIDE, SIDE)
        assert control.max() == pytest.approx(1)
        assert np.array_equal(control, control[::-1])
        assert np.array_equal(control, control.T)
        assert np.unravel_index(control.argmax(), control.shape) == (111, 111)
    # At sigma of a quarter from the middle the bump is exp(-1/2) of its height.
    assert centre_gaussian()[112, 112 + 56] == pytest.approx(np.exp(-0.5), abs=0.01)
    # Above one half: the box of half of each side.
    assert np.count_nonzero(centre_box() > 0.5) / SIDE**2 == pytest.approx(0.25, abs=0.01)


def test_noise_is_even_and_the_seeds():
    drawn = np.concatenate([noise(n).ravel() for n in range(200)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(noise(3), noise(3))
    assert not np.array_equal(noise(3), noise(4))


def test_the_mask_is_the_region_where_there_is_one():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[3, 4] = True
    assert Truth(np.array([[0.0, 0, 9, 9]]), mask).region is mask
