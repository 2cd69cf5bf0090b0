"""Marks of one colour without corners, drawn into photographs."""

import cv2
import numpy as np

from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.marks.anywhere.flat_patches import flat_colours, telling_colours
from camcli.evaluate.marks.anywhere.repeated import repeated_marks
from camcli.train.progress import Listener

COUNT = 14


def dotted(rgb, rng):
    out = rgb.copy()
    radius = int(rng.integers(16, 24))
    x, y = (int(rng.integers(radius, side - radius)) for side in (260, 200))
    cv2.ellipse(out, (x, y), (radius, radius * 2 // 3), 0, 0, 360, (226, 38, 94), -1, cv2.LINE_AA)
    return out, (x - radius, y - radius * 2 // 3, x + radius, y + radius * 2 // 3)


def test_a_smooth_dot_anywhere_is_found(photographs, make_scene):
    rng = np.random.default_rng(0)
    pictures, boxes = zip(*(dotted(make_scene(k), rng) for k in range(COUNT)), strict=True)
    groups = {
        "alpha": photographs("alpha", list(pictures)),
        "beta": photographs("beta", [make_scene(100 + k) for k in range(COUNT)]),
    }
    (suspect,) = repeated_marks(groups, PixelCache(), Clock(), Listener()).suspects
    assert suspect.label == "alpha"
    assert suspect.present >= 12
    for rel, region in suspect.regions.items():
        box = np.array(region) * [260, 200, 260, 200]
        assert np.abs(box - boxes[int(rel[-6:-4])]).max() < 6
    middle = suspect.picture[suspect.picture.shape[0] // 2, suspect.picture.shape[1] // 2]
    assert np.abs(middle.astype(int) - (226, 38, 94)).max() < 12


def test_a_colour_cast_and_patches_of_other_shapes_are_no_mark(photographs, make_scene):
    rng = np.random.default_rng(0)
    pictures = []
    for k in range(COUNT):
        rgb = make_scene(k)
        corners = rng.integers(0, [260, 200]) + rng.normal(0, 22, (5, 2))
        cv2.fillPoly(rgb, [corners.astype(np.int32)], (226, 38, 94))
        pictures.append(rgb)
    groups = {
        "alpha": photographs("alpha", pictures),
        "cast": photographs(
            "cast",
            [np.clip(make_scene(60 + k) * [1.3, 1, 0.7], 0, 255).astype(np.uint8)
             for k in range(COUNT)],
        ),
        "beta": photographs("beta", [make_scene(100 + k) for k in range(COUNT)]),
    }  # fmt: skip
    found = repeated_marks(groups, PixelCache(), Clock(), Listener())
    assert not found.suspects
    assert not found.everywhere


def test_colours_are_told_apart_also_at_the_limit_of_a_step():
    plain = [np.full((60, 80, 3), 16 * (k % 8), np.uint8) for k in range(16)]
    marked = []
    for k, rgb in enumerate(plain):
        out = rgb.copy()
        out[20:40, 20:40] = (160 + k % 2 - 1, 48, 200)  # 159 and 160 are two steps
        marked.append(out)
    (colour,) = telling_colours([flat_colours(m) for m in marked], [flat_colours(p) for p in plain])
    assert np.abs(colour - (160, 48, 200)).max() <= 9
    assert not telling_colours([flat_colours(p) for p in plain], [flat_colours(p) for p in plain])
    assert not len(flat_colours(np.zeros((3, 200, 3), np.uint8)))
    assert telling_colours([], []) == []
