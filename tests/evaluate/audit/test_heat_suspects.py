"""The heat's suspicions, as suspects that can be taken away and put on."""

import math
from pathlib import Path

import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.audit.audit import suspicions
from camcli.evaluate.audit.heat_changes import BorderChange, PlaceChange, bordered, pasted
from camcli.evaluate.audit.heat_suspects import heat_suspects
from camcli.evaluate.audit.map_stats import THUMB, Fact, stray_place
from camcli.evaluate.findings.audited_photo import AuditedPhoto

WHOLE, SIZE = (0.0, 0.0, 70.0, 70.0), (70, 70)


def photo(rel, pred, size=(40, 20)):
    return AuditedPhoto(ImageRef(Path(rel), rel, pred), pred, pred, 0.9, size)


def fact(rel, label, *, border=0.1, corner=-1, stray=math.nan, at=None, patch=None, prob=0.9):
    thumb = np.zeros((THUMB, THUMB), np.float32)
    return Fact(
        rel, label, label, prob, thumb, False, stray, border, corner, patch, stray_at=at
    )  # fmt: skip


class Pixels:
    def __init__(self, facts):
        rng = np.random.default_rng(0)
        self.of = {f.rel: rng.integers(0, 255, (20, 40, 3), np.uint8) for f in facts}

    def __call__(self, photo):
        return self.of[photo.rel]


