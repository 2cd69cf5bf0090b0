"""The head's optimum, against SciPy's on the formula itself."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from camcli.train.fitting.head import L2_GRID, HeadState, LabelledFeatures, fit_to_optimum
from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.optimum import Problem


def drawn(n, k, c, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.r_[np.arange(c), rng.integers(0, c, n - c)]
    return rng.normal(size=(n, k)) + rng.normal(size=(c, k))[targets], targets


def by_scipy(X, targets, c, l2, *, smooth=0.0, class_weight=None, sample_weight=None):
    """Mean cross-entropy + l2/2 |w|², written out: weight (c, k) and bias (c,)."""
    n, k = X.shape
    of_class = np.ones(c) if class_weight is None else class_weight
    share = (np.ones(n) if sample_weight is None else sample_weight) / 1.0

    def loss(theta):
        w, b = theta[: c * k].reshape(c, k), theta[c * k :]
        S = X @ w.T + b
        log_p = S - np.log(np.exp(S - S.max(1, keepdims=True)).sum(1, keepdims=True))
        log_p -= S.max(1, keepdims=True)
        own = (1 - smooth) * of_class[targets] * log_p[np.arange(n), targets]
        spread = smooth / c * (log_p * of_class).sum(1)
        mean = -(share * (own + spread)).sum() / (share * of_class[targets]).sum()
        return mean + l2 / 2 * (w**2).sum()

    found = minimize(loss, np.zeros(c * k + c), method="L-BFGS-B", options={"ftol": 1e-14,
                     "gtol": 1e-8, "maxiter": 5000, "maxfun": 500_000})  # fmt: skip
    return found.x[: c * k].reshape(c, k), found.x[c * k :]


@pytest.mark.parametrize("size", [(40, 4, 3), (6, 10, 2)], ids=["many images", "few images"])
@pytest.mark.parametrize(
    "options",
    [{}, {"smooth": 0.2}, {"class_weight": np.array([2.0, 0.5, 1.0])},
     {"sample_weight": "counts"}],
    ids=["plain", "smoothed", "weighted", "drawn"],
)  # fmt: skip
def test_the_optimum_is_scipys(size, options):
    n, k, c = size
    X, targets = drawn(n, k, c)
    options = dict(options)
    if "class_weight" in options:
        options["class_weight"] = options["class_weight"][:c]
    if "sample_weight" in options:
        options["sample_weight"] = np.arange(n) % 3
    weight, bias = by_scipy(X, targets, c, 0.05, **options)
    as_tensor = {name: torch.as_tensor(value) for name, value in options.items()}
    recipe = Recipe(
        label_smoothing=options.get("smooth", 0.0),
        class_weight=None if "class_weight" not in options else as_tensor["class_weight"].float(),
    )
    problem = Problem(
        torch.from_numpy(X), torch.from_numpy(targets), c, recipe, as_tensor.get("sample_weight")
    )
    problem.solve(0.05)
    w, b = problem.solution()
    assert w.numpy() == pytest.approx(weight, abs=1e-4)
    # A constant added to all biases changes nothing.
    assert (b - b.mean()).numpy() == pytest.approx(bias - bias.mean(), abs=1e-4)
    assert problem.logits.numpy() == pytest.approx(X @ w.numpy().T + b.numpy(), abs=1e-8)


def test_where_it_begins_does_not_matter():
    X, targets = drawn(40, 4, 3)
    ends = []
    for start in (None, 1, 7):
        problem = Problem(torch.from_numpy(X), torch.from_numpy(targets), 3, Recipe())
        if start:
            generator = torch.Generator().manual_seed(start)
            problem.begin_at(torch.randn(3, 4, generator=generator), torch.zeros(3))
        problem.solve(0.01)
        ends.append(problem.solution()[0].numpy())
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)
    assert ends[2] == pytest.approx(ends[0], abs=1e-5)


def test_the_strength_of_least_validation_loss_is_kept():
    """Strong to weak, and not the last that was tried."""
    assert list(L2_GRID) == sorted(L2_GRID, reverse=True)
    X, targets = drawn(60, 20, 3, seed=3)
    rng = np.random.default_rng(4)
    noisy = torch.from_numpy(X + rng.normal(size=X.shape) * 2)
    train = LabelledFeatures(noisy[:30].half(), torch.from_numpy(targets[:30]))
    val = LabelledFeatures(noisy[30:].half(), torch.from_numpy(targets[30:]))
    fit = fit_to_optimum(HeadState.start(train.features, 3, 0), train, val, Recipe(), None)
    losses = [row["val_loss"] for row in fit.rows]
    strengths = [row["l2"] for row in fit.rows]
    assert strengths == list(L2_GRID[: len(strengths)])
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1, "the valley lies inside"
    alone = fit_to_optimum(
        HeadState.start(train.features, 3, 0), train, val, Recipe(), strengths[best]
    )  # fmt: skip
    torch.testing.assert_close(fit.head().weight, alone.head().weight, atol=1e-3, rtol=1e-3)
    # It stops where three in a row were worse.
    assert len(losses) == min(len(L2_GRID), best + 4)


def test_a_large_problem_is_solved_as_far_as_its_images_tell_it(monkeypatch):
    """In about half the steps, and the same heads to all that a decision depends on."""
    X, targets = drawn(3000, 20, 10)
    X[:, :10] *= 30  # axes of very different lengths
    features, targets = torch.from_numpy(X).float(), torch.from_numpy(targets)
    monkeypatch.setattr("camcli.train.fitting.linear_problem.SMALL", 0)
    whole, rough = (Problem(features, targets, 10, Recipe()) for _ in range(2))
    for l2 in L2_GRID:
        whole.solve(l2)
    monkeypatch.setattr("camcli.train.fitting.optimum.LARGE", 1)
    for l2 in L2_GRID:
        rough.solve(l2)
    assert rough.steps < 0.75 * whole.steps
    least, found = (
        float(torch.nn.functional.cross_entropy(p.logits, targets))
        + L2_GRID[-1] / 2 * float(p.solution()[0].square().sum())
        for p in (whole, rough)
    )
    assert found == pytest.approx(least, rel=3e-4)
    same = whole.logits.argmax(1) == rough.logits.argmax(1)
    assert float(same.float().mean()) > 0.995
