"""Pillow's own memory, copied: the same pixels as NumPy's way has, and nothing kept."""

import gc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import copied as module
from camcli.data.decode.copied import copied

SIZES = [(1, 1), (1, 3000), (3000, 1), (17, 5), (500, 375), (2048, 2048), (2049, 2048)]


def _noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_pillows(size: tuple[int, int]) -> None:
    pixels = _noise(size)
    found = copied(Image.fromarray(pixels))
    assert np.array_equal(found, pixels)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert found.flags.owndata


def test_memory_that_is_shown_lives_as_long_as_what_shows_it() -> None:
    pixels = _noise((300, 200))
    image = Image.fromarray(pixels)
    shown = module._shown(image)
    if shown is None:
        pytest.skip("this Pillow does not show its memory")
    del image
    gc.collect()
    others = [Image.new("RGB", (300, 200), "red") for _ in range(20)]  # which would take it
    assert np.array_equal(shown[..., :3], pixels)
    assert not shown.flags.writeable
    del others


@pytest.mark.parametrize("why", ["an old Pillow", "gaps between rows"])
def test_where_memory_cannot_be_shown_pixels_are_the_same(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    pixels = _noise((61, 40))
    before = Image.core.get_alignment()
    if why == "an old Pillow":
        monkeypatch.setattr(module, "_SHOWS", False)
    else:
        Image.core.set_alignment(64)
    try:
        image = Image.fromarray(pixels)
        assert module._shown(image) is None
        assert np.array_equal(copied(image), pixels)
        out = np.zeros_like(pixels)
        assert copied(image, out) is out
        assert np.array_equal(out, pixels)
    finally:
        Image.core.set_alignment(before)


def test_pixels_go_where_they_are_wanted() -> None:
    pixels = _noise((50, 30))
    out = np.zeros((60, 50, 3), np.uint8)
    copied(Image.fromarray(pixels), out[10:40])
    assert np.array_equal(out[10:40], pixels)
    assert not out[:10].any()
    assert not out[40:].any()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_pictures_are_freed() -> None:
    """Pillow 11.2.1 never did."""

    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    image_bytes = 4 * 500 * 500 / 1e6
    for _ in range(5):
        copied(Image.new("RGB", (500, 500), "blue"))
    before = megabytes()
    for _ in range(200):
        copied(Image.new("RGB", (500, 500), "blue"))
    assert megabytes() - before < 50 * image_bytes
