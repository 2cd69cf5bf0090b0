import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.render.colormaps import get_colormap
from camcli.render.overlay import dim, heat_to_canvas, outlined, overlay, seen_box
from camcli.render.ranges import COLORMAPS


def photograph(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("cells", [(7, 7), (1, 1), (2, 5), (14, 9)])
@pytest.mark.parametrize("size", [(500, 375), (97, 211), (8, 6), (1, 1)])
def test_upsampling_is_torchs_bilinear(cells, size):
    heat = np.random.default_rng(1).random(cells, dtype=np.float32)
    width, height = size
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[None, None], (height, width), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    canvas = heat_to_canvas(heat, (0.0, 0.0, float(width), float(height)), size)
    assert canvas.dtype == np.uint8
    assert np.abs(canvas / 255 - expected).max() <= 1 / 255


def test_a_sub_pixel_view_is_the_same_as_a_shifted_ramp():
    # A ramp over two cells is linear between the cells' centres, so its value at any pixel can
    # be computed by hand: view [10.3, 30.3), cell centres at 15.3 and 25.3.
    canvas = heat_to_canvas(np.float32([[0, 1]]), (10.3, 0, 30.3, 4), (50, 4))
    for x in range(16, 25):
        assert abs(int(canvas[2, x]) - 255 * (x + 0.5 - 15.3) / 10) <= 0.5 + 1e-3
    assert canvas[0, 10] == 0  # its centre 10.5 is seen, but left of the first cell's centre
    assert canvas[0, 28] == 255
    assert canvas[0, 30] == 0  # its centre is outside the view


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (224, 224), (1000, 300)])
@pytest.mark.parametrize("cell", [(0, 0), (3, 3), (6, 1)])
def test_a_hot_cell_lies_where_the_network_saw_it(fit, size, cell):
    view = x0, y0, x1, y1 = Preprocess(fit=fit).view(*size)
    heat = np.zeros((7, 7), np.float32)
    heat[cell] = 1
    canvas = heat_to_canvas(heat, view, size)
    y, x = np.unravel_index(np.argmax(canvas), canvas.shape)
    rows, columns = np.nonzero(canvas == canvas.max())
    # The peak is the cell's centre; a cell at the border is constant from there outwards.
    inside_x = (columns.mean() + 0.5 - x0) / (x1 - x0) * 7
    inside_y = (rows.mean() + 0.5 - y0) / (y1 - y0) * 7
    assert cell[1] <= inside_x <= cell[1] + 1
    assert cell[0] <= inside_y <= cell[0] + 1
    if cell == (3, 3):
        assert abs(x + 0.5 - (x0 + x1) / 2) <= 1
        assert abs(y + 0.5 - (y0 + y1) / 2) <= 1
    left, top, right, bottom = seen_box(view, size)
    outside = np.ones(canvas.shape, bool)
    outside[top:bottom, left:right] = False
    assert not canvas[outside].any()


