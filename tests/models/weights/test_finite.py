"""A network with NaN in its weights is refused when it is loaded, and the tensor is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.errors import CamcliError
from camcli.models.weights.finite import check_finite, not_finite


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("value", "said"), [(float("nan"), "NaN"), (float("inf"), "inf"), (float("-inf"), "inf")]
)
@pytest.mark.parametrize("name", ["0.weight", "1.running_var", "2.bias"])
def test_it_is_named(name, value, said):
    net = small()
    check_finite(net, "w.pth")
    net.state_dict()[name].view(-1)[-1] = value
    with pytest.raises(CamcliError, match=rf"w\.pth: {name} holds {said}"):
        check_finite(net, "w.pth")
    with pytest.raises(CamcliError, match=name):
        check_finite(net.state_dict(), "w.pth")


def test_both_infinities_do_not_hide_each_other():
    tensor = torch.tensor([float("inf"), float("-inf"), 1.0])
    assert not_finite([("w", tensor)]) == ("w", "inf")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_large_numbers_whose_sum_overflows_are_numbers(dtype):
    tensor = torch.full((64, 64), torch.finfo(dtype).max, dtype=dtype)
    assert not_finite([("w", tensor)]) is None


def test_masks_may_be_minus_infinity_and_counters_anything():
    net = small()
    net.register_buffer("mask", torch.full((3, 3), float("-inf")).triu(1))
    net.register_buffer("ids", torch.arange(3))
    check_finite(net, "net")
    net.mask[0, 0] = float("nan")
    with pytest.raises(CamcliError, match="mask holds NaN"):
        check_finite(net, "net")


def test_tensors_without_numbers_are_passed_over():
    check_finite(nn.LazyLinear(3), "net")
    check_finite(small().to("meta"), "net")
