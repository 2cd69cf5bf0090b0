"""What a search tries, of networks that differ."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.models.cutting.listing import list_layers
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import LAST
from camcli.train.config import TrainConfig
from camcli.train.search.looks import ImageLook, Native, looks, poolings, widest

LITE = Native(
    224, "crop",
    {
        "conv_stem": (32, 112, 112), "blocks.0": (16, 112, 112), "blocks.1.0.bn1": (96, 112, 112),
        "blocks.1": (24, 56, 56), "blocks.2": (40, 28, 28), "blocks.3": (80, 14, 14),
        "blocks.4": (112, 14, 14), "blocks.5": (192, 7, 7), "bn2": (1280, 7, 7),
    },
    1280,
)  # fmt: skip


def test_what_is_given_is_not_open():
    open_ = looks(TrainConfig(), "n", LITE)
    assert open_ == [
        ImageLook("n"),
        ImageLook("n", None, "squash"),
        ImageLook("n", 320),
        ImageLook("n", 320, "squash"),
    ]
    assert looks(TrainConfig(input_size=96, fit="pad"), "n", LITE) == [ImageLook("n", 96, "pad")]
    assert [x.input_size for x in looks(TrainConfig(fit="crop"), "n", LITE)] == [None, 320]
    large = Native(384, "squash", {}, 10)
    assert looks(TrainConfig(), "n", large) == [ImageLook("n")]


def test_the_last_map_of_each_grid_is_taken_with_what_the_head_is_on():
    whole = widest(TrainConfig(), LITE)
    assert whole.layers == ("last", "blocks.4", "blocks.2", "blocks.1", "blocks.0")
    some = poolings(TrainConfig(), whole)
    assert some[0] == Pooling()
    assert all(set(each.statistics) <= set(whole.statistics) for each in some)
    assert len(set(some)) == len(some) == 6
    assert {str(each) for each in some} >= {"mean", "gem", "mean+max"}
    given = TrainConfig(pooling="mean+std")
    assert poolings(given, widest(given, LITE)) == [Pooling.read("mean+std")]


def test_a_network_with_wide_maps_is_given_what_fits():
    wide = Native(224, "crop", {"layer2": (3000, 28, 28), "layer3": (1000, 14, 14)}, 2000)
    assert widest(TrainConfig(), wide).layers == ("last",)  # layer3 is the one heads are on
    none = Native(224, "crop", {}, 64)
    assert widest(TrainConfig(), none).layers == ("last",)


def test_the_maps_that_a_network_names_are_layers_that_it_can_be_cut_at():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    ).eval()  # fmt: skip
    maps = {x.name: x.shape for x in list_layers(net, 16) if x.main}
    maps = {name: maps[name] for name in [n for n in maps if int(n) <= 3]}
    layers = widest(TrainConfig(), Native(16, "crop", maps, 6)).layers
    assert layers == ("last", "1")
    assert torch.isfinite(net(torch.zeros(1, 3, 16, 16))).all()


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (ImageLook("efficientnet_lite0"), "lite0"),
        (ImageLook("timm:resnet18.a1_in1k", 320, "squash"), "resnet18.a1_in1k 320 squash"),
    ],
)
def test_a_look_in_words(look, said):
    assert str(look) == said


def test_layers_that_are_to_learn_are_part_of_what_a_head_is_given():
    whole = widest(TrainConfig(), LITE)
    early = [
        each for each in poolings(TrainConfig(unfreeze="all"), whole) if LAST not in each.layers
    ]
    assert len(early) == 1
    some = poolings(TrainConfig(unfreeze="blocks.6"), whole)
    assert some == [each for each in poolings(TrainConfig(), whole) if each not in early]
