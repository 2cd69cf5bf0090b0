"""Temperatures that are known, and that none of a few images is believed too much."""

from __future__ import annotations

import pytest
import torch

from camcli.train.judging.temperature import FEWEST, best_temperature, reliability


def drawn(count: int, classes: int = 4, seed: int = 0):
    """Logits, and classes drawn with just the probabilities that they say."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_what_the_logits_were_multiplied_by_is_found(temperature):
    logits, targets = drawn(6000)
    assert best_temperature(logits * temperature, targets) == pytest.approx(temperature, rel=0.06)


def test_of_labels_too_and_what_nobody_knows_does_not_count():
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(3000, 3, generator=generator)
    targets = (torch.rand(3000, 3, generator=generator) < logits.sigmoid()).float()
    targets[::3] = torch.nan
    wild = logits.clone()
    wild[::3] = 1e6
    assert best_temperature(3 * wild, targets) == pytest.approx(3, rel=0.08)
    told = reliability(wild, targets)
    assert told["ece"] < 0.03
    assert told["log_loss"] < 0.6


def test_the_error_is_halved_where_the_head_is_too_sure():
    logits, targets = drawn(2000)
    best = best_temperature(logits * 3, targets)
    before, after = reliability(logits * 3, targets), reliability(logits * 3 / best, targets)
    assert after["ece"] < 0.3 * before["ece"]
    assert after["log_loss"] < before["log_loss"]


def test_a_few_that_are_all_right_do_not_make_it_infinitely_sure():
    logits = torch.eye(2).repeat(15, 1) * 4
    assert 0.2 < best_temperature(logits, torch.tensor([0, 1]).repeat(15)) < 1


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_never_greater_than_it_was(seed):
    logits, targets = drawn(30, seed=seed)
    best = best_temperature(logits, targets)
    assert (
        reliability(logits / best, targets)["log_loss"] <= reliability(logits, targets)["log_loss"]
    )


def test_too_few_images_change_nothing():
    logits, targets = drawn(FEWEST - 1)
    assert best_temperature(logits * 9, targets) == 1
