"""What is read from torchvision's files is what torchvision says of itself."""

import math
import os
import subprocess
import sys

import pytest

from camcli.errors import UsageError
from camcli.models.loading.named import catalogue, torchvision_zoo
from camcli.models.loading.named.torchvision_weights import torchvision_models


def test_every_model_and_every_set_of_weights_is_read_as_torchvision_says():
    from torchvision import models

    read = torchvision_models()
    assert sorted(read) == sorted(torchvision_zoo.torchvision_names())
    for name, model in read.items():
        assert model.family == models.get_model_builder(name).__module__.rpartition(".")[2]
        entries = torchvision_zoo.torchvision_entries(name)
        assert [each.name for each in model.weights] == [entry.name for entry in entries]
        for each, entry in zip(model.weights, entries, strict=True):
            assert each.parameters == entry.meta["num_params"]
            said = entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            # Of one set it says float("nan"): nobody measured it.
            assert each.top1 == (None if math.isnan(said) else pytest.approx(said / 100, abs=1e-5))
            assert each.file(name) == torchvision_zoo.torchvision_file(name, entry)


def test_the_default_is_first_whatever_it_is_called():
    first = {name: model.weights[0].name for name, model in torchvision_models().items()}
    assert first["resnet50"] == "IMAGENET1K_V2"
    assert first["regnet_y_128gf"].startswith("IMAGENET1K_SWAG")


@pytest.mark.parametrize(
    ("weights", "file"),
    [
        (None, "resnet50-11ad3fa6.pth"),
        ("DEFAULT", "resnet50-11ad3fa6.pth"),
        ("imagenet1k_v1", "resnet50-0676ba61.pth"),
        ("ResNet50_Weights.IMAGENET1K_V1", "resnet50-0676ba61.pth"),
    ],
)
def test_a_set_is_found_by_any_usual_name(weights, file):
    assert catalogue.weight_file("resnet50", weights).filename == file


def test_a_set_that_does_not_exist_is_told():
    with pytest.raises(UsageError, match="it takes IMAGENET1K_V2 or IMAGENET1K_V1"):
        catalogue.weight_file("resnet50", "V9")


def test_lists_need_neither_torch_nor_torchvision(tmp_path):
    code = """if True:
        import sys
        from typer.testing import CliRunner
        from camcli.cli.app import app
        for line in ("models", "models --json", "weights list", "weights where",
                     "weights where resnet50", "weights verify efficientnet_lite0"):
            print(CliRunner().invoke(app, line.split()).exit_code)
        print(*{"torch", "torchvision", "timm"} & set(sys.modules))
    """
    own = {"HF_HUB_CACHE": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=os.environ | own,
    )  # fmt: skip
    assert done.stdout.split("\n") == ["0", "0", "0", "0", "4", "0", "", ""]
