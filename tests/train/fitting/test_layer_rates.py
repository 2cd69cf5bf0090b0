"""Which parts of a network are its stages, and how fast each learns."""

import pytest
import torch
from torch import nn

from camcli.models.loading.zoo import build_model
from camcli.train.fitting.layer_rates import learning_rates, stages_in_order
from tests.train.fitting.test_trainable_layers import tunable

BLANK = torch.zeros(1, 3, 32, 32)


def conv(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())


class Backwards(nn.Module):
    """Its parts are registered in another order than a picture goes through them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 5)
        self.norm = nn.BatchNorm2d(8)
        self.second = conv(8, 8)
        self.spare = nn.Conv2d(3, 3, 3)  # never called
        self.first = conv(3, 8)

    def forward(self, x):
        return self.fc(self.norm(self.second(self.first(x))).mean((2, 3)))


def test_stages_are_in_the_order_of_the_picture_and_norms_with_what_they_follow():
    stages = stages_in_order(Backwards(), "fc", BLANK)
    assert stages == [["first"], ["second", "norm"], ["spare"]]


def test_a_part_that_is_nearly_all_of_the_network_is_its_parts():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.ModuleDict({"features": nn.Sequential(conv(3, 8), conv(8, 8))})
            self.fc = nn.Linear(8, 500)  # a head that is larger than all before it

        def forward(self, x):
            return self.fc(self.body["features"](x).mean((2, 3)))

    assert stages_in_order(Whole(), "fc", BLANK) == [["body.features.0"], ["body.features.1"]]


@pytest.mark.parametrize(
    ("name", "head", "wanted"),
    [
        ("resnet18", "fc", [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]),
        (
            "mobilenet_v3_small",
            "classifier.3",
            [*([f"features.{n}"] for n in range(13)), ["classifier"]],
        ),
    ],
)
def test_stages_of_networks_that_are_known(name, head, wanted):
    net = build_model(name, weights="random").module
    assert stages_in_order(net, head, BLANK) == wanted


def test_rates_by_hand():
    """Two blocks and a head at one half: a quarter, a half, all; biases and norms do not decay."""
    _, part, _ = tunable("all", "train")
    names = {id(p): name for name, p in part.net.named_parameters()}
    groups = learning_rates(part, BLANK, 0.5)
    found = {names[id(p)]: (g.share, g.decays) for g in groups for p in g.params}
    assert found == {
        "one.0.weight": (0.25, True), "one.0.bias": (0.25, False),
        "one.1.weight": (0.25, False), "one.1.bias": (0.25, False),
        "two.0.weight": (0.5, True), "two.0.bias": (0.5, False),
        "two.1.weight": (0.5, False), "two.1.bias": (0.5, False),
        "fc.weight": (1.0, True), "fc.bias": (1.0, False),
    }  # fmt: skip


def test_what_is_frozen_is_in_no_group_and_a_decay_of_one_is_one_rate():
    _, part, _ = tunable("two")
    names = {id(p): name for name, p in part.net.named_parameters()}
    groups = learning_rates(part, BLANK, 1.0)
    assert {names[id(p)] for g in groups for p in g.params} == {
        "two.0.weight", "two.0.bias", "fc.weight", "fc.bias",
    }  # fmt: skip
    assert {g.share for g in groups} == {1.0}
