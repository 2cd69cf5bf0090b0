"""Architectures by names and shapes, as people change them: no tensor of any network is needed."""

from __future__ import annotations

import time

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from camcli.models.recognition.recognise import nearest, recognise
from camcli.models.recognition.unallocated import shapes_of, without_memory

# Of each family one, of both libraries; benchmarks/recognition.py does all of them.
TORCHVISION = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small",
    "regnet_x_400mf", "resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_0",
    "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_16", "wide_resnet50_2",
)  # fmt: skip
TIMM = (
    "beit_base_patch16_224", "coatnet_0_rw_224", "convnextv2_atto", "crossvit_tiny_240",
    "deit3_small_patch16_224", "efficientformer_l1", "eva02_tiny_patch14_224", "ghostnet_100",
    "hrnet_w18_small", "levit_128s", "mixer_s16_224", "mobilenetv4_conv_small", "nfnet_l0",
    "poolformer_s12", "regnety_002", "repvgg_a0", "resnest14d", "rexnet_100", "tf_efficientnet_b0",
    "vit_small_patch16_224", "volo_d1_224", "xcit_nano_12_p16_224",
)  # fmt: skip


def build(name: str, **options) -> nn.Module:
    if name.startswith("timm:"):
        return without_memory(lambda: timm.create_model(name.removeprefix("timm:"), **options))
    if name in ("googlenet", "inception_v3"):
        options |= {"init_weights": False}
    return without_memory(lambda: models.get_model(name, **options))


@pytest.mark.parametrize("name", [*TORCHVISION, *(f"timm:{name}" for name in TIMM)])
def test_seven_classes_behind_a_prefix_and_beside_a_loss(name):
    shapes = shapes_of(build(name, num_classes=7))
    shapes = {**{f"module.net.{n}": s for n, s in shapes.items()}, "criterion.weight": (7,)}
    recognise({})  # the index is read
    started = time.process_time()
    answers = recognise(shapes)
    assert time.process_time() - started < 1
    assert name in [one.architecture.written for one in answers]
    first = answers[0]
    assert (first.prefix, first.classes, first.place) == ("module.net.", 7, "")
    assert first.beside == ()
    assert first.odd == ()


def only(shapes, name="resnet18"):
    answers = recognise(shapes)
    assert answers
    assert answers[0].architecture.written == name
    return answers[0]


def resnet(**parts: nn.Module) -> nn.Module:
    net = build("resnet18")
    for name, part in parts.items():
        setattr(net, name, part)
    return net


HEAD = nn.Sequential(nn.Dropout(), nn.Linear(512, 7))


def test_another_head():
    found = only(shapes_of(resnet(fc=HEAD)))
    assert (found.place, found.classes) == ("fc.", None)
    assert found.head == {"fc.1.weight": (7, 512), "fc.1.bias": (7,)}


def test_a_head_of_another_name_or_none():
    found = only(shapes_of(resnet(fc=nn.Identity(), classifier=nn.Linear(512, 2))))
    assert (found.place, list(found.head)) == ("fc.", ["classifier.weight", "classifier.bias"])
    assert found.beside == ()
    found = only(shapes_of(resnet(fc=nn.Identity())))
    assert (found.place, found.head, found.classes) == ("fc.", {}, None)


def test_the_whole_end_replaced():
    net = build("mobilenet_v3_small")
    net.classifier = nn.Linear(576, 3)
    found = only(shapes_of(net), "mobilenet_v3_small")
    assert (found.place, list(found.head)) == (
        "classifier.", ["classifier.weight", "classifier.bias"],
    )  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
def test_other_channels(channels):
    assert (
        only(shapes_of(resnet(conv1=nn.Conv2d(channels, 64, 7, bias=False)))).channels == channels
    )
    grown = shapes_of(build("timm:tresnet_m", in_chans=channels))
    assert only(grown, "timm:tresnet_m").channels == channels


def test_modules_in_a_sequence():
    parts = list(build("resnet18").children())[:-1]
    found = only(shapes_of(nn.Sequential(*parts, nn.Flatten(), nn.Linear(512, 2))))
    assert found.renamed == {
        "0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4",
    }  # fmt: skip
    assert list(found.head) == ["10.weight", "10.bias"]


def test_the_size_of_a_transformer():
    found = only(shapes_of(build("vit_b_16", image_size=320)), "vit_b_16")
    assert found.resized == ("encoder.pos_embedding",)
    # What was built for that size comes first.
    names = [
        one.architecture.name
        for one in recognise(shapes_of(build("timm:vit_base_patch16_384", num_classes=7)))
    ]
    assert names[0] == "vit_base_patch16_384"
    assert "vit_base_patch16_224" in names


def test_the_usual_variant_comes_first():
    answers = recognise(shapes_of(build("resnet50")))
    names = [one.architecture.written for one in answers]
    assert names[:2] == ["resnet50", "timm:resnet50"]
    assert "timm:resnetblur50" in names
    names = [
        one.architecture.written
        for one in recognise(shapes_of(build("timm:tf_efficientnet_b0", num_classes=2)))
    ]
    assert names[0] == "timm:efficientnet_b0"
    assert "timm:tf_efficientnet_b0" in names


def test_a_network_with_its_own_head_is_none_of_the_same_layers_with_another():
    """timm's VGG has torchvision's features, and convolutions in the place of its linear layers."""
    answers = recognise(shapes_of(build("timm:vgg11", num_classes=7)))
    assert (answers[0].architecture.written, answers[0].classes) == ("timm:vgg11", 7)
    assert "vgg11" in [one.architecture.written for one in answers[1:]]


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build("resnet18")
        self.net.layer1[0].gate = nn.Linear(64, 64)


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda: resnet(conv1=nn.Conv2d(3, 64, 3, bias=False)), "conv1.weight"),
        (Gate, "layer1.0.gate.weight"),
        (lambda: resnet(layer4=build("resnet18").layer4[:1]), "layer4.1.conv1.weight"),
        (lambda: resnet(token=nn.Parameter(torch.empty(1, 1, 512))), "token"),
    ],
    ids=["another stem", "a part more", "a layer less", "a parameter more"],
)
def test_what_is_nearly_a_network_is_none_and_the_difference_is_told(change, odd):
    shapes = shapes_of(change())
    assert recognise(shapes) == []
    near = nearest(shapes)
    assert near.architecture.name == "resnet18"
    assert odd in [one.name for one in near.odd]


def test_what_is_far_from_all():
    for shapes in ({}, {"a": (3,)}, {"conv1.weight": (16, 3, 3, 3), "fc.weight": (10, 64)}):
        assert recognise(shapes) == []
        assert nearest(shapes) is None
