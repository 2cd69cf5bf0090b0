"""Weights of one's own for networks whose constructors and loaders want something more."""

from __future__ import annotations

import pytest
import torch
from torchvision import models

from camcli.models.loading.named import torchvision_zoo
from camcli.models.loading.zoo import build_model


@pytest.mark.parametrize(
    "name",
    [
        "regnet_y_400mf",  # works out its widths with tensors, which have to be read
        "mnasnet0_5",  # asks a state dict which layout it has
    ],
)
def test_what_a_constructor_or_a_loader_asks_for_is_there(tmp_path, name):
    torch.manual_seed(0)
    trained = models.get_model(name, num_classes=7).eval()
    torch.save({"model": trained.state_dict()}, tmp_path / "own.pth")
    built = build_model(name, weights=tmp_path / "own.pth")
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(built.module(images), trained(images))
    assert len(built.classes) == 7


def test_torchvisions_own_weights_keep_the_layout_that_they_say_they_have(monkeypatch, tmp_path):
    full = models.mnasnet0_5()
    entry = models.MNASNet0_5_Weights.DEFAULT
    path = tmp_path / torchvision_zoo.torchvision_file("mnasnet0_5", entry).filename
    torch.save(full.state_dict(), path)
    monkeypatch.setattr(torchvision_zoo, "locate", lambda file, **how: (path, None))
    built = build_model("mnasnet0_5")
    assert torch.equal(built.module.classifier[1].weight, full.classifier[1].weight)
    assert built.provenance.source == "torchvision"
