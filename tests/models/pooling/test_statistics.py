"""A statistic is the mean of its map, whatever the maps are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camcli.errors import UsageError
from camcli.models.pooling.pooling import KINDS, Pooling, Statistic
from camcli.models.pooling.statistics import pool, pooled_maps, shares, statistic, to_grid


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [False, True])
def test_the_map_of_a_statistic_has_it_as_its_mean(kind, sign):
    A = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    A = A if sign else A.relu()
    a = shares(kind, A)
    assert a.shape == A.shape
    torch.testing.assert_close(a.mean((2, 3)), statistic(kind, A))


def test_statistics_by_hand():
    A = torch.tensor([[[[1.0, 3.0], [0.0, 2.0]]]])
    assert statistic("mean", A).item() == 1.5
    assert statistic("max", A).item() == 3
    assert statistic("gem", A).item() == pytest.approx((36 / 4) ** (1 / 3), rel=1e-5)
    assert statistic("std", A).item() == pytest.approx(np.std([1, 3, 0, 2]), rel=1e-5)
    assert shares("max", A).tolist() == [[[[0, 12], [0, 0]]]]


def test_a_maximum_at_two_places_is_shared():
    A = torch.tensor([[[[3.0, 3.0], [0.0, 2.0]]]])
    assert shares("max", A).tolist() == [[[[6, 6], [0, 0]]]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_map_gives_numbers(kind):
    A = torch.zeros(1, 2, 3, 3)
    assert shares(kind, A).isfinite().all()
    assert statistic(kind, A).abs().max() < 2e-3


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_another_grid_keeps_the_mean(h, w, height, width):
    a = torch.rand(2, 1, h, w, dtype=torch.float64)
    there = to_grid(a, height, width)
    assert there.shape == (2, 1, height, width)
    torch.testing.assert_close(there.mean((2, 3)), a.mean((2, 3)), rtol=1e-6, atol=1e-6)


def test_to_a_grid_that_divides_is_average_pooling():
    a = torch.rand(1, 2, 8, 12)
    torch.testing.assert_close(to_grid(a, 4, 3), torch.nn.functional.avg_pool2d(a, (2, 4)))


@pytest.mark.parametrize("text", ["mean", "mean+max", "gem+std@early", "|mean+std@early|"])
def test_the_pooled_maps_have_what_the_head_is_given_as_their_means(text):
    pooling = Pooling.read(text)
    maps = {"last": torch.rand(2, 4, 3, 3), "early": torch.rand(2, 2, 7, 7)}
    a = pooled_maps(pooling, maps)
    s = pool(pooling, maps)
    assert a.shape[2:] == (3, 3)
    torch.testing.assert_close(a.mean((2, 3)), s, rtol=1e-4, atol=1e-5)
    if pooling.unit:
        torch.testing.assert_close(s.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("text", ["mean", "mean+max", "gem", "|mean+std@blocks.2|"])
def test_what_is_read_is_written_as_it_was(text):
    assert str(Pooling.read(text)) == text


@pytest.mark.parametrize("text", ["", "median", "mean+", "std@", "mean+mean", "|", "||"])
def test_what_is_not_understood_is_said(text):
    with pytest.raises(UsageError, match="--pooling"):
        Pooling.read(text)


def test_columns():
    found = Pooling.read("mean+std@early+max").columns({"last": 4, "early": 2})
    assert found == {
        Statistic("mean"): slice(0, 4),
        Statistic("std", "early"): slice(4, 6),
        Statistic("max"): slice(6, 10),
    }
