"""The moving average: by hand, in the network's place, and gone on with."""

import pytest
import torch
from torch import nn

from camcli.train.fitting.average import MovingAverage


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def step(part, value):
    with torch.no_grad():
        part[0].weight.fill_(value)
        part[1].running_mean.fill_(value)
        part[1].num_batches_tracked += 1


def test_the_average_by_hand():
    """From 0: early steps count 9/10, then 9/11; later ones what is left of the decay."""
    part = net()
    step(part, 0.0)
    average = MovingAverage(part, 0.15)
    wanted = 0.0
    for n, value in enumerate([1.0, 2.0, 3.0], 1):
        step(part, value)
        average.update()
        keep = min(0.15, n / (n + 9))
        wanted = keep * wanted + (1 - keep) * value
    assert [n / (n + 9) < 0.15 for n in (1, 2)] == [True, False]
    with average.in_place():
        assert part[0].weight.flatten().tolist() == pytest.approx([wanted] * 4)
        assert part[1].running_mean.tolist() == pytest.approx([wanted] * 2)
        assert int(part[1].num_batches_tracked) == 4  # a count is no weight
    assert part[0].weight.flatten().tolist() == [3.0] * 4
    assert part[1].running_mean.tolist() == [3.0] * 2


def test_the_networks_own_weights_come_back_after_an_error():
    part = net()
    average = MovingAverage(part, 0.9)
    step(part, 5.0)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    assert part[0].weight.flatten().tolist() == [5.0] * 4


def test_it_goes_on_from_its_state():
    whole, cut = net(), net()
    one, two = MovingAverage(whole, 0.5), MovingAverage(cut, 0.5)
    for value in (1.0, 2.0):
        for part, average in ((whole, one), (cut, two)):
            step(part, value)
            average.update()
    state, steps = two.state(), two.steps
    again = MovingAverage(cut, 0.5)
    again.restore(state, steps)
    for average in (one, again):
        part = whole if average is one else cut
        step(part, 7.0)
        average.update()
    wanted, found = one.state(), again.state()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_what_does_not_learn_is_not_kept_twice():
    part = net()
    part[0].requires_grad_(False)
    names = set(MovingAverage(part, 0.5).state())
    assert names == {
        "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"
    }  # fmt: skip
