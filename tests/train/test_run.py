"""Whole runs on small drawn images: what they leave behind, survive, and refuse."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import camcli
from camcli.data.decode.images import load_image
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import build_model
from camcli.train.config_file import resolve
from camcli.train.run import train


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_a_run_leaves_everything_and_the_backbone_is_bit_identical(quick, tmp_path, cache):
    out = tmp_path / "run"
    outcome = train(quick, out, cache_dir=cache)
    names = {p.name for p in out.iterdir()}
    assert names >= {
        "best.safetensors", "last.safetensors", "metrics.csv", "metrics.json", "config.toml",
        "run.json", "curves.png", "confusion-val.png", "confusion-test.png", "predictions.csv",
        "per_class-val.csv",
    }  # fmt: skip
    assert "state.pt" not in names
    assert not [n for n in names if n.startswith(".")]
    assert resolve(out / "config.toml", {}) == quick
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    assert [row["epoch"] for row in rows_of(out / "metrics.csv")] == ["1", "2", "3"]

    # Frozen means frozen: every tensor up to the cut, BatchNorm's statistics included.
    saved = load_file(outcome.checkpoint)
    fresh = build_model("shufflenet_v2_x0_5", weights="random").module.state_dict()
    compared = 0
    for name, tensor in fresh.items():
        if not name.startswith("fc."):
            assert torch.equal(saved[f"backbone.{name}"], tensor), name
            compared += 1
    assert compared == len(fresh) - 2
    assert not any(name.startswith("backbone.fc") for name in saved)

    # The checkpoint says what the run said.
    classifier = load_classifier(checkpoint=outcome.checkpoint)
    assert classifier.classes == ("green", "red")
    assert classifier.preprocess.size == 64
    for row in rows_of(out / "predictions.csv")[:4]:
        rgb = load_image(resolve_path(quick, row["path"]))
        _, logits = classifier(classifier.preprocess.pixels(rgb)[None])
        prob, best = logits.softmax(1).max(1)
        assert classifier.classes[int(best)] == row["pred"]
        assert float(prob) == pytest.approx(float(row["prob"]), abs=2e-3)  # features are fp16


def resolve_path(config, rel):
    from pathlib import Path

    return Path(config.data) / rel


@pytest.mark.slow
def test_a_second_run_with_another_rate_looks_at_no_image(quick, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    train(quick, tmp_path / "a", cache_dir=cache)
    before = {p: p.read_bytes() for p in cache.glob("*.features")}
    assert len(before) == 1
    # Would fail if it were called.
    monkeypatch.setattr("camcli.train.feature_pass.sight.Sight.of_any_shape", None)
    train(replace(quick, lr=0.01), tmp_path / "b", cache_dir=cache)
    assert {p: p.read_bytes() for p in cache.glob("*.features")} == before


@pytest.mark.slow
def test_other_preprocessing_weights_and_views_have_features_of_their_own(quick, tmp_path):
    cache = tmp_path / "cache"
    for n, change in enumerate(({}, {"fit": "squash"}, {"seed": 1}, {"augment": 2})):
        train(replace(quick, epochs=1, **change), tmp_path / str(n), cache_dir=cache)
    # The seed draws other random weights; augmented views lie beside the plain ones.
    assert len(list(cache.glob("*.features"))) == 3


def test_photographs_as_rectangles(quick, colours, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    for n in range(0, 10, 2):  # upright ones among the wide ones
        path = data / f"train/red/{n}.png"
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    config = replace(quick, data=str(data), fit="whole", epochs=1)
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path / "cache")
    classifier = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
    for row in rows_of(tmp_path / "run" / "predictions.csv")[:3]:
        pixels = classifier.preprocess.pixels(load_image(data / row["path"]))
        assert pixels.shape[1] != pixels.shape[2]
        prob = classifier(pixels[None])[1].softmax(1).max()
        assert float(prob) == pytest.approx(float(row["prob"]), abs=2e-3)


@pytest.mark.slow
def test_a_changed_image_is_looked_at_again(quick, colours, tmp_path, draw):
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    config = replace(quick, data=str(data))
    cache = tmp_path / "cache"
    train(config, tmp_path / "a", cache_dir=cache)
    (file,) = cache.glob("*.features")
    size = file.stat().st_size
    shutil.copy(data / "test/red/0.png", data / "train/red/copy.png")  # known by its content
    train(config, tmp_path / "b", cache_dir=cache)
    assert file.stat().st_size == size
    draw(tmp_path / "more", {"train": 1}, classes=("red",), seed=9)
    shutil.copy(tmp_path / "more/train/red/0.png", data / "train/red/0.png")
    train(config, tmp_path / "c", cache_dir=cache)
    assert file.stat().st_size == size + size // 36


@pytest.mark.slow
@pytest.mark.parametrize("change", [{}, {"cache": False, "augment": 1}, {"ensemble": 2}])
def test_an_interrupted_run_resumes_to_the_same_checkpoint(
    quick, tmp_path, cache, change, ear_until
):
    config = replace(quick, **change)
    train(config, tmp_path / "whole", cache_dir=cache)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        train(config, out, cache_dir=cache, listener=ear_until(2))
    assert (out / "state.pt").is_file()
    with pytest.raises(UsageError, match="--resume"):
        train(config, out, cache_dir=cache)
    with pytest.raises(UsageError, match="epochs = 3, and this run has 4"):
        train(replace(config, epochs=4), out, cache_dir=cache, resume=True)
    train(config, out, cache_dir=cache, resume=True)
    for name in ("best.safetensors", "last.safetensors"):
        whole, cut = load_file(tmp_path / "whole" / name), load_file(out / name)
        assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert rows_of(out / "metrics.csv") == rows_of(tmp_path / "whole" / "metrics.csv")


def test_a_finished_run_is_not_done_again(quick, tmp_path, cache, ear):
    first = train(quick, tmp_path / "a", cache_dir=cache)
    stamp = first.checkpoint.stat().st_mtime_ns
    again = train(quick, tmp_path / "a", cache_dir=cache, resume=True, listener=ear)
    assert again.scores == first.scores
    assert "finished already" in ear.said[0]
    assert again.checkpoint.stat().st_mtime_ns == stamp


def test_overwrite_deletes_what_is_ours_and_nothing_else(quick, tmp_path, cache):
    out = tmp_path / "a"
    train(quick, out, cache_dir=cache)
    (out / "notes.txt").write_text("mine")
    train(replace(quick, epochs=1), out, cache_dir=cache, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert len(rows_of(out / "metrics.csv")) == 1


def test_a_folder_of_somebody_else_is_not_touched(quick, tmp_path, cache):
    (tmp_path / "thesis.txt").write_text("years")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError):
            train(quick, tmp_path, cache_dir=cache, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_corrupt_image_is_left_out_and_named(quick, colours, tmp_path, cache, ear):
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    for rel in ("train/red/3.png", "val/green/1.png"):
        (data / rel).write_bytes((data / rel).read_bytes()[:900])
    config = replace(quick, data=str(data), epochs=1)
    outcome = train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert outcome.skipped == 2
    assert outcome.scores["val"]["count"] == 7
    assert {row["path"] for row in rows_of(tmp_path / "run" / "skipped.csv")} == {
        "train/red/3.png",
        "val/green/1.png",
    }
    assert sum("left out 'train/red/3.png'" in text for text in ear.warned) == 1


def test_a_class_of_corrupt_images_is_refused(quick, colours, tmp_path, cache):
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    for path in (data / "train/red").iterdir():
        path.write_bytes(b"no")
    with pytest.raises(UsageError, match=r"images of red can be read\. .*red.*not a picture"):
        train(replace(quick, data=str(data)), tmp_path / "run", cache_dir=cache)


def test_without_validation_the_last_epoch_counts(quick, tmp_path, cache, ear, draw):
    draw(tmp_path / "data", {"train": 5})
    config = replace(quick, data=str(tmp_path / "data"), val=0.0)
    outcome = train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert outcome.scores == {}
    assert any("no validation images" in text for text in ear.warned)
    best, last = (load_file(tmp_path / "run" / f"{n}.safetensors") for n in ("best", "last"))
    assert torch.equal(best["head.weight"], last["head.weight"])


def test_random_weights_are_called_random(quick, tmp_path, cache, ear):
    train(replace(quick, epochs=1), tmp_path / "run", cache_dir=cache, listener=ear)
    assert any("RANDOM" in text for text in ear.warned)


def test_missing_weights_say_what_can_be_done(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    config = replace(quick, backbone="resnet50", weights=None)
    with pytest.raises(UnavailableError) as caught:
        train(config, tmp_path / "run", offline=True)
    text = str(caught.value)
    for remedy in ("https://", "--weights FILE", "--backbone efficientnet_lite0"):
        assert remedy in text
    assert "--model" not in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backbone": "resnet19"}, "resnet19"),
        ({"unfreeze": "layer9"}, "no layer 'layer9'.*stage4"),
        ({"unfreeze": "relu"}, "no layer 'relu' with weights"),
        ({"data": ""}, "--data"),
        ({"input_size": 15}, "at least 16"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(quick, tmp_path, cache, change, said):
    with pytest.raises(UsageError, match=said):
        train(replace(quick, **change), tmp_path / "run", cache_dir=cache)
    assert not (tmp_path / "run").exists()


def test_a_damaged_state_is_named(quick, tmp_path, cache, ear_until):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(quick, out, cache_dir=cache, listener=ear_until(1))
    (out / "state.pt").write_bytes(b"torn")
    with pytest.raises(CamcliError, match=r"state\.pt is damaged: delete it"):
        train(quick, out, cache_dir=cache, resume=True)
    (out / "state.pt").unlink()
    assert train(quick, out, cache_dir=cache, resume=True).checkpoint.is_file()


@pytest.mark.slow
def test_a_tar_of_a_set_trains_as_its_folder_does(quick, colours, tmp_path, cache):
    packed = shutil.make_archive(str(tmp_path / "colours"), "tar", colours)
    config = replace(quick, data=packed, epochs=1)
    outcomes = [
        train(each, tmp_path / name, cache_dir=cache)
        for name, each in (("tar", config), ("folder", replace(config, data=str(colours))))
    ]
    assert outcomes[0].scores == outcomes[1].scores
    rows = [rows_of(tmp_path / name / "predictions.csv") for name in ("tar", "folder")]
    assert {row["path"].removeprefix("colours/") for row in rows[0]} == {
        row["path"] for row in rows[1]
    }
    assert json.loads((tmp_path / "tar/run.json").read_text())["data"]["root"] == packed
    tuned = replace(config, unfreeze="conv5", epochs2=1, augment=1)
    assert train(tuned, tmp_path / "tuned", cache_dir=cache).scores["test"]["count"] == 8


def test_a_preprocess_that_is_code_is_not_trained_on(tmp_path, monkeypatch):
    """A checkpoint could not hold it."""
    (tmp_path / "runs_code.py").write_text(
        "import torch\nfrom torch import nn\nfrom torchvision.transforms import Compose, ToTensor\n"
        "\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.net = nn.Sequential(nn.Conv2d(3, 4, 3, 4), nn.ReLU(),\n"
        "            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
        "        self.preprocess = Compose([lambda p: p.resize((64, 64)), ToTensor()])\n\n"
        "    def forward(self, x):\n        return self.net(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(4):
            Image.new("RGB", (40, 40), (n * 50, 9, 9)).save(tmp_path / "photos" / name / f"{n}.png")
    with pytest.raises(UsageError, match="run as it is"):
        camcli.train(tmp_path / "photos", tmp_path / "run", backbone="runs_code:Net", device="cpu")
