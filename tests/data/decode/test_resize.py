"""Resizing: ordinary photographs by torch, to the bit; thin ones by what is seen of them."""

import subprocess
import sys
import tracemalloc
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from camcli.data.decode import resize
from camcli.data.decode.preprocess import Preprocess

rng = np.random.default_rng(0)
FITS = ("crop", "squash", "whole")
FILTERS = ("bilinear", "bicubic")


def smooth(width: int, height: int) -> np.ndarray:
    """Waves of a few pixels in each direction, (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + c)) * np.cos(y / (4 + c)) for c in range(3)]
    return (127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize(("fit", "interpolation"), list(product(FITS, FILTERS)))
@pytest.mark.parametrize("size", [(451, 300), (300, 451), (500, 40), (64, 50), (1, 1), (90, 6)])
def test_ordinary_photographs_are_what_torch_makes_of_them(size, fit, interpolation):
    """All of it resized, then cut: to the bit, up to 16:1."""
    rgb = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    preprocess = Preprocess(size=96, fit=fit, interpolation=interpolation)
    w, h = preprocess._resized(*size)
    image = torch.from_numpy(rgb)[None].permute(0, 3, 1, 2)
    whole = F.interpolate(image, (h, w), mode=interpolation, antialias=True)[0]
    if fit != "whole":
        left, top = round((w - 96) / 2), round((h - 96) / 2)
        whole = whole[:, top : top + 96, left : left + 96]
    pixels = preprocess.pixels(rgb)
    assert torch.equal(pixels, whole)
    if min(size) > 1:
        assert pixels.stride()[0] == 1  # channels last, as the network wants them


@pytest.mark.parametrize(("fit", "interpolation"), list(product(FITS, FILTERS)))
@pytest.mark.parametrize("size", [(451, 300), (900, 20), (20, 900), (3, 200), (2000, 4)])
def test_the_window_is_what_torch_would_have_made(monkeypatch, size, fit, interpolation):
    rgb = smooth(*size)
    preprocess = Preprocess(size=96, fit=fit, interpolation=interpolation)
    monkeypatch.setattr(resize, "THIN", 1000)
    whole = preprocess.pixels(rgb).int()
    monkeypatch.setattr(resize, "THIN", 0)
    window = preprocess.pixels(rgb).int()
    assert window.shape == whole.shape
    away = (window - whole).abs().float()
    assert away.max() <= 5
    assert away.mean() < 0.7


def test_a_reduction_in_two_steps_is_what_pillow_makes():
    """Averaged by cells first: as close as `reducing_gap` of 3 is."""
    rgb = smooth(40_000, 30)
    pixels = Preprocess(size=64, fit="squash").pixels(rgb).permute(1, 2, 0).numpy()
    exact = np.asarray(Image.fromarray(rgb).resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(int) - exact).max() <= 2


SHAPES = [(1, 1), (1, 65_535), (65_535, 1), (2, 4000), (4000, 2), (66_000, 200), (1, 30_000_000)]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("side", [32, 224, 640])
def test_memory_goes_by_what_is_seen(monkeypatch, fit, side):
    """65,500 x 1 pixels took 12 GB: resized whole, for the sake of a 224th of their height."""
    made = []
    interpolate = F.interpolate

    def counted(image, size, **how):
        made.append(size[0] * size[1])
        return interpolate(image, size, **how)

    monkeypatch.setattr(F, "interpolate", counted)
    for width, height in SHAPES:
        rgb = np.zeros((height, width, 3), np.uint8)
        tracemalloc.start()
        pixels = Preprocess(size=side, fit=fit).pixels(rgb)
        peak = tracemalloc.get_traced_memory()[1]  # numpy's; torch's are counted above
        tracemalloc.stop()
        assert min(pixels.shape[1:]) >= 32
        assert peak < 20e6 + 12 * 3 * pixels[0].numel() * 2, (width, height)
    assert max(made) <= 16 * (side / 0.875) ** 2


def test_what_is_seen_of_a_line_is_its_middle():
    """One pixel high: a square of 7/8 of a pixel, where the line changes colour."""
    rgb = np.zeros((1, 65_501, 3), np.uint8)
    rgb[:, 32_750] = 255
    pixels = Preprocess(size=64).pixels(rgb)
    assert pixels[:, :, 28:36].min() > 200  # bilinear: full in the middle of the pixel
    assert pixels[:, :, 0].max() < pixels[:, :, 32].min()
    assert Preprocess(size=64).view(65_501, 1)[0] == pytest.approx(32_750.06, abs=0.01)


def test_nothing_is_said_about_pixels_that_may_only_be_read():
    # Torch says it once a process.
    code = (
        "import numpy as np; from camcli.data.decode.resize import resized\n"
        "rgb = np.zeros((50, 60, 3), np.uint8); rgb.flags.writeable = False\n"
        "print(resized(rgb, (30, 30), 'bilinear', (0, 0, 30, 30)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torch.Size([3, 30, 30])"
    assert done.stderr == ""
