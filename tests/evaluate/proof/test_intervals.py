import numpy as np
import pytest
from scipy import stats

from camcli.evaluate.proof.intervals import by_chance, difference, mean, share, student


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (3, 7), (44, 51), (51, 51), (1, 2)])
def test_a_share_is_wilsons(hits, count):
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    found = share(hits, count)
    assert found.value == pytest.approx(hits / count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.low <= found.value <= found.high


def test_a_difference_is_newcombes():
    found = difference(36, 12, 2, 0)  # an example of the paper: 0.2 (0.0569 to 0.3404)
    assert (found.low, found.value, found.high) == pytest.approx((0.0569, 0.2, 0.3404), abs=5e-5)


def test_a_difference_covers_the_truth():
    """Of paired yes and no that go together, as a change and its control do."""
    rng = np.random.default_rng(0)
    chances, covered = [0.1, 0.35, 0.05, 0.5], 0
    for cells in rng.multinomial(40, chances, size=1000):
        found = difference(*map(int, cells))
        covered += found.low <= 0.3 <= found.high
    assert 0.93 <= covered / 1000 <= 0.98


def test_a_mean_is_students():
    values = np.random.default_rng(1).normal(2, 3, 12)
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    found = mean(values.tolist())
    assert (found.low, found.value, found.high) == pytest.approx(
        (low, values.mean(), high), rel=1e-4
    )


def test_students_quantile_is_scipys():
    for n in (1, 2, 4, 5, 8, 30, 59):
        assert student(n) == pytest.approx(stats.t.ppf(0.975, n), rel=2e-3)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (12, 3), (2, 9), (40, 1)])
def test_chance_is_the_exact_sign_test(first, second):
    expected = 1.0
    if first + second:
        expected = stats.binomtest(first, first + second, alternative="greater").pvalue
    assert by_chance(first, second) == pytest.approx(expected)
