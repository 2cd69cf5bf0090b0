"""Heads of values: the optimum of squares is scikit-learn's, that of Huber's errors scipy's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from camcli.models.cutting.types import LinearHead
from camcli.train.fitting.head import (
    HeadState,
    LabelledFeatures,
    fit_to_optimum,
    measure,
    train_head,
)
from camcli.train.fitting.loop import Recipe, is_better
from camcli.train.fitting.losses import HUBER, told, value_errors, value_scores
from camcli.train.fitting.values import ValueProblem, ValueScale

SQUARES, ROBUST = Recipe(objective="mse"), Recipe(objective="huber")


def drawn(n=90, k=6, c=2, seed=0, unknown=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k)) + 0.5
    Y = X @ rng.normal(size=(k, c)) + rng.normal(size=(n, c)) * 0.7 + 1
    Y[rng.random((n, c)) < unknown] = np.nan
    return torch.as_tensor(X), torch.as_tensor(Y)


@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(90, 6), (20, 40)], ids=["many images", "few images"])
def test_the_optimum_of_squares_is_a_ridge(shape, unknown):
    X, Y = drawn(*shape, unknown=unknown)
    problem = ValueProblem(X, Y, SQUARES)
    for l2 in (1.0, 0.01):
        problem.solve(l2)
        weight, bias = problem.solution()
        for c in range(2):
            known = Y[:, c].isfinite()
            theirs = Ridge(alpha=l2 * int(known.sum())).fit(X[known].numpy(), Y[known, c].numpy())
            np.testing.assert_allclose(weight[c], theirs.coef_, atol=1e-7)
            np.testing.assert_allclose(bias[c], theirs.intercept_, atol=1e-7)
    torch.testing.assert_close(problem.logits, X @ weight.T + bias)


def test_weights_of_images_are_scikit_learns():
    X, Y = drawn()
    weights = torch.randint(0, 3, (90,), generator=torch.Generator().manual_seed(0))
    problem = ValueProblem(X, Y, SQUARES, weights)
    problem.solve(0.1)
    theirs = Ridge(alpha=0.1 * int(weights.sum()))
    theirs.fit(X.numpy(), Y.numpy(), sample_weight=weights.numpy())
    np.testing.assert_allclose(problem.solution()[0], theirs.coef_, atol=1e-7)


def test_the_optimum_of_hubers_errors_is_scipys():
    X, Y = drawn(60, 4, 1)
    Y[::9] += 40  # gross errors
    problem = ValueProblem(X, Y, ROBUST)
    problem.solve(0.05)
    weight, bias = problem.solution()

    def objective(theta):
        off = np.abs(X.numpy() @ theta[:4] + theta[4] - Y[:, 0].numpy())
        near = np.minimum(off, HUBER)
        return (near * (off - near / 2)).mean() + 0.05 / 2 * (theta[:4] ** 2).sum()

    best = minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(np.append(weight[0], bias[0]), best.x, atol=2e-5)
    # Which the gross errors hardly move.
    whole = ValueProblem(*drawn(60, 4, 1), SQUARES)
    whole.solve(0.05)
    clean = whole.solution()[0]
    squares = ValueProblem(X, Y, SQUARES)
    squares.solve(0.05)
    assert (weight - clean).norm() < 0.5 * (squares.solution()[0] - clean).norm()


def test_errors_are_torchs_and_unknown_ones_none():
    _, Y = drawn(30, unknown=0.3)
    said = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    known = Y.isfinite()
    for recipe, theirs in (
        (SQUARES, 0.5 * torch.nn.functional.mse_loss(said[known], Y[known])),
        (ROBUST, torch.nn.functional.huber_loss(said[known], Y[known], delta=HUBER)),
    ):
        assert told(float(recipe.loss(said, Y)), Y) == pytest.approx(float(theirs))
        each = value_errors(said, Y, recipe.objective)
        assert not each[~known].any()
    found = value_scores(said, Y)
    r2 = np.mean([r2_score(Y[known[:, c], c], said[known[:, c], c]) for c in range(2)])
    assert found["val_r2"] == pytest.approx(r2)
    assert "val_r2" not in value_scores(said, torch.ones(30, 2))


def test_what_is_learned_is_folded_into_the_head():
    X, Y = drawn()
    Y[3, 1] = torch.nan
    Y[:, 0] = Y[:, 0] * 1000 + 5000
    for robust in (False, True):
        scale = ValueScale.of(Y, robust=robust)
        z = scale(Y)
        assert z[:, 0].abs().median() < 1.5
        head = LinearHead(torch.randn(2, 6), torch.randn(2))
        plain = scale.fold(head)
        torch.testing.assert_close(
            scale((X.float() @ plain.weight.T + plain.bias).double()),
            X.float() @ head.weight.T + head.bias, atol=1e-4, rtol=1e-4,
        )  # fmt: skip
    assert z[3, 1].isnan()
    # What does not vary much, or at all, is not divided by nothing.
    flat = torch.tensor([[1.0], [1.0], [1.0], [7.0]], dtype=torch.float64)
    assert ValueScale.of(flat, robust=True)(flat).isfinite().all()
    assert ValueScale.of(flat[:3])(flat).isfinite().all()


@pytest.mark.parametrize("recipe", [SQUARES, ROBUST], ids=["mse", "huber"])
@pytest.mark.parametrize("solver", ["adamw", "sgd", "lbfgs"])
def test_heads_learn_values(recipe, solver):
    X, Y = drawn(200, 6, 2)
    Y = ValueScale.of(Y)(Y)
    train, val = (
        LabelledFeatures(X[part].half(), Y[part], recipe.objective)
        for part in (slice(150), slice(150, 200))
    )
    rate = {"adamw": 0.05, "sgd": 0.05, "lbfgs": 1}[solver]
    own = replace(recipe, solver=solver, epochs=30, lr=rate)
    fit = HeadState.start(train.features, 2, 0)
    if solver == "lbfgs":
        fit_to_optimum(fit, train, val, own, None)
    else:
        train_head(fit, lambda epoch: train.features, train.targets, val, own)
    assert measure(fit.head(), val)["val_r2"] > 0.75
    assert all("train_acc" not in row for row in fit.rows)
    assert fit.best_row["val_loss"] == min(row["val_loss"] for row in fit.rows)


def test_epochs_of_values_are_judged_by_their_error():
    assert is_better({"val_loss": 0.1, "val_r2": 0.1}, {"val_loss": 0.2, "val_r2": 0.9})
    assert not is_better({"val_loss": 0.3}, {"val_loss": 0.2})
