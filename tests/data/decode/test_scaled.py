"""JPEGs decoded at a fraction of their size, where that is enough."""

import io

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import Enough, decode_picture
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import ImageError


def encoded(width=803, height=601, kind="JPEG", **options) -> bytes:
    """Broad waves and some noise, as photographs have."""
    y, x = np.mgrid[0:height, 0:width] / 40
    noise = np.random.default_rng(0).normal(0, 8, (height, width))
    rgb = np.stack([np.sin(x + k) * np.cos(y - k) * 90 + 128 + noise for k in range(3)], -1)
    out = io.BytesIO()
    Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(out, kind, **options)
    return out.getvalue()


JPEG = encoded()


@pytest.mark.parametrize(
    ("enough", "divisor"),
    [((75, 0), 8), ((76, 0), 4), ((75, 101), 4), ((150, 0), 4), ((151, 0), 2), ((300, 401), 2),
     ((301, 0), 1), ((75, 402), 1), ((0, 0), 8), ((9999, 9999), 1)],
)  # fmt: skip
def test_as_small_as_is_enough_and_no_smaller(enough, divisor):
    rgb, width, height = decode_picture(JPEG, "x", Enough(*enough))
    assert (width, height) == (803, 601)
    assert rgb.shape == (round(601 / divisor), round(803 / divisor), 3)
    means = np.asarray(Image.fromarray(decode_picture(JPEG, "x").rgb).reduce(divisor))
    assert np.abs(rgb - means[: rgb.shape[0], : rgb.shape[1]].astype(int)).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_and_the_size_too(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(exif=exif)
    whole = decode_picture(data, "x")
    small = decode_picture(data, "x", Enough(100, 0))
    assert (small.width, small.height) == whole.rgb.shape[1::-1]
    expected = Image.fromarray(whole.rgb).resize(small.rgb.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(small.rgb.astype(int) - np.asarray(expected)).mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_are_decoded_whole(kind):
    assert decode_picture(encoded(kind=kind), "x", Enough(10, 0)).rgb.shape == (601, 803, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours(mode):
    out = io.BytesIO()
    Image.open(io.BytesIO(JPEG)).convert(mode).save(out, "JPEG")
    whole = decode_picture(out.getvalue(), "x").rgb
    rgb = decode_picture(out.getvalue(), "x", Enough(300, 0)).rgb
    assert rgb.shape == (300, 402, 3)
    assert np.abs(rgb.mean((0, 1)) - whole.mean((0, 1))).max() < 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_half_a_picture_is_an_error_at_any_size(progressive, share):
    data = encoded(progressive=progressive)
    cut = data[: int(len(data) * share)]
    damaged = [cut, cut.ljust(len(data), b"\0")]
    if not progressive:
        damaged.append(cut + b"\xff\xd9")
    for data in damaged:
        for enough in (Enough(300, 0), Enough(100, 0), Enough(0, 0)):
            with pytest.raises(ImageError, match="cut short"):
                decode_picture(data, "x", enough)


@pytest.mark.parametrize("fit", ["crop", "squash", "whole"])
@pytest.mark.parametrize("size", [(803, 601), (601, 803), (1601, 599)])
def test_the_network_sees_the_same_part_and_nearly_the_same_pixels(fit, size):
    preprocess = Preprocess(size=64, fit=fit)
    data = encoded(*size)
    rgb, width, height = decode_picture(data, "x", Enough(preprocess.enough(), 0))
    assert rgb.shape[0] < height
    seen = preprocess.pixels(rgb, (width, height)).float()
    expected = preprocess.pixels(decode_picture(data, "x").rgb).float()
    assert seen.shape == expected.shape
    assert (seen - expected).abs().mean() < 1
