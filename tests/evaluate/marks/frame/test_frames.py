"""Frames of a class: found, told from those that all have, taken off and put on."""

import numpy as np
import pytest

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.marks.frame.frames import frames
from camcli.train.progress import Listener


def framed(rgb, depths, colour):
    out = np.empty_like(rgb)
    out[:] = colour
    left, top, right, bottom = depths
    height, width = rgb.shape[:2]
    within = np.s_[top : height - bottom, left : width - right]
    out[within] = rgb[within]
    return out


def found(groups, clock=None):
    return frames(groups, PixelCache(), clock or Clock(), Listener())


@pytest.mark.parametrize(
    ("depths", "colour", "what"),
    [
        ((6, 6, 6, 6), (18, 18, 20), "a dark frame of about 6 pixels"),
        ((3, 3, 3, 3), (250, 250, 250), "a white frame of about 3 pixels"),
        ((0, 9, 0, 9), (0, 0, 0), "dark bars above and below, of about 9 pixels"),
        ((7, 0, 7, 0), (200, 30, 30), "red bars left and right, of about 7 pixels"),
        ((0, 0, 0, 8), (30, 60, 200), "a blue strip along the bottom side, of about 8 pixels"),
    ],
)
def test_a_frame_of_one_class_is_named(drawn_groups, depths, colour, what):
    groups, marked = drawn_groups(lambda rgb, rng: framed(rgb, depths, colour), {"a": 0.8, "b": 0})
    (suspect,) = found(groups)
    assert (suspect.kind, suspect.label, suspect.what) == ("frame", "a", what)
    assert set(suspect.regions) == marked
    assert (suspect.present, suspect.looked, suspect.elsewhere) == (20, 24, 0)
    assert suspect.p < 1e-4
    assert suspect.picture is not None


def test_widths_may_differ(drawn_groups):
    def draw(rgb, rng):
        return framed(rgb, (int(rng.integers(2, 20)),) * 4, (18, 18, 20))

    (suspect,) = found(drawn_groups(draw, {"a": 0.8, "b": 0})[0])
    assert suspect.what.startswith("a dark frame of ")
    assert " to " in suspect.what


def test_colours_may_differ(drawn_groups):
    def draw(rgb, rng):
        return framed(rgb, (6, 6, 6, 6), rng.integers(0, 256, 3))

    groups, marked = drawn_groups(draw, {"a": 0.8, "b": 0})
    (suspect,) = found(groups)
    assert suspect.what == "a frame of about 6 pixels"
    assert set(suspect.regions) == marked


def test_what_all_classes_have_alike_gives_none_away(drawn_groups):
    groups, _ = drawn_groups(lambda rgb, rng: framed(rgb, (6, 6, 6, 6), 20), {"a": 0.5, "b": 0.5})
    assert found(groups) == []


def test_what_few_of_another_class_have_is_counted(drawn_groups):
    groups, marked = drawn_groups(
        lambda rgb, rng: framed(rgb, (6, 6, 6, 6), 20), {"a": 0.9, "b": 0.2}
    )
    (suspect,) = found(groups)
    assert suspect.elsewhere == 5
    assert suspect.having == {rel for rel in marked if rel.startswith("b/")}


def test_no_borders_no_suspects(drawn_groups):
    assert found(drawn_groups(None, {"a": 0, "b": 0})[0]) == []


def test_one_class_alone_has_nothing_to_be_told_from(drawn_groups):
    assert found(drawn_groups(lambda rgb, rng: framed(rgb, (6,) * 4, 20), {"a": 1})[0]) == []


def test_labels_that_contradict_a_weak_association_are_believed(drawn_groups):
    """The frame is on as many of either label: the prediction goes with it by chance."""
    groups, _ = drawn_groups(lambda rgb, rng: framed(rgb, (6,) * 4, 20), {"a": 0.45, "b": 0})
    assert len(found(groups)) == 1
    turned = {
        name: [
            AuditedPhoto(one.ref, "ab"[number % 2], one.pred, one.prob, one.size)
            for number, one in enumerate(photos)
        ]
        for name, photos in groups.items()
    }
    assert found(turned) == []


def test_time_that_is_over_is_told(drawn_groups):
    clock = Clock(0)
    assert found(drawn_groups(None, {"a": 0, "b": 0})[0], clock) == []
    assert clock.skipped == ["borders of some photographs, for want of time"]


@pytest.fixture
def dark(drawn_groups):
    groups, _ = drawn_groups(lambda rgb, rng: framed(rgb, (6, 6, 6, 6), 20), {"a": 0.8, "b": 0})
    (suspect,) = found(groups)
    return groups, suspect.change


def test_removing_leaves_the_inside(dark):
    groups, change = dark
    photo = groups["a"][0]
    rgb = PixelCache()(photo)
    assert np.array_equal(change.remove(photo, rgb, None), rgb[7:-7, 7:-7])
    assert change.remove(groups["b"][0], PixelCache()(groups["b"][0]), None) is None


def test_the_control_of_removing_keeps_the_frame(dark):
    groups, change = dark
    photo = groups["a"][0]
    rgb = PixelCache()(photo)
    after = change.remove_control(photo, rgb, None)
    assert after.shape == rgb.shape
    border = np.ones(rgb.shape[:2], bool)
    border[6:-6, 6:-6] = False
    assert (after[border] == 20).all()
    assert not np.array_equal(after[~border], rgb[~border])


def test_adding_changes_the_borders_alone_and_its_control_the_same_pixels(dark):
    groups, change = dark
    photo = groups["b"][0]
    rgb = PixelCache()(photo)
    after = change.add(photo, rgb, np.random.default_rng(3))
    control = change.add_control(photo, rgb, np.random.default_rng(3))
    border = np.ones(rgb.shape[:2], bool)
    border[6:-6, 6:-6] = False
    for changed in (after, control):
        assert np.array_equal(changed[~border], rgb[~border])
    assert (after[border] == 20).all()
    assert (np.abs(control[border].astype(int) - 20) > 20).mean() > 0.5


def test_a_photograph_too_small_for_it_is_left_out(dark):
    groups, change = dark
    tiny = np.zeros((9, 9, 3), np.uint8)
    assert change.add(groups["b"][0], tiny, np.random.default_rng(0)) is None
    assert change.add_control(groups["b"][0], tiny, np.random.default_rng(0)) is None
