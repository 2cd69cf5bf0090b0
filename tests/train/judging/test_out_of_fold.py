"""Out-of-fold predictions know nothing of the images that they are of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.head import FeatureScale, solve_head
from camcli.train.fitting.loop import Recipe
from camcli.train.judging.folds import ALWAYS, folds
from camcli.train.judging.out_of_fold import HeadTrials, out_of_fold


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % 3
    means = torch.randn(3, 8, generator=generator)
    return (means[targets] + torch.randn(90, 8, generator=generator)).half(), targets


def fold_of(targets):
    return folds([[int(c)] for c in targets], list(range(len(targets))), 5)


RECIPES = {
    "lbfgs": Recipe(solver="lbfgs"),
    "adamw": Recipe(solver="adamw", epochs=3, batch_size=16, lr=1e-2),
    "sgd": Recipe(solver="sgd", epochs=3, batch_size=16, lr=1e-2, patience=1),
}


@pytest.mark.parametrize("solver", RECIPES)
@pytest.mark.parametrize("heads", [1, 2])
def test_labels_of_a_fold_change_nothing_of_what_is_said_of_it(features, solver, heads):
    X, targets = features
    fold = fold_of(targets)
    trials = HeadTrials([X], X, targets, 3, RECIPES[solver], heads, 0.01)
    first = out_of_fold(trials, fold, 3)
    wrong = targets.clone()
    wrong[fold == 2] = (targets[fold == 2] + 1) % 3
    second = out_of_fold(replace(trials, targets=wrong), fold, 3)
    assert torch.equal(first[fold == 2], second[fold == 2])
    assert not torch.allclose(first[fold == 0], second[fold == 0], atol=1e-3)
    assert (first.argmax(1) == targets).float().mean() > 0.6


def test_each_is_the_optimum_on_the_others_wherever_it_begins(features):
    X, targets = features
    fold = fold_of(targets)
    wild = LinearHead(torch.randn(3, 8), torch.randn(3))
    for start in (None, wild):
        trials = HeadTrials([X], X, targets, 3, RECIPES["lbfgs"], 1, 0.02, start=start)
        found = out_of_fold(trials, fold, 3)
        for k in range(5):
            own = X[fold != k]
            scale = FeatureScale.of(own)
            weight, bias = solve_head(scale(own), targets[fold != k], 3, 0.02, Recipe())
            head = scale.fold(weight, bias)
            expected = X[fold == k].float() @ head.weight.T + head.bias
            same = found[fold == k].softmax(1), expected.softmax(1)
            assert torch.allclose(*same, atol=1e-3)


def test_views_train_and_the_images_as_they_are_judge(features):
    X, targets = features
    fold = fold_of(targets)
    twice = HeadTrials([X, X], X, targets, 3, RECIPES["lbfgs"], 1, 0.02)
    once = HeadTrials([X], X, targets, 3, RECIPES["lbfgs"], 1, 0.02)
    same = out_of_fold(twice, fold, 3), out_of_fold(once, fold, 3)
    assert torch.allclose(*same, atol=1e-3)
    seen = HeadTrials([X], torch.zeros_like(X), targets, 3, RECIPES["lbfgs"], 1, 0.02)
    assert out_of_fold(seen, fold, 3)[fold == 1].unique(dim=0).shape[0] == 1


def test_of_those_that_always_train_nothing_is_said(features):
    X, targets = features
    fold = fold_of(targets)
    fold[:3] = ALWAYS
    found = out_of_fold(HeadTrials([X], X, targets, 3, RECIPES["lbfgs"], 1, 0.02), fold, 3)
    assert found[:3].isnan().all()
    assert found[3:].isfinite().all()


def test_labels_are_judged_each_for_itself(features):
    X, targets = features
    many = torch.nn.functional.one_hot(targets, 3).float()
    many[::7, 1] = torch.nan
    found = out_of_fold(HeadTrials([X], X, many, 3, RECIPES["lbfgs"], 1, 0.02), fold_of(targets), 3)
    assert ((found > 0).float() == many).float().mean() > 0.7


def test_of_large_sets_the_first_folds_are_judged(features):
    X, targets = features
    fold = fold_of(targets)
    trials = HeadTrials([X], X, targets, 3, RECIPES["lbfgs"], 1, 0.02)
    some = out_of_fold(trials, fold, 3, first=2)
    assert some[fold >= 2].isnan().all()
    assert torch.equal(some[fold < 2], out_of_fold(trials, fold, 3)[fold < 2])
