"""Thresholds of boxes, chosen by curves whose best place is known."""

import numpy as np
import pytest

from camcli.evaluate.measured.square_canvas import Truth, centre_box
from camcli.evaluate.metrics.written_boxes import SHARES, best_share, choose, fit_of, overlaps


def peaked(*places, width=0.1):
    """Curves that fall on both sides of a share."""
    return np.stack([np.clip(1 - np.abs(SHARES - place) / width, 0, 1) for place in places])


def test_best_share_is_where_the_curves_agree():
    assert SHARES[best_share(peaked(0.3, 0.3))] == pytest.approx(0.3, abs=1 / 255)
    assert SHARES[best_share(peaked(0.4, 0.5, 0.45))] == pytest.approx(0.45, abs=0.02)


def test_one_lucky_step_is_not_taken():
    curves = peaked(0.4)
    curves[0, 200] = 1.1
    assert SHARES[best_share(curves)] == pytest.approx(0.4, abs=1 / 255)


def test_middle_of_a_tie():
    flat = np.where((SHARES > 0.2) & (SHARES < 0.6), 0.8, 0.1)[None]
    assert SHARES[best_share(flat)] == pytest.approx(0.4, abs=0.01)


def test_each_photograph_is_judged_by_the_others():
    curves = peaked(0.3, 0.3, 0.3, 0.7)
    choice = choose(curves, repeats=200)
    assert choice.share == pytest.approx(0.3, abs=1 / 255)
    assert choice.low <= choice.share <= choice.high
    # That at 0.7 has nothing at 0.3, which the others choose.
    assert choice.held_out == pytest.approx([1, 1, 1, 0], abs=0.05)
    assert choice.overlap == pytest.approx(0.75, abs=0.02)


def test_all_agree_and_the_interval_is_narrow_or_they_do_not_and_it_is_wide():
    agreed, odd = choose(peaked(0.3, 0.3, 0.3)), choose(peaked(0.1, 0.5, 0.9))
    assert agreed.high - agreed.low == pytest.approx(0, abs=1e-9)
    assert odd.high - odd.low > 0.3


def test_one_photograph_is_judged_by_itself():
    choice = choose(peaked(0.3), repeats=0)
    assert (choice.low, choice.high) == (choice.share, choice.share)
    assert choice.held_out == pytest.approx([1], abs=0.02)


def test_overlap_is_that_of_the_box_in_the_photographs_pixels():
    # A centred box of half the sides, in a photograph twice as wide as high.
    truth = Truth(np.array([[56.0, 56, 168, 168]]), size=(400, 200))
    whole = (0.0, 0.0, 400.0, 200.0)
    found = overlaps(centre_box(), whole, (400, 200), truth, [0.5, 0.001])
    assert found[0] == pytest.approx(1, abs=0.04)
    assert found[1] == pytest.approx(1 / 4, abs=0.01)
    empty = np.zeros((7, 7), np.float32)
    assert overlaps(empty, whole, (400, 200), truth, [0.2, "otsu"]).tolist() == [0, 0]


def test_best_of_several_true_boxes():
    truth = Truth(np.array([[0.0, 0, 5, 5], [56.0, 56, 168, 168]]))
    [found] = overlaps(centre_box(), (0.0, 0.0, 224.0, 224.0), (224, 224), truth, [0.5])
    assert found == pytest.approx(1, abs=0.04)


def test_what_one_box_is_worth():
    assert fit_of(0.6) == {
        "box_iou": 0.6, "box_acc@30": 1, "box_acc@50": 1, "box_acc@70": 0,
        "box_acc": pytest.approx(2 / 3),
    }  # fmt: skip
