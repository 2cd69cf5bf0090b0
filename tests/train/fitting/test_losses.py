"""Losses of classes and labels: the focal ones are the paper's, and torchvision's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from camcli.train.feature_pass.examples import class_weights, effective, label_weights
from camcli.train.fitting.loop import Recipe


def drawn(n=40, c=4):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, c, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(c, (n,), generator=generator)


def test_the_focal_loss_of_labels_is_torchvisions():
    logits, _ = drawn()
    labels = (torch.rand(40, 4, generator=torch.Generator().manual_seed(1)) < 0.4).double()
    for gamma in (0.0, 1.0, 2.5):
        ours = Recipe(objective="focal", gamma=gamma).loss(logits, labels, reduction="sum")
        theirs = sigmoid_focal_loss(logits, labels, alpha=-1, gamma=gamma, reduction="sum")
        assert float(ours) == pytest.approx(float(theirs))
    weighted = Recipe(objective="focal", gamma=2.0, class_weight=torch.full((4,), 3.0))
    theirs = sigmoid_focal_loss(logits, labels, alpha=0.75, gamma=2.0, reduction="sum") * 4
    assert float(weighted.loss(logits, labels, reduction="sum")) == pytest.approx(float(theirs))


def test_the_focal_loss_of_classes_is_its_formula():
    logits, targets = drawn()
    p = logits.softmax(1)[torch.arange(40), targets]
    for gamma in (0.0, 2.0):
        ours = Recipe(objective="focal", gamma=gamma).loss(logits, targets)
        assert float(ours) == pytest.approx(float((-((1 - p) ** gamma) * p.log()).mean()))
    # Of two classes it is that of the label that tells them apart.
    two, there = logits[:, :2], targets % 2
    ours = Recipe(objective="focal", gamma=2.0).loss(two, there, reduction="sum")
    theirs = sigmoid_focal_loss(
        (two[:, 1] - two[:, 0])[:, None], there[:, None].double(), alpha=-1, reduction="sum"
    )
    assert float(ours) == pytest.approx(float(theirs))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 5.0, 0.5, 2.0])])
def test_cross_entropy_is_torchs_by_any_way(smoothing, weight):
    logits, targets = drawn()
    own = None if weight is None else weight.double()
    theirs = functional.cross_entropy(logits, targets, own, label_smoothing=smoothing)
    plain = Recipe(class_weight=own, label_smoothing=smoothing)
    focal = Recipe(class_weight=own, label_smoothing=smoothing, objective="focal", gamma=0.0)
    for recipe in (plain, focal):
        assert float(recipe.loss(logits, targets)) == pytest.approx(float(theirs))
    # As gamma goes to 0 it is the same, by its own formula.
    near = Recipe(class_weight=own, label_smoothing=smoothing, objective="focal", gamma=1e-9)
    assert float(near.loss(logits, targets)) == pytest.approx(float(theirs))


def test_the_focal_loss_is_finite_where_logits_are_large():
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    for targets in (torch.tensor([0, 0]), torch.tensor([[1.0, 0.0], [1.0, torch.nan]])):
        loss = Recipe(objective="focal", gamma=2.0).loss(logits, targets)
        (slope,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert slope.isfinite().all()


def test_classes_count_by_what_their_images_are_worth():
    counts = Counter({0: 10, 1: 1000, 2: 100_000})
    assert effective(torch.tensor([1.0, 10.0, 1e6])).tolist() == pytest.approx(
        [1, 9.95512, 1000], rel=1e-4
    )
    for rule in ("balanced", "effective"):
        weights = class_weights(counts, 3, rule)
        total = sum(float(weights[c]) * n for c, n in counts.items())
        assert total == pytest.approx(sum(counts.values()))
    balanced, worth = (class_weights(counts, 3, rule) for rule in ("balanced", "effective"))
    assert float(balanced[0] / balanced[2]) == pytest.approx(10_000)
    # A hundred thousand images are worth a thousand, and ten are worth ten.
    assert float(worth[0] / worth[2]) == pytest.approx(1000 / 9.95512, rel=1e-4)
    targets = torch.zeros(5000, 1)
    targets[:10] = 1
    assert float(label_weights(targets, "balanced")) == pytest.approx(499)
    ratio = float(label_weights(targets, "effective"))
    assert ratio == pytest.approx((1 - 0.999**4990) / (1 - 0.999**10), rel=1e-4)
    assert np.isfinite(ratio)
