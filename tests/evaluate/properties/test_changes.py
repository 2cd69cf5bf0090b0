"""A change moves its property to the others' and back; its control is as large and does not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.properties.changes import change_of
from camcli.evaluate.properties.file_facts import FileFacts
from camcli.evaluate.properties.measure import of_pixels
from tests.evaluate.properties.test_measure import scene

PHOTO = AuditedPhoto(ImageRef(None, "a.jpg"), "a", "a", 1.0, (400, 300))  # type: ignore[arg-type]


def drawn(seed):
    """A scene with fine structure, as photographs have it."""
    rng = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(rng.normal(0, 14, (300, 400)).astype(np.float32), (0, 0), 0.8)
    return np.clip(scene(seed) * 0.7 + 35 + fine[..., None], 0, 255).astype(np.uint8)


SCENES = [drawn(seed) for seed in range(8)]


def noisy(pixels):
    grain = np.random.default_rng(5).normal(0, 12, pixels.shape[:2])[..., None]
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def written(pixels, quality):
    stored = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(stored, 1)[..., ::-1]


def vignette(pixels):
    down, across = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    return np.rint(pixels * (1 - 0.35 * (down**2 + across**2))[..., None]).astype(np.uint8)


PLANTED = {
    "colour cast": lambda x: np.clip(x * [1.15, 1.0, 0.8], 0, 255).astype(np.uint8),
    "brightness": lambda x: np.rint(x * 0.55).astype(np.uint8),
    "corners": vignette,
    "contrast": lambda x: np.clip((x - 128.0) * 0.5 + 128, 0, 255).astype(np.uint8),
    "saturation": lambda x: np.rint(
        0.3 * x + 0.7 * cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    ).astype(np.uint8),
    "blur": lambda x: cv2.GaussianBlur(x, (0, 0), 1.8),
    "noise": noisy,
}
VALUE = {
    "colour cast": lambda p: p.tint[1] + p.highlights[1] / 100,
    "brightness": lambda p: p.brightness,
    "corners": lambda p: p.rings[-1] + p.rings[-2],
    "contrast": lambda p: p.contrast,
    "saturation": lambda p: p.saturation,
    "blur": lambda p: np.log(p.blur),
    "noise": lambda p: p.noise,
}


def strength(one, two):
    return np.sqrt(np.mean((one.astype(float) - two) ** 2))


def moved(kind, changed, before):
    """By how much a property moved, in the mean of several photographs."""
    return np.mean(
        [VALUE[kind](of_pixels(c)) - VALUE[kind](of_pixels(b))
         for c, b in zip(changed, before, strict=True)]
    )  # fmt: skip


def applied(method, photographs):
    """One of a change's four methods on photographs; all of them can be changed."""
    found = [
        method(PHOTO, pixels, np.random.default_rng(n)) for n, pixels in enumerate(photographs)
    ]
    assert all(f.dtype == np.uint8 and f.shape == p.shape for f, p in zip(found, photographs))  # noqa: B905
    return found


@pytest.mark.parametrize("kind", PLANTED)
def test_a_change_moves_the_property_and_its_control_leaves_it(kind):
    marked = [PLANTED[kind](pixels) for pixels in SCENES]
    change = change_of(kind, list(map(of_pixels, marked[:4])), list(map(of_pixels, SCENES[:4])))
    assert change is not None
    assert all((change.removed_by, change.added_by, change.control))
    gap = moved(kind, marked[4:], SCENES[4:])
    for photographs, change_it, control, sign in (
        (marked[4:], change.remove, change.remove_control, -1),
        (SCENES[4:], change.add, change.add_control, 1),
    ):
        changed, controlled = applied(change_it, photographs), applied(control, photographs)
        assert 0.4 < sign * moved(kind, changed, photographs) / gap < 1.4
        # A cast of another hue may be of the opposite one, and is never of the same.
        most = 1.3 if kind == "colour cast" else 0.35
        assert -most < sign * moved(kind, controlled, photographs) / gap < 0.35
        for before, one, other in zip(photographs, changed, controlled, strict=True):
            assert strength(other, before) == pytest.approx(strength(one, before), rel=0.12)
            assert np.any(one != other)


def test_what_was_planted_is_put_on_and_taken_away_again():
    """A blur, a cast and a darkening that were planted are met to a fraction of what they do."""
    for kind, least in (
        ("colour cast", 0.35),
        ("brightness", 0.25),
        ("corners", 0.25),
        ("blur", 0.4),
    ):
        marked = [PLANTED[kind](pixels) for pixels in SCENES]
        change = change_of(kind, list(map(of_pixels, marked[:4])), list(map(of_pixels, SCENES[:4])))
        for pixels, truth in zip(SCENES[4:], marked[4:], strict=True):
            put = change.add(PHOTO, pixels, np.random.default_rng(0))
            assert strength(put, truth) < least * strength(pixels, truth)


def test_blur_of_a_moving_camera_is_put_on_in_its_direction():
    kernel = np.full((1, 9), 1 / 9)
    marked = [cv2.filter2D(pixels, -1, kernel) for pixels in SCENES]
    change = change_of("blur", list(map(of_pixels, marked[:4])), list(map(of_pixels, SCENES[:4])))
    put = change.add(PHOTO, SCENES[5], np.random.default_rng(0)).astype(float)
    across, down = (np.abs(np.diff(put, axis=axis)).mean() for axis in (1, 0))
    before = SCENES[5].astype(float)
    across /= np.abs(np.diff(before, axis=1)).mean()
    down /= np.abs(np.diff(before, axis=0)).mean()
    assert across < 0.75 * down