def test_seen_box_takes_the_pixels_whose_centres_were_seen():
    assert seen_box((0.5, 0.6, 9.5, 9.4), (10, 10)) == (0, 1, 9, 9)
    assert seen_box((0, 0, 10, 10), (10, 10)) == (0, 0, 10, 10)
    assert seen_box((4.6, 4.6, 4.9, 4.9), (10, 10)) == (5, 5, 6, 6)
    assert seen_box((-3, 0, 12, 1), (10, 1)) == (0, 0, 10, 1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_blending_is_the_papers_formula(alpha, colormap):
    rgb = photograph(60, 40)
    heat = np.random.default_rng(2).random((7, 7), dtype=np.float32)
    view = (0.0, 0.0, 60.0, 40.0)
    colour = get_colormap(colormap)[heat_to_canvas(heat, view, (60, 40))].astype(np.float64)
    expected = (1 - alpha) * rgb + alpha * colour
    got = overlay(rgb, heat, view, colormap, alpha)
    assert np.abs(got - expected).max() <= 0.5 + 1e-6


def test_a_large_photograph_is_drawn_in_bands_without_seams():
    heat = np.random.default_rng(3).random((7, 7), dtype=np.float32)
    rgb = np.zeros((900, 700, 3), np.uint8)
    view = (0.0, 0.0, 700.0, 900.0)
    whole = get_colormap("viridis")[heat_to_canvas(heat, view, (700, 900))]
    assert np.array_equal(overlay(rgb, heat, view, "viridis", 1.0), whole)


def test_unseen_parts_are_grey_and_dimmed_behind_a_hairline():
    rgb = photograph(500, 375)
    view = Preprocess().view(500, 375)
    left, top, right, bottom = seen_box(view, (500, 375))
    got = overlay(rgb, np.ones((7, 7), np.float32), view)
    corner = got[: top - 1, : left - 1]
    assert np.array_equal(corner[..., 0], corner[..., 1])
    assert np.array_equal(corner[..., 1], corner[..., 2])
    assert np.array_equal(corner, dim(rgb)[: top - 1, : left - 1])
    assert corner.mean() < rgb[: top - 1, : left - 1].mean()
    assert (got[top - 1, left:right] == 255).all()
    assert (got[top:bottom, right] == 255).all()
    hottest = np.rint(0.5 * rgb[top, left] + 0.5 * get_colormap("jet")[255])
    assert np.abs(got[top, left] - hottest).max() <= 1


def test_an_empty_map_leaves_what_was_seen_as_it_is():
    rgb = photograph(500, 375)
    before = rgb.copy()
    assert np.array_equal(overlay(rgb, None, (0, 0, 500, 375)), rgb)
    view = Preprocess().view(500, 375)
    left, top, right, bottom = seen_box(view, (500, 375))
    got = overlay(rgb, None, view)
    assert np.array_equal(got[top:bottom, left:right], rgb[top:bottom, left:right])
    assert np.array_equal(rgb, before)


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["crop", "squash"]))
@settings(max_examples=60, deadline=None)
def test_any_size_works(width, height, fit):
    rgb = photograph(width, height)
    heat = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    got = overlay(rgb, heat, Preprocess(fit=fit).view(width, height))
    assert got.shape == rgb.shape
    assert got.dtype == np.uint8


def test_colormaps_are_rgb_tables():
    for name in COLORMAPS:
        table = get_colormap(name)
        assert table.shape == (256, 3)
        assert table.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0
    # Jet runs from dark blue to dark red, in RGB.
    assert get_colormap("jet")[0].tolist() == [0, 0, 128]
    assert get_colormap("jet")[255].tolist() == [128, 0, 0]
    assert get_colormap("viridis")[0].tolist() == [68, 1, 84]
    # OpenCV itself colours the same way, in BGR.
    ramp = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(
        cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[0, :, ::-1], get_colormap("turbo")
    )


def test_an_unknown_colormap_names_the_choices():
    with pytest.raises(UsageError, match=r"rainbow.*jet, viridis, turbo, magma, inferno, cividis"):
        get_colormap("rainbow")


@pytest.mark.parametrize("scale", [1, 0.5, 2])
def test_a_box_lies_on_its_pixels_and_changes_nothing_else(scale):
    size = (800, 600)
    picture = np.full((round(600 * scale), round(800 * scale), 3), 90, np.uint8)
    drawn = outlined(picture.copy(), (100, 50, 700, 400), size)
    rows, columns = np.nonzero((drawn != picture).any(2))
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert edges == [round(edge * scale) for edge in (100, 50, 700, 400)]
    inside = round(12 * scale) + 6
    x0, y0, x1, y1 = edges
    assert (drawn[y0 + inside : y1 - inside, x0 + inside : x1 - inside] == 90).all()
    # A white line between black ones is seen on white, on black and on any heat.
    across = drawn[round(200 * scale), x0 : x0 + inside, 0]
    assert across[0] == 0
    assert [int(value) for value in across[np.append(True, np.diff(across) != 0)]] == [
        0, 255, 0, 90,
    ]  # fmt: skip


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0, 0, 40, 30), (39, 29, 40, 30), (5, 5, 7, 25)])
def test_a_box_of_any_size_stays_in_the_picture_and_in_itself(box):
    picture = np.full((30, 40, 3), 90, np.uint8)
    drawn = outlined(picture.copy(), box, (40, 30))
    x0, y0, x1, y1 = box
    assert (drawn[y0:y1, x0:x1] != 90).any()
    drawn[y0:y1, x0:x1] = 90
    assert (drawn == 90).all()
    assert outlined(picture, None, (40, 30)) is picture
