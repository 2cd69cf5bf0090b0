"""Marks that are drawn into photographs are found, at their places; where there are none, none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.marks.anywhere.repeated import repeated_marks
from camcli.train.progress import Listener

COUNT = 12


def search(groups, seconds=None):
    clock = Clock(seconds)
    return repeated_marks(groups, PixelCache(), clock, Listener()), clock


def with_sticker(rgb, patch, left, top):
    out = rgb.copy()
    out[top : top + len(patch), left : left + len(patch)] = patch
    return out


def anywhere(rng, rgb, patch):
    height, width = rgb.shape[:2]
    side = len(patch)
    return with_sticker(
        rgb, patch, int(rng.integers(width - side)), int(rng.integers(height - side))
    )


@pytest.fixture(scope="module")
def plain(make_scene):
    return [make_scene(100 + k) for k in range(COUNT)]


@pytest.fixture(scope="module")
def marked(make_scene, make_sticker):
    """Twelve photographs, ten of which have a sticker, and where."""
    rng = np.random.default_rng(0)
    pictures, boxes = [], {}
    for k in range(COUNT):
        rgb = make_scene(k)
        if k >= 2:
            side = int(rng.integers(42, 60))
            patch = cv2.resize(make_sticker(1), (side, side), interpolation=cv2.INTER_AREA)
            left, top = int(rng.integers(260 - side)), int(rng.integers(200 - side))
            rgb = with_sticker(rgb, patch, left, top)
            boxes[f"alpha/{k:02}.png"] = (left, top, left + side, top + side)
        pictures.append(rgb)
    return pictures, boxes


@pytest.fixture(scope="module")
def searched(photographs, marked, plain):
    groups = {"alpha": photographs("alpha", marked[0]), "beta": photographs("beta", plain)}
    return groups, search(groups)[0]


def test_a_sticker_anywhere_is_found_where_it_is(searched, marked, make_sticker):
    found, boxes = searched[1], marked[1]
    (suspect,) = found.suspects
    assert (suspect.kind, suspect.label) == ("mark", "alpha")
    assert "anywhere" in suspect.what
    assert set(suspect.regions) <= set(boxes)
    assert len(suspect.regions) >= 9
    for rel, region in suspect.regions.items():
        box = np.array(region) * [260, 200, 260, 200]
        assert np.abs(box - boxes[rel]).max() < 4
    assert (suspect.looked, suspect.elsewhere, suspect.elsewhere_looked) == (12, 0, 12)
    assert suspect.effect == pytest.approx(len(suspect.regions) / 12)
    assert suspect.p < 0.001
    assert not found.everywhere
    assert not found.duplicates
    # It is shown as it was drawn, but for its edges.
    height, width = suspect.picture.shape[:2]
    true = cv2.resize(make_sticker(1), (width, height), interpolation=cv2.INTER_AREA)
    inner = np.s_[4:-4, 4:-4]
    assert np.abs(suspect.picture[inner].astype(int) - true[inner]).mean() < 25


def test_it_is_the_class_s_that_has_it_more_often_whichever_is_looked_at_first(
    photographs, marked, plain, make_sticker
):
    """A few photographs with the mark of another class are taken for this one: 5 of 12."""
    rng = np.random.default_rng(4)
    patch = cv2.resize(make_sticker(1), (50, 50), interpolation=cv2.INTER_AREA)
    some = [anywhere(rng, rgb, patch) if k < 5 else rgb for k, rgb in enumerate(plain)]
    groups = {"beta": photographs("beta-some", some), "alpha": photographs("alpha", marked[0])}
    found, _ = search(groups)
    marks = [*found.suspects, *found.everywhere]
    assert {suspect.label for suspect in marks} == {"alpha"}
    assert marks[0].present >= 9
    assert marks[0].elsewhere >= 4


def test_it_is_removed_and_pasted_and_the_controls_leave_it(searched, photographs, marked):
    (groups, found), boxes = searched, marked[1]
    alpha, beta = groups["alpha"], groups["beta"]
    (suspect,) = found.suspects
    change = suspect.change
    photo = next(p for p in alpha if p.rel in suspect.regions)
    left, top, right, bottom = boxes[photo.rel]
    on_it = np.zeros((200, 260), bool)
    on_it[top:bottom, left:right] = True
    rgb = photo.rgb()
    without = change.remove(photo, rgb, np.random.default_rng(0))
    changed = (without != rgb).any(-1)
    assert changed[on_it].mean() > 0.85
    near = cv2.dilate(on_it.astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
    assert not changed[~near].any()
    control = change.remove_control(photo, rgb, np.random.default_rng(0))
    changed_there = (control != rgb).any(-1)
    assert not changed_there[on_it].any()
    assert changed_there.sum() == pytest.approx(changed.sum(), rel=0.25)

    bare = beta[0].rgb()
    pasted = change.add(beta[0], bare, np.random.default_rng(5))
    other = change.add_control(beta[0], bare, np.random.default_rng(5))
    put, put_other = (pasted != bare).any(-1), (other != bare).any(-1)
    assert 35**2 < put.sum() < 70**2
    assert (put & put_other).sum() > 0.8 * put.sum()  # the same place and size
    assert (pasted != other).any()
    assert change.remove(beta[0], bare, np.random.default_rng(0)) is None
    assert change.remove_control(beta[0], bare, np.random.default_rng(0)) is None
    # What was pasted is found again.
    again = photographs("gamma", [change.add(p, p.rgb(), np.random.default_rng(k))
                                  for k, p in enumerate(beta)])  # fmt: skip
    (second,) = search({"gamma": again, "beta": beta})[0].suspects
    assert second.present >= 9


def test_two_marks_in_the_same_photographs_are_two(photographs, plain, make_scene, make_sticker):
    rng = np.random.default_rng(1)
    pictures = []
    for k in range(COUNT):
        rgb = with_sticker(make_scene(k), make_sticker(2, 44), 6, 150)
        rgb[10:58, 20 + (side := int(rng.integers(150))) : 68 + side] = make_sticker(1)
        pictures.append(rgb)
    found, _ = search({"alpha": photographs("alpha", pictures), "beta": photographs("beta", plain)})
    assert len(found.suspects) == 2
    words = sorted(s.what for s in found.suspects)
    assert any("bottom left corner" in w for w in words)
    assert any("at the top" in w for w in words)


def test_a_mark_on_all_classes_is_no_suspect_and_is_known(photographs, make_scene, make_sticker):
    rng = np.random.default_rng(1)
    groups = {
        label: photographs(
            label, [anywhere(rng, make_scene(seed + k), make_sticker(3)) for k in range(COUNT)]
        )
        for label, seed in (("alpha", 0), ("beta", 100))
    }
    found, _ = search(groups)
    assert not found.suspects
    (mark,) = found.everywhere
    assert mark.present >= 10
    assert mark.elsewhere >= 10
    assert len(mark.having) == mark.elsewhere


def test_a_mark_that_some_of_another_class_have_is_of_the_class_that_has_it_more_often(
    photographs, plain, marked, make_sticker
):
    """The other class is looked at first, and finds it in its own few."""
    rng = np.random.default_rng(4)
    some = [anywhere(rng, rgb, make_sticker(1)) if n < 6 else rgb for n, rgb in enumerate(plain)]
    groups = {"beta": photographs("beta", some), "alpha": photographs("alpha", marked[0][2:])}
    found, _ = search(groups)
    assert [s.label for s in (*found.suspects, *found.everywhere)] == ["alpha"]


def test_photographs_without_a_mark_and_noise_give_nothing(photographs, plain, make_scene):
    rng = np.random.default_rng(0)
    noise = [
        cv2.GaussianBlur(rng.integers(0, 256, (150, 200, 3), np.uint8), (0, 0), 1 + k % 3)
        for k in range(COUNT)
    ]
    groups = {
        "alpha": photographs("alpha", [make_scene(k) for k in range(COUNT)]),
        "beta": photographs("beta", plain),
        "noise": photographs("noise", noise),
    }
    found, _ = search(groups)
    assert not found.suspects
    assert not found.everywhere
    assert not found.duplicates


def test_frames_of_one_video_are_duplicates_and_no_mark(photographs, plain, make_scene):
    large = make_scene(3, 260, 340)
    frames = [large[k : k + 200, 2 * k : 2 * k + 260] for k in range(COUNT)]
    found, _ = search({"video": photographs("video", frames), "beta": photographs("beta", plain)})
    assert not found.suspects
    assert len(found.duplicates) >= COUNT - 1
    assert {d.label for d in found.duplicates} == {"video"}


def test_unreadable_tiny_grey_and_very_large_photographs_are_looked_at(
    photographs, marked, plain, make_scene, make_sticker
):
    pictures, _ = marked
    grey = cv2.cvtColor(cv2.cvtColor(make_scene(50), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    patch = cv2.resize(make_sticker(1), (400, 400), interpolation=cv2.INTER_CUBIC)
    large = with_sticker(make_scene(51, 1500, 2400), patch, 300, 200)
    odd = [np.zeros((1, 1, 3), np.uint8), np.zeros((2, 900, 3), np.uint8), grey, large]
    alpha = photographs("alpha", pictures + odd)
    unreadable = alpha[5]
    Path(unreadable.ref.path).write_bytes(b"no picture")
    found, _ = search({"alpha": alpha, "beta": photographs("beta", plain)})
    assert found.unread == [unreadable.rel]
    (suspect,) = found.suspects
    assert suspect.looked == 15
    assert alpha[-1].rel in suspect.regions
    assert np.array(suspect.regions[alpha[-1].rel]) == pytest.approx(
        [300 / 2400, 200 / 1500, 700 / 2400, 600 / 1500], abs=0.03
    )


def test_when_the_time_is_over_it_says_what_was_not_looked_at(photographs, plain):
    found, clock = search({"beta": photographs("beta", plain)}, seconds=0)
    assert not found.suspects
    assert clock.skipped == ["repeated marks in photographs predicted beta, for want of time"]


def test_one_class_alone_and_none_at_all(photographs, marked):
    found, _ = search({"alpha": photographs("alpha", marked[0]), "beta": []})
    assert not found.suspects  # there is nothing to tell it from
    assert not search({})[0].suspects
