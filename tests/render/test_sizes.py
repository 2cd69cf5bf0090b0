"""Pictures that files can hold, and that people can read."""

import tracemalloc

import cv2
import numpy as np
import pytest

from camcli.errors import ImageError
from camcli.render import sizes
from camcli.render.picture import encode_jpeg
from camcli.render.sizes import drawable, enlarge, excess_of, shrink


def photograph(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_shrinking_keeps_proportions_and_leaves_small_ones_alone():
    rgb = photograph(400, 100)
    assert shrink(rgb, None) is rgb
    assert shrink(rgb, 400) is rgb
    assert shrink(rgb, 40).shape == (10, 40, 3)
    assert shrink(photograph(400, 1), 16).shape == (1, 16, 3)
    halves = np.repeat(np.repeat(photograph(20, 10), 2, 0), 2, 1)
    assert np.array_equal(shrink(halves, 20), halves[::2, ::2])


def test_a_line_of_millions_of_pixels_is_shrunk_without_tables_of_gigabytes():
    line = np.zeros((1, 10_000_000, 3), np.uint8)
    line[:, 5_000_000:] = 200
    tracemalloc.start()
    small = shrink(line, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert small.shape == (1, 1000, 3)
    assert small[0, 490].tolist() == [0, 0, 0]
    assert small[0, 510].tolist() == [200, 200, 200]
    assert peak < 40e6
    assert shrink(line.transpose(1, 0, 2), 1000).shape == (1000, 1, 3)


def test_enlarging_is_smooth_and_leaves_large_ones_alone():
    rgb = photograph(300, 200)
    assert enlarge(rgb, 300) is rgb
    assert enlarge(rgb, 0) is rgb
    ramp = np.repeat(np.linspace(20, 220, 32).astype(np.uint8)[None, :, None], 3, 2)
    large = enlarge(np.repeat(ramp, 16, 0), 320)
    assert large.shape == (160, 320, 3)
    steps = np.diff(large[80, :, 0].astype(int))
    assert steps.min() >= -1
    assert steps.max() <= 3  # 200 levels over 320 pixels: no blocks
    assert enlarge(photograph(1, 1), 300).shape == (300, 300, 3)


@pytest.mark.parametrize(
    ("size", "columns", "rows"),
    [
        ((66_000, 200), 1, 1), ((200, 66_000), 1, 1), ((14_000, 300), 5, 1), ((14_000, 300), 3, 5),
        ((300, 14_000), 3, 5), ((65_500, 1), 5, 1), ((1, 65_535), 5, 1), ((9000, 6000), 5, 1),
        ((13_000, 13_000), 1, 1), ((451, 300), 100, 1),
    ],
)  # fmt: skip
def test_what_is_too_large_is_shrunk_until_a_file_can_hold_it(size, columns, rows):
    # A page of zeros: memory that is not touched costs nothing.
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    small = drawable(rgb, columns, rows)
    height, width = small.shape[:2]
    assert excess_of(width * columns, height * rows) < 1
    assert excess_of(*sizes._finished(width, height, columns, rows)) <= 1
    assert max(height, width) >= 1
    if min(size) > 1:
        assert width / height == pytest.approx(size[0] / size[1], rel=0.2)
    # And no smaller than it must be.
    if small is not rgb:
        assert excess_of(*sizes._finished(width, height, columns, rows)) > 0.8


@pytest.mark.parametrize("size", [(451, 300), (4000, 3000), (60_000, 400), (1, 1), (8000, 7500)])
def test_an_ordinary_photograph_is_drawn_as_it_is(size):
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    assert drawable(rgb) is rgb


def test_the_limit_is_the_encoders_own(capfd):
    """65,500 pixels, and one more."""
    encode_jpeg(np.zeros((1, sizes.JPEG_SIDE, 3), np.uint8))
    with pytest.raises(ImageError, match="65501 x 1 pixels cannot be written as JPEG"):
        encode_jpeg(np.zeros((1, sizes.JPEG_SIDE + 1, 3), np.uint8))
    assert capfd.readouterr() == ("", "")  # OpenCV would tell of it on stderr
    assert not cv2.imencode(".jpg", np.zeros((1, sizes.JPEG_SIDE + 1, 3), np.uint8))[0]
