"""Numbers about a map, by hand and against scipy's labelling and torch's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from camcli.cam.postprocess import GRID, describe, hottest, is_empty, scaled, signed


def at(heatmap, view=(0, 0, GRID, GRID), size=(GRID, GRID)):
    return describe(
        np.asarray(heatmap, np.float32), view, size, target="cat", index=3, prob=0.25
    )  # fmt: skip


def pattern(rows: list[str]) -> np.ndarray:
    """One character a block of GRID/8 pixels: ' ' 0, '1'-'9' tenths, '#' 1."""
    small = np.array(
        [[1.0 if c == "#" else int(c) / 10 if c != " " else 0 for c in r] for r in rows]
    )
    assert small.shape == (8, 8)
    return np.kron(small, np.ones((GRID // 8, GRID // 8)))


# --- empty, scaled -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heatmap",
    [
        np.zeros((7, 7)),
        np.full((7, 7), 3.0),
        np.full((7, 7), -3.0),
        -np.arange(49.0).reshape(7, 7),
        np.full((7, 7), 5.0) + 1e-9 * np.arange(49.0).reshape(7, 7),  # rounding, not evidence
        np.full((7, 7), np.nan),
        np.array([[1.0, np.nan], [0, 0]]),
        np.array([[np.inf, 1.0], [0, 0]]),
        np.array([[1.0, -np.inf], [0, 0]]),
        np.ones((1, 1)),
    ],
)
def test_empty_maps_are_said_to_be_empty(heatmap):
    assert is_empty(heatmap)
    assert scaled(heatmap) is None
    heat = at(heatmap)
    assert heat.empty
    assert (heat.x, heat.y, heat.box, heat.area, heat.border) == (None, None, None, 0.0, 0.0)
    assert (heat.target, heat.index, heat.prob) == ("cat", 3, 0.25)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1, 1e6, 1e30])
def test_scale_does_not_decide_emptiness(factor):
    heatmap = np.array([[1, -2], [0.5, 0]], np.float32) * np.float32(factor)
    assert not is_empty(heatmap)
    np.testing.assert_allclose(scaled(heatmap), [[1, 0], [0.5, 0]], rtol=1e-6)


def test_scaled_by_a_common_maximum():
    heatmap = np.array([[2.0, -1.0], [1.0, 8.0]], np.float32)
    np.testing.assert_array_equal(scaled(heatmap, 4.0), [[0.5, 0], [0.25, 1]])


def test_scaled_leaves_the_signed_map_alone():
    heatmap = np.array([[2.0, -1.0]], np.float32)
    before = heatmap.copy()
    scaled(heatmap)
    np.testing.assert_array_equal(heatmap, before)


def test_signed_keeps_zero_and_both_sides_on_one_scale():
    np.testing.assert_array_equal(
        signed(np.array([[2.0, -4.0], [0.0, 1.0]], np.float32)), [[0.5, -1], [0, 0.25]]
    )
    only_against = signed(np.array([[-2.0, -4.0]], np.float32))
    np.testing.assert_array_equal(only_against, [[-0.5, -1]])
    assert signed(np.zeros((2, 2), np.float32)) is None
    assert signed(np.array([[np.nan, 1]], np.float32)) is None


# --- by hand -------------------------------------------------------------------------------------

BLOCK = GRID // 8  # 28


def test_one_block():
    heat = at(pattern(["        "] * 2 + ["   #    "] + ["        "] * 5))
    assert heat.box == (3 * BLOCK, 2 * BLOCK, 4 * BLOCK, 3 * BLOCK)
    assert heat.x == pytest.approx(3.5 / 8)
    assert heat.y == pytest.approx(2.5 / 8)
    assert heat.area == pytest.approx(1 / 64)
    assert heat.border == pytest.approx(0, abs=1e-6)
    assert not heat.empty


def test_centre_of_mass_is_weighted():
    # 1 at column 1 and 0.5 at column 7: (1·1.5 + 0.5·7.5) / 1.5 / 8
    heat = at(pattern([" #     5"] + ["        "] * 7))
    assert heat.x == pytest.approx((1.5 + 0.5 * 7.5) / 1.5 / 8)
    assert heat.y == pytest.approx(0.5 / 8)


def test_the_largest_component_not_the_hottest_is_boxed():
    heat = at(
        pattern(["#       ", "        ", "   333  ", "   3 3  ", "   333  "] + ["        "] * 3)
    )
    assert heat.box == (3 * BLOCK, 2 * BLOCK, 6 * BLOCK, 5 * BLOCK)


def test_the_threshold_of_the_box_is_strict():
    heat = at(pattern(["#222    "] + ["        "] * 7).astype(np.float32))
    assert heat.box == (0, 0, BLOCK, BLOCK)
    heat = at(pattern(["#333    "] + ["        "] * 7).astype(np.float32))
    assert heat.box == (0, 0, 4 * BLOCK, BLOCK)


def test_corners_touch():
    heat = at(pattern(["#       ", " #      ", "  #     "] + ["        "] * 5))
    assert heat.box == (0, 0, 3 * BLOCK, 3 * BLOCK)


def test_area_is_above_half_of_the_maximum():
    heat = at(pattern(["#65     "] + ["        "] * 7))
    assert heat.area == pytest.approx(2 / 64)


def test_border_is_the_outer_tenth():
    margin = round(GRID / 10)
    frame = np.ones((GRID, GRID))
    frame[margin:-margin, margin:-margin] = 0
    assert at(frame).border == pytest.approx(1)
    assert at(1 - frame).border == pytest.approx(0, abs=1e-6)
    half = np.zeros((GRID, GRID))
    half[0, :10] = 1
    half[100, 50:60] = 1
    assert at(half).border == pytest.approx(0.5, abs=1e-6)


def test_in_the_photographs_pixels():
    """The network saw the centre square of a 448x224 photograph."""
    heat = at(pattern(["#       "] + ["        "] * 7), view=(112, 0, 336, 224), size=(448, 224))
    assert heat.box == (112, 0, 112 + BLOCK, BLOCK)
    assert heat.x == pytest.approx((112 + 14) / 448)
    assert heat.y == pytest.approx(14 / 224)


def test_squashed_view_is_measured_in_its_own_shape():
    """A 2x2 map over a whole 400x100 photograph: its left half is 200 wide."""
    heat = at([[1, 0], [1, 0]], view=(0, 0, 400, 100), size=(400, 100))
    assert heat.box is not None
    assert heat.box[1] == 0
    assert heat.box[3] == 100
    # Bilinear with half-pixel centres: from 1 at x = 1/4 down to 0 at 3/4, so above 0.2 up to
    # 1/4 + 0.8/2 = 0.65 of the width.
    assert heat.box[0] == 0
    assert abs(heat.box[2] - 260) <= 2
    assert heat.area == pytest.approx(0.5, abs=0.01)


def test_upsampling_is_bilinear_without_aligned_corners():
    """Centre of mass against torch's own interpolation."""
    small = torch.rand(7, 7, generator=torch.Generator().manual_seed(0))
    big = torch.nn.functional.interpolate(
        small[None, None], (GRID, GRID), mode="bilinear", align_corners=False
    )[0, 0].double()
    steps = torch.arange(GRID, dtype=torch.float64).add(0.5) / GRID
    heat = at(small.numpy())
    assert heat.x == pytest.approx(float((big.sum(0) @ steps) / big.sum()), abs=1e-5)
    assert heat.y == pytest.approx(float((big.sum(1) @ steps) / big.sum()), abs=1e-5)
    assert heat.area == pytest.approx(float((big > big.max() / 2).double().mean()), abs=1e-4)


