"""Networks in wrappers and in other precisions are the network itself."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from camcli.errors import CamcliError, UsageError
from camcli.models.load import load_classifier
from camcli.models.loading.own.wrappers import ready, unwrapped


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def compiled_inside() -> nn.Module:
    net = small()
    net[0] = torch.compile(net[0])
    return net


class Returns(nn.Module):
    def __init__(self, wrap) -> None:
        super().__init__()
        self.net, self.wrap = small(), wrap

    def forward(self, x):
        return self.wrap(self.net(x), x)


MAKERS = {
    "compiled": lambda: torch.compile(small()),
    "parallel": lambda: nn.DataParallel(small()),
    "both": lambda: nn.DataParallel(torch.compile(small())),
    "averaged": lambda: AveragedModel(small()),
    "compiled inside": compiled_inside,
    "half": lambda: small().half(),
    "bfloat16": lambda: small().to(torch.bfloat16),
    "double": lambda: small().double(),
    "training": lambda: small().train(),
    "dict": lambda: Returns(lambda out, x: {"logits": out, "images": x}),
    "tuple": lambda: Returns(lambda out, x: (out, x)),
    "features": lambda: small()[:3],
    "meta": lambda: small().to("meta"),
    "lazy": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(5)),
}
SAID = {
    "compiled": "taken out of torch.compile", "parallel": "taken out of DataParallel",
    "both": "taken out of DataParallel and torch.compile", "averaged": "AveragedModel",
    "compiled inside": "taken out of torch.compile", "half": "float16; it is run in float32",
    "bfloat16": "bfloat16; it is run in float32", "double": "float64; it is run in float32",
    "dict": "Its scores are 'logits' of what it returns", "tuple": "Its scores are number 0 of",
}  # fmt: skip
REFUSED = {
    "features": r"2x8x\d+x\d+, which are feature maps and no scores",
    "meta": "0.weight is on the meta device, where tensors have a shape and no numbers",
    "lazy": "2.weight has no shape yet",
}


@pytest.fixture
def factory(monkeypatch):
    """Names of factories of these networks."""
    home = types.ModuleType("odd_nets")
    for name, make in MAKERS.items():
        setattr(home, name.replace(" ", "_"), make)
    monkeypatch.setitem(sys.modules, "odd_nets", home)
    return lambda name: f"odd_nets:{name.replace(' ', '_')}"


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in REFUSED])
@pytest.mark.parametrize("memory", [False, True], ids=["factory", "memory"])
def test_it_is_the_network_itself(name, memory, factory):
    given = MAKERS[name]() if memory else factory(name)
    classifier = load_classifier(given, input_size=32, device="cpu")
    pixels = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    images = classifier.preprocess.normalise(pixels)
    tolerance = 2e-2 if name in ("half", "bfloat16") else 1e-4
    expected = small().eval()(images).detach()
    torch.testing.assert_close(classifier(pixels)[1], expected, rtol=0, atol=tolerance)
    assert SAID.get(name, "") in " ".join(classifier.provenance.notes)


def test_a_network_in_memory_stays_as_it_is():
    net = compiled_inside().half().train()
    before = dict(net.named_children())
    load_classifier(net, input_size=32, device="cpu")
    assert net[5].weight.dtype == torch.float16
    assert net.training
    assert dict(net.named_children()) == before


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("memory", [False, True], ids=["factory", "memory"])
def test_what_has_no_values_or_no_scores_is_refused_with_a_way_out(name, memory, factory):
    given = MAKERS[name]() if memory else factory(name)
    with pytest.raises(CamcliError, match=REFUSED[name]):
        load_classifier(given, input_size=32, device="cpu")


def test_a_network_without_wrappers_is_not_touched():
    net = small()
    assert unwrapped(net) == (net, [])
    assert ready(net, "net") == (net, [])
    assert not net.training
    with pytest.raises(UsageError, match="meta device"):
        ready(small().to("meta"), "net")
