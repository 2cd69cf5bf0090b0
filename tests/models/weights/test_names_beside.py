"""Class names that a training script left beside the weights."""

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from camcli.models.loading.zoo import build_model
from camcli.models.weights.names_beside import names_beside
from camcli.models.weights.state_dict import unwrap


@pytest.mark.parametrize(
    ("beside", "key"),
    [
        ({"classes": ["rose", "tulip", "iris"]}, "classes"),
        ({"class_names": ("rose", "tulip", "iris")}, "class_names"),
        # torchvision's ImageFolder has this, and tutorials save it.
        ({"class_to_idx": {"iris": 2, "rose": 0, "tulip": 1}}, "class_to_idx"),
        ({"idx_to_class": {0: "rose", 1: "tulip", 2: "iris"}}, "idx_to_class"),
        ({"config": {"id2label": {"0": "rose", "1": "tulip", "2": "iris"}}}, "config.id2label"),
        # Lightning's save_hyperparameters.
        ({"hyper_parameters": {"lr": 0.1, "class_names": ["rose", "tulip", "iris"]}},
         "hyper_parameters.class_names"),
        # mmpretrain.
        ({"meta": {"CLASSES": ("rose", "tulip", "iris"), "epoch": 3}}, "meta.CLASSES"),
        # The names of the training's files are not as many as the outputs.
        ({"labels": ["a", "b"], "classes": ["rose", "tulip", "iris"]}, "classes"),
    ],
)  # fmt: skip
def test_the_classes_of_a_checkpoint_arrive(tmp_path: Path, beside: dict, key: str) -> None:
    file = tmp_path / "flowers.pth"
    torch.save({"epoch": 3, "args": argparse.Namespace(lr=1), **beside,
                "state_dict": resnet18(num_classes=3).state_dict()}, file)  # fmt: skip
    for model, weights in ((str(file), None), ("resnet18", file), ("timm:resnet18", file)):
        built = build_model(model, weights=weights)
        assert built.classes == ("rose", "tulip", "iris")
        assert f"its classes are named as its {key!r} says" in " ".join(built.provenance.notes)


def test_what_the_user_says_goes_before_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "flowers.pth"
    names = ["rose", "tulip", "iris"]
    torch.save({"classes": names, "model": resnet18(num_classes=3).state_dict()}, file)
    built = build_model(str(file), classes=["Rose", "Tulpe", "Iris"])
    assert built.classes == ("Rose", "Tulpe", "Iris")
    assert "named" not in " ".join(built.provenance.notes)


def test_code_of_ones_own_takes_the_names_from_its_weights(tmp_path: Path) -> None:
    code, file = tmp_path / "flowers.py", tmp_path / "flowers.pth"
    code.write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), "
        "nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))\n"
    )
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    torch.save({"net": net.state_dict(), "classes": ["rose", "tulip", "iris"]}, file)
    assert build_model(f"{code}:build", weights=file).classes == ("rose", "tulip", "iris")


def test_two_names_are_those_of_one_output(tmp_path: Path) -> None:
    file = tmp_path / "one.pth"
    torch.save({"classes": ["cat", "dog"], "model": resnet18(num_classes=1).state_dict()}, file)
    assert build_model(str(file)).classes == ("cat", "dog")


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": 3},
        {"classes": ["rose", "tulip"]},
        {"names": ["rose", 3, "iris"]},
        {"class_to_idx": {"rose": 0, "tulip": 0, "iris": 1}},
        {"classes": ["rose", "", "iris"]},
        {"labels": torch.tensor([0, 1, 2])},
    ],
)
def test_what_is_no_list_of_names_is_none(beside: dict) -> None:
    loaded = {"state_dict": nn.Linear(4, 3).state_dict(), **beside}
    assert unwrap(loaded, "f.pth").classes(3) == (None, "")


def test_what_holds_itself_ends() -> None:
    loaded: dict[str, object] = {"classes": ["rose", "tulip"]}
    loaded["self"] = loaded
    assert names_beside(loaded) == (("classes", ("rose", "tulip")),)
