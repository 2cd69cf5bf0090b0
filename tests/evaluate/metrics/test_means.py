import numpy as np
import pytest

from camcli.evaluate.metrics.means import Means


def test_each_number_is_a_mean_over_those_that_have_it():
    means = Means()
    assert means.compute() == {}
    means.add({"a": 1.0, "b": float("nan")})
    means.add({"a": 3.0, "b": 5.0})
    assert means.compute() == {"a": 2, "b": 5}
    means.add({"c": 7.0})
    assert means.compute() == {"a": 2, "b": 5, "c": 7}, "also after it was asked once"
    assert means.compute(np.array([3.0, 1, 0])) == {"a": pytest.approx(1.5), "b": 5}
