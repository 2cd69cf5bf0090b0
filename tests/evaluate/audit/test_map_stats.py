"""What one heatmap says, by numbers worked out by hand."""

import math

import numpy as np
import pytest

from camcli.evaluate.audit.map_stats import (
    SHORT,
    THUMB,
    border_of,
    corner_of,
    fact_of,
    region_of,
    stray_heat,
)
from camcli.evaluate.measured.square_canvas import SIDE, fill

SIZE = (448, 448)
WHOLE = (0.0, 0.0, 448.0, 448.0)
NAMED = {"rel": "a/1.jpg", "label": "fox", "pred": "hare", "prob": 0.75}


def spot(row, column, side=7, value=1.0):
    heat = np.zeros((side, side), np.float32)
    heat[row, column] = value
    return heat


@pytest.mark.parametrize(
    ("row", "column", "corner"),
    [
        (0, 0, 0), (0, 6, 1), (6, 0, 2), (6, 6, 3), (1, 5, 1),
        # Of 7 cells the second lies at 3/14 of the side, within a quarter; the third does not.
        (2, 6, -1), (6, 2, -1), (3, 3, -1), (0, 3, -1),
    ],
)  # fmt: skip
def test_corners_in_reading_order(row, column, corner):
    assert corner_of(spot(row, column)) == corner


def test_the_border_is_the_outer_tenth():
    """All of it is 1 - 0.8²; a hot row at the top has 64 of 6400 inner pixels' worth inside."""
    assert border_of(np.ones((9, 5), np.float32)) == pytest.approx(0.36, abs=1e-6)
    assert border_of(spot(5, 5, 10)) == pytest.approx(0, abs=1e-6)
    assert border_of(spot(0, 5, 10)) > 0.7
    top = np.zeros((100, 100), np.float32)
    top[:20] = 1
    # Half of the rows that are hot, and a tenth at each end of the others.
    assert border_of(top) == pytest.approx(0.5 + 0.5 * 0.2, abs=1e-6)


def test_stray_heat_keeps_away_from_the_object_and_its_margin():
    """Cells of 32 canvas pixels; the object fills the middle one, its margin is 18 pixels."""
    mask = fill(np.array([[96, 96, 128, 128]]))
    heat = spot(3, 3) + spot(3, 4, value=0.9) + spot(3, 5, value=0.6) + spot(0, 0, value=0.5)
    assert stray_heat(heat, WHOLE, SIZE, mask) == (pytest.approx(0.6), (3, 5))
    wide = stray_heat(spot(3, 3), (0.0, 0.0, 896.0, 448.0), (896, 448), mask)
    assert wide[0] == 0, "on the squashed photograph the object is where it was"


def test_a_fact_has_its_numbers_and_its_names():
    evidence = np.zeros((3, 7, 7), np.float32)
    evidence[:, 0, 6] = (3, 0, 4)
    heat = spot(0, 6, value=2) + spot(3, 3, value=1)
    mask = fill(np.array([[96, 96, 128, 128]]))
    found = fact_of(heat, WHOLE, SIZE, mask=mask, evidence=evidence, **NAMED)
    assert (found.rel, found.label, found.pred, found.prob) == ("a/1.jpg", "fox", "hare", 0.75)
    assert not found.right
    assert (found.stray, found.corner, found.empty) == (1, 1, False)
    assert found.patch.tolist() == pytest.approx([0.6, 0, 0.8])
    assert found.border == pytest.approx(border_of(heat / 2))


def test_the_thumb_lies_on_the_squashed_photograph():
    """The right half was seen, and its lower part is hot."""
    heat = np.array([[0.0], [1.0]], np.float32)
    found = fact_of(heat, (448.0, 0.0, 896.0, 448.0), (896, 448), **NAMED)
    assert found.thumb.shape == (THUMB, THUMB)
    assert found.thumb[:, : THUMB // 2].max() == 0
    assert found.thumb[12:, 8:].min() == pytest.approx(1)
    assert found.thumb[:4, 8:].max() == 0
    assert math.isnan(found.stray)
    assert found.patch is None


def test_a_right_prediction_and_one_without_a_label():
    same = fact_of(spot(3, 3), WHOLE, SIZE, rel="x", label="fox", pred="fox", prob=1)
    none = fact_of(spot(3, 3), WHOLE, SIZE, rel="x", label=None, pred="fox", prob=1)
    assert same.right
    assert none.right


def test_without_positive_heat_there_are_no_numbers():
    found = fact_of(-spot(3, 3), WHOLE, SIZE, mask=fill(np.array([[0, 0, SIDE, 9]])), **NAMED)
    assert found.empty
    assert found.thumb.max() == 0
    assert math.isnan(found.stray)
    assert (found.border, found.corner) == (0, -1)


def test_what_is_in_the_hottest_region_by_hand():
    """Cells of heat 1 and 0.5 count, that of 0.4 does not: (1·[3, 0] + 0.5·[0, 8]) / |...|."""
    heat = np.array([[1, 0.5], [0.4, 0]], np.float32)
    evidence = np.zeros((2, 2, 2), np.float32)
    evidence[:, 0, 0], evidence[:, 0, 1], evidence[:, 1, 0] = (3, 0), (0, 8), (100, 100)
    assert region_of(heat, evidence) == pytest.approx([0.6, 0.8], abs=1e-3)
    assert region_of(heat, np.zeros((2, 2, 2))) is None
    assert region_of(heat, np.full((2, 2, 2), np.nan)) is None
    # A map of a finer grid: its upper left quarter is the hottest cell.
    fine = np.zeros((8, 8), np.float32)
    fine[:4, :4] = 1
    assert region_of(fine, evidence) == pytest.approx([1, 0], abs=1e-3)


def test_many_channels_become_few_numbers_with_the_same_angles():
    rng = np.random.default_rng(0)
    one, two = np.abs(rng.standard_normal((2, 1280)))
    near = one + 0.1 * two
    found = [
        region_of(np.ones((1, 1), np.float32), v[:, None, None]).astype(float)
        for v in (one, near, two)
    ]
    assert [len(v) for v in found] == [SHORT] * 3
    assert [np.linalg.norm(v) for v in found] == pytest.approx([1, 1, 1], abs=2e-3)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert found[0] @ found[1] == pytest.approx(cosine(one, near), abs=0.05)
    assert found[0] @ found[2] == pytest.approx(cosine(one, two), abs=0.3)


def test_a_fact_knows_what_is_hottest_where_features_are_known():
    evidence = np.zeros((3, 7, 7), np.float32)
    evidence[1, 2, 3] = 5
    heat = spot(2, 3)
    assert fact_of(heat, WHOLE, SIZE, **NAMED).region is None
    found = fact_of(heat, WHOLE, SIZE, evidence=evidence, **NAMED).region
    assert found == pytest.approx([0, 1, 0])
    assert found.dtype == np.float16
    assert fact_of(-heat, WHOLE, SIZE, evidence=evidence, **NAMED).region is None
