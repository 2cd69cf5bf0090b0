"""A head on statistics of several layers is GAP + linear on their maps, wherever it is cut."""

import pytest
import torch
from torch import nn

from camcli.errors import UsageError
from camcli.models.cutting.cut import LinearHead, cut, cut_before_head
from camcli.models.pooling.network import POOLED, PooledCalls, PooledMaps
from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pool

CHOICES = ["mean+max", "gem+std@early", "std@early+mean@middle", "|mean+max@early|", "max@middle"]


class Net(nn.Module):
    """Three maps of falling size, each with a name."""

    def __init__(self, hidden: bool = False) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.SiLU())
        self.late = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(8, 5)
        self.hidden = hidden

    def forward(self, x):
        x = self.early(x)
        if self.hidden and float(x.sum()) > 1e9:  # what a tracer cannot follow
            x = x * 2
        return self.fc(self.late(self.middle(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(3)
    made = Net()
    made.early[1].running_mean.uniform_(-0.1, 0.1)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(4))


def by_hand(net, pooling, images):
    """What the head is given, from the network run layer by layer."""
    early = net.early(images)
    middle = net.middle(early)
    return pool(pooling, {"early": early, "middle": middle, "last": net.late(middle)})


def head_on(K, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return LinearHead(
        torch.randn(4, K, generator=generator), torch.randn(4, generator=generator)
    )  # fmt: skip


@pytest.mark.parametrize("text", CHOICES)
@pytest.mark.parametrize("hidden", [False, True])
def test_the_features_have_the_statistics_as_their_means(net, images, text, hidden):
    pooling = Pooling.read(text)
    net.hidden = hidden
    made = cut_before_head(net, 40, pooling)
    assert isinstance(made.first, PooledCalls if hidden else PooledMaps)
    a = made.features(images)
    s = by_hand(net, pooling, images)
    assert made.layer == POOLED
    assert made.places[0].shape == tuple(a.shape[1:])
    torch.testing.assert_close(a.mean((2, 3)), s, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.first.numbers(images), s, rtol=1e-4, atol=1e-5)
    net.hidden = False


@pytest.mark.parametrize("text", CHOICES)
@pytest.mark.parametrize("layers", ["last", "early", "middle", "late", "last early"])
def test_every_cut_gives_the_same_logits(net, images, text, layers):
    pooling, names = Pooling.read(text), layers.split()
    s = by_hand(net, pooling, images)
    head = head_on(s.shape[1])
    expected = s @ head.weight.T + head.bias
    if layers == "late" and "last" not in pooling.layers:
        with pytest.raises(UsageError, match="Nothing of layer 'late' reaches"):
            cut(net, 40, names, head=head, pooling=pooling)
        return
    made = cut(net, 40, names, head=head, pooling=pooling)
    for (A, tail), place in zip(made.split(images), made.places, strict=True):
        torch.testing.assert_close(tail(A), expected, rtol=1e-3, atol=1e-4)
        assert (place.head is not None) == (place.layer == POOLED)


@pytest.mark.parametrize("text", ["mean@nowhere", "mean@fc"])
def test_what_the_network_has_not_is_said(net, text):
    with pytest.raises(UsageError):
        cut_before_head(net, 40, Pooling.read(text))


def test_another_size_of_the_images(net):
    pooling = Pooling.read("mean+max@early")
    made = cut_before_head(net, 40, pooling)
    others = torch.randn(2, 3, 56, 33, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(
        made.features(others).mean((2, 3)), by_hand(net, pooling, others), rtol=1e-4, atol=1e-5
    )
