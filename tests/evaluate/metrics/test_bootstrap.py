"""Intervals by resampling, against percentiles by hand and against theory."""

import itertools

import numpy as np
import pytest

from camcli.evaluate.metrics.bootstrap import ByPhotograph, draws, intervals, spans
from camcli.evaluate.metrics.means import Means


def mean_of(values):
    return lambda weights: {"mean": float(weights @ values / weights.sum())}


def test_percentiles_by_hand():
    """Draws that give 0, 1, ... 100: 90% of them lie between 5 and 95, 50% between 25 and 75."""
    for level, wanted in ((0.9, (5, 95)), (0.5, (25, 75)), (0.95, (2.5, 97.5))):
        numbers = itertools.count()
        got = intervals(lambda _, n=numbers: {"n": next(n)}, 4, repeats=101, level=level)
        assert got == {"n": pytest.approx(wanted)}


def test_a_draw_is_as_many_photographs_with_replacement():
    drawn = []

    def compute(weights):
        drawn.append(weights)
        return {"x": 0.0}

    intervals(compute, 50, repeats=200)
    draws = np.array(drawn)
    assert draws.shape == (200, 50)
    assert (draws.sum(1) == 50).all()
    assert (draws == np.rint(draws)).all()
    # Each is left out of a draw with (1 - 1/50)^50 = 0.364, and is in it once on average.
    assert (draws == 0).mean() == pytest.approx(0.364, abs=0.02)
    assert draws.mean(0) == pytest.approx(np.ones(50), abs=0.3)
    assert draws.max() > 2


def test_the_mean_of_many_has_the_interval_of_theory():
    values = np.random.default_rng(7).normal(3, 2, 400)
    low, high = intervals(mean_of(values), 400, repeats=2000)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    narrow = intervals(mean_of(values), 400, repeats=2000, level=0.5)["mean"]
    assert narrow[1] - narrow[0] == pytest.approx(2 * 0.674 * error, rel=0.1)


def test_the_seed_alone_decides_the_draws():
    values = np.arange(30.0)
    first = intervals(mean_of(values), 30, repeats=50)
    assert intervals(mean_of(values), 30, repeats=50) == first
    assert intervals(mean_of(values), 30, repeats=50, seed=1) != first
    # Two methods on the same photographs see the same draws.
    twice = intervals(mean_of(2 * values), 30, repeats=50)["mean"]
    assert twice == pytest.approx(tuple(2 * edge for edge in first["mean"]))


def test_a_metric_that_some_draws_lack_has_the_interval_of_the_others():
    numbers = itertools.count()

    def compute(_):
        n = next(numbers)
        return {"always": n} if n % 2 else {"always": n, "even": n}

    got = intervals(compute, 3, repeats=101, level=0.9)
    assert got["even"] == pytest.approx((5, 95))
    assert got["always"] == pytest.approx((5, 95))


def test_rows_of_one_photograph_are_drawn_together():
    """Rows that are there three times over say no more; drawn one by one they would seem to."""
    values = np.random.default_rng(0).normal(size=60)
    once, thrice, apart = ByPhotograph(Means()), ByPhotograph(Means()), Means()
    for number, value in enumerate(values):
        once.photograph(number).add({"x": value})
        for _ in range(3):
            thrice.photograph(number).add({"x": value})
            apart.add({"x": value})
    assert (len(once), len(thrice), len(apart)) == (60, 60, 180)
    assert thrice.compute() == pytest.approx(once.compute())
    of = [draws(part.compute, len(part), repeats=400) for part in (once, thrice, apart)]
    assert np.allclose(of[0]["x"], of[1]["x"])
    wide, narrow = (high - low for low, high in (spans(of[n])["x"] for n in (1, 2)))
    assert wide / narrow == pytest.approx(3**0.5, rel=0.15)
