"""A network whose answers can be worked out by hand, and photographs for it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance


@pytest.fixture(scope="session")
def by_colour():
    """Of red, green and blue: logits are ten times the mean of each channel, maps the channels."""
    module = nn.Sequential(
        nn.Conv2d(3, 3, 4, stride=4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, 3, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight.zero_()
        for c in range(3):
            module[0].weight[c, c] = 1 / 16
        module[4].weight.copy_(10 * torch.eye(3))
    return cut_classifier(
        module.eval(), classes=("red", "green", "blue"), device=torch.device("cpu"),
        preprocess=Preprocess(size=32, fit="squash", mean=(0, 0, 0), std=(1, 1, 1)),
        provenance=Provenance("by hand", None, None, "user", {}),
    )  # fmt: skip


@pytest.fixture
def halves(tmp_path):
    """Pictures whose left half has a colour, in a folder of its name; one cannot be read.

    The one in ``green`` is red, and that in ``yak``, which is no class, is green.
    """
    root = tmp_path / "halves"
    for n, (label, colour) in enumerate((("red", 0), ("green", 0), ("blue", 2), ("yak", 1))):
        rgb = np.zeros((32, 32 if n % 2 else 64, 3), np.uint8)
        rgb[:, : rgb.shape[1] // 2, colour] = 255
        path = root / label / f"{n}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(rgb).save(path)
    (root / "blue" / "broken.png").write_bytes(b"no picture")
    return list(find_images(root, labels="folder"))
