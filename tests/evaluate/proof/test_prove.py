"""Networks that are known to look at a corner, or not to."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.proof.asking import ask, said
from camcli.evaluate.proof.prove import IN_CLASS, prove
from camcli.models.outputs import Output
from camcli.train.progress import Bar, Listener

from .conftest import BOTTOM_RIGHT, TOP_LEFT, Corner, Pictures, looks_at, suspect


def proved(network, some, lit, clock=None, listener=None, **how):
    photos, pixels = lit
    return prove(
        network, some, photos, pixels, clock or Clock(), listener or Listener(), **how
    )  # fmt: skip


@pytest.mark.parametrize("output", ["softmax", "binary", "sigmoid"])
def test_a_network_that_looks_there_uses_it(lit, output):
    photos, _ = lit
    (found,) = proved(looks_at(TOP_LEFT, output), [suspect(photos)], lit)
    assert found.verdict == "used"
    assert (found.remove.photographs, found.add.photographs) == (40, 40)
    for effect in (found.remove, found.add):
        assert (effect.changed.value, effect.control.value) == (1, 0)
        assert (effect.beyond.value, effect.beyond.high) == (1, 1)
        assert 0.8 < effect.beyond.low < 1
    # 40 x the mean of the corner, less 20: from 220/255 to 20/255.
    assert found.remove.log_odds.value == pytest.approx(-40 * 200 / 255, abs=0.01)
    assert found.remove.control_log_odds.value == pytest.approx(0, abs=1e-3)
    assert found.add.control.value == 0
    assert found.title == "lit rests on a bright corner, top left"
    assert found.words.startswith(
        "In 40 of 40 photographs predicted lit (0 of 40 predicted otherwise)."
    )
    changed = found.remove.changed
    between = f"100% [{100 * changed.low:.0f}, 100]"
    assert f"Darkened, {between} of 40 are no longer lit (0% with the other corner)." in found.words
    assert f"Lit, {between} of 40 others become lit (0% with the other corner)." in found.words
    share = f"{found.heat.share:.0%} of the evidence for lit lies on it"
    assert f"{share}, and it covers 6% of the picture." in found.words
    # All evidence is in the corner, a sixteenth of the picture, but for the map's smoothing.
    assert found.heat.area == pytest.approx(1 / 16)
    assert found.heat.share > 0.8
    assert [one.how for one in found.retried] == ["darkened"] * 2 + ["lit"] * 2
    taken, put = found.retried[0], found.retried[2]
    dark = "lit 0.00" if output == "sigmoid" else "dark 1.00"
    assert (taken.said_before, taken.said_after) == ("lit 1.00", dark)
    assert (put.said_before, put.said_after) == (dark, "lit 1.00")
    assert (taken.before[0, 0, 0], taken.after[0, 0, 0], put.after[0, 0, 0]) == (220, 20, 240)
    assert {s.rel for s in found.sightings} == {p.rel for p in photos if p.pred == "lit"}


@pytest.mark.parametrize("output", ["softmax", "binary", "sigmoid"])
def test_a_network_that_looks_elsewhere_does_not(lit, output):
    photos, _ = lit
    (found,) = proved(looks_at(BOTTOM_RIGHT, output), [suspect(photos)], lit)
    assert found.verdict == "not used"
    for effect in (found.remove, found.add):
        assert (effect.changed.value, effect.control.value, effect.beyond.value) == (0, 0, 0)
        assert effect.log_odds.value == pytest.approx(0, abs=1e-6)
        assert effect.photographs == 24, "no more can come of it"
    assert found.title == "lit has a bright corner, top left, and does not rest on it"
    assert found.advice.startswith("Before the next training")
    assert found.heat.share == pytest.approx(0, abs=0.02)


def test_a_change_that_turns_as_many_as_its_control_shows_nothing(lit):
    """Whatever is done to these pictures turns them: that is no evidence."""

    class Both(Corner):
        def remove_control(self, photo, rgb, rng):
            return self.remove(photo, rgb, rng)

        def add_control(self, photo, rgb, rng):
            return self.add(photo, rgb, rng)

    (found,) = proved(looks_at(TOP_LEFT), [suspect(lit[0], change=Both())], lit)
    assert (found.verdict, found.remove.changed.value, found.remove.control.value) == (
        "not used", 1, 1,
    )  # fmt: skip


def test_each_way_may_have_a_control_of_its_own(lit):
    class Two(Corner):
        control = "the other corner darkened; a grey corner"

    (found,) = proved(looks_at(TOP_LEFT), [suspect(lit[0], change=Two())], lit)
    assert found.remove.control_is == "the other corner darkened"
    assert found.add.control_is == "a grey corner"


def test_one_way_is_enough(lit):
    class Removed(Corner):
        added_by = ""

        def add(self, photo, rgb, rng):
            raise AssertionError("it cannot be put on")

    (found,) = proved(looks_at(TOP_LEFT), [suspect(lit[0], change=Removed())], lit)
    assert (found.verdict, found.add) == ("used", None)
    assert "become" not in found.words


def test_a_change_and_its_control_are_drawn_alike(lit):
    drawn = {}

    class Drawn(Corner):
        def add(self, photo, rgb, rng):
            drawn[photo.rel] = rng.integers(1000)
            return super().add(photo, rgb, rng)

        def add_control(self, photo, rgb, rng):
            assert drawn[photo.rel] == rng.integers(1000)
            return super().add_control(photo, rgb, rng)

    proved(looks_at(TOP_LEFT), [suspect(lit[0], change=Drawn())], lit)
    assert len(set(drawn.values())) > 30


def test_only_photographs_that_can_tell_are_changed(lit):
    """Wrong predictions, those that have it already, and what cannot be read, are left alone."""
    photos, pixels = lit
    photos = [replace(p, label="dark") if p.rel == "lit/1.png" else p for p in photos]
    unread = {rel: rgb for rel, rgb in pixels.pictures.items() if rel != "lit/3.png"}
    changed = {"remove": set(), "add": set()}

    class Seen(Corner):
        def remove(self, photo, rgb, rng):
            changed["remove"].add(photo.rel)
            return None if photo.rel == "lit/5.png" else super().remove(photo, rgb, rng)

        def add(self, photo, rgb, rng):
            changed["add"].add(photo.rel)
            return super().add(photo, rgb, rng)

    one = suspect(photos, change=Seen(), having=frozenset({"dark/0.png"}))
    (found,) = proved(looks_at(TOP_LEFT), [one], (photos, Pictures(unread)))
    assert changed["remove"] == {p.rel for p in photos if p.pred == "lit"} - {
        "lit/1.png", "lit/3.png",
    }  # fmt: skip
    assert found.remove.photographs == 37
    assert changed["add"] == {p.rel for p in photos if p.pred == "dark"} - {"dark/0.png"}


def test_too_few_photographs_are_no_proof(lit):
    photos, pixels = lit
    few = [p for p in photos if p.pred == "lit"][:4] + [p for p in photos if p.pred == "dark"][:4]
    (found,) = proved(looks_at(TOP_LEFT), [suspect(few)], (few, pixels))
    assert (found.verdict, found.remove, found.add) == ("unproved", None, None)
    assert "4 photographs of the class and 4 others, and 5 are needed" in found.words
    # Five of five may be chance; that none of five turns leaves room for four in ten.
    few = [p for p in photos if p.pred == "lit"][:5]
    for where, share in ((TOP_LEFT, "100%"), (BOTTOM_RIGHT, "0%")):
        (found,) = proved(looks_at(where), [suspect(few)], (few, pixels))
        assert (found.verdict, found.remove.photographs) == ("unproved", 5)
        assert f"may be chance, with so few photographs: darkened, {share}" in found.words


def test_what_no_pixel_shows_is_not_tried(lit):
    one = replace(suspect(lit[0], kind="camera", what="the camera of its photographs"), change=None)
    (found,) = proved(looks_at(TOP_LEFT), [one], lit)
    assert found.verdict == "unproved"
    assert found.title == "lit can be told by the camera of its photographs, which no pixel shows"
    assert "No network sees it" in found.words
    assert "the next training may use" in found.words
    assert "same cameras" in found.advice


def test_there_is_no_time(lit):
    clock = Clock(0)
    (found,) = proved(looks_at(TOP_LEFT), [suspect(lit[0])], lit, clock)
    assert (found.verdict, found.remove) == ("unproved", None)
    assert "no time" in found.words
    assert clock.skipped


def test_the_strongest_are_tried_and_the_others_told(lit):
    clock = Clock()
    many = [suspect(lit[0], effect=n / 20) for n in range(IN_CLASS + 3)]
    found = proved(looks_at(BOTTOM_RIGHT), many, lit, clock, most=16)
    assert [f.verdict for f in found] == ["not used"] * IN_CLASS + ["unproved"] * 3
    assert {f.effect for f in found[-3:]} == {0, 1 / 20, 2 / 20}
    assert "3 weaker suspicions were not tried" in clock.skipped[0]


def test_progress_counts_photographs(lit):
    class Counting(Listener):
        def bar(self, title, total, unit):
            self.total, self.done = total, 0
            outer = self

            class One(Bar):
                def advance(self, count):
                    outer.done += count

                def __enter__(self):
                    return self

                def __exit__(self, *args):
                    pass

            return One()

    listener = Counting()
    proved(looks_at(TOP_LEFT), [suspect(lit[0])], lit, listener=listener)
    assert (listener.total, listener.done) == (80, 80)
    proved(looks_at(BOTTOM_RIGHT), [suspect(lit[0])], lit, listener=listener, most=30)
    assert (listener.total, listener.done) == (60, 60), "though it was given up after 24"


def test_the_strongest_comes_first_where_time_ends(lit):
    class Once(Clock):
        """Over as soon as one suspect was tried."""

        asked = 0

        @property
        def over(self):
            Once.asked += 1
            return Once.asked > 12

    some = [suspect(lit[0], effect=0.4), suspect(lit[0], effect=0.9)]
    found = proved(looks_at(TOP_LEFT), some, lit, Once())
    assert [(f.effect, f.verdict) for f in found] == [(0.9, "used"), (0.4, "unproved")]


# -- what a network says -------------------------------------------------------------------------


def test_log_odds_are_finite_and_right_where_probabilities_are_not():
    network = looks_at(TOP_LEFT)
    own = said(network, "lit")
    for odds in (-800.0, -3.0, 0.0, 90.0):
        assert own.log_odds(torch.tensor([-odds, 0.0]).double()) == pytest.approx(odds)
    three = replace(own, index=2)
    p = torch.tensor([1.0, 2.0, 3.0]).double().softmax(0)[2]
    found = three.log_odds(torch.tensor([1.0, 2.0, 3.0]).double())
    assert found == pytest.approx(math.log(p / (1 - p)))
    known = replace(own, output=Output("probabilities"))
    assert known.log_odds(torch.tensor([0.2, 0.8]).double()) == pytest.approx(math.log(4))
    assert math.isfinite(known.log_odds(torch.tensor([0.0, 1.0]).double()))


def test_labels_are_said_by_their_thresholds_and_not_found_ones_too():
    network = replace(looks_at(TOP_LEFT), output=Output("sigmoid", thresholds=(0.5, 0.9)))
    lit, denied = said(network, "lit"), said(network, "not lit")
    sure, unsure = torch.tensor([0.0, 3.0]).double(), torch.tensor([0.0, 2.0]).double()
    assert (lit.of(sure), lit.of(unsure)) == (True, False)
    assert (denied.of(sure), denied.of(unsure)) == (False, True)
    assert denied.log_odds(sure) == -3
    assert said(network, "bright") is None
    assert said(looks_at(TOP_LEFT), "not lit") is None


def test_a_picture_on_which_the_network_fails_is_left_out():
    network = looks_at(TOP_LEFT)

    def features(images):
        if (images[:, 0, -1, -1] == 1).any():
            raise RuntimeError("not this one")
        A = network.features(images)
        return torch.where(images[:, :1, -1:, -1:] == 0, torch.nan, A)

    odd = replace(network, features=features)
    pictures = [np.full((32, 32, 3), value, np.uint8) for value in (100, 255, 0, 50)]
    found = ask(odd, pictures)
    assert [row is None for row in found] == [False, True, True, False]
    assert torch.equal(found[0], ask(network, pictures[:1])[0])


def test_whole_pictures_of_different_shapes_are_asked_apart():
    network = looks_at((slice(0, 8), slice(0, 8)))
    whole = replace(network, preprocess=replace(network.preprocess, fit="whole"))
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 255, shape, dtype=np.uint8)
        for shape in ((32, 64, 3), (64, 32, 3), (32, 64, 3))
    ]
    for one, row in zip(pictures, ask(whole, pictures), strict=True):
        assert torch.allclose(row, ask(whole, [one])[0])


def test_heat_without_photographs_is_no_invisible_thing(lit):
    one = replace(suspect(lit[0], kind="corner", what="what is in a corner"), change=None)
    (found,) = proved(looks_at(TOP_LEFT), [one], lit)
    assert found.verdict == "unproved"
    assert "its photographs are not at hand" in found.words
    assert "no pixel" not in found.title + found.words
