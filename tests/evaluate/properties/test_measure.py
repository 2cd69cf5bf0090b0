"""Properties of pixels against blurs, noise and tints of known size, and scikit-image's Lab."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.properties.measure import edge_width, measure, of_pixels


def scene(seed=0, size=(300, 400), colours=True):
    """Overlapping discs and boxes with hard edges, drawn at four times the size."""
    rng = np.random.default_rng(seed)
    height, width = size
    picture = np.full((height * 4, width * 4, 3), 128, np.uint8)
    for _ in range(60):
        colour = rng.integers(30, 226, 3 if colours else 1).tolist() * (1 if colours else 3)
        x, y, r = int(rng.integers(width * 4)), int(rng.integers(height * 4)), rng.integers(20, 200)
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(r), colour, -1)
        else:
            cv2.rectangle(picture, (x, y), (x + int(r), y + int(r) * 2), colour, -1)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def photo():
    return scene()


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
def test_the_width_of_edges_is_the_blur_that_made_them(photo, sigma):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    width = edge_width(cv2.GaussianBlur(grey, (0, 0), sigma))
    of_sampling = 0.65  # pixels are squares, and a derivative is taken over two of them
    assert width == pytest.approx(np.hypot(sigma, of_sampling), rel=0.13)


def test_the_width_of_edges_is_not_a_matter_of_contrast(photo):
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    faint = np.round(100 + grey / 4.0).astype(np.uint8)
    assert edge_width(faint) == pytest.approx(edge_width(grey), rel=0.1)


def test_more_blur_is_more_in_every_scene():
    for seed in range(4):
        pixels = scene(seed)
        blurs = [pixels, *(cv2.GaussianBlur(pixels, (0, 0), s) for s in (0.8, 1.6, 2.4, 3.2))]
        widths = [of_pixels(each).blur for each in blurs]
        assert widths == sorted(widths)
        assert widths[-1] > 3 * widths[0]


def test_a_photograph_of_more_pixels_is_not_blurred_for_that(photo):
    large = cv2.resize(scene(size=(300, 400)), None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
    assert of_pixels(large).blur == pytest.approx(of_pixels(photo).blur, rel=0.35)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_noise_is_what_was_added(photo, sigma):
    rng = np.random.default_rng(1)
    grey = np.repeat(rng.normal(0, sigma, photo.shape[:2])[..., None], 3, 2)
    noisy = np.clip(np.round(photo + grey), 0, 255).astype(np.uint8)
    # The smoother blocks' is a little less than the mean's.
    assert of_pixels(noisy).noise == pytest.approx(sigma, rel=0.2)
    assert of_pixels(photo).noise < 0.5


def test_light_and_saturation_are_those_of_scikit_image(photo):
    lab = rgb2lab(photo[37 : 300 - 37, 50 : 400 - 50])
    found = of_pixels(photo)
    assert found.brightness == pytest.approx(lab[..., 0].mean(), abs=1)
    assert found.contrast == pytest.approx(lab[..., 0].std(), rel=0.1)
    assert found.saturation == pytest.approx(np.hypot(lab[..., 1], lab[..., 2]).mean(), rel=0.1)


@pytest.mark.parametrize("shift", [(20, 0, -20), (-10, 10, -10), (0, -8, 12)])
def test_the_cast_of_a_grey_scene_is_its_tint(shift):
    pixels = np.clip(scene(colours=False).astype(int) + shift, 0, 255).astype(np.uint8)
    lab = rgb2lab(pixels)[..., 1:].mean((0, 1))
    found = of_pixels(pixels)
    assert found.cast == pytest.approx(tuple(lab), abs=1.5)
    assert np.sign(np.round(found.cast)).tolist() == np.sign(np.round(lab)).tolist()
    assert not found.grey


def test_what_is_multiplied_shows_in_the_edges(photo):
    gained = np.clip(photo * np.array([0.99, 0.9, 0.7]), 0, 255).astype(np.uint8)
    red, blue = np.subtract(of_pixels(gained).tint, of_pixels(photo).tint)
    assert red == pytest.approx(np.log(0.99 / 0.9), abs=0.02)
    assert blue == pytest.approx(np.log(np.sqrt(0.99 * 0.9) / 0.7), abs=0.03)


def test_grey_is_without_colours_in_spite_of_jpeg(photo):
    grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    stored = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    assert of_pixels(stored).grey
    assert not of_pixels(photo).grey


def test_tones_are_quantiles_of_the_channels(photo):
    middle = photo[37 : 300 - 37, 50 : 400 - 50]
    for channel in range(3):
        expected = np.quantile(middle[..., channel], (0.05, 0.25, 0.5, 0.75, 0.95))
        assert of_pixels(photo).tones[channel] == pytest.approx(expected.tolist(), abs=6)


def test_rings_are_the_light_from_the_middle_to_the_corners():
    down, across = np.mgrid[-1:1:300j, -1:1:400j]
    shade = 200 * (1 - 0.3 * (down**2 + across**2))
    rings = of_pixels(np.rint(np.repeat(shade[..., None], 3, 2)).astype(np.uint8)).rings
    middles = np.arange(0.5, 6) / 6 * np.sqrt(2)  # of the rings
    expected = np.log((200 * (1 - 0.3 * middles**2) + 8) / (200 * (1 - 0.3 * middles[0] ** 2) + 8))
    assert rings == pytest.approx(expected.tolist(), abs=0.09)


@pytest.mark.parametrize("seed", range(3))
def test_the_light_falls_off_by_what_was_planted(seed):
    down, across = np.mgrid[-1:1:300j, -1:1:400j]
    shade = np.exp(-0.8 * np.hypot(down, across) / np.sqrt(2))
    pixels = scene(seed)
    found = of_pixels(np.rint(pixels * shade[..., None]).astype(np.uint8)).falloff
    assert found - of_pixels(pixels).falloff == pytest.approx(-0.8, abs=0.25)


def test_a_frame_and_a_line_of_text_change_nothing(photo):
    framed = photo.copy()
    framed[:30], framed[-30:], framed[:, :40], framed[:, -40:] = 0, 255, (255, 0, 0), 0
    with_frame, without = of_pixels(framed), of_pixels(photo)
    # Sums in another order: the last digit of a float32 may differ.
    assert with_frame.tint == pytest.approx(without.tint, abs=1e-5)
    same = {"rings": (), "falloff": 0, "tint": (0.0, 0.0)}
    assert replace(with_frame, **same) == replace(without, **same)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (2, 3), (9, 9), (40, 1)])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_tiny_and_blank_pictures_have_properties(shape, value):
    found = of_pixels(np.full((*shape, 3), value, np.uint8))
    assert found.blur is None
    assert found.grey
    assert (found.noise, found.contrast, found.width, found.height) == (0, 0, shape[1], shape[0])


def test_a_file_says_the_size_and_its_pixels_the_rest(tmp_path, photo):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), photo[..., ::-1])
    ref = ImageRef(path, "a.png")
    found = measure(load_image(ref)[::2, ::2], ref)  # decoded smaller
    assert (found.width, found.height, found.file.format) == (400, 300, "PNG")
    assert found.aspect == pytest.approx(4 / 3)
    assert found.side == pytest.approx(np.sqrt(120_000))
    assert found.brightness == pytest.approx(of_pixels(photo).brightness, abs=1)
