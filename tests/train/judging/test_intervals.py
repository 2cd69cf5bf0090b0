"""Intervals of shares, against published values and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from camcli.train.judging.intervals import share, wilson, worth


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (7, 10, 0.3968, 0.8922),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_as_published(hits, count, low, high):
    """The last is the example of Newcombe (1998), two-sided 95%."""
    found = wilson(hits / count, count)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_images_on_their_own_are_worth_what_they_are():
    assert worth(np.array([1.0, 0, 1, 1])) == 4
    assert share(np.array([1.0, 0, 1, 1])) == wilson(0.75, 4)


def test_copies_are_worth_what_one_is():
    rng = np.random.default_rng(0)
    alone = rng.integers(0, 2, 300).astype(float)
    copied = share(np.repeat(alone, 7), np.repeat(np.arange(300), 7).tolist())
    assert copied.low == pytest.approx(share(alone).low, abs=2e-4)


def test_groups_that_are_all_right_are_as_many_as_they_are():
    assert worth(np.ones(40), [n // 10 for n in range(40)]) == 4


def test_groups_hold_the_truth_in_19_of_20_draws_where_images_alone_would_not():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(80), 6)
    held = naive = 0
    for _ in range(300):
        own = rng.beta(2.8, 1.2, 80)  # mean 0.7
        scores = (rng.random(480) < own[groups]).astype(float)
        found, plain = share(scores, groups.tolist()), share(scores)
        held += found.low <= 0.7 <= found.high
        naive += plain.low <= 0.7 <= plain.high
    assert held >= 0.92 * 300
    assert naive < held


def test_shares_of_labels_are_narrower_than_of_yes_and_no():
    rng = np.random.default_rng(2)
    scores = rng.binomial(10, 0.8, 200) / 10
    assert 1500 < worth(scores) < 2600  # 2,000 decisions
