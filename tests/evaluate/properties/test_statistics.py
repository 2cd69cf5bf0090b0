"""Tests against SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from camcli.evaluate.properties.statistics import best_threshold, fisher, holm, rank_tests, ranks


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_ranks_are_scipys(values):
    found, ties = ranks(np.array(values, float))
    assert found.tolist() == stats.rankdata(values).tolist()
    n = len(values)
    if n > 1:
        assert 1 - ties / (n**3 - n) == pytest.approx(stats.tiecorrect(stats.rankdata(values)))


@pytest.mark.parametrize("levels", [3, 40, 10**6])
@pytest.mark.parametrize("seed", range(4))
def test_each_class_against_all_others_is_mann_and_whitneys_test(levels, seed):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, 80)
    values = np.floor((rng.normal(size=80) + 0.4 * classes) * levels / 4)
    effects, chances = rank_tests(values, classes, 4)
    for n in range(3):
        own, others = values[classes == n], values[classes != n]
        expected = stats.mannwhitneyu(own, others, method="asymptotic", use_continuity=True)
        assert effects[n] == pytest.approx(2 * expected.statistic / len(own) / len(others) - 1)
        assert chances[n] == pytest.approx(expected.pvalue, rel=1e-6)
    assert (effects[3], chances[3]) == (0, 1)  # a class without photographs


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0, 2.0]])
def test_what_cannot_differ_does_not(values):
    classes = np.arange(len(values)) % 2
    effects, chances = rank_tests(np.array(values), classes, 2)
    assert (effects.tolist(), chances.tolist()) == ([0, 0], [1, 1])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_an_exact_p_is_scipys(own, rest, others, rest_of_others):
    expected = stats.fisher_exact([[own, rest], [others, rest_of_others]]).pvalue
    found = fisher(own, own + rest, others, others + rest_of_others)
    assert found == pytest.approx(expected, rel=1e-5)


def test_holm_by_hand():
    # 4 tests: 0.01 * 4, max(0.02 * 3, before), max(0.03 * 2, before); the fourth was not small.
    assert holm(np.array([0.03, 0.01, 0.02]), 4) == pytest.approx([0.06, 0.04, 0.06])
    assert holm(np.array([]), 9).tolist() == []
    assert holm(np.array([0.5]), 9).tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
def test_no_threshold_tells_better(own, others):
    def told(threshold):
        return np.mean(np.array(own) > threshold) - np.mean(np.array(others) > threshold)

    found = best_threshold(np.array(own, float), np.array(others, float))
    if len({*own, *others}) > 1:
        best = max(told(each + 0.5) for each in range(9))
        # Below all numbers and above all, a threshold says nothing.
        assert told(found) == pytest.approx(max(best, 0)) or best <= 0
