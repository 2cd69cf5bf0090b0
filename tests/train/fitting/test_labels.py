"""Labels, each of which is there or not: the loss is torch's, the optimum and scores sklearn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch.nn import functional

from camcli.models.cutting.cut import LinearHead
from camcli.train.feature_pass.examples import label_weights
from camcli.train.fitting.head import (
    HeadState,
    LabelledFeatures,
    fit_to_optimum,
    judged,
    measure,
    solve_head,
    train_head,
)
from camcli.train.fitting.loop import Recipe, hits, is_better, told


def drawn(n=80, k=5, c=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k))
    Y = X @ rng.normal(size=(k, c)) + rng.normal(size=(n, c)) > np.array([0.0, 1.0, -0.5])[:c]
    return torch.as_tensor(X), torch.as_tensor(Y).float()


@pytest.mark.parametrize("shape", [(80, 5), (12, 30)], ids=["many images", "few images"])
def test_the_optimum_is_a_logistic_regression_of_each_label(shape):
    X, Y = drawn(*shape)
    l2 = 0.05
    weight, bias = solve_head(X, Y, 3, l2, Recipe())
    for c in range(3):
        theirs = LogisticRegression(C=1 / (l2 * len(X)), tol=1e-10, max_iter=10_000)
        theirs.fit(X.numpy(), Y[:, c].numpy())
        np.testing.assert_allclose(weight[c], theirs.coef_[0], atol=2e-4)
        np.testing.assert_allclose(bias[c], theirs.intercept_[0], atol=2e-4)


def test_balanced_labels_are_sklearns_class_weights():
    X, Y = drawn()
    positives = Y.sum(0)
    recipe = Recipe(class_weight=(len(Y) - positives) / positives)
    weight, _ = solve_head(X, Y, 3, 0.05, recipe)
    for c in range(3):
        ratio = float(recipe.class_weight[c])
        theirs = LogisticRegression(
            C=1 / (0.05 * len(X)), class_weight={0: 1, 1: ratio}, tol=1e-10, max_iter=10_000
        )
        theirs.fit(X.numpy(), Y[:, c].numpy())
        np.testing.assert_allclose(weight[c], theirs.coef_[0], atol=2e-4)


def test_the_loss_is_torchs_and_shown_as_a_mean():
    logits, Y = torch.randn(7, 3, generator=torch.Generator().manual_seed(1)), drawn(7)[1]
    mean = functional.binary_cross_entropy_with_logits(logits, Y)
    assert told(float(Recipe().loss(logits, Y)), Y) == pytest.approx(float(mean))
    total = Recipe().loss(logits, Y, reduction="sum")
    assert float(total) == pytest.approx(float(mean) * 21, rel=1e-5)
    weight = torch.tensor([1.0, 2.0, 5.0])
    theirs = functional.binary_cross_entropy_with_logits(logits, Y * 0.8 + 0.1, pos_weight=weight)
    ours = Recipe(class_weight=weight, label_smoothing=0.2).loss(logits, Y)
    assert told(float(ours), Y) == pytest.approx(float(theirs), rel=1e-5)


def test_epochs_are_judged_by_mean_average_precision():
    X, Y = drawn()
    found = judged(X[:, :3].float(), Y)
    assert found["val_map"] == pytest.approx(
        average_precision_score(Y.numpy(), X[:, :3].numpy(), average="macro")
    )
    exact = ((X[:, :3] > 0) == Y.bool()).all(1)
    assert found["val_acc"] == pytest.approx(float(exact.double().mean()))
    assert torch.equal(hits(X[:, :3], Y), exact)
    one = {"val_acc": 0.9, "val_loss": 0.1, "val_map": 0.5}
    assert is_better({"val_acc": 0.1, "val_loss": 0.9, "val_map": 0.6}, one)
    assert not is_better({"val_acc": 1.0, "val_loss": 0.0, "val_map": 0.4}, one)
    assert is_better({"val_acc": 0.9, "val_loss": 0.0, "val_map": 0.5}, one)
    # Without a positive there is no precision, and the rest still counts.
    assert "val_map" not in judged(X[:, :3].float(), torch.zeros(80, 3))


@pytest.mark.parametrize("solver", ["adamw", "sgd", "lbfgs"])
def test_heads_learn_labels(solver):
    X, Y = drawn(200, 6, 3)
    train, val = (
        LabelledFeatures(X[:150].half(), Y[:150]), LabelledFeatures(X[150:].half(), Y[150:]),
    )  # fmt: skip
    recipe = Recipe(solver=solver, epochs=30, lr={"adamw": 0.03, "sgd": 0.1, "lbfgs": 1}[solver])
    fit = HeadState.start(train.features, 3, 0)
    if solver == "lbfgs":
        fit_to_optimum(fit, train, val, recipe, None)
    else:
        train_head(fit, lambda epoch: train.features, train.targets, val, recipe)
    assert measure(fit.head(), val)["val_map"] > 0.85
    assert fit.rows[-1]["train_loss"] < fit.rows[0]["train_loss"] < 1
    blank = LinearHead(torch.zeros(3, 6), torch.zeros(3))
    assert measure(blank, val)["val_loss"] == pytest.approx(np.log(2), rel=1e-5)


def partly(Y, seed=3, share=0.4):
    """The same with some labels that nobody knows."""
    hidden = torch.rand(Y.shape, generator=torch.Generator().manual_seed(seed)) < share
    return Y.masked_fill(hidden, torch.nan)


@pytest.mark.parametrize("shape", [(80, 5), (20, 30)], ids=["many images", "few images"])
def test_the_optimum_of_a_label_is_that_of_the_images_where_it_is_known(shape):
    X, Y = drawn(*shape)
    Y = partly(Y)
    l2 = 0.05
    weight, bias = solve_head(X, Y, 3, l2, Recipe())
    for c in range(3):
        known = Y[:, c].isfinite()
        theirs = LogisticRegression(C=1 / (l2 * int(known.sum())), tol=1e-10, max_iter=10_000)
        theirs.fit(X[known].numpy(), Y[known, c].numpy())
        np.testing.assert_allclose(weight[c], theirs.coef_[0], atol=2e-4)
        np.testing.assert_allclose(bias[c], theirs.intercept_[0], atol=2e-4)


def test_what_nobody_knows_is_in_no_loss_and_no_gradient():
    Y = partly(drawn(40)[1])
    known = Y.isfinite()
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    mean = functional.binary_cross_entropy_with_logits(logits[known], Y[known])
    loss = Recipe().loss(logits, Y)
    assert told(float(loss.detach()), Y) == pytest.approx(float(mean.detach()))
    (slope,) = torch.autograd.grad(loss, logits)
    assert torch.equal(slope == 0, ~known)
    found = judged(logits.detach(), Y)
    assert found["val_loss"] == pytest.approx(float(mean.detach()))
    aps = [
        average_precision_score(Y[known[:, c], c].numpy(),
                                logits.detach()[known[:, c], c].numpy())
        for c in range(3)
    ]  # fmt: skip
    assert found["val_map"] == pytest.approx(np.mean(aps))
    # It may be said or not.
    said = torch.where(known, Y * 2 - 1, logits.detach())
    assert hits(said, Y).all()
    assert not hits(-said, Y)[known.any(1)].any()
    assert hits(logits, torch.full_like(Y, torch.nan)).all()


def test_weights_of_labels_count_what_is_known():
    nan = torch.nan
    targets = torch.tensor([[1, 0.0], [0, nan], [0, nan], [nan, 1]])
    assert label_weights(targets).tolist() == [2.0, 1.0]