# --- any map -------------------------------------------------------------------------------------

numbers = st.floats(-(2.0**100), 2.0**100, width=32)
broken = st.sampled_from([np.nan, np.inf, -np.inf])
maps = hnp.arrays(
    np.float32, (8, 8), elements=st.sampled_from([-1, 0, 0, 0, 0.125, 0.25, 0.375, 0.75, 1, 2])
)


@settings(max_examples=60, deadline=None)
@given(maps)
def test_box_is_a_largest_component_of_scipy(small):
    big = np.kron(small, np.ones((BLOCK, BLOCK), np.float32))
    heat = at(big)
    if is_empty(big):
        assert heat.empty
        return
    positive = np.clip(big, 0, None)
    labels, count = ndimage.label(positive > 0.2 * positive.max(), np.ones((3, 3)))
    areas = ndimage.sum_labels(np.ones_like(labels), labels, range(1, count + 1))
    boxes = [
        (x.start, y.start, x.stop, y.stop)
        for (y, x), area in zip(ndimage.find_objects(labels), areas, strict=True)
        if area == areas.max()
    ]
    assert heat.box in boxes
    cy, cx = ndimage.center_of_mass(positive.astype(np.float64))
    assert heat.x == pytest.approx((cx + 0.5) / GRID, abs=1e-5)
    assert heat.y == pytest.approx((cy + 0.5) / GRID, abs=1e-5)
    assert heat.area == pytest.approx((positive > 0.5 * positive.max()).mean())


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=numbers | broken,
    ),
    st.integers(1, 5000), st.integers(1, 5000), st.booleans(),
)  # fmt: skip
@example(np.array([[1, 0, 0, 0, 0, 0]], np.float32), 1, 90, False)
def test_any_map_on_any_photograph_gives_sane_numbers(heatmap, width, height, square):
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    view = (left, top, left + short, top + short) if square else (0.0, 0.0, width, height)
    heat = at(heatmap, view, (width, height))
    assert heat.heatmap.shape == heatmap.shape
    if heat.empty:
        assert heat.box is None
        return
    x0, y0, x1, y1 = heat.box
    assert np.floor(view[0]) <= x0 < x1 <= np.ceil(view[2])
    assert np.floor(view[1]) <= y0 < y1 <= np.ceil(view[3])
    assert 0 <= heat.x <= 1
    assert 0 <= heat.y <= 1
    assert 0 < heat.area <= 1
    assert 0 <= heat.border <= 1


def test_the_hottest_place_is_the_middle_of_its_cell():
    heat = np.zeros((4, 5), np.float32)
    heat[2, 3] = 1
    assert hottest(heat, (10, 20, 60, 60)) == (45, 45)
