"""Copies are the same picture, whatever was done to them; other pictures are not."""

import cv2
import numpy as np
import pytest

from camcli.data.decode.same_picture import (
    FINE,
    SMALL,
    alike_somewhere,
    grey,
    laid,
    same,
    turned,
    upright,
)


def likeness(one, other):
    how = laid(grey(one, SMALL), grey(other, SMALL))
    return same(grey(one, FINE), grey(other, FINE), how) if how else 0.0


def jpeg(rgb, quality):
    data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


COPIES = {
    "itself": lambda a: a,
    "crop 90": lambda a: a[18:, :-24],
    "crop 80": lambda a: a[20:-16, 48:],
    "jpeg 40": lambda a: jpeg(a, 40),
    "mirrored": lambda a: a[:, ::-1],
    "lighter": lambda a: np.clip(a * 1.3, 0, 255).astype(np.uint8),
    "darker": lambda a: (a * 0.6).astype(np.uint8),
    "grey": lambda a: np.repeat(a.mean(2, keepdims=True).astype(np.uint8), 3, 2),
    "small": lambda a: cv2.resize(a, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
    "on its side": lambda a: np.rot90(a),
    "upside down": lambda a: np.rot90(a, 2),
    "all at once": lambda a: jpeg(np.clip(a[:-18, 24:, :][:, ::-1] * 1.2, 0, 255), 40),
    "with a line of text": lambda a: cv2.putText(
        a.copy(), "(c) 2020", (8, 160), 0, 1.0, (255, 255, 255), 2
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_the_same(name, picture):
    for seed in range(4):
        one = picture(seed)
        other = np.ascontiguousarray(COPIES[name](one)).astype(np.uint8)
        assert likeness(one, other) > 0.8, seed
        assert likeness(other, one) > 0.8, seed


def test_other_pictures_are_not(picture):
    pictures = [picture(seed) for seed in range(12)]
    assert [likeness(a, b) for n, a in enumerate(pictures) for b in pictures[:n]] == [0.0] * 66


def test_the_same_light_with_other_detail_is_another_picture(picture):
    """Two photographs of one scene: what is large is alike, what is small is not."""
    for seed in range(6):
        one, other = (picture(s).astype(np.float32) for s in (seed, seed + 50))
        large = cv2.GaussianBlur(one, (0, 0), 10)
        scene = large + (other - cv2.GaussianBlur(other, (0, 0), 10))
        scene = np.clip(scene, 0, 255).astype(np.uint8)
        assert laid(grey(picture(seed), SMALL), grey(scene, SMALL)) is not None
        assert likeness(picture(seed), scene) == 0.0


def thing(seed):
    """A thing with a surface of its own on white; all are round, none as wide as another."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:200, :200]
    wide, tall = rng.uniform(55, 85, 2)
    inside = ((columns - 100) / wide) ** 2 + ((rows - 100) / tall) ** 2 < 1
    surface = cv2.resize(rng.normal(size=(40, 40)).astype(np.float32), (200, 200), None, 0, 0, 2)
    rgb = np.full((200, 200, 3), 255, np.uint8)
    for channel, colour in enumerate(rng.integers(60, 200, 3)):
        rgb[..., channel][inside] = np.clip(colour + 20 * surface[inside], 0, 255)
    return rgb


def test_things_of_one_shape_on_white_are_not_one_thing():
    """Their outlines can be laid on each other; their surfaces differ."""
    things = [thing(seed) for seed in range(8)]
    assert [likeness(a, b) for n, a in enumerate(things) for b in things[:n]] == [0.0] * 28
    for one in things:
        assert likeness(one, jpeg(one, 40)) > 0.8


def test_blank_pictures_are_not_each_other(picture):
    blank = np.full((80, 80, 3), 200, np.uint8)
    assert likeness(blank, blank) == 0.0
    assert likeness(blank, picture(0)) == 0.0


def test_the_eight_ways_are_eight(picture):
    small = grey(picture(0), SMALL)
    assert len({turned(small, turn).tobytes() for turn in range(8)}) == 8


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (9, 9)])
def test_odd_shapes_are_no_trouble(shape, picture):
    odd = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert 0 <= likeness(odd, picture(0)) <= 1


def test_upright_is_the_same_of_all_eight_ways(photos):
    for photo in photos:
        small = grey(photo, SMALL)
        every = upright(np.stack([turned(small, turn) for turn in range(8)]))
        assert (every == every[0]).all()
        assert (every.sum((1, 2)) == small.sum(dtype=float)).all()  # nothing is lost


def test_scenes_are_nowhere_alike_and_pieces_of_one_fabric_are(photos):
    one, other, _ = (grey(photo, FINE) for photo in photos)
    assert alike_somewhere(one, one) > 0.99
    assert alike_somewhere(one, other) < 0.4
    x, y = np.mgrid[:FINE, :FINE]

    def woven(shift, seed):
        wave = 60 * np.sin(2 * np.pi * (x + shift) / 13) * np.cos(2 * np.pi * (y + shift) / 11)
        noise = np.random.default_rng(seed).normal(0, 4, wave.shape)
        return np.clip(128 + wave + noise, 0, 255).astype(np.uint8)

    assert alike_somewhere(woven(0, 0), woven(4, 1)) > 0.9
    assert alike_somewhere(np.full_like(one, 9), one) == 0
    assert alike_somewhere(one, np.full_like(one, 9)) == 0
