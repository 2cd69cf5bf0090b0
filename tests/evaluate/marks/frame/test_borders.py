"""Borders of single photographs: every planted width is found to the pixel, and no other."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.evaluate.marks.frame.borders import SIDES, flat_strips

colours = st.tuples(*[st.integers(0, 255)] * 3)


def noise(height, width, seed=0):
    """A photograph in which no line is like the next."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def with_strips(rgb, depths, colour):
    out = rgb.copy()
    left, top, right, bottom = depths
    height, width = rgb.shape[:2]
    out[:top] = out[height - bottom :] = colour
    out[:, :left] = out[:, width - right :] = colour
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.integers(40, 300),
    st.integers(40, 300),
    st.tuples(*[st.integers(0, 12)] * 4),
    colours,
    st.integers(0, 9),
)
def test_a_strip_of_any_colour_is_measured_to_the_pixel(height, width, depths, colour, seed):
    found = flat_strips(with_strips(noise(height, width, seed), depths, colour))
    assert {side: strip.depth for side, strip in found.items()} == {
        side: depth for side, depth in zip(SIDES, depths, strict=True) if depth
    }
    for strip in found.values():
        assert np.abs(strip.colour - colour).max() <= 3


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 99))
def test_noise_of_any_size_has_none(height, width, seed):
    assert flat_strips(noise(height, width, seed)) == {}


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 9), (64, 2000)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_has_none(shape, grey):
    assert flat_strips(np.full((*shape, 3), grey, np.uint8)) == {}


def test_a_wide_panorama_has_those_that_were_put_on():
    found = flat_strips(with_strips(noise(80, 1024), (0, 9, 0, 9), (0, 0, 0)))
    assert {side: strip.depth for side, strip in found.items()} == {"top": 9, "bottom": 9}


def test_a_white_background_is_no_frame():
    rgb = np.full((240, 320, 3), 252, np.uint8)
    cv2.ellipse(rgb, (160, 120), (110, 80), 20, 0, 360, (120, 80, 60), -1)
    assert flat_strips(rgb) == {}


def test_a_sky_that_fades_is_no_frame():
    rgb = np.linspace(40, 220, 240).astype(np.uint8)[:, None, None].repeat(320, 1).repeat(3, 2)
    assert flat_strips(rgb) == {}


def test_a_slanted_edge_is_no_frame():
    rgb = noise(240, 320)
    cv2.fillPoly(rgb, [np.asarray([(0, 0), (320, 0), (320, 40), (0, 14)])], (10, 10, 10))
    assert "top" not in flat_strips(rgb)


@pytest.mark.parametrize("quality", [60, 75, 92])
@pytest.mark.parametrize("colour", [(20, 20, 24), (250, 250, 250), (160, 30, 30), (20, 60, 150)])
def test_jpeg_moves_it_by_a_pixel_at_most(quality, colour):
    smooth = cv2.GaussianBlur(noise(240, 320).astype(np.float32), (0, 0), 3)
    scene = np.clip((smooth - 128) * 9 + 128, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(
        ".jpg",
        with_strips(scene, (11, 7, 13, 18), colour[::-1]),
        [cv2.IMWRITE_JPEG_QUALITY, quality],
    )
    found = flat_strips(cv2.imdecode(data, cv2.IMREAD_COLOR))
    assert list(found) == list(SIDES)
    for strip, depth in zip(found.values(), (11, 7, 13, 18), strict=True):
        assert abs(strip.depth - depth) <= 1


def test_wood_is_a_frame_and_so_is_a_rounded_one():
    rng = np.random.default_rng(0)
    wood = cv2.GaussianBlur(rng.normal(0, 60, (200, 300)).astype(np.float32), (31, 3), 0)
    wooden = np.clip(np.float32([120, 78, 42]) + wood[..., None], 0, 255).astype(np.uint8)
    wooden[12:-12, 12:-12] = noise(200, 300)[12:-12, 12:-12]
    assert {strip.depth for strip in flat_strips(wooden).values()} == {12}
    mask = np.zeros((200, 300), np.uint8)
    cv2.rectangle(mask, (40, 10), (260, 190), 1, -1)
    cv2.rectangle(mask, (10, 40), (290, 160), 1, -1)
    for corner in ((40, 40), (260, 40), (40, 160), (260, 160)):
        cv2.circle(mask, corner, 30, 1, -1)
    rounded = noise(200, 300) * mask[..., None]
    assert {side: strip.depth for side, strip in flat_strips(rounded).items()} == {
        "left": 10, "top": 10, "right": 9, "bottom": 9,
    }  # fmt: skip


def test_a_dark_photograph_hides_no_side_that_others_show():
    rgb = noise(200, 300)
    rgb[:, 150:][np.random.default_rng(1).random((200, 150)) < 0.7] = 12
    found = flat_strips(with_strips(rgb, (8, 8, 8, 8), (10, 10, 10)))
    assert {side: strip.depth for side, strip in found.items()} == dict.fromkeys(SIDES, 8)
