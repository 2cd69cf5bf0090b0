"""Epochs: the rate at each step, the order, what is better, and when it ends."""

import math

import pytest
import torch
from torch import nn

from camcli.train.feature_pass.examples import class_weights
from camcli.train.fitting.loop import (
    HOPELESS,
    DivergedError,
    RateGroup,
    Recipe,
    StageState,
    batches,
    is_better,
    make_optimizer,
    rate,
    run_epochs,
)


def test_the_rate_at_each_step_by_hand():
    """Four epochs, one of them to warm up, four steps each: quarters, then half a cosine."""
    recipe = Recipe(epochs=4, lr=0.8, warmup=1)
    warm = [rate(n / 4, 1 / 4, recipe) for n in range(4)]
    assert warm == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rate(1, 1 / 4, recipe) == pytest.approx(0.8)
    # A third, half and two thirds of the way down: cos 60° = 1/2, cos 90° = 0, cos 120° = -1/2.
    assert rate(2, 1 / 4, recipe) == pytest.approx(0.8 * 0.75)
    assert rate(2.5, 1 / 4, recipe) == pytest.approx(0.8 * 0.5)
    assert rate(3, 1 / 4, recipe) == pytest.approx(0.8 * 0.25)
    assert rate(4, 1 / 4, recipe) == pytest.approx(0, abs=1e-12)


def test_the_warm_up_is_at_most_half_of_all():
    recipe = Recipe(epochs=2, lr=1.0, warmup=5)
    assert rate(0.5, 0.5, recipe) == pytest.approx(1)
    assert rate(1, 0.5, recipe) == pytest.approx(1)
    assert rate(1.5, 0.5, recipe) == pytest.approx(0.5)


def test_a_warm_up_shorter_than_a_step_is_no_division_by_zero():
    assert rate(0, 1, Recipe(epochs=3, lr=1.0, warmup=0)) == pytest.approx(1)
    assert rate(0, 1, Recipe(epochs=3, lr=1.0, warmup=0.5)) == pytest.approx(1)


def test_every_image_is_in_one_batch_of_each_epoch_in_an_order_of_its_own():
    def order(epoch, seed=0):
        parts = list(batches(10, Recipe(batch_size=4, seed=seed), epoch))
        assert [len(part) for part in parts] == [4, 4, 2]
        return torch.cat(parts).tolist()

    assert sorted(order(0)) == list(range(10))
    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0) != order(0, seed=1)
    assert order(1) != order(0, seed=1)


ROW = {"epoch": 2, "val_acc": 0.8, "val_loss": 0.5}


@pytest.mark.parametrize(
    ("changes", "better", "by_loss"),
    [
        ({}, False, False),
        ({"val_acc": 0.9, "val_loss": 9.0}, True, False),
        ({"val_acc": 0.7, "val_loss": 0.1}, False, True),
        ({"val_loss": 0.4}, True, True),
        ({"val_loss": 0.6}, False, False),
    ],
)
def test_what_is_better(changes, better, by_loss):
    assert is_better(ROW | changes, ROW) is better
    assert is_better(ROW | changes, ROW, by_loss=True) is by_loss


def test_the_first_is_the_best_and_without_validation_the_last():
    assert is_better(ROW, None)
    assert is_better({"epoch": 3, "train_loss": 9.0}, {"epoch": 2, "train_loss": 1.0})


def test_epochs_without_progress_are_counted():
    progress = StageState()
    for accuracy, waited in ((0.5, 0), (0.5, 1), (0.4, 2), (0.6, 0), (0.6, 1)):
        progress.judge(ROW | {"val_acc": accuracy})
        assert progress.waited == waited
    assert progress.best_row["val_acc"] == 0.6
    assert len(progress.rows) == 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, HOPELESS * 2])
@pytest.mark.parametrize("name", ["train_loss", "val_loss"])
def test_a_number_that_nothing_comes_back_from_ends_it(name, value):
    progress = StageState()
    with pytest.raises(DivergedError, match="epoch 2"):
        progress.judge(ROW | {name: value})
    assert progress.rows == []
    assert progress.best_row is None


def run(accuracies, recipe):
    """Epochs whose validation says what is given; returns those that were trained."""
    weight = nn.Parameter(torch.zeros(2, 3))
    X = torch.eye(3).repeat(2, 1)
    progress, trained = StageState(), []

    def examples(epoch, order):
        trained.append(epoch)
        return ((batch, X[batch]) for batch in order)

    def finish(row):
        progress.judge(row | {"val_acc": accuracies[progress.epoch - 1], "val_loss": 1.0})

    run_epochs(
        progress, recipe, make_optimizer([RateGroup([weight], True)], recipe),
        torch.tensor([0, 1, 0, 1, 0, 1]), examples, lambda rows: rows @ weight.T, finish,
    )  # fmt: skip
    return trained, progress


def test_training_ends_when_patience_does():
    """Two epochs without progress, and no third; without patience it goes on to the end."""
    falling = [0.5, 0.6, 0.5, 0.5, 0.9, 0.9]
    recipe = Recipe(epochs=6, batch_size=4, patience=2)
    assert run(falling, recipe)[0] == [0, 1, 2, 3]
    assert run(falling, Recipe(epochs=6, batch_size=4))[0] == list(range(6))
    assert run([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], recipe)[0] == list(range(6))


def test_an_epochs_numbers_are_means_over_its_images():
    """Before anything is learned, of two classes: the loss is log 2, ties go to the first."""
    _, progress = run([0.5], Recipe(epochs=1, batch_size=6, lr=1e-9))
    (row,) = progress.rows
    assert row["epoch"] == 1
    assert row["train_loss"] == pytest.approx(math.log(2))
    assert row["train_acc"] == pytest.approx(0.5)


def test_only_weights_decay():
    weight, bias = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    for solver in ("adamw", "sgd"):
        groups = [RateGroup([weight], decays=True), RateGroup([bias], decays=False, share=0.5)]
        optimizer = make_optimizer(groups, Recipe(solver=solver, weight_decay=0.3))
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
        assert optimizer.param_groups[0]["params"][0] is weight
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_classes_weigh_the_same_when_they_are_balanced():
    """Six images, of which four, one and one: 6 / (3 * 4), 6 / (3 * 1)."""
    weights = class_weights({0: 4, 1: 1, 2: 1}, 3)  # type: ignore[arg-type]
    assert weights.tolist() == pytest.approx([0.5, 2, 2])
    recipe = Recipe(class_weight=weights)
    targets = torch.tensor([0, 0, 0, 0, 1, 2])
    assert recipe.mass(targets) == pytest.approx(6)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights[targets]
    assert float(recipe.loss(logits, targets)) == pytest.approx(float(wanted.sum()) / 6)
