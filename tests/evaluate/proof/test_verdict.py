"""The rule, at its edges."""

import numpy as np
import pytest

from camcli.evaluate.proof.verdict import (
    LEAST_BEYOND,
    Tried,
    effect_of,
    share_of_lead,
    shows,
    verdict,
)


def trials(both, first, second, neither, odds=-1.0, before=9.0):
    kinds = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second
    kinds += [(False, False)] * neither
    return [Tried(str(n), a, b, odds, 0.0, before) for n, (a, b) in enumerate(kinds)]


def test_a_clear_effect_is_shown_and_none_is_not():
    assert shows(trials(0, 30, 0, 10), -1, 5)
    assert not shows(trials(0, 0, 0, 40), -1, 5)
    assert not shows(trials(30, 0, 0, 10), -1, 5), "the control turns them as well"
    assert not shows(trials(0, 0, 30, 10), -1, 5), "the control turns them"


def test_it_must_be_substantial():
    """A hundred and forty in a thousand are no chance, and yet the class does not rest on it."""
    assert not shows(trials(0, 140, 0, 860), -1, 1)
    assert shows(trials(0, 151, 0, 849), -1, 1)
    assert LEAST_BEYOND == 0.15


def test_it_must_stand_out_from_its_control():
    assert not shows(trials(400, 180, 0, 420), -1, 1), "58% after 40%: anything turns these"
    assert shows(trials(200, 180, 0, 620), -1, 1)


def test_it_must_be_no_chance_the_less_the_more_is_tried():
    """Eight of eight: one chance in 256. Ten of ten: one in 1024; a hundredth of twice 4 is less"""
    assert not shows(trials(0, 8, 0, 2), -1, 2)
    assert shows(trials(0, 10, 0, 2), -1, 4)
    assert not shows(trials(0, 10, 0, 2), -1, 6)


def test_the_log_odds_must_move_the_same_way():
    assert not shows(trials(0, 30, 0, 10, odds=0.5), -1, 1)
    assert shows(trials(0, 30, 0, 10, odds=0.5), 1, 1)


def test_or_it_makes_much_of_the_lead():
    """No prediction turns: two fifths of the lead are gone, or less; in most of them, or few."""
    assert shows(trials(0, 0, 0, 20, odds=-1.0, before=2.4), -1, 5)
    assert not shows(trials(0, 0, 0, 20, odds=-1.0, before=2.6), -1, 5)
    assert not shows(trials(0, 0, 0, 8, odds=-1.0, before=2.0), -1, 5), "eight may be chance"
    assert shows(trials(0, 0, 0, 20, odds=1.0, before=-2.0), 1, 5)
    assert not shows(trials(0, 0, 0, 20, odds=-1.0, before=-2.0), 1, 5)
    few = trials(0, 0, 0, 2, odds=-20.0, before=2.0) + trials(0, 0, 0, 18, odds=0.1, before=2.0)
    assert share_of_lead(few, -1) > 0.5
    assert not shows(few, -1, 1)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.5])
def test_where_nothing_is_used_nothing_is_shown(share):
    """Both turn the same share of predictions: ten audits of a thousand may be wrong, and fewer."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(1500):
        turned = rng.random((60, 2)) < share
        odds = rng.normal(0, 1, (60, 2))
        some = [
            Tried(str(n), bool(a), bool(b), x, y, 1.0)
            for n, ((a, b), (x, y)) in enumerate(zip(turned, odds, strict=True))
        ]
        wrong += shows(some, -1, 1)
    assert wrong / 1500 <= 0.01 / 2


@pytest.mark.parametrize(
    ("removed", "added", "expected"),
    [
        ([], [], "unproved"),
        (trials(0, 4, 0, 0), trials(0, 0, 0, 4), "unproved"),
        (trials(0, 0, 0, 24), [], "not used"),
        (trials(0, 0, 0, 24), trials(0, 0, 0, 5, 1.0), "not used"),
        (trials(0, 0, 0, 6), [], "unproved"),
        (trials(0, 5, 0, 10), trials(0, 0, 0, 40, 1.0), "unproved"),  # a third, and few of them
        (trials(0, 0, 0, 24), trials(0, 20, 0, 4, 1.0), "used"),
        (trials(0, 20, 0, 4), [], "used"),
    ],
)
def test_verdicts(removed, added, expected):
    assert verdict(removed, added, 2) == expected


def test_an_effect_in_numbers():
    found = effect_of(trials(2, 10, 1, 7), "inpainted", "another patch")
    assert (found.how, found.control_is, found.photographs) == ("inpainted", "another patch", 20)
    assert (found.changed.value, found.control.value) == (0.6, 0.15)
    assert found.beyond.value == pytest.approx(0.45)
    assert 0.1 < found.beyond.low < 0.45 < found.beyond.high < 0.7
    assert (found.log_odds.value, found.log_odds.low, found.control_log_odds.high) == (-1, -1, 0)
    assert effect_of(trials(0, 4, 0, 0), "inpainted", "another patch") is None
