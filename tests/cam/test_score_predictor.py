"""Kriging against the textbook's formulas with whole matrices, in float64."""

from __future__ import annotations

import pytest
import torch

from camcli.cam.score_predictor import _NUGGET, Kriging


@pytest.fixture(name="A")
def channels():
    """Forty channels of 6 x 3."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(40, 3, 3, generator=generator).repeat_interleave(2, 1).cumsum(2)


def covariance(A):
    """Matérn 3/2 of the scaled masks, and a nugget."""
    X = A.flatten(1).double()
    X = (X - X.amin(1, keepdim=True)) / (X.amax(1, keepdim=True) - X.amin(1, keepdim=True))
    d = (X[:, None] - X).square().sum(2).sqrt()
    r = 3**0.5 * d / d.square().mean().sqrt()
    return (1 + r) * torch.exp(-r) + _NUGGET * torch.eye(len(X))


def posterior(C, known):
    rest = C[:, known] @ torch.linalg.inv(C[known][:, known])
    return C - rest @ C[known], rest


def variance(C, A, known):
    """Of the map, tr AᵀCA."""
    X = A.flatten(1).double()
    return torch.trace(X.T @ posterior(C, known)[0] @ X)


@pytest.fixture
def learnt(A):
    """What has been learnt of six channels: where, their scores, C and its inverse there."""
    kriging = Kriging(A)
    known = kriging.choose(6)
    v = torch.rand(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kriging.learn(v)
    C = covariance(A)
    return kriging, known, v, C, torch.linalg.inv(C[known][:, known])


def test_scores_are_those_of_generalised_least_squares(learnt):
    kriging, known, v, C, inverse = learnt
    mean = (inverse @ v).sum() / inverse.sum()
    expected = mean + C[:, known] @ inverse @ (v - mean)
    expected[known] = v
    torch.testing.assert_close(kriging.scores().double(), expected, rtol=1e-3, atol=1e-4)


def test_the_cosine_is_what_the_variance_says(A, learnt):
    kriging, known, v, C, inverse = learnt
    off = v - (inverse @ v).sum() / inverse.sum()
    error = (off @ inverse @ off) / 5 * variance(C, A, known)
    size = (kriging.scores().double() @ A.flatten(1).double()).square().sum()
    assert kriging.cosine() == pytest.approx(1 - float(error / size) / 2, abs=1e-4)


def test_each_channel_is_the_one_that_tells_most(A):
    C = covariance(A)
    kriging = Kriging(A)
    known: list[int] = []
    for _ in range(5):
        (k,) = kriging.choose(1).tolist()
        left = {j: float(variance(C, A, [*known, j])) for j in range(len(A)) if j not in known}
        assert left[k] <= min(left.values()) * 1.001
        known.append(k)


def test_the_order_does_not_depend_on_the_steps(A):
    steps = Kriging(A)
    several = [k for _ in range(4) for k in steps.choose(3).tolist()]
    assert several == Kriging(A).choose(12).tolist()
    assert len(set(several)) == 12


def test_all_channels_known_is_all_known(A):
    kriging = Kriging(A)
    known = kriging.choose(100)
    assert sorted(known.tolist()) == list(range(40))
    assert len(kriging.choose(10)) == 0
    v = torch.arange(40.0)
    kriging.learn(v)
    assert kriging.done
    assert kriging.cosine() > 1 - 1e-2
    torch.testing.assert_close(kriging.scores()[known], v)


@pytest.mark.parametrize("count", [1, 7])
def test_channels_that_are_all_alike(count):
    """No distance, no variance: the scores of the others are the mean of the known ones."""
    kriging = Kriging(torch.arange(4.0).view(1, 2, 2).repeat(count, 1, 1))
    kriging.choose(1)
    kriging.learn(torch.tensor([0.3]))
    torch.testing.assert_close(kriging.scores(), torch.full((count,), 0.3))
    assert kriging.cosine() == 1


def test_a_map_of_nothing_has_not_settled(A):
    """Scores that are all zero so far say nothing about the direction of the map."""
    kriging = Kriging(A)
    kriging.choose(4)
    kriging.learn(torch.zeros(4))
    assert kriging.cosine() == 0
