"""ShapleyCAM's shorter way through piecewise linear tails, against differentiating twice."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from camcli.cam import gradients
from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS
from camcli.models.cutting.cut import Tail, cut
from camcli.models.cutting.graph.piecewise import is_piecewise_linear


class Small(nn.Module):
    """A stem and a tail with branches, of which `bend` is one activation."""

    def __init__(self, bend: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem, self.left = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.right, self.bend = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1), bend
        self.pool, self.leaky, self.fc = nn.MaxPool2d(2), nn.LeakyReLU(0.1), nn.Linear(8, 5)
        self.dropout = nn.Dropout(0.5)
        nn.init.normal_(self.norm.running_mean)
        nn.init.normal_(self.fc.weight)

    def forward(self, x):
        A = self.stem(x)
        left = A + self.bend(self.norm(self.left(A)))
        right = functional.avg_pool2d(self.leaky(self.right(A)), 2)
        joined = torch.cat([self.pool(left), right / 2], 1)
        pooled = functional.adaptive_avg_pool2d(joined, 1)
        return self.fc(self.dropout(torch.flatten(pooled, 1)))


class Gated(nn.Module):
    """A map times another: every part of it is piecewise linear, the product is not."""

    def forward(self, x):
        return x * functional.relu6(x.mean((2, 3), keepdim=True) + 3)


class Own(nn.ReLU):
    """Looks like one and is none."""

    def forward(self, x):
        return x * x


def evidence(model, layer, score, size=32):
    """A cut in float64."""
    model = model.double().eval().requires_grad_(False)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # the cut's trial run makes images of its own
    try:
        made = cut(model, size, (layer,))
        x = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(2))
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        ((A, tail),) = made.split(x)
        logits = tail(A)
    return Evidence(A, logits, torch.tensor([0, 1, 1]), tail, None, score)


def twice(e):
    """v by the general way: the gradient's gradient."""
    with torch.enable_grad(), gradients._Twice():
        return gradients._bent_tail(e, e.A.clone().requires_grad_(True)).mean((2, 3))


def by_differences(e):
    """v with H A as the change of the gradient along A."""
    step = 1e-5
    ahead, behind = (e.with_(A=e.A * (1 + s)).gradient() for s in (step, -step))
    return (e.gradient() - (ahead - behind) / (4 * step)).mean((2, 3))


@pytest.mark.parametrize("score", ["logit", "contrast", "probability"])
@pytest.mark.parametrize("bend", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh()], ids=repr)
def test_piecewise_linear_tails_go_back_once(bend, score, monkeypatch):
    e = evidence(Small(bend), "stem", score)
    assert is_piecewise_linear(e.tail.run)
    truth = twice(e)
    monkeypatch.setattr(gradients, "_bent_tail", None)  # is not called
    got = METHODS["shapleycam"].weights(e)
    torch.testing.assert_close(got, truth, rtol=1e-10, atol=1e-14)
    grad_cam = e.gradient().mean((2, 3))
    assert torch.allclose(got, grad_cam, rtol=1e-3) == (score != "probability")


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize(
    "bend", [nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.Hardsigmoid(), Gated(), Own()], ids=repr
)
def test_other_tails_are_differentiated_twice(bend, score):
    e = evidence(Small(bend), "stem", score)
    assert not is_piecewise_linear(e.tail.run)
    got = METHODS["shapleycam"].weights(e)
    torch.testing.assert_close(got, twice(e), rtol=0, atol=0)
    truth = by_differences(e)
    torch.testing.assert_close(got, truth, rtol=1e-5, atol=1e-7 * float(truth.abs().max()))


def test_what_is_not_known_is_not_taken_for_linear():
    assert not is_piecewise_linear(lambda A: A.mean((2, 3)))
    assert not is_piecewise_linear(Tail(nn.ReLU()))
    assert not is_piecewise_linear(nn.ReLU()), "it has no graph that could be read"
    tail = evidence(Small(nn.ReLU()), "stem", "logit").tail.run
    assert is_piecewise_linear(tail)
    tail.train()
    assert not is_piecewise_linear(tail), "a batch's own mean and variance"


@pytest.mark.parametrize(
    ("name", "layer", "known"),
    [
        ("resnet18", "layer3", True),
        ("tf_efficientnet_lite0", "blocks.5", True),  # the bundled network
        ("densenet121", "features.denseblock3", True),
        ("efficientnet_b0", "blocks.5", False),
    ],
)
def test_real_networks(name, layer, known):
    model = timm.create_model(name, num_classes=3).eval()
    assert is_piecewise_linear(cut(model, 64, (layer,)).tail) == known
