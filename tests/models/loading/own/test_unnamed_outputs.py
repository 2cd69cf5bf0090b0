"""What is assumed of outputs without names is said; nobody's features are called classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.models.loading.builder import BuiltModel, name_outputs, provenance
from camcli.models.loading.own.unnamed_outputs import told

BODY = (nn.Conv2d(3, 96, 3, 2, 1), nn.BatchNorm2d(96), nn.ReLU())
POOL = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


class FunctionalHead(nn.Module):
    """As a cosine head is: its weights belong to no layer."""

    def __init__(self):
        super().__init__()
        self.body, self.weight = nn.Sequential(*BODY, *POOL), nn.Parameter(torch.randn(80, 96))

    def forward(self, x):
        return nn.functional.linear(self.body(x), self.weight)


def built(module, classes=None, source="user"):
    outputs = module.eval()(torch.zeros(1, 3, 32, 32)).shape[1]
    names = name_outputs(classes, outputs, "m:f")
    made = provenance("m:f", "factory", None, source)
    return BuiltModel(module, names, Preprocess(size=32), made)


@pytest.mark.parametrize(
    "layers",
    [
        (*BODY, *POOL),
        (nn.Conv2d(3, 96, 3, 2, 1), nn.ReLU(), *POOL),  # VGG's features
        (*BODY, *POOL, nn.LayerNorm(96)),  # a transformer's
    ],
)
def test_features_without_a_head_are_not_called_classes_in_silence(layers):
    said = told(built(nn.Sequential(*layers)))
    assert "96 outputs look like FEATURES" in said
    assert "--classes" in said


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(*BODY, *POOL, nn.Linear(96, 80)),
        nn.Sequential(*BODY, nn.Conv2d(96, 80, 1), nn.ReLU(), *POOL),  # network in network
        nn.Sequential(*BODY, *POOL, nn.Dropout(), nn.Linear(96, 70), nn.ReLU(), nn.Linear(70, 80)),
        nn.Sequential(nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10), *POOL),  # ten are classes
        FunctionalHead(),
    ],
)
def test_classes_are_classes(module):
    assert told(built(module)) == ""


def test_who_names_the_outputs_is_believed():
    names = tuple(f"c{n}" for n in range(96))
    assert told(built(nn.Sequential(*BODY, *POOL), names)) == ""


def test_a_thousand_outputs_of_ones_own_are_assumed_to_be_imagenets_aloud():
    net = nn.Sequential(*BODY, *POOL, nn.Linear(96, 1000))
    assert "ASSUMED to be ImageNet's" in told(built(net))
    assert told(built(net, source="torchvision")) == ""
    assert told(built(net, tuple(f"c{n}" for n in range(1000)))) == ""
    assert not any(layer._forward_hooks for layer in net.modules())
