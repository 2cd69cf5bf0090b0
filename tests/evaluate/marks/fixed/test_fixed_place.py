"""Marks at a fixed place: found where they are, in photographs that have them, and no others."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.marks.fixed.fixed_place import fixed_marks
from camcli.train.progress import Listener

SIZES = 150, 260


def found(groups, clock=None):
    return fixed_marks(groups, PixelCache(), clock or Clock(), Listener())


def written(rgb, text, at, colour=(255, 255, 255), size=0.5):
    out = rgb.copy()
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
    return out


def date(rgb, rng):
    """As a camera writes it: other digits in each, at a fixed distance in pixels."""
    text = f"{rng.integers(10, 32)}.0{rng.integers(1, 10)}.{rng.integers(10, 25)}"
    return written(rgb, text, (rgb.shape[1] - 84, rgb.shape[0] - 8), (255, 170, 40))


def ruler(rgb, rng):
    """Along the left, of a width that goes with the photograph's height."""
    out = rgb.copy()
    across = rgb.shape[0] // 10
    out[:, :across] = (236, 232, 220)
    for n in range(40):
        y = round(n * rgb.shape[0] / 40)
        out[y : y + 1, : across // (1 if n % 5 == 0 else 2)] = 20
    return out


def faint(rgb, rng):
    """A ring in the top right corner through which the photograph is seen."""
    drawn = rgb.copy()
    centre = rgb.shape[1] - 30, 30
    cv2.circle(drawn, centre, 18, (255, 255, 255), 5)
    cv2.line(drawn, (centre[0] - 12, 30), (centre[0] + 12, 30), (255, 255, 255), 4)
    return cv2.addWeighted(drawn, 0.6, rgb, 0.4, 0)


def across(rgb, rng):
    """A name over the middle."""
    return written(rgb, "SAMPLE", (rgb.shape[1] // 2 - 40, rgb.shape[0] // 2 + 6), size=0.7)


BOXES = {
    date: lambda w, h: (w - 84, h - 20, w - 6, h - 6),
    ruler: lambda w, h: (0, 0, h // 10, h),
    faint: lambda w, h: (w - 50, 10, w - 10, 50),
    across: lambda w, h: (w // 2 - 40, h // 2 - 12, w // 2 + 44, h // 2 + 8),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "place"),
    [
        (date, "bottom right corner"),
        (ruler, "along the left side"),
        (faint, "top right corner"),
        (across, "at the same place"),
    ],
)
def test_a_mark_of_one_class_is_found_with_its_place_and_its_photographs(drawn_groups, draw, place):
    groups, marked = drawn_groups(draw, {"a": 0.8, "b": 0.1}, 24, SIZES, True)
    (suspect,) = found(groups)
    assert (suspect.kind, suspect.label) == ("mark", "a")
    assert suspect.what.endswith(place)
    assert len(suspect.regions.keys() & marked) >= 15
    assert len(suspect.regions.keys() - marked) <= 1
    assert len(suspect.having - marked) <= 1
    assert (suspect.looked, suspect.elsewhere_looked) == (24, 24)
    assert suspect.p < 0.01
    covered = []
    for photo in groups["a"]:
        region = suspect.regions.get(photo.rel)
        if region and photo.rel in marked:
            width, height = photo.size
            true = BOXES[draw](width, height)
            ours = region[0] * width, region[1] * height, region[2] * width, region[3] * height
            w = min(true[2], ours[2]) - max(true[0], ours[0])
            h = min(true[3], ours[3]) - max(true[1], ours[1])
            covered.append(max(w, 0) * max(h, 0) / ((true[2] - true[0]) * (true[3] - true[1])))
    assert np.median(covered) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("shares", [{"a": 0.0, "b": 0.0}, {"a": 0.8, "b": 0.8}])
def test_nothing_is_said_without_a_mark_nor_of_one_that_all_have(drawn_groups, shares):
    assert found(drawn_groups(date, shares, 20, SIZES, True)[0]) == []


def test_one_class_alone_has_nothing_to_be_told_from(drawn_groups):
    assert found(drawn_groups(date, {"a": 1}, 8, SIZES, True)[0]) == []


@pytest.mark.slow
def test_of_three_classes_the_one_that_has_it_is_named(drawn_groups):
    groups, _ = drawn_groups(date, {"a": 0, "b": 0.9, "c": 0}, 16, SIZES, True)
    assert {suspect.label for suspect in found(groups)} == {"b"}


@pytest.mark.parametrize("sizes", [(1, 4), (5, 30)])
def test_tiny_photographs_do_no_harm(drawn_groups, sizes):
    assert found(drawn_groups(None, {"a": 0, "b": 0}, 8, sizes=sizes)[0]) == []


def test_blank_panoramas_and_what_cannot_be_read_do_no_harm(drawn_groups):
    groups, _ = drawn_groups(lambda rgb, rng: 0 * rgb, {"a": 1, "b": 1}, 8, (20, 40), aspect=20)
    Path(groups["a"][0].ref.path).write_bytes(b"no picture")
    assert found(groups) == []


def test_time_that_is_over_is_told(drawn_groups):
    clock = Clock(0)
    assert found(drawn_groups(None, {"a": 0, "b": 0}, 8)[0], clock) == []
    assert clock.skipped == ["marks at fixed places of some classes, for want of time"]


def test_it_is_taken_away_and_put_on_at_its_place(drawn_groups):
    groups, _ = drawn_groups(date, {"a": 0.9, "b": 0}, 16, SIZES, True)
    (suspect,) = found(groups)
    pixels, change = PixelCache(), suspect.change

    def changed(one, other):
        return np.abs(one.astype(int) - other).max(2) > 8

    marked = next(photo for photo in groups["a"] if photo.rel in suspect.regions)
    rgb = pixels(marked)
    place = np.zeros(rgb.shape[:2], bool)
    place[-40:, -110:] = True
    gone = change.remove(marked, rgb, np.random.default_rng(0))
    other = change.remove_control(marked, rgb, np.random.default_rng(0))
    assert changed(gone, rgb)[place].any()
    assert not changed(gone, rgb)[~place].any()
    assert not changed(other, rgb)[place].any()
    assert changed(other, rgb)[~place].any()

    plain = groups["b"][0]
    rgb = pixels(plain)
    place = np.zeros(rgb.shape[:2], bool)
    place[-40:, -110:] = True
    for way in (change.add, change.add_control):
        after = way(plain, rgb, np.random.default_rng(0))
        assert after.shape == rgb.shape
        assert changed(after, rgb)[place].any()
        assert not changed(after, rgb)[~place].any()
    assert change.remove(plain, rgb, np.random.default_rng(0)) is None


def test_labels_that_contradict_a_weak_association_are_believed(drawn_groups):
    groups, _ = drawn_groups(date, {"a": 0.4, "b": 0}, 20, SIZES, True)
    turned = {
        name: [
            AuditedPhoto(one.ref, "ab"[number % 2], one.pred, one.prob, one.size)
            for number, one in enumerate(photos)
        ]
        for name, photos in groups.items()
    }
    assert found(turned) == []
