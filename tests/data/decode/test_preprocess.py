"""Every prediction rests on this: what the network sees, against torchvision and by hand."""

import io
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from camcli.cam.postprocess import describe
from camcli.data.decode import resize as resize_module
from camcli.data.decode.images import decode, load_image
from camcli.data.decode.preprocess import MAX_SIZE, Preprocess, stacked
from camcli.data.decode.resize import resized

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"
# No two alike, and not in any order, so that channels that change places are seen.
MEAN, STD = (0.31, 0.62, 0.17), (0.11, 0.43, 0.26)
FILTERS = ("bilinear", "bicubic")


@pytest.fixture(scope="module", params=["cat.jpg", "alp.jpg", "espresso.jpg"])
def photograph(request) -> np.ndarray:
    """(H, W, 3) uint8 of some 300 pixels, in which the channels' means are tens apart."""
    rgb = load_image(SAMPLES / request.param)
    step = max(1, min(rgb.shape[:2]) // 300)
    # Tinted, so that red, green and blue differ in every place.
    tint = np.array([1.0, 0.6, 0.3])
    return np.ascontiguousarray((rgb[::step, ::step] * tint).astype(np.uint8))


def steps(resize, *more):
    """Torchvision's way from a uint8 tensor to a network's input."""
    return v2.Compose([*resize, *more, v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize(MEAN, STD)])  # fmt: skip


def theirs(preprocess: Preprocess, rgb: np.ndarray) -> torch.Tensor:
    """The same by torchvision, for a square input. (1, 3, h, w)."""
    mode = InterpolationMode(preprocess.interpolation)
    resize: list = [v2.Resize([preprocess.size] * 2, mode, antialias=True)]
    if preprocess.fit == "crop":
        short = int(preprocess.size / preprocess.crop_pct)
        resize = [v2.Resize(short, mode, antialias=True), v2.CenterCrop(preprocess.size)]
    return steps(resize)(torch.from_numpy(rgb).permute(2, 0, 1)[None])


@pytest.mark.parametrize(
    ("fit", "interpolation", "crop_pct"),
    [*product(("crop",), FILTERS, (0.875, 0.95, 1.0)), *product(("squash",), FILTERS, (1.0,))],
)
@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
def test_a_photograph_becomes_what_torchvision_makes_of_it(
    photograph, fit, interpolation, crop_pct, turned
):
    """Equal but for the last bits: both hand bytes to torch's antialiased resize."""
    rgb = np.ascontiguousarray(photograph.transpose(1, 0, 2)) if turned else photograph
    preprocess = Preprocess(
        size=97, fit=fit, crop_pct=crop_pct, interpolation=interpolation, mean=MEAN, std=STD
    )
    own = preprocess.tensor(rgb)
    assert own.shape == (1, *preprocess.shape) == (1, 3, 97, 97)
    assert own.dtype == torch.float32
    torch.testing.assert_close(own, theirs(preprocess, rgb), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("interpolation", FILTERS)
def test_and_within_a_level_what_pillow_makes_of_it(photograph, interpolation):
    """As weights were trained: on Pillow's resize. Both round twice, once a side, to whole levels
    of 255; where the two differ they differ by one level after either, which is two at most."""
    preprocess = Preprocess(size=96, interpolation=interpolation, mean=MEAN, std=STD)
    picture = Image.fromarray(photograph)
    resize = v2.Resize(int(96 / 0.875), InterpolationMode(interpolation))
    image = v2.functional.pil_to_tensor(v2.CenterCrop(96)(resize(picture)))
    away = (preprocess.pixels(photograph).int() - image.int()).abs()
    assert away.max() <= 2
    assert away.float().mean() < 0.1
    levels = torch.tensor(STD) * 255
    normalised = (preprocess.tensor(photograph)[0] - steps([])(image)).abs()
    assert (normalised.amax((1, 2)) * levels).max() <= 2.001


def test_each_channel_has_its_own_mean_and_std():
    """By hand: 255 * 0.31 = 79.05, so a red of 79 is (79 - 79.05) / (255 * 0.11)."""
    rgb = np.broadcast_to(np.array([79, 200, 10], np.uint8), (40, 40, 3)).copy()
    own = Preprocess(size=32, mean=MEAN, std=STD).tensor(rgb)[0]
    wanted = [(79 / 255 - 0.31) / 0.11, (200 / 255 - 0.62) / 0.43, (10 / 255 - 0.17) / 0.26]
    assert own.amin((1, 2)).tolist() == pytest.approx(wanted, abs=1e-5)
    assert own.amax((1, 2)).tolist() == pytest.approx(wanted, abs=1e-5)


def test_mean_and_std_may_be_whole_numbers():
    """As a file of settings has them that were 0 and 1: pixels in [0, 1], and nothing more."""
    rgb = np.broadcast_to(np.array([255, 51, 0], np.uint8), (40, 40, 3)).copy()
    own = Preprocess(size=32, mean=(0, 0, 0), std=(1, 1, 1)).tensor(rgb)[0]
    assert own[:, 5, 5].tolist() == pytest.approx([1, 0.2, 0])
    own = Preprocess(size=32, mean=(0, 1, 0), std=(1, 2, 0.5)).tensor(rgb)[0]
    assert own[:, 5, 5].tolist() == pytest.approx([1, -0.4, 0])


def test_a_batch_is_normalised_image_by_image(photograph):
    """Also where the channels lie last in memory, and where they do not."""
    preprocess = Preprocess(size=64, mean=MEAN, std=STD)
    images = [preprocess.pixels(photograph), preprocess.pixels(photograph[::-1].copy())]
    batch = stacked(images)
    assert torch.equal(batch, torch.stack(images))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    own = preprocess.normalise(batch)
    assert torch.equal(own, preprocess.normalise(batch.contiguous()))
    for image, one in zip(images, own, strict=True):
        assert torch.equal(preprocess.normalise(image[None])[0], one)
        torch.testing.assert_close(one, steps([])(image), atol=1e-5, rtol=1e-5)


def test_one_channel_is_the_luminance(photograph):
    """Pillow's L, which rounds to whole levels; here nothing is rounded after the resize."""
    preprocess = Preprocess(size=64, mean=MEAN, std=STD, grey=True)
    assert preprocess.shape == (1, 64, 64)
    seen = preprocess.pixels(photograph).permute(1, 2, 0).numpy()
    light = np.asarray(Image.fromarray(seen).convert("L")) / 255
    own = preprocess.tensor(photograph)
    assert own.shape == (1, 1, 64, 64)
    std = sum(STD) / 3
    away = np.abs(own[0, 0].numpy() - (light - sum(MEAN) / 3) / std)
    assert away.max() <= 0.51 / 255 / std


# What is seen of a photograph, by hand: (width, height), settings, and the view in its pixels.
VIEWS = {
    # The shorter side becomes int(224 / 0.875) = 256, so nothing is resized; (512 - 224) / 2 = 144.
    "crop": ((512, 256), {}, (144, 16, 368, 240)),
    "tall": ((256, 512), {}, (16, 144, 240, 368)),
    "half": ((1024, 512), {}, (288, 32, 736, 480)),
    # int(96 / 0.5) = 192; 300 x 192 / 200 = 288; (288 - 96) / 2 = 96 and 48; times 300 / 288.
    "pct": ((300, 200), {"size": 96, "crop_pct": 0.5}, (100, 50, 200, 150)),
    "full": ((300, 200), {"size": 200, "crop_pct": 1.0}, (50, 0, 250, 200)),
    # An odd rest, 109 - 96 = 13: 6.5 is rounded to the even 6, as torchvision rounds.
    "odd": ((109, 109), {"size": 96}, (6, 6, 102, 102)),
    # int(109 * 451 / 300) = 163, so a pixel is 451 / 163 wide and 300 / 109 high; from 34 and 6.
    "uneven": (
        (451, 300), {"size": 96},
        (34 * 451 / 163, 6 * 300 / 109, 130 * 451 / 163, 102 * 300 / 109),
    ),
    "squash": ((300, 200), {"fit": "squash"}, (0, 0, 300, 200)),
    "whole": ((300, 200), {"fit": "whole"}, (0, 0, 300, 200)),
    # 64 wide and 32 high: the smallest that covers int(64 / 0.5) x int(32 / 0.5), of 256 x 256, is
    # 128 x 128, halved; (128 - 64) / 2 = 32 and 48, doubled.
    "rectangle": (
        (256, 256), {"size": 32, "width": 64, "crop_pct": 0.5}, (64, 96, 192, 160),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_the_part_that_is_seen(name):
    size, settings, wanted = VIEWS[name]
    assert Preprocess(**settings).view(*size) == pytest.approx(wanted)


@pytest.mark.parametrize("name", VIEWS)
def test_what_lies_at_the_views_corners_lies_at_the_inputs(name):
    """A dark frame around the view, and half of each axis in another colour: the truth is drawn."""
    (width, height), settings, view = VIEWS[name]
    preprocess = Preprocess(**settings)
    x0, y0, x1, y1 = view
    rgb = np.zeros((height, width, 3), np.uint8)
    middle_x, middle_y = round((x0 + x1) / 2), round((y0 + y1) / 2)
    rgb[round(y0) : round(y1), round(x0) : round(x1), 2] = 200
    rgb[round(y0) : middle_y, round(x0) : round(x1), 0] = 200
    rgb[round(y0) : round(y1), round(x0) : middle_x, 1] = 200
    pixels = preprocess.pixels(rgb).int()
    _, h, w = pixels.shape
    # Two pixels of each edge may be mixed with what is beside it.
    assert pixels[2, 2:-2, 2:-2].min() >= 199, "nothing from outside of the view is seen"
    assert pixels[0, 2 : h // 2 - 2, 2:-2].min() >= 199, "the upper half is above"
    assert pixels[0, h // 2 + 2 :].max() <= 1
    assert pixels[1, 2:-2, 2 : w // 2 - 2].min() >= 199, "the left half is left"
    assert pixels[1, :, w // 2 + 2 :].max() <= 1


def test_a_box_comes_back_to_where_it_was():
    """By hand: a photograph of 1024 x 512, halved; the network sees x 288-736 and y 32-480.

    One of 7 x 7 cells is hot, row 2 and column 4: its middle lies 144 of 224 pixels to the right
    and 80 down, which is x 288 + 288 = 576 and y 32 + 160 = 192. The heat falls off in straight
    lines over 32 pixels to each side, so a fifth of it is reached at 25.6: 26 whole pixels, 52 of
    the photograph.
    """
    size = 1024, 512
    cells = np.zeros((7, 7), np.float32)
    cells[2, 4] = 3
    heat = describe(cells, Preprocess().view(*size), size, target="x", index=0, prob=1.0)
    assert heat.box == (576 - 52, 192 - 52, 576 + 52, 192 + 52)
    assert (heat.x, heat.y) == pytest.approx((576 / 1024, 192 / 512), abs=1e-6)
    # Squashed, the cells are as wide as the photograph: 1024 / 7 by 512 / 7.
    squash = Preprocess(fit="squash").view(*size)
    heat = describe(cells, squash, size, target="x", index=0, prob=1.0)
    assert (heat.x, heat.y) == pytest.approx((4.5 / 7, 2.5 / 7), abs=1e-6)


@pytest.mark.parametrize(
    ("size", "settings", "wanted"),
    [
        # 256 / 300 of 451 is 384.9; sides that 32 divides.
        ((451, 300), {}, (256, 384)),
        ((300, 451), {}, (384, 256)),
        # At most four to one: 4 * 256.
        ((4000, 100), {}, (256, 1024)),
        ((100, 4000), {}, (1024, 256)),
        # 109 is 3.4 times 32.
        ((200, 200), {"size": 96}, (96, 96)),
        ((10, 10), {"size": 8}, (32, 32)),
    ],
)
def test_whole_photographs_keep_their_shape(size, settings, wanted):
    preprocess = Preprocess(fit="whole", **settings)
    width, height = size
    rgb = np.zeros((height, width, 3), np.uint8)
    assert tuple(preprocess.pixels(rgb).shape) == (3, *wanted)


@pytest.mark.parametrize("interpolation", FILTERS)
def test_whole_photographs_are_resized_as_torchvision_does(photograph, interpolation):
    preprocess = Preprocess(size=96, fit="whole", interpolation=interpolation, mean=MEAN, std=STD)
    own = preprocess.tensor(photograph)
    resize = v2.Resize(own.shape[2:], InterpolationMode(interpolation), antialias=True)
    other = steps([resize])(torch.from_numpy(photograph).permute(2, 0, 1)[None])
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_a_rectangle_is_height_by_width(fit):
    preprocess = Preprocess(size=32, width=64, fit=fit)
    assert preprocess.shape == (3, 32, 64)
    assert preprocess.pixels(np.zeros((50, 70, 3), np.uint8)).shape == (3, 32, 64)
    assert preprocess.with_(size=64).shape == (3, 64, 128), "another size keeps the shape"
    assert preprocess.with_(size=64, width=70).shape == (3, 64, 70)


def stored(image: Image.Image, kind: str, **options) -> np.ndarray:
    """What is decoded of a picture that was stored without loss."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return decode(buffer.getvalue(), f"x.{kind}")


def pictures() -> dict[str, tuple[np.ndarray, tuple[float, float, float]]]:
    """What is decoded of pictures of one colour, and that colour in [0, 1] by hand."""
    deep = np.full((40, 50), 0x8000, np.uint16)
    deep[0, 0] = 0xFFFF
    return {
        "grey": (stored(Image.new("L", (50, 40), 100), "PNG"), (100 / 255,) * 3),
        # Half of each over white: 255 - 128 / 255 * (255 - 40) = 147.1.
        "alpha": (
            stored(Image.new("RGBA", (50, 40), (40, 80, 255, 128)), "PNG"),
            (147 / 255, 167 / 255, 1.0),
        ),
        "clear": (stored(Image.new("LA", (50, 40), (7, 0)), "PNG"), (1.0,) * 3),
        # 32768 / 65535 of 255 is 127.5, and not 128 because the high byte is 0x80.
        "sixteen": (stored(Image.fromarray(deep), "PNG"), (32768 / 65535,) * 3),
        "palette": (
            stored(Image.new("RGB", (50, 40), (9, 99, 199)).convert("P", palette=1), "PNG"),
            (9 / 255, 99 / 255, 199 / 255),
        ),
    }


@pytest.mark.parametrize("kind", ["grey", "alpha", "clear", "sixteen", "palette"])
def test_any_kind_of_pixels_is_normalised_alike(kind):
    """Within the half level by which they are rounded to bytes, and one of the palette's."""
    rgb, colour = pictures()[kind]
    own = Preprocess(size=32, mean=MEAN, std=STD).tensor(rgb)[0, :, 16, 16]
    wanted = (torch.tensor(colour) - torch.tensor(MEAN)) / torch.tensor(STD)
    assert ((own - wanted).abs() * torch.tensor(STD) * 255).max() <= 0.52


def test_a_smaller_copy_is_seen_as_the_photograph_was():
    """A JPEG that was decoded at half its size: the window is the photograph's, to the pixel."""
    preprocess = Preprocess(size=96)
    small = np.zeros((151, 226, 3), np.uint8)
    alone = preprocess.pixels(small)
    of_it = preprocess.pixels(small, (451, 301))
    assert alone.shape == of_it.shape == (3, 96, 96)
    # int(109 * 451 / 301) = 163 and int(109 * 226 / 151) = 163: here the two agree ...
    assert preprocess._resized(451, 301) == preprocess._resized(226, 151) == (163, 109)
    # ... and here they do not: 109 * 455 / 303 = 163.7, and 109 * 228 / 152 = 163.5, but
    # 109 * 500 / 331 = 164.65 and 109 * 250 / 165 = 165.15.
    assert preprocess._resized(500, 331) != preprocess._resized(250, 165)
    draw = np.random.default_rng(0)
    copy = draw.integers(0, 256, (165, 250, 3), np.uint8)
    image = torch.from_numpy(copy).permute(2, 0, 1)
    resized = v2.functional.resize(image, [109, 164], antialias=True)
    seen = preprocess.pixels(copy, (500, 331))
    assert torch.equal(seen, v2.functional.center_crop(resized, [96, 96]))


@pytest.mark.parametrize(
    ("settings", "enough"),
    [
        ({}, 4 * 256),
        ({"size": 96, "crop_pct": 1.0}, 4 * 96),
        ({"size": 96, "fit": "squash"}, 4 * 96),
        ({"size": 32, "width": 64, "crop_pct": 0.5}, 4 * 128),
    ],
)
def test_four_times_the_resized_side_is_enough(settings, enough):
    assert Preprocess(**settings).enough() == enough


@pytest.mark.parametrize(
    "changes", [{}, {"width": 64}, {"grey": True}, {"fit": "whole", "interpolation": "bicubic"}]
)
def test_what_is_stored_is_what_is_read(changes):
    preprocess = Preprocess(size=96, mean=MEAN, std=STD, crop_pct=0.9).with_(**changes)
    assert Preprocess.from_dict(preprocess.to_dict()) == preprocess
    assert preprocess.with_(size=None, mean=None) == preprocess


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0}, {"size": MAX_SIZE + 1}, {"size": 2.5}, {"size": True}, {"width": 0},
        {"width": MAX_SIZE + 1}, {"std": (0.1, 0, 0.1)}, {"std": (1, 1)}, {"mean": (0, 0, "0")},
        {"mean": (0, float("nan"), 0)}, {"fit": "letterbox"}, {"interpolation": "hamming"},
        {"crop_pct": 0}, {"crop_pct": float("inf")}, {"grey": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match=r"."):
        Preprocess.from_dict(Preprocess().to_dict() | changes)


def test_the_limits_themselves_pass():
    values = Preprocess().to_dict() | {"size": MAX_SIZE, "crop_pct": 10}
    assert Preprocess.from_dict(values).size == MAX_SIZE


@pytest.mark.parametrize("interpolation", ["nearest", "box", "lanczos"])
@pytest.mark.parametrize("size", [64, 400], ids=["smaller", "larger"])
def test_other_filters_are_pillows(photograph, interpolation, size):
    preprocess = Preprocess(size=size, fit="squash", interpolation=interpolation)
    picture = Image.fromarray(photograph)
    theirs = picture.resize((size, size), Image.Resampling[interpolation.upper()])
    assert np.array_equal(preprocess.pixels(photograph).permute(1, 2, 0), np.asarray(theirs))


@pytest.mark.parametrize(("interpolation", "flag"), [("bilinear", 1), ("bicubic", 2)])
@pytest.mark.parametrize("size", [64, 400], ids=["smaller", "larger"])
def test_without_antialias_it_is_opencvs(photograph, interpolation, flag, size):
    preprocess = Preprocess(size=size, fit="squash", interpolation=interpolation, antialias=False)
    theirs = cv2.resize(photograph, (size, size), interpolation=flag)
    away = np.abs(preprocess.pixels(photograph).permute(1, 2, 0).numpy().astype(int) - theirs)
    assert away.max() <= 1


@pytest.mark.parametrize("interpolation", ["nearest", "box", "lanczos", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_every_filter_takes_a_strip_as_it_takes_a_photograph(interpolation, antialias, monkeypatch):
    """What is `THIN` goes another way, with the same result but for rounding."""
    rng = np.random.default_rng(0)
    strip = rng.integers(0, 256, (16 * 24, 24, 3), np.uint8)
    monkeypatch.setattr(resize_module, "THIN", 16)
    size, window = (15, 250), (2, 100, 13, 140)
    whole = resized(strip, size, interpolation, window, antialias)
    monkeypatch.setattr(resize_module, "THIN", 2)
    thin = resized(strip, size, interpolation, window, antialias)
    away = (thin.int() - whole.int()).abs()
    assert away.max() <= (2 if interpolation != "nearest" else 0)


def test_blue_comes_first_where_the_network_takes_it_so():
    """By hand: mean and std are in the network's order."""
    rgb = np.broadcast_to(np.array([79, 200, 10], np.uint8), (40, 40, 3)).copy()
    own = Preprocess(size=32, mean=MEAN, std=STD, bgr=True).tensor(rgb)[0]
    wanted = [(10 / 255 - 0.31) / 0.11, (200 / 255 - 0.62) / 0.43, (79 / 255 - 0.17) / 0.26]
    assert own[:, 7, 9].tolist() == pytest.approx(wanted, abs=1e-5)


def test_a_fourth_channel_is_opaque():
    rgb = np.zeros((40, 50, 3), np.uint8)
    own = Preprocess(size=32, mean=(*MEAN, 0.5), std=(*STD, 0.25), alpha=True)
    assert own.shape == (4, 32, 32)
    assert own.tensor(rgb)[0, 3].unique().tolist() == [2.0]


@pytest.mark.parametrize("resize", [150, (150, 160)])
def test_what_the_centre_is_cut_out_of_can_be_said(photograph, resize):
    """As torchvision's tutorials do: Resize((256, 256)), CenterCrop(224), both ways."""
    picture = torch.from_numpy(photograph).permute(2, 0, 1)
    side = list(resize) if isinstance(resize, tuple) else resize
    theirs = v2.Compose([v2.Resize(side, antialias=True), v2.CenterCrop((128, 140))])(picture)
    own = Preprocess(size=128, width=140, resize=resize)
    assert (own.pixels(photograph).int() - theirs.int()).abs().max() <= 1
    height, width = photograph.shape[:2]
    x0, y0, x1, y1 = own.view(width, height)
    if isinstance(resize, tuple):
        assert (x1 - x0, y1 - y0) == pytest.approx((140 / 160 * width, 128 / 150 * height))
    else:
        assert (x1 - x0) / 140 == pytest.approx((y1 - y0) / 128, rel=0.01)
    assert own.with_(size=256).resize == (300 if resize == 150 else (300, 320))


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (300, 300), (7, 400), (400, 3)])
def test_between_margins_nothing_is_cut_off_or_distorted(shape):
    """A disc stays a disc in the middle; its place in the view is its place in the photograph."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w]
    rgb = np.full((h, w, 3), 255, np.uint8)
    disc = (x - 0.7 * w) ** 2 + (y - 0.4 * h) ** 2 < (0.2 * min(h, w)) ** 2
    rgb[disc] = 0
    own = Preprocess(size=96, width=128, fit="pad", pad=(9, 99, 199), mean=MEAN, std=STD)
    seen = own.pixels(rgb).permute(1, 2, 0).numpy()
    assert seen.shape == (96, 128, 3)
    x0, y0, x1, y1 = own.view(w, h)
    assert max(x0, y0) <= 0
    assert (x1, y1) >= (w, h)
    # Margins are of their colour, the rest is grey: which columns and rows, by the view.
    margin = (seen == (9, 99, 199)).all(2)
    inside = np.argwhere(~margin)
    top, left = inside.min(0)
    bottom, right = inside.max(0) + 1
    sx, sy = (x1 - x0) / 128, (y1 - y0) / 96
    assert (x0 + left * sx, x0 + right * sx) == pytest.approx((0, w), abs=1e-6)
    assert (y0 + top * sy, y0 + bottom * sy) == pytest.approx((0, h), abs=1e-6)
    if min(shape) >= 300:
        assert sx == pytest.approx(sy, rel=0.02)
        rows, columns = np.nonzero(~margin & (seen[..., 0] < 128))
        assert x0 + (columns.mean() + 0.5) * sx == pytest.approx(0.7 * w, abs=2)
        assert y0 + (rows.mean() + 0.5) * sy == pytest.approx(0.4 * h, abs=2)


def test_margins_are_the_mean_by_default():
    """Which is nothing for the network, to a level; also where blue comes first."""
    for bgr in (False, True):
        own = Preprocess(size=64, fit="pad", mean=MEAN, std=STD, bgr=bgr)
        values = own.tensor(np.full((10, 40, 3), 255, np.uint8))[0]
        assert (values[:, 0].abs() * torch.tensor(STD)[:, None] * 255).max() <= 0.51
        assert (values[:, 32] > 0.5).all()


def test_what_runs_of_before_recorded_is_read():
    """And what nobody chose is not recorded: an old camcli reads it."""
    old = {"size": 224, "fit": "crop", "crop_pct": 0.875, "interpolation": "bilinear",
           "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # fmt: skip
    assert Preprocess.from_dict(old) == Preprocess()
    assert set(Preprocess().to_dict()) == set(old)
    for change in ({"bgr": 1}, {"alpha": None}, {"resize": [1, 2, 3]}, {"resize": 100},
                   {"pad": [1, 2]}, {"pad": [0, 0, 999]}, {"grey": True, "bgr": True},
                   {"mean": [1, 1, 1, 1]}, {"antialias": "no"}):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            Preprocess.from_dict(old | change)
