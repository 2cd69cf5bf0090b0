"""The simplest of the candidates that are as good as the best one."""

from __future__ import annotations

import pytest
import torch

from camcli.models.pooling.pooling import Pooling
from camcli.train.search.choice import Contender, choose, excess, halve
from camcli.train.search.judge import Judged
from camcli.train.search.looks import ImageLook

ALONE = torch.arange(100)


def tried(name, cost, losses, channels=10):
    losses = torch.as_tensor(losses, dtype=torch.double)
    judged = Judged(0.1, losses, losses < 0.7)
    return Contender(ImageLook(name), cost, Pooling(), channels, len(losses), judged, 1.0)


def test_a_dearer_look_has_to_be_better_by_more_than_its_error():
    steps = torch.linspace(-1, 1, 100, dtype=torch.double)
    cheap, dear = tried("a", 1, 0.5 + 0 * steps), tried("b", 4, 0.48 + 0.5 * steps)
    assert choose([dear, cheap], ALONE) is cheap  # 0.02 less, with an error of 0.03
    clear = tried("c", 4, 0.48 + 0.05 * steps)
    assert choose([clear, cheap], ALONE) is clear
    assert choose([clear, tried("d", 4, 0.48 + 0.05 * steps, channels=9)], ALONE).channels == 9


def test_the_error_is_that_of_the_difference_over_whole_groups():
    losses = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.double)
    none = torch.zeros(4, dtype=torch.double)
    mean, error = excess(losses, none, torch.arange(4))
    assert mean == pytest.approx(0.5)
    assert error == pytest.approx(float(losses.std() / 2))  # sd / sqrt(4)
    # Two groups of two that stand and fall together are two observations.
    assert excess(losses, none, torch.tensor([5, 5, 9, 9]))[1] == pytest.approx(0.5)
    assert excess(losses, none, torch.zeros(4))[1] == float("inf")
    losses[0] = torch.nan
    assert excess(losses, none, torch.arange(4))[0] == pytest.approx(1 / 3)


def test_the_better_half_of_the_looks_goes_on():
    some = [tried(name, 1, [loss] * 3) for name, loss in zip("abcde", [5, 1, 4, 2, 3], strict=True)]
    again = tried("e", 1, [0.5] * 3)  # another head on the same look
    assert [look.backbone for look in halve([*some, again])] == ["e", "b", "d"]
