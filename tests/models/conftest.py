"""Networks that take no time, and classifiers of them."""

import pytest
import torch

from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance


@pytest.fixture(scope="session")
def tiny():
    """Makes a classifier of five classes out of a network for 32 pixels."""

    def make(module, **options):
        return cut_classifier(
            module, classes=tuple("abcde"), preprocess=Preprocess(size=32),
            provenance=Provenance("tiny", None, None, "random", {}), device=torch.device("cpu"),
            **options,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def convnet():
    """Makes a network with a linear head, the same each time."""

    def make():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 5),
        )

    return make


@pytest.fixture(scope="session")
def vit():
    """Makes a transformer whose class token passes by the cut, the same each time."""

    def make():
        from torchvision.models import VisionTransformer

        torch.manual_seed(0)
        network = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
        torch.nn.init.normal_(network.heads.head.weight)
        return network

    return make