def test_grey_is_put_on_and_cannot_be_taken_away():
    grey = [np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) for x in SCENES]
    change = change_of("grey", list(map(of_pixels, grey)), list(map(of_pixels, SCENES)))
    assert change.removed_by == ""
    assert change.remove(PHOTO, grey[0], np.random.default_rng(0)) is None
    put = change.add(PHOTO, SCENES[0], np.random.default_rng(0))
    other = change.add_control(PHOTO, SCENES[0], np.random.default_rng(0))
    assert of_pixels(put).grey
    assert of_pixels(other).saturation == pytest.approx(of_pixels(SCENES[0]).saturation, rel=0.15)
    assert strength(other, SCENES[0]) == pytest.approx(strength(put, SCENES[0]), rel=0.1)


def of_shape(width, height):
    return replace(of_pixels(SCENES[0]), width=width, height=height)


def test_a_shape_is_cropped_and_the_control_keeps_it():
    change = change_of("aspect", [of_shape(400, 400)], [of_shape(400, 300)])
    square = SCENES[0][:, :300]
    for method, control, pixels, wanted in (
        (change.remove, change.remove_control, square, 4 / 3),
        (change.add, change.add_control, SCENES[0], 1.0),
    ):
        cropped = method(PHOTO, pixels, np.random.default_rng(0))
        other = control(PHOTO, pixels, np.random.default_rng(0))
        assert cropped.shape[1] / cropped.shape[0] == pytest.approx(wanted, rel=0.02)
        assert other.shape[1] / other.shape[0] == pytest.approx(
            pixels.shape[1] / pixels.shape[0], rel=0.02
        )
        assert other[..., 0].size == pytest.approx(cropped[..., 0].size, rel=0.02)
    assert change.add(PHOTO, square, np.random.default_rng(0)) is None  # it has the shape


@pytest.mark.parametrize("own", [100, 1600])
def test_pixels_are_taken_away_and_never_invented(own):
    change = change_of("size", [of_shape(own, own)], [of_shape(200, 200)])
    tried, other, never, words = (
        (change.add, change.add_control, change.remove, change.removed_by)
        if own < 200
        else (change.remove, change.remove_control, change.add, change.added_by)
    )
    small = tried(PHOTO, SCENES[0], np.random.default_rng(0))
    assert np.sqrt(small[..., 0].size) == pytest.approx(min(own, 200), rel=0.02)
    controlled = other(PHOTO, SCENES[0], np.random.default_rng(0))
    assert controlled.shape == SCENES[0].shape
    seen = cv2.resize(small, (400, 300), interpolation=cv2.INTER_CUBIC)
    assert strength(controlled, SCENES[0]) == pytest.approx(strength(seen, SCENES[0]), rel=0.35)
    assert never(PHOTO, SCENES[0], np.random.default_rng(0)) is None
    assert words == ""


def of_quality(quality):
    return replace(of_pixels(SCENES[0]), file=FileFacts(format="JPEG", quality=quality))


def test_jpegs_losses_are_put_on_and_not_taken_away(tmp_path):
    change = change_of("jpeg quality", [of_quality(15)], [of_quality(90)])
    put = change.add(PHOTO, SCENES[0], np.random.default_rng(0))
    file = tmp_path / "a.jpg"
    Image.fromarray(SCENES[0]).save(file, quality=15)
    assert np.array_equal(put, np.array(Image.open(file)))
    other = change.add_control(PHOTO, SCENES[0], np.random.default_rng(0))
    assert strength(other, SCENES[0]) == pytest.approx(strength(put, SCENES[0]), rel=0.05)
    assert change.removed_by == ""
    better = change_of("jpeg quality", [of_quality(90)], [of_quality(15)])
    assert np.array_equal(better.remove(PHOTO, SCENES[0], np.random.default_rng(0)), put)
    assert better.added_by == ""
    assert change_of("jpeg quality", [of_quality(90)], [of_quality(92)]) is None


@pytest.mark.parametrize("kind", ["camera", "software", "date", "file format"])
def test_what_no_pixel_shows_cannot_be_changed(kind):
    assert change_of(kind, [of_shape(9, 9)], [of_shape(9, 9)]) is None


def test_a_change_that_changes_nothing_is_none():
    same = list(map(of_pixels, SCENES[:4]))
    for kind in ("colour cast", "brightness", "contrast", "saturation", "blur"):
        change = change_of(kind, same, same)
        for method in (change.remove, change.add, change.remove_control, change.add_control):
            assert method(PHOTO, SCENES[0], np.random.default_rng(0)) is None
    assert change_of("noise", same, same) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (30, 30), (301, 173)])
def test_pictures_of_any_shape_can_be_tried(shape):
    marked = {kind: [planted(x) for x in SCENES[:3]] for kind, planted in PLANTED.items()}
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
    pixels.setflags(write=False)
    for kind, photographs in marked.items():
        change = change_of(
            kind, list(map(of_pixels, photographs)), list(map(of_pixels, SCENES[:3]))
        )
        for method in (change.remove, change.add, change.remove_control, change.add_control):
            found = method(PHOTO, pixels, np.random.default_rng(0))
            assert found is None or (found.shape == pixels.shape and found.dtype == np.uint8)
