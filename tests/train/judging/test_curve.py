"""Laws that are known are found, and the interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camcli.train.judging.curve import extrapolated, fit_law, learning_curve
from camcli.train.judging.folds import folds

SIZES = (50, 100, 200, 400, 800)


@pytest.mark.parametrize("law", [(0.05, 2.0, 0.5), (0.0, 1.0, 0.3), (0.1, 5.0, 1.0)])
def test_a_law_without_noise_is_found(law):
    floor, scale, power = law
    n = np.array(SIZES, float)
    c, a, b = fit_law(n, (floor + scale * n**-power)[None])
    assert (c[0], a[0], b[0]) == pytest.approx(law, rel=1e-6, abs=1e-9)


def test_errors_have_no_floor_below_zero():
    n = np.array(SIZES, float)
    c, _, _ = fit_law(n, (0.5 - 0.07 * np.log(n))[None])
    assert c[0] >= 0


def draw(rng, law, images=1500):
    """Images that are ever more likely to be right; the same luck at each size, as in truth."""
    luck = rng.random(images)
    floor, scale, power = law
    return np.stack([luck < floor + scale * n**-power for n in SIZES]).astype(float)


@pytest.mark.parametrize("law", [(0.05, 1.5, 0.5), (0.0, 1.0, 0.3), (0.2, 0.0, 1.0)])
def test_the_interval_holds_what_twice_as_many_would_give(law):
    rng = np.random.default_rng(0)
    true = law[1] * (1000 ** -law[2] - 2000 ** -law[2])
    held = 0
    for seed in range(20):
        found = extrapolated(SIZES, draw(rng, law), range(1500), 1000, seed)
        held += found.low - 1e-9 <= true <= found.high + 1e-9
        assert found.low <= found.gain <= found.high
        assert found.high - found.low < 0.03
    assert held >= 18


def test_images_of_a_group_make_the_interval_wider():
    wrong = draw(np.random.default_rng(0), (0.1, 1.5, 0.5))
    alone = extrapolated(SIZES, np.repeat(wrong, 4, 1), range(6000), 1000)
    grouped = extrapolated(SIZES, np.repeat(wrong, 4, 1), np.repeat(range(1500), 4).tolist(), 1000)
    assert grouped.highs[0] - grouped.lows[0] > 1.7 * (alone.highs[0] - alone.lows[0])


def blobs(count, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    means = torch.randn(classes, 40, generator=generator) * 0.35
    return means[targets] + torch.randn(count, 40, generator=generator), targets


def test_heads_on_more_images_are_better_and_the_curve_says_so():
    X, targets = blobs(600)
    fold = folds([[int(c)] for c in targets], list(range(600)), 4)
    found = learning_curve(X.half(), targets, 3, fold, list(range(600)))
    assert found.images == 600
    assert found.sizes == tuple(sorted(found.sizes))
    assert found.sizes[-1] == 450
    assert found.errors[0] > found.errors[-1]
    assert 0 < found.gain < 0.1
    assert found.at(1200) == pytest.approx(found.at(600) - found.gain)
    for error, low, high in zip(found.errors, found.lows, found.highs, strict=True):
        assert low <= error <= high


def test_of_labels_too():
    X, targets = blobs(300)
    many = torch.nn.functional.one_hot(targets, 3).float()
    fold = folds([[int(c)] for c in targets], list(range(300)), 3)
    found = learning_curve(X.half(), many, 3, fold, list(range(300)))
    assert found.errors[0] > found.errors[-1] > 0


def test_too_few_images_have_no_curve():
    X, targets = blobs(30)
    fold = folds([[int(c)] for c in targets], list(range(30)), 5)
    assert learning_curve(X.half(), targets, 3, fold, list(range(30))) is None
    nothing = torch.full((30,), -1)
    assert learning_curve(X.half(), targets, 3, nothing, list(range(30))) is None