def set_of(kind):
    """Twelve photographs of a class with something, thirty without."""
    rng = np.random.default_rng(1)
    own, others = [], []
    for n in range(42):
        has, rel = n < 12, f"{'odd' if n < 12 else f'c{n % 3}'}/{n}"
        label = rel.split("/")[0]
        if kind == "corner":
            made = fact(rel, label, corner=3 if has and n else n // 3 % 3)
        elif kind == "border":
            made = fact(rel, label, border=0.8 if has and n else 0.1 + n / 1000)
        else:
            patch = np.eye(4)[0 if has else n % 4].astype(np.float32)
            place = (0.1, 0.1, 0.3, 0.3)
            made = fact(rel, label, stray=0.9 if has else rng.uniform(0, 0.2), at=place,
                        patch=patch)  # fmt: skip
        (own if has else others).append(made)
    return own, others


@pytest.mark.parametrize("kind", ["corner", "border", "stray"])
def test_each_suspicion_is_a_suspect(kind):
    own, others = set_of(kind)
    facts = [*own, *others]
    (found,) = heat_suspects(facts, suspicions(facts))
    assert (found.kind, found.label, found.change) == (kind, "odd", None)
    with_it = own if kind == "stray" else own[1:]
    assert set(found.regions) == {f.rel for f in with_it}
    assert (found.looked, found.elsewhere, found.elsewhere_looked) == (12, 0, 30)
    assert found.effect > 0.5
    assert found.p < 0.01
    expected = {"corner": (0.75, 0.75, 1.0, 1.0), "border": None, "stray": (0.1, 0.1, 0.3, 0.3)}
    assert set(found.regions.values()) == {expected[kind]}
    if kind == "corner":
        assert found.what == "what is in the bottom right corner"
    photos = {f.rel: photo(f.rel, f.pred) for f in facts}
    (found,) = heat_suspects(facts, suspicions(facts), photos, Pixels(facts))
    assert isinstance(found.change, BorderChange if kind == "border" else PlaceChange)
    assert heat_suspects(others, suspicions(others)) == []


def test_who_of_the_others_has_it_is_known():
    own, others = set_of("border")
    facts = [*own, *others, fact("c0/x", "c0", border=0.7)]
    (found,) = heat_suspects(facts, suspicions(facts))
    assert (found.having, found.elsewhere) == ({"c0/x"}, 1)


@pytest.fixture
def place():
    own, others = set_of("corner")
    facts = [*own, *others]
    photos = {f.rel: photo(f.rel, f.pred) for f in facts}
    pixels = Pixels(facts)
    (found,) = heat_suspects(facts, suspicions(facts), photos, pixels)
    return found, photos, pixels


def test_a_place_is_painted_over_and_pasted(place):
    found, photos, pixels = place
    change, rng = found.change, np.random.default_rng
    one, other = photos["odd/3"], photos["c0/30"]
    before = pixels(one)
    after = change.remove(one, before, rng(0))
    assert_changed_only(before, after, (slice(15, 20), slice(30, 40)))
    control = change.remove_control(one, before, rng(0))
    assert not np.array_equal(control, before)
    assert np.array_equal(control[15:, 30:], before[15:, 30:]), "the place itself is left alone"
    ys, xs = np.nonzero((control != before).any(2))
    assert np.ptp(ys) < 5
    assert np.ptp(xs) < 10
    added = change.add(other, pixels(other), rng(0))
    assert_changed_only(pixels(other), added, (slice(15, 20), slice(30, 40)))
    cuts = [pixels(photos[rel])[15:, 30:] for rel in found.regions]
    assert any(np.array_equal(added[15:, 30:], cut) for cut in cuts)
    control = change.add_control(other, pixels(other), rng(0))
    assert_changed_only(pixels(other), control, (slice(15, 20), slice(30, 40)))
    others = [pixels(p)[15:, 30:] for rel, p in photos.items() if p.pred != "odd" and p != other]
    assert any(np.array_equal(control[15:, 30:], cut) for cut in others)


def test_a_control_is_not_where_the_heat_is(place):
    found, photos, pixels = place
    thumb = np.zeros((THUMB, THUMB), np.float32)
    thumb[:, : THUMB // 2] = 1  # the object
    change = PlaceChange([], [], pixels, found.regions, {"odd/3": thumb})
    before = pixels(photos["odd/3"])
    for seed in range(8):
        control = change.remove_control(photos["odd/3"], before, np.random.default_rng(seed))
        assert np.nonzero((control != before).any(2))[1].min() >= 18


def test_borders():
    own, others = set_of("border")
    facts = [*own, *others]
    photos, pixels = {f.rel: photo(f.rel, f.pred) for f in facts}, Pixels(facts)
    (found,) = heat_suspects(facts, suspicions(facts), photos, pixels)
    one, inner = photos["odd/3"], (slice(2, 18), slice(4, 36))
    for do in (found.change.remove, found.change.remove_control, found.change.add,
               found.change.add_control):  # fmt: skip
        after = do(one, pixels(one), np.random.default_rng(0))
        assert np.array_equal(after[inner], pixels(one)[inner])
        assert not np.array_equal(after, pixels(one))
    # Nothing of the old border is left.
    black = pixels(one).copy()
    black[inner] = 0
    assert found.change.remove(one, black, np.random.default_rng(0)).max() == 0
    tiny = np.zeros((3, 3, 3), np.uint8)
    assert found.change.remove(one, tiny, np.random.default_rng(0)) is None
    put = bordered(np.zeros((20, 40, 3), np.uint8), np.full((7, 9, 3), 9, np.uint8))
    assert (put[inner].max(), put[0].min(), put[:, 0].min(), put[:, -1].min()) == (0, 9, 9, 9)


def test_a_place_of_no_pixels_cannot_be_changed():
    tiny = np.zeros((3, 3, 3), np.uint8)
    assert pasted(tiny, tiny, (0.4, 0.4, 0.45, 0.45)) is None


def test_where_a_stray_thing_is():
    heat = np.zeros((7, 7), np.float32)
    heat[3, 3], heat[1, 5], heat[1, 6], heat[0, 5], heat[2, 4] = 1, 0.6, 0.4, 0.2, 0.9
    # The neighbour that is half as hot belongs to it; the hotter one is the object's.
    expected = (4.5 / 7, 0.5 / 7, 1, 2.5 / 7)
    assert stray_place(heat, (1, 5), WHOLE, SIZE) == pytest.approx(expected)
    # Of a centre crop, in shares of the whole photograph, and within it.
    half = stray_place(heat, (1, 5), (35, 0, 70, 70), SIZE)
    assert half == pytest.approx((0.5 + 4.5 / 14, 0.5 / 7, 1, 2.5 / 7))
    assert stray_place(heat, (1, 5), (-200, -200, -100, -100), SIZE) is None


def assert_changed_only(before, after, where):
    left = after.copy()
    left[where] = before[where]
    assert np.array_equal(left, before)
    assert not np.array_equal(after, before)
