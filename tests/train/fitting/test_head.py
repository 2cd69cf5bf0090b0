"""The head: its optimum against scikit-learn, the folded scaling, and resuming."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.head import (
    FeatureScale,
    HeadState,
    LabelledFeatures,
    fit_to_optimum,
    linear,
    solve_head,
    train_head,
)
from camcli.train.fitting.head_stage import Views, average, train_heads
from camcli.train.fitting.loop import Recipe, is_better, rate


def blobs(n: int = 120, k: int = 12, c: int = 3, seed: int = 0) -> LabelledFeatures:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, c, n)
    centres = np.random.default_rng(99).normal(size=(c, k))
    features = np.abs(rng.normal(size=(n, k)) + centres[targets] + 1)
    return LabelledFeatures(torch.tensor(features).half(), torch.tensor(targets))


def test_lbfgs_reaches_scikit_learns_optimum():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="the reference")
    data = blobs()
    X, l2 = data.features.double(), 1e-2
    weight, bias = solve_head(X, data.targets, 3, l2, Recipe())
    # C weighs the sum of the losses against ‖w‖²/2, ours is their mean.
    reference = linear_model.LogisticRegression(C=1 / (l2 * len(X)), tol=1e-10, max_iter=10_000)
    reference.fit(X.numpy(), data.targets.numpy())
    want = reference.predict_log_proba(X.numpy())
    got = (X @ weight.T + bias).log_softmax(1).numpy()
    assert np.abs(got - want).max() < 1e-4


def test_lbfgs_with_weights_and_smoothing_is_stationary():
    data = blobs()
    X = data.features.double()
    recipe = Recipe(label_smoothing=0.1, class_weight=torch.tensor([1.0, 3.0, 0.5]))
    shares = torch.arange(len(X)) % 3  # a bootstrap sample: some images twice, some never
    weight, bias = solve_head(X, data.targets, 3, 1e-2, recipe, sample_weight=shares)
    # The same problem, written with repeated images and torch's own weighted mean.
    w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    repeated = torch.repeat_interleave(torch.arange(len(X)), shares)
    loss = torch.nn.functional.cross_entropy(
        X[repeated] @ w.T + b, data.targets[repeated], recipe.class_weight.double(),
        label_smoothing=0.1,
    )  # fmt: skip
    (loss + 0.5 * 1e-2 * w.square().sum()).backward()
    # torch divides smoothed, weighted losses by the weights of the true classes, as we do.
    assert float(w.grad.abs().max()) < 1e-5
    assert float(b.grad.abs().max()) < 1e-5


def test_scaling_folds_into_the_head():
    data = blobs()
    scale = FeatureScale.of(data.features)
    weight, bias = torch.randn(3, 12), torch.randn(3)
    plain = scale.fold(weight, bias)
    want = scale(data.features) @ weight.T + bias
    assert torch.allclose(linear(plain, data.features), want, atol=1e-4)
    scaled = scale(data.features).double()
    assert float(scaled.mean(0).abs().max()) < 1e-3
    assert float(scaled.square().mean()) == pytest.approx(1, abs=1e-2)


def test_constant_features_do_not_divide_by_zero():
    assert FeatureScale.of(torch.ones(4, 2)).unit == 1


@pytest.mark.parametrize("solver", ["adamw", "sgd"])
def test_training_learns(solver):
    train, val = blobs(), blobs(seed=1)
    recipe = Recipe(solver=solver, epochs=20, lr=0.02)
    fit = train_head(
        HeadState.start(train.features, 3, 0), lambda e: train.features, train.targets, val, recipe
    )
    assert fit.best_row["val_acc"] > 0.85
    assert [row["epoch"] for row in fit.rows] == list(range(1, 21))
    # The head on plain features is what was judged.
    hits = linear(fit.head(), val.features).argmax(1) == val.targets
    assert float(hits.double().mean()) == fit.best_row["val_acc"]


def test_the_l2_strength_is_chosen_on_validation():
    train, val = blobs(40), blobs(200, seed=1)
    fit = fit_to_optimum(HeadState.start(train.features, 3, 0), train, val, Recipe(), None)
    assert fit.best_row["val_loss"] == min(row["val_loss"] for row in fit.rows)
    assert len(fit.rows) > 3


def test_patience_stops_and_keeps_the_best():
    train = blobs()
    val = LabelledFeatures(train.features, (train.targets + 1) % 3)  # training makes it worse
    recipe = Recipe(epochs=50, patience=3, lr=0.02)
    fit = train_head(
        HeadState.start(train.features, 3, 0), lambda e: train.features, train.targets, val, recipe
    )
    assert fit.epoch < 50
    assert fit.waited == 3
    assert fit.best_row == fit.rows[-4]


@pytest.mark.parametrize("solver", ["adamw", "sgd"])
@pytest.mark.parametrize("members", [1, 2])
def test_a_run_killed_after_any_epoch_resumes_to_the_same_head(solver, members):
    train, val = blobs(), blobs(seed=1)
    recipe = Recipe(solver=solver, epochs=3, lr=0.01, seed=4)
    states: list[dict] = []

    def run(state=None, save=lambda s, r: None):
        views = Views(lambda v: train.features, 1, 4)
        return train_heads(
            views, train.targets, val, 3, recipe, members=members, state=state, save=save
        )

    best, last, rows = run(save=lambda s, r: states.append(deepcopy(s)))
    assert len(rows) == 3 * members
    for state in states:
        again, again_last, again_rows = run(state)
        assert torch.equal(again.weight, best.weight)
        assert torch.equal(again_last.bias, last.bias)
        assert again_rows == rows


def test_ensemble_averages_logits():
    heads = [LinearHead(torch.randn(3, 4), torch.randn(3)) for _ in range(3)]
    x = torch.randn(5, 4)
    want = torch.stack([linear(h, x) for h in heads]).mean(0)
    assert torch.allclose(linear(average(heads), x), want, atol=1e-6)


def test_lbfgs_members_differ():
    train, val = blobs(), blobs(seed=1)
    heads = []

    def save(state, rows):
        heads[:] = state["best"]

    views = Views(lambda v: train.features, 1, 0)
    recipe = Recipe(solver="lbfgs")
    train_heads(views, train.targets, val, 3, recipe, members=2, l2=0.1, save=save)
    assert not torch.allclose(heads[0][0], heads[1][0], atol=1e-3)


def test_views_are_mixed_within_an_epoch_and_between_epochs():
    looked = []

    def look(number):
        looked.append(number)
        return torch.full((50, 1), float(number))

    views = Views(look, 3, seed=0)
    first, second = views.epoch(0), views.epoch(1)
    assert set(first.flatten().tolist()) == {0.0, 1.0, 2.0}
    assert not torch.equal(first, second)
    assert torch.equal(first, views.epoch(0))
    assert looked == [0, 1, 2]


def test_without_a_cache_each_epoch_looks_anew():
    looked = []
    views = Views(lambda n: looked.append(n) or torch.zeros(2, 1), 0, seed=0)
    for epoch in (0, 0, 1, 2):
        views.epoch(epoch)
    assert looked == [0, 1, 2]


def test_the_rate_warms_up_and_falls_to_zero():
    recipe = Recipe(lr=2.0, epochs=5, warmup=1.0)
    rates = [rate(e / 10, 0.1, recipe) for e in range(50)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(2.0)
    assert rates[30] == pytest.approx(1 + math.cos(math.pi / 2))
    assert rates[-1] < 0.01
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_better_is_accuracy_then_loss():
    def row(acc, loss):
        return {"val_acc": acc, "val_loss": loss}

    assert is_better(row(0.9, 9), row(0.8, 1))
    assert is_better(row(0.9, 1), row(0.9, 2))
    assert not is_better(row(0.9, 2), row(0.9, 2))
    assert is_better(row(0.1, 1), row(0.9, 2), by_loss=True)
    assert is_better({}, row(0.9, 2))
