"""Errors of values are scikit-learn's, also with weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score

from camcli.evaluate.metrics.confusion import confusion_markdown, confusion_pictures
from camcli.evaluate.metrics.value_predictions import ValuePredictions, values_judged


def drawn(n=40, c=2):
    rng = np.random.default_rng(0)
    true = rng.normal(size=(n, c)) * 5 + 100
    return torch.from_numpy(true + rng.normal(size=(n, c))), true


def test_values_equal_scikit_learn():
    said, true = drawn()
    hidden = np.random.default_rng(1).random(true.shape) < 0.2
    told = np.where(hidden, np.nan, true)
    found = ValuePredictions(said, told, ("age", "height"))
    r2 = [r2_score(true[~h, c], said.numpy()[~h, c]) for c, h in enumerate(hidden.T)]
    assert found.compute() == pytest.approx({"r2": np.mean(r2)})
    one = ValuePredictions(said[:, :1], told[:, :1], ("age",))
    own = ~hidden[:, 0]
    assert one.compute()["r2"] == pytest.approx(r2[0])
    assert one.compute()["mae"] == pytest.approx(
        mean_absolute_error(true[own, 0], said.numpy()[own, 0])
    )
    assert [each["r2"] for each in found.record()["values"]] == pytest.approx(r2)
    assert one.record()["bias"] == pytest.approx((said.numpy() - true)[own, 0].mean())


def test_weights_equal_repeated_photographs():
    said, true = drawn()
    weights = np.random.default_rng(1).integers(0, 4, 40)
    again = np.repeat(np.arange(40), weights)
    weighted = ValuePredictions(said, true, "ab").compute(weights.astype(float))
    assert weighted == pytest.approx(ValuePredictions(said[again], true[again], "ab").compute())


def test_photographs_of_which_nothing_is_known_do_not_count():
    said, true = drawn(6)
    told = [*map(tuple, true), (np.nan, np.nan)]
    found = values_judged([*said, said[0]], told, "ab")
    assert len(found) == 6
    assert found.record()["unlabelled"] == 1
    assert values_judged([said[0]], [(np.nan, np.nan)], "ab") is None
    flat = values_judged([said[0]], [(1.0, np.nan)], "ab")
    assert flat.compute() == {}
    assert flat.record()["values"][1] == {"value": "b", "count": 0}


def test_each_value_is_told_and_nothing_is_confused():
    said, true = drawn()
    record = ValuePredictions(said, np.where(np.arange(2) == 1, np.nan, true), "ab").record()
    text = confusion_markdown({"net": record})
    assert "### Each value, net" in text
    assert "| a | 40 |" in text
    assert "| b | 0 |  |  |  |  |" in text
    assert confusion_pictures({"net": record}) == {}
