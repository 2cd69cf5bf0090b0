"""`load_classifier(module)`: a network that is in memory, which is its owner's."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import camcli
from camcli.data.decode.transforms import AsItIs
from camcli.errors import CamcliError, UsageError
from camcli.models.load import load_classifier

SAMPLES = Path(__file__).resolve().parents[4] / "sample_images"
NAMES = ["ant", "bee", "cat"]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def test_the_owners_network_stays_as_it_is():
    """Mode, gradients, hooks and weights; and it may be trained on."""
    module = network().train()
    module[3].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    kept = [p.requires_grad for p in module.parameters()]
    classifier = load_classifier(module, classes=NAMES, preprocess="imagenet size=64", device="cpu")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        truth = module.eval()(classifier.preprocess.normalise((x * 255).byte()))
    module.train()
    assert [p.requires_grad for p in module.parameters()] == kept
    assert all(m.training for m in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    for p in module.parameters():
        p.data.zero_()
    torch.testing.assert_close(classifier((x * 255).byte())[1], truth)


def test_it_is_explained_as_a_network_by_name_is(tmp_path, monkeypatch):
    (tmp_path / "nets_in_memory.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(),\n"
        "        nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "        nn.Linear(8, 3))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    how = {"classes": NAMES, "preprocess": "tf size=64 squash", "device": "cpu"}
    named = load_classifier("nets_in_memory:build", **how)
    memory = load_classifier(network(), **how)
    a, b = (camcli.explain(SAMPLES / "cat.jpg", each) for each in (named, memory))
    assert a.pred == b.pred
    assert a.prob == pytest.approx(b.prob)
    assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-6)


def test_a_module_may_stand_where_a_classifier_does(tmp_path):
    """With ImageNet's preprocessing, as `load_classifier` assumes it."""
    Image.new("RGB", (90, 90), "red").save(tmp_path / "a.png")
    loaded = load_classifier(network(), input_size=64)
    for result in (
        camcli.explain(tmp_path / "a.png", network(), input_size=64),
        *camcli.batch(tmp_path, classifier=network(), input_size=64),
    ):
        assert result.prob == camcli.explain(tmp_path / "a.png", loaded).prob
        assert result.heats[0].heatmap.shape == (8, 8)


def test_all_verbs_take_it(tmp_path):
    classifier = load_classifier(
        network(), classes=NAMES, preprocess="tf size=64 squash", device="cpu"
    )
    for n, label in enumerate(("ant", "bee", "ant", "bee")):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True, exist_ok=True)
        rgb = np.random.default_rng(n).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(rgb).save(folder / f"{n}.png")
    photos = tmp_path / "photos"
    rows = list(camcli.batch(photos, tmp_path / "run", classifier))
    assert [row.status for row in rows].count("error") == 0
    again = list(camcli.batch(photos, tmp_path / "run", classifier, resume=True))
    assert again == []
    assert camcli.report(tmp_path / "run").is_file()
    assert camcli.evaluate(photos, classifier, bootstrap=0).photographs == 4
    assert camcli.audit(photos, classifier).facts
    assert camcli.concepts(photos, classifier=classifier, number=2).found.concepts


def test_a_run_is_not_gone_on_with_after_more_training(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 40), "red").save(photos / "a.png")
    module = network()
    list(camcli.batch(photos, tmp_path / "run", load_classifier(module, device="cpu")))
    with torch.no_grad():
        module[7].bias += 1
    trained = load_classifier(module, device="cpu")
    with pytest.raises(UsageError, match="model sha256"):
        camcli.batch(photos, tmp_path / "run", trained, resume=True)
    same = load_classifier(network(), device="cpu", preprocess="caffe")
    with pytest.raises(UsageError, match="preprocess"):
        camcli.batch(photos, tmp_path / "run", same, resume=True)


def test_a_transform_that_cannot_be_read_is_run_in_every_thread(tmp_path):
    """Its maps cover the whole photograph; run.json says what it was."""
    seen = set()

    def mine(picture):
        seen.add(threading.get_ident())
        small = picture.resize((64, 48))
        return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1) / 300

    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(12):
        rgb = np.random.default_rng(n).integers(0, 256, (40 + n, 50, 3), np.uint8)
        Image.fromarray(rgb).save(photos / f"{n:02}.png")
    classifier = load_classifier(network(), classes=NAMES, preprocess=mine, device="cpu")
    assert isinstance(classifier.preprocess, AsItIs)
    rows = list(camcli.batch(photos, tmp_path / "run", classifier, workers=3, batch_size=4))
    assert len(seen) > 1
    module = network().eval()
    for n, row in enumerate(rows):
        x = mine(Image.open(photos / f"{n:02}.png"))[None]
        with torch.no_grad():
            probs = module(x).softmax(1)
        assert row.prob == pytest.approx(float(probs.max()), abs=1e-5)
        assert row.view == (0, 0, 50, 40 + n)
        assert row.heats[0].heatmap.shape == (6, 8)
    assert "mine" in (tmp_path / "run" / "run.json").read_text()
    assert list(camcli.batch(photos, tmp_path / "run", classifier, resume=True)) == []
    other = load_classifier(network(), classes=NAMES, preprocess="imagenet", device="cpu")
    with pytest.raises(UsageError, match="preprocess"):
        camcli.batch(photos, tmp_path / "run", other, resume=True)
    assert camcli.report(tmp_path / "run").is_file()


def test_what_a_transform_does_wrong_is_told():
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_classifier(network(), preprocess=lambda picture: 1 / 0, device="cpu")
    with pytest.raises(UsageError, match="makes a str"):
        load_classifier(network(), preprocess=lambda picture: "no", device="cpu")
    with pytest.raises(UsageError, match="decides on size"):
        load_classifier(
            network(), preprocess=lambda p: torch.zeros(3, 64, 64), input_size=32, device="cpu"
        )
    with pytest.raises(UsageError, match="preprocess is"):
        load_classifier(network(), preprocess=3, device="cpu")


def test_one_picture_that_a_transform_cannot_take_is_that_pictures_error(tmp_path):
    def mine(picture):
        assert picture.width != 7, "seven"
        return torch.zeros(3, 64, 64)

    for width in (7, 9):
        Image.new("RGB", (width, 9)).save(tmp_path / f"{width}.png")
    classifier = load_classifier(network(), preprocess=mine, device="cpu")
    rows = list(camcli.batch(tmp_path, classifier=classifier))
    assert [row.status == "error" for row in rows] == [True, False]
    assert "seven" in rows[0].error


def test_what_cannot_be_copied_says_what_to_do():
    module = network()
    module.lock = threading.Lock()
    with pytest.raises(UsageError, match=r"cannot be copied.*module:factory"):
        load_classifier(module, device="cpu")
    with pytest.raises(UsageError, match="has its weights"):
        load_classifier(network(), weights="random", device="cpu")
    broken = network()
    broken[7].bias.data[0] = float("nan")
    with pytest.raises(CamcliError):
        load_classifier(broken, device="cpu")


def test_what_a_forward_left_behind_is_no_hindrance():
    """weight_norm keeps a tensor of a graph on the layer, which deepcopy refuses."""
    module = network()
    with pytest.warns(FutureWarning):
        torch.nn.utils.weight_norm(module[3])
    module(torch.rand(2, 3, 64, 64)).sum().backward()
    with torch.no_grad():
        truth = module.eval()(torch.zeros(1, 3, 64, 64))
    classifier = load_classifier(module, preprocess="none size=64", device="cpu")
    got = classifier(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))[1]
    torch.testing.assert_close(got, truth)
