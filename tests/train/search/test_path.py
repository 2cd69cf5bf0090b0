"""Heads of all folds at once, against scikit-learn and against the head that is solved alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from camcli.train.fitting.head import FeatureScale, solve_head
from camcli.train.fitting.loop import Recipe
from camcli.train.search.judge import GRID, Task, judge
from camcli.train.search.path import Path, compact


def drawn(images, channels, classes=3, seed=0, noise=2.0):
    """Features (N, K) of overlapping clouds with correlated channels, and their classes."""
    rng = np.random.default_rng(seed)
    targets = np.arange(images) % classes
    middles = rng.normal(size=(classes, channels))
    mix = rng.normal(size=(channels, channels)) / channels**0.5
    features = middles[targets] + noise * rng.normal(size=(images, channels)) @ mix
    return torch.from_numpy(features).float(), torch.from_numpy(targets)


def task(targets, classes=3, folds=4, recipe=None):
    number = torch.arange(len(targets)) // classes % folds
    return Task(targets, classes, number, recipe or Recipe())


@pytest.mark.parametrize(("images", "channels"), [(120, 12), (60, 200)])
def test_each_fold_ends_where_scikit_learn_does(images, channels):
    features, targets = drawn(images, channels)
    work = task(targets)
    path = Path(features, work.folded())
    for l2 in (1.0, 0.1, 0.01):
        path.solve(l2)
        for fold in range(4):
            train = work.folds != fold
            peer = LogisticRegression(C=1 / (l2 * int(train.sum())), tol=1e-8, max_iter=5000)
            peer.fit(features[train].numpy(), targets[train].numpy())
            p = torch.from_numpy(peer.predict_proba(features.numpy())).float()
            assert torch.allclose(path.logits[:, fold].softmax(1), p, atol=5e-3)


def test_of_labels_each_fold_ends_where_a_head_alone_does():
    features, classes = drawn(90, 10)
    targets = torch.stack([classes == 0, classes != 1], 1).float()
    targets[::7, 0] = torch.nan  # nobody knows
    recipe = Recipe(class_weight=torch.tensor([2.0, 0.5]), label_smoothing=0.1)
    work = Task(targets, 2, torch.arange(90) // 3 % 3, recipe)
    path = Path(features, work.folded())
    path.solve(0.05)
    for fold in range(3):
        train = work.folds != fold
        weight, bias = solve_head(features[train], targets[train], 2, 0.05, recipe)
        assert torch.allclose(path.logits[:, fold], features @ weight.T + bias, atol=2e-2)


def test_when_time_is_up_the_best_strength_so_far_is_taken():
    features, targets = drawn(300, 20)
    work = task(targets)
    whole = judge(features, work, [20])
    assert whole is not None
    assert whole.l2 < GRID[0]  # so that it takes several strengths to get there
    short = judge(features, work, [20], until=0.0)
    assert short is not None
    assert short.l2 == GRID[0]
    assert whole.loss < short.loss
    path = Path(features, work.folded())
    assert path.solve(0.1)
    there = path.logits.clone()
    assert not path.solve(0.001, until=0.0)
    assert torch.equal(path.logits, there)


def test_points_in_fewer_coordinates_are_the_same_points():
    points = torch.randn(7, 40, generator=torch.Generator().manual_seed(0))
    fewer = compact(points)
    assert fewer.shape == (7, 7)
    assert torch.allclose(fewer @ fewer.T, points @ points.T, atol=1e-4)


def test_the_strength_is_the_best_on_unseen_images_and_no_image_judges_itself():
    features, targets = drawn(150, 40, noise=4.0)
    work = task(targets)
    found = judge(features, work, [40])
    assert found is not None
    scaled = FeatureScale.of(features)(features)
    path, losses = Path(scaled, work.folded()), {}
    for l2 in GRID:
        path.solve(l2)
        own = path.logits[torch.arange(150), work.folds]
        losses[l2] = float(torch.nn.functional.cross_entropy(own, targets))
    assert found.l2 == min(losses, key=losses.get)
    assert found.loss == pytest.approx(min(losses.values()), rel=1e-3)
    # What no feature tells cannot be judged better than by chance, however many channels there are.
    noise = torch.randn(150, 300, generator=torch.Generator().manual_seed(1))
    assert judge(noise, work, [300]).loss > np.log(3) - 0.02


def test_images_of_no_fold_train_and_judge_nothing():
    features, targets = drawn(60, 5)
    work = task(targets)
    work.folds[:10] = -1
    found = judge(features, work, [5])
    assert found.losses.isnan().tolist() == [True] * 10 + [False] * 50
    work.folds[:] = -1
    assert judge(features, work, [5]) is None


def test_a_channel_that_says_nothing_and_one_that_is_huge_are_taken():
    features, targets = drawn(60, 6)
    features[:, 0], features[:, 1] = 3.0, features[:, 1] * 1e4
    found = judge(features, task(targets), [2, 4])
    assert found.loss < 0.9
