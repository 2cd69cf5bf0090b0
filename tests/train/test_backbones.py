"""Which network a run takes that names none."""

from dataclasses import replace

import pytest

from camcli.errors import UnavailableError, UsageError
from camcli.models.weights.bundled_file import BundledFile
from camcli.train import backbones as here
from camcli.train.backbones import backbones, why_this_one, with_backbone
from camcli.train.config import TrainConfig
from camcli.train.run_folder.rundir import TrainDirectory


def test_the_networks_that_are_here_the_smallest_first(monkeypatch):
    monkeypatch.setattr(here, "file_of", lambda name: None)
    monkeypatch.setattr(BundledFile, "is_here", lambda file: file.name.endswith(("0", "2")))
    assert backbones(TrainConfig()) == ["efficientnet_lite0", "efficientnet_lite2"]
    monkeypatch.setattr(here, "file_of", lambda name: object())
    assert backbones(TrainConfig())[-1] == "resnet50"
    assert backbones(TrainConfig(backbone="resnet18")) == ["resnet18"]
    monkeypatch.setattr(BundledFile, "is_here", lambda file: False)

    def gone(name):
        raise UnavailableError("not here")

    monkeypatch.setattr(here, "file_of", gone)
    assert backbones(TrainConfig()) == ["resnet50"]  # whose absence is told as ever


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"unfreeze": "all"}, "--unfreeze"),
        ({"fit": "squash"}, "--fit"),
        ({"epochs": 3}, "--epochs"),
        ({"batch_size": 8}, "--batch-size"),
        ({"search": False}, "No search"),
        ({"cache": False}, "No search"),
    ],
)
def test_without_a_search_the_first_network_that_is_here_is_taken(monkeypatch, said, word):
    monkeypatch.setattr(here, "file_of", lambda name: None)
    monkeypatch.setattr(BundledFile, "is_here", lambda file: file.name.endswith("0"))
    config = TrainConfig(**said)
    assert with_backbone(config).backbone == "efficientnet_lite0"
    told = why_this_one(config)
    assert word in told
    assert "efficientnet_lite0" in told
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize(
    "said", [{}, {"backbone": "resnet18", "epochs": 3}, {"weights": "random", "search": False}]
)
def test_a_run_that_searches_or_names_its_network_is_told_of_none(said):
    assert why_this_one(TrainConfig(**said)) is None


def test_a_run_that_names_no_network_goes_on_with_the_one_that_it_has(tmp_path):
    asked = TrainConfig(data="photos", epochs=3)
    directory = TrainDirectory(tmp_path)
    made = replace(asked, backbone="resnet50")
    directory.begin(made, {"command": "train", "config": made.to_dict()}, overwrite=False)
    assert directory.check(asked, resume=True, overwrite=False)
    assert directory.backbone() == "resnet50"
    with pytest.raises(UsageError, match="backbone = 'resnet50'"):
        directory.check(replace(asked, backbone="resnet18"), resume=True, overwrite=False)
