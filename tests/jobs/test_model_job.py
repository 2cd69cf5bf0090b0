"""Which network: one record for the command line, Python and other machines."""

import inspect
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from camcli.errors import CamcliError, UsageError
from camcli.jobs.model import ModelJob


def test_it_has_the_arguments_of_load_classifier_and_their_defaults():
    import camcli
    from camcli.models import load

    settings = {each.name: each.default for each in fields(ModelJob)}
    taken = inspect.signature(camcli.load_classifier).parameters
    assert settings == {name: parameter.default for name, parameter in taken.items()}
    taken = inspect.signature(load.load_classifier).parameters
    del settings["against"]  # needs rooms that this one must not know
    assert settings == {name: parameter.default for name, parameter in taken.items()}


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"model": "resnet19"}, "Did you mean"),
        ({"checkpoint": "gone.safetensors"}, "no checkpoint gone"),
        ({"checkpoint": Path("gone.safetensors"), "classes": ["a", "b"]}, "leave --model"),
        ({"classes": "gone.txt"}, "gone.txt"),
        ({"classes": ["a", ""]}, "empty"),
        ({"fit": "wide"}, "crop, squash, whole"),
        ({"output": "logits"}, "softmax"),
        ({"device": "gpu"}, "Unknown device"),
        ({"input_size": 8}, "at least 16"),
        ({"native_predictions": True}, "--input-size"),
        ({"layer": "a,,b"}, "different ones"),
        ({"weights_key": "model_ema"}, "--weights"),
        ({"weights_key": "model_ema", "weights": "random"}, "name the file"),
    ],
)
def test_a_mistake_is_told_by_check(settings, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=part):
        ModelJob(**settings).check()


@pytest.mark.parametrize("more", [{"weights_key": "model_ema"}, {"output": "sigmoid"}])
def test_a_checkpoint_says_itself_what_it_is(more, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2, 2)}, str(tmp_path / "mine.safetensors"))
    with pytest.raises(CamcliError, match="checkpoint"):
        ModelJob(checkpoint=tmp_path / "mine.safetensors", **more).check()


def test_mistakes_are_told_without_torch_and_numpy():
    code = (
        "import sys, pickle\n"
        "from camcli.jobs.model import ModelJob\n"
        "ModelJob().check()\n"
        "pickle.loads(pickle.dumps(ModelJob('resnet18')))\n"
        "print(*{'torch', 'timm', 'numpy', 'cv2', 'PIL'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_another_machine_gets_whole_paths_and_no_number_of_a_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.pth").write_bytes(b"")
    there = ModelJob(weights="own.pth", classes="names.txt", device="cuda:1").elsewhere()
    assert (there.weights, there.classes) == (tmp_path / "own.pth", tmp_path / "names.txt")
    assert there.device == "auto"
    again = ModelJob(weights="random", classes=("a", "b"), device="cpu")
    assert pickle.loads(pickle.dumps(again.elsewhere())) == again


def test_it_loads_and_says_what_is_to_be_known():
    said, warned = [], []
    job = ModelJob(weights="random", classes=("cat", "dog"), layer="blocks.3", device="cpu")
    classifier = job.load(say=said.append, warn=warned.append)
    assert classifier.classes == ("cat", "dog")
    assert classifier.layer.startswith("blocks.3")
    assert "RANDOM" in warned[0]
    assert job.known_classes is None
    assert ModelJob().known_classes[281] == "tabby"
