from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import fx, nn

from camcli.models.cutting.cut import cut
from camcli.models.cutting.cut_sequence import MappedSequence


class Normalised(nn.BatchNorm2d):
    """With an activation of its own, as timm's."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, input):
        return self.act(super().forward(input))


class Block(nn.Module):
    def __init__(self, twice: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.twice = twice

    def forward(self, x):
        x = self.conv(x)
        return self.norm(x) + x if self.twice else self.norm(x)


def network(twice: bool = False, **more: nn.Module) -> MappedSequence:
    class Own(MappedSequence):
        last_map = "norm"

    torch.manual_seed(0)
    made = Own(
        OrderedDict(
            conv=nn.Conv2d(3, 8, 3, stride=4, padding=1),
            norm0=Normalised(8),
            block=Block(twice),
            conv2=nn.Conv2d(8, 12, 1, bias=False),
            norm=Normalised(12),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(1),
            fc=nn.Linear(12, 5),
            **more,
        )
    )
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            part.weight.data.normal_()
            part.bias.data.normal_()
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("layers", [("last",), ("norm",)])
def test_it_is_cut_as_a_traced_network_is(layers):
    own = network()
    plain = nn.Sequential(OrderedDict(own.named_children()))
    state = {name: value.clone() for name, value in own.state_dict().items()}
    ours, traced = cut(own, 32, layers), cut(plain, 32, layers)
    assert isinstance(traced.first, fx.GraphModule)
    assert not isinstance(ours.first, fx.GraphModule)
    images = torch.randn(3, 3, 32, 32)
    A = ours.features(images)
    assert torch.equal(A, traced.features(images))
    assert torch.equal(ours.tail(A), traced.tail(A))
    assert torch.allclose(ours.tail(A), own(images), atol=1e-5)
    assert torch.equal(ours.head.weight, traced.head.weight)
    assert (ours.layer, ours.places[0].shape) == (traced.layer, traced.places[0].shape)
    assert set(ours.tail.state_dict()) == set(traced.tail.state_dict())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in ours.first.modules())
    after = own.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[name], state[name]) for name in state)


def test_another_layer_is_cut_on_the_graph():
    own = network()
    made = cut(own, 32, ("block", "last"))
    images = torch.randn(2, 3, 32, 32)
    for A, tail in made.split(images):
        assert torch.allclose(tail(A), own(images), atol=1e-5)
    assert made.layer == "block.norm,norm"


def test_what_a_network_says_of_itself_is_tried_and_traced_if_wrong():
    own = network(twice=True)  # its normalisation is not all that takes the convolution's output
    made = cut(own, 32)
    assert isinstance(made.first, fx.GraphModule)
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(made.tail(made.features(images)), own(images), atol=1e-5)


def test_an_activation_at_its_end_is_found_all_the_same():
    made = cut(network(end=nn.Softmax(1)), 32)
    assert made.output.kind == "softmax"
    assert made.head is not None
    logits = made.tail(made.features(torch.randn(2, 3, 32, 32)))
    assert not torch.allclose(logits.sum(1), torch.ones(2))
