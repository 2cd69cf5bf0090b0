"""Scores of values are scikit-learn's; their intervals hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from camcli.train.run_folder.value_scores import score_values


def drawn(n=80, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 2)) * (3, 1000) + (0, 50_000)
    return true + rng.normal(size=(n, 2)) * noise * (1, 400), true


def test_scores_are_scikit_learns():
    said, true = drawn()
    hidden = np.random.default_rng(1).random(true.shape) < 0.2
    told = np.where(hidden, np.nan, true)
    found = score_values(said, told, ("age", "weight"))
    for c, each in enumerate(found.values):
        own = ~hidden[:, c]
        assert each.count == own.sum()
        assert each.mae == pytest.approx(mean_absolute_error(true[own, c], said[own, c]))
        assert each.rmse == pytest.approx(mean_squared_error(true[own, c], said[own, c]) ** 0.5)
        assert each.r2 == pytest.approx(r2_score(true[own, c], said[own, c]))
        assert each.bias == pytest.approx((said - true)[own, c].mean())
        low, high = each.intervals["r2"]
        assert low < each.r2 < high
    assert found.r2 == pytest.approx(np.mean([each.r2 for each in found.values]))
    assert found.summary().keys() == {"count", "r2", "r2_low", "r2_high"}
    one = score_values(said[:, :1], true[:, :1], ("age",)).summary()
    assert one["mae_low"] < one["mae"] < one["mae_high"]
    assert one["spread"] == pytest.approx(true[:, 0].std())


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        off = rng.normal(size=(60, 1))
        true = rng.normal(size=(60, 1)) * 3
        low, high = score_values(true + off, true, ("x",)).values[0].intervals["mae"]
        held += low < np.sqrt(2 / np.pi) < high
    assert held >= 50


def test_images_of_a_group_are_one_draw():
    said, true = drawn(20)
    again = [np.repeat(x, 10, axis=0)[:, :1] for x in (said, true)]
    alone = score_values(said[:, :1], true[:, :1], ("x",)).values[0]
    groups = [str(n // 10) for n in range(200)]
    grouped = score_values(*again, ("x",), groups).values[0]
    fooled = score_values(*again, ("x",)).values[0]
    width = [np.diff(each.intervals["mae"])[0] for each in (alone, grouped, fooled)]
    assert width[1] == pytest.approx(width[0], rel=0.15)
    assert width[2] < 0.5 * width[0]


def test_what_does_not_vary_has_no_r2():
    said, true = drawn(10)
    found = score_values(said, np.full_like(true, 7.0), ("a", "b"))
    assert found.r2 is None
    assert found.values[0].mae is not None
    unknown = score_values(said, np.full_like(true, np.nan), ("a", "b"))
    assert (unknown.values[0].count, unknown.values[0].mae, unknown.r2) == (0, None, None)
    assert score_values(said[:1], true[:1], ("a", "b")).r2 is None
