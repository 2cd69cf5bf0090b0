"""Places in words, chance, cut-outs and usual places, by hand-made truth."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from camcli.evaluate.marks.anywhere.cut_out import cut_out, likeness
from camcli.evaluate.marks.anywhere.patch_change import control_shape, elsewhere, pasted
from camcli.evaluate.marks.anywhere.usual_place import usual_place
from camcli.evaluate.marks.chance import more_than_chance
from camcli.evaluate.marks.inpainting import inpainted
from camcli.evaluate.marks.place_words import place_words, size_words


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ((0.8, 0.85, 0.97, 0.96), "bottom right corner"),
        ((0.02, 0.03, 0.2, 0.1), "top left corner"),
        ((0.0, 0.0, 0.08, 1.0), "along the left side"),
        ((0.9, 0.3, 1.0, 0.95), "along the right side"),
        ((0.1, 0.92, 0.9, 0.98), "along the bottom"),
        ((0.02, 0.92, 0.55, 0.98), "at the bottom"),
        ((0.4, 0.02, 0.6, 0.1), "at the top"),
        ((0.4, 0.4, 0.6, 0.6), "at the same place"),
        ((0.02, 0.02, 0.98, 0.98), "all over the picture"),
    ],
)
def test_places_in_words(region, words):
    assert place_words([region] * 5) == words


def test_a_mark_that_is_now_here_now_there_is_anywhere():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.8, (30, 2))
    assert place_words([(x, y, x + 0.2, y + 0.2) for x, y in corners]) == "anywhere"
    assert place_words([]) == "nowhere"
    assert size_words([(60.2, 40.4), (59.9, 40.2), (300, 3)]) == "about 60 x 40 pixels"


@pytest.mark.parametrize("counts", [(51, 60, 0, 60), (5, 60, 4, 60), (0, 10, 0, 5), (3, 3, 1, 9)])
def test_chance_is_fishers(counts):
    present, looked, other, other_looked = counts
    table = [[present, looked - present], [other, other_looked - other]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert more_than_chance(*counts) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_a_mark_is_cut_out_with_its_opacity(make_scene, make_sticker, opacity):
    mark = make_sticker(4)
    shown = []
    for k in range(24):
        rgb = make_scene(k).astype(float)
        x, y = 20 + 6 * k, 10 + 4 * k
        part = np.s_[y : y + 48, x : x + 48]
        rgb[part] = (1 - opacity) * rgb[part] + opacity * mark
        shown.append((rgb.round().astype(np.uint8), np.array([[1.0, 0, x], [0, 1.0, y]])))
    points = np.array([[10.0, 10], [30, 35], [40, 8], [24, 24]])
    found = cut_out(shown, points)
    assert found.place == pytest.approx((0, 0), abs=2)
    assert found.alpha.shape == pytest.approx((48, 48), abs=4)
    inner = np.s_[8:-8, 8:-8]
    assert np.median(found.alpha[inner]) == pytest.approx(opacity, abs=0.15)
    x, y = -np.array(found.place)
    seen = found.rgb[y + 8 : y + 40, x + 8 : x + 40].astype(int)
    assert np.abs(seen - mark[8:40, 8:40]).mean() < 30
    rgb, matrix = shown[0]
    there = np.hstack([matrix[:, :2], matrix[:, 2:] + found.shift[:, 2:]])
    off = there + np.array([[0, 0, 90], [0, 0, 60]])
    assert likeness(rgb, there, found) > 0.6
    assert likeness(rgb, off, found) < 0.4
    assert likeness(rgb, there + np.array([[0, 0, 9999], [0, 0, 0]]), found) == 0


def test_nothing_is_cut_out_of_photographs_that_have_nothing_in_common(make_scene):
    shown = [(make_scene(k), np.eye(2, 3)) for k in range(24)]
    assert cut_out(shown, np.array([[100.0, 90], [130, 110], [120, 100]])) is None


def test_the_usual_place_keeps_its_margin_in_photographs_of_other_shapes():
    size, shapes = (40, 10), [(200, 300), (300, 300), (240, 320), (300, 200)]
    placed = [(np.array([[1.0, 0, w - 40 - 12], [0, 1.0, h - 10 - 8]]), (h, w)) for h, w in shapes]
    usual = usual_place(size, placed)
    assert usual.fixed
    assert usual.matrix((500, 400))[:, 2] == pytest.approx([400 - 40 - 12, 500 - 10 - 8])
    rng = np.random.default_rng(0)
    corners = [(rng.uniform(0, w - 40), rng.uniform(0, h - 10)) for h, w in shapes * 4]
    loose = [
        (np.array([[1.0, 0, x], [0, 1.0, y]]), shape)
        for (x, y), shape in zip(corners, shapes * 4, strict=True)
    ]
    usual = usual_place(size, loose)
    assert not usual.fixed
    for k in range(16):
        left, top = usual.matrix((100, 90), k)[:, 2]
        assert 0 <= left <= 50
        assert 0 <= top <= 90


def test_pasting_and_inpainting_leave_the_rest_alone(make_scene, make_sticker):
    rgb = make_scene(0)
    matrix = np.array([[0.5, 0, 30.0], [0, 0.5, 40.0]])
    out = pasted(rgb, make_sticker(1), np.ones((48, 48), np.float32), matrix)
    changed = (out != rgb).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], columns[0]) == pytest.approx((40, 30), abs=1)
    assert (rows[-1], columns[-1]) == pytest.approx((63, 53), abs=1)
    mask = np.zeros((200, 260), np.uint8)
    mask[50:70, 100:140] = 255
    assert not (inpainted(rgb, mask) != rgb).any(-1)[mask == 0].any()
    assert np.array_equal(inpainted(rgb, np.zeros_like(mask)), rgb)
    assert np.array_equal(inpainted(rgb, np.full_like(mask, 255)), rgb)  # nothing to draw from


def test_a_control_is_as_large_and_elsewhere():
    rng = np.random.default_rng(0)
    mask = np.zeros((100, 120), np.uint8)
    mask[:, :15] = 255  # along a side: only the others are left
    other = elsewhere(mask, rng)
    assert (other > 0).sum() == (mask > 0).sum()
    assert not (other & mask).any()
    assert elsewhere(np.full((9, 9), 255, np.uint8), rng) is None
    letters = np.zeros((20, 100), np.float32)
    letters[5:15, ::5] = 1
    assert control_shape(letters).sum() == pytest.approx(letters.sum(), rel=0.15)
    solid = np.ones((9, 9), np.float32)
    assert control_shape(solid) is solid
