"""Weights as other people's scripts save them, from the file to the classifier's numbers."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.errors import CamcliError, UsageError
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import build_model

NAME = "shufflenet_v2_x0_5"  # torchvision's smallest, 6 MB


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return models.get_model(NAME, num_classes=3).eval()


@pytest.fixture(scope="module")
def state(net):
    return net.state_dict()


@pytest.fixture(scope="module")
def averaged(net):
    """The same network's average, which differs from it."""
    average = torch.optim.swa_utils.AveragedModel(net)
    with torch.no_grad():
        average.module.fc.bias += 1
    return average.state_dict()


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def logits(module):
    with torch.inference_mode():
        return module(torch.linspace(0, 1, 3 * 64 * 64).view(1, 3, 64, 64))


# What training scripts save, and what is to be said of it.
FORMS = {
    "plain": (lambda s, a: s, ""),
    "tutorial": (
        lambda s, a: {"epoch": 5, "model_state_dict": s, "optimizer_state_dict": {}, "loss": 0.4},
        "",
    ),
    "net": (lambda s, a: {"net": s, "acc": 91.2, "epoch": 5}, ""),
    "compiled": (lambda s, a: under("_orig_mod.", s), ""),
    "parallel": (lambda s, a: {"state_dict": under("module.", s)}, ""),
    "lightning": (
        lambda s, a: {
            "state_dict": {**under("model.", s), "criterion.weight": torch.ones(3)},
            "hyper_parameters": {"lr": 1e-3},
        },
        "criterion.weight",
    ),
    "compiled-lightning": (
        lambda s, a: {"state_dict": under("model._orig_mod.backbone.", s)}, "",
    ),
    "two-sets": (lambda s, a: {"model": s, "model_ema": a}, "'model' is taken"),
    "ema-first": (lambda s, a: {"state_dict_ema": a, "state_dict": s}, "'state_dict' is taken"),
    "reference": (
        lambda s, a: {"model": s, "optimizer": {}, "args": argparse.Namespace(lr=0.1)}, "",
    ),
    "numpy": (lambda s, a: {"state_dict": s, "best_acc1": np.float64(0.91)}, ""),
    "with-optimizer": (
        lambda s, a: {"model": s, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
        "optimizer (1 tensor)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_gives_the_same_network(tmp_path, net, state, averaged, form):
    wrap, said = FORMS[form]
    path = tmp_path / "w.ckpt"
    torch.save(wrap(state, averaged), path)
    built = build_model(NAME, weights=path)
    assert torch.equal(logits(built.module), logits(net))
    assert built.classes == ("0", "1", "2")
    *notes, assumed = built.provenance.notes
    assert f"{path}: 224x224, the centre of" in assumed
    assert f"ASSUMED, as {NAME} is used; --preprocess" in assumed
    assert "ASSUMED" not in str(build_model(NAME, weights=path, preprocess="tf").provenance.notes)
    assert len(notes) == bool(said)
    assert all(said in note and str(path) in note and "\n" not in note for note in notes)
    assert built.provenance.key is None
    assert "key" not in built.provenance.to_dict()


def test_the_other_set_can_be_chosen(tmp_path, net, state, averaged):
    path = tmp_path / "w.pth"
    torch.save({"model": state, "model_ema": averaged}, path)
    built = build_model(NAME, weights=path, weights_key="model_ema")
    torch.testing.assert_close(logits(built.module), logits(net) + 1)
    assert built.provenance.to_dict()["key"] == "model_ema"
    with pytest.raises(UsageError, match="'model', 'model_ema'"):
        build_model(NAME, weights=path, weights_key="ema2")
    for weights in (None, "random", "DEFAULT"):
        with pytest.raises(UsageError, match="--weights-key"):
            build_model(NAME, weights=weights, weights_key="model")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm:resnet10t", "efficientnet_lite0"])
def test_timms_networks_take_wrapped_weights_too(tmp_path, name):
    trained = build_model(name, weights="random", classes=["a", "b"], seed=3).module
    path = tmp_path / "w.bin"
    for wrapped in (
        {"state_dict_ema": under("module.", trained.state_dict()), "epoch": 1},
        {"state_dict": {**under("net.", trained.state_dict()), "loss.weight": torch.ones(9)}},
    ):
        torch.save(wrapped, path)
        built = build_model(name, weights=path, preprocess="imagenet")
        assert torch.equal(logits(built.module), logits(trained))
        assert len(built.provenance.notes) == ("state_dict" in wrapped)
    save_file(trained.state_dict(), path)
    assert torch.equal(logits(build_model(name, weights=path).module), logits(trained))


@pytest.mark.parametrize("name", [NAME, "timm:resnet10t", "efficientnet_lite0"])
def test_nan_is_refused_with_the_tensor_named(tmp_path, name):
    module = build_model(name, weights="random", classes=["a", "b"]).module
    path = tmp_path / "w.pth"
    worst = [n for n, p in module.named_parameters() if p.ndim == 4][5]
    module.state_dict()[worst].view(-1)[7] = float("nan")
    torch.save({"model": under("module.", module.state_dict())}, path)
    with pytest.raises(CamcliError, match=f"{worst} holds NaN") as caught:
        build_model(name, weights=path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1


def test_the_wrong_number_of_names(tmp_path, state):
    """Both numbers, and the first names, so that a header or a wrong file is seen."""
    path, names = tmp_path / "w.pth", tmp_path / "names.txt"
    torch.save(state, path)
    names.write_text("cat\ndog\nhorse\nbird\n")
    with pytest.raises(UsageError, match=r"4 class names.*\(cat, dog, horse, .*3 outputs"):
        build_model(NAME, weights=path, classes=names)


MODULE = """
import torch
from torch import nn
def body(classes):
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, classes))
def flexible(num_classes=2): return body(num_classes)
def fixed(): return body(2)
def diverged():
    module = body(2)
    module[0].weight.data[0] = float("inf")
    return module
class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = body(2)
    def forward(self, x): return self.net(x)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_foreign.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("own_foreign", None)
    yield
    sys.modules.pop("own_foreign", None)


def test_a_factory_that_takes_a_number_of_classes_gets_the_files(own, tmp_path):
    trained = build_model("own_foreign:fixed").module
    state = trained.state_dict() | {"4.weight": torch.ones(7, 4), "4.bias": torch.ones(7)}
    torch.save({"model_state_dict": under("module.", state)}, tmp_path / "w.pth")
    built = build_model("own_foreign:flexible", weights="w.pth")
    assert built.module[4].out_features == 7
    assert len(built.classes) == 7
    with pytest.raises(UsageError, match="for 7 classes, and the network is built for 2"):
        build_model("own_foreign:fixed", weights="w.pth")


def test_a_network_that_wraps_the_files_own(own, tmp_path):
    trained = build_model("own_foreign:fixed").module
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    built = build_model("own_foreign:Inner", weights="w.pth")
    assert torch.equal(logits(built.module), logits(trained))


def test_a_factory_that_diverged(own):
    with pytest.raises(CamcliError, match=r"own_foreign:diverged: 0\.weight holds inf"):
        build_model("own_foreign:diverged")


# --- from the command line -----------------------------------------------------------------------


def invoke(*args):
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    assert "mistake in camcli" not in done.output
    return done


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(path)
    return path


def test_a_run_says_and_keeps_which_set_it_took(tmp_path, photo, state, averaged):
    weights, out = tmp_path / "w.pth", tmp_path / "run"
    torch.save({"model": state, "model_ema": averaged}, weights)
    run = ("batch", photo.parent, "--model", NAME, "--weights", weights, "--no-overlays")
    done = invoke(*run, "--out", out)
    assert done.exit_code == 0, done.output
    assert "--weights-key model_ema takes the other" in done.stderr
    info = json.loads((out / "run.json").read_text())
    assert "key" not in info["provenance"]
    done = invoke(*run, "--out", out, "--weights-key", "model_ema", "--resume")
    assert done.exit_code == 2, done.output
    other = tmp_path / "other"
    done = invoke(*run, "--out", other, "--weights-key", "model_ema")
    assert done.exit_code == 0, done.output
    assert "sets of weights" not in done.stderr
    assert json.loads((other / "run.json").read_text())["provenance"]["key"] == "model_ema"


def test_files_for_the_other_option(tmp_path, photo, state, net):
    torch.save(state, tmp_path / "my.pth")
    done = invoke("explain", photo, "--checkpoint", tmp_path / "my.pth")
    assert done.exit_code == 2
    assert "--weights" in done.stderr
    assert "--model" in done.stderr
    torch.save(net, tmp_path / "whole.pt")
    done = invoke("explain", photo, "--model", NAME, "--weights", tmp_path / "whole.pt")
    assert done.exit_code == 1
    assert "whole network" in done.stderr
    assert "torchvision.models.shufflenetv2" in done.stderr.replace("\n", "")


# --- somebody else's -----------------------------------------------------------------------------


class Block(nn.Module):
    """Two 3x3 convolutions; where the width doubles, every second pixel and channels of zeros."""

    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.spare = stride, channels // 4 if channels != before else 0

    def forward(self, x):
        short = x[:, :, :: self.stride, :: self.stride]
        short = nn.functional.pad(short, (0, 0, 0, 0, self.spare, self.spare))
        x = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(x)) + short).relu()


class ResNet20(nn.Module):
    """He et al.'s network for CIFAR-10."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[Block(16, 16, 1) for _ in range(3)])
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def cifar_network():
    """A factory of one's own, which says what its pictures are."""
    from camcli.data.decode.preprocess import Preprocess

    network = ResNet20()
    network.classes = CIFAR
    network.preprocess = Preprocess(size=32, fit="squash")
    return network


def test_a_network_for_cifar_of_a_stranger(test_data, monkeypatch):
    """A training script's file of 2018: torch's old format, names behind ``module.``."""
    folder = test_data / "foreign-weights"
    photos = test_data / "cats-dogs"
    if not folder.is_dir() or not photos.is_dir():
        pytest.skip(f"there are no foreign weights or no cats and dogs in {test_data}")
    (weights,) = folder.glob("resnet20*")
    monkeypatch.setitem(sys.modules, "strangers_net", sys.modules[__name__])
    classifier = load_classifier("strangers_net:cifar_network", weights=weights, device="cpu")
    assert classifier.classes == tuple(CIFAR)
    assert classifier.provenance.notes == ()
    right = seen = 0
    for name in ("cat", "dog"):
        for file in sorted(photos.glob(f"{name}.*.jpg"))[:60]:
            rgb = np.asarray(Image.open(file).convert("RGB"))
            _, scores = classifier(classifier.preprocess.pixels(rgb)[None])
            right += CIFAR[int(scores.argmax())] == name
            seen += 1
    assert seen > 50
    assert right / seen > 0.55  # 0.68 of 300; a guess among ten would be 0.1


def test_weights_of_another_network_are_told_how_they_are_recognised(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(models.resnet18(num_classes=2).state_dict(), path)
    with pytest.raises(UsageError, match=r"another architecture's.* --model .*other.pth, without"):
        load_classifier(weights=path, device="cpu")
