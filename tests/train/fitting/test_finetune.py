"""The second stage: which layers move, what BatchNorm does, and resuming."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from camcli.data.decode.images import load_image
from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.train.run import train


@pytest.fixture
def tuned(quick):
    return replace(
        quick, epochs=1, unfreeze="conv5,stage4.3.branch2.5", epochs2=2, lr2=1e-3, l2=0.1
    )


def moved(before, after) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.slow
@pytest.mark.parametrize("bn", ["frozen", "train"])
def test_only_the_unfrozen_layers_move(tuned, tmp_path, bn):
    out = tmp_path / "run"
    train(replace(tuned, bn=bn, augment=1), out, cache_dir=tmp_path)
    before = load_file_of_stage_one(tuned, tmp_path)
    names = moved(before, load_file(out / "last.safetensors"))
    convs = {"backbone.stage4.3.branch2.5.weight", "backbone.conv5.0.weight"}
    head = {"head.weight", "head.bias"}
    norms = {n for n in names if n.startswith("backbone.conv5.1.")}
    assert names - norms == convs | head
    if bn == "frozen":
        assert not norms
    else:
        assert norms == {n for n in before if n.startswith("backbone.conv5.1.")}


def load_file_of_stage_one(config, tmp_path):
    first = replace(config, unfreeze=None, solver="lbfgs", augment=1)
    train(first, tmp_path / "first", cache_dir=tmp_path)
    return load_file(tmp_path / "first" / "last.safetensors")


@pytest.mark.slow
def test_an_interrupted_second_stage_resumes_to_the_same_checkpoint(tuned, tmp_path, ear_until):
    config = replace(tuned, augment=1, ema=0.9, mixup=0.3, randaugment=9, pooling="mean+std@stage3")
    train(config, tmp_path / "whole", cache_dir=tmp_path)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):  # one epoch of the head, one of the layers
        train(config, out, cache_dir=tmp_path, listener=ear_until(2))
    assert torch.load(out / "state.pt", weights_only=True)["stage"] == 2
    train(config, out, cache_dir=tmp_path, resume=True)
    whole, cut = (load_file(p / "last.safetensors") for p in (tmp_path / "whole", out))
    for name, tensor in whole.items():
        assert torch.allclose(tensor, cut[name], atol=1e-5), name
    rows = (out / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["1", "1"], ["2", "1"], ["2", "2"]]


@pytest.mark.slow
def test_fine_tuning_learns_and_the_checkpoint_says_the_same(quick, tmp_path):
    config = replace(
        quick, backbone="efficientnet_lite0", weights=None, solver="adamw", epochs=1,
        unfreeze="conv_head,bn2",
        epochs2=3, lr2=1e-3, bn="train",
    )  # fmt: skip
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path)
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["train_loss"]) < 0.5 * float(rows[0]["train_loss"])
    # The last scores come from the reopened checkpoint, cut and folded, those of the epochs from
    # the network that was trained.
    best = max(rows, key=lambda row: (float(row["val_acc"]), -float(row["val_loss"])))
    assert outcome.scores["val"]["top1"] == pytest.approx(float(best["val_acc"]))
    assert outcome.scores["val"]["log_loss"] == pytest.approx(float(best["val_loss"]), abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size", "unfreeze"),
    [
        ("squeezenet1_1", 64, "features.12"),  # classes from a convolution and a ReLU
        ("timm:test_vit", 160, "blocks.4"),  # from a class token
    ],
)
def test_networks_that_end_in_something_else(quick, tmp_path, backbone, size, unfreeze):
    config = replace(
        quick, backbone=backbone, input_size=size, epochs=1, unfreeze=unfreeze, epochs2=1, lr2=1e-3
    )  # fmt: skip
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path)
    first = train(replace(config, unfreeze=None), tmp_path / "first", cache_dir=tmp_path)
    names = moved(
        load_file(first.checkpoint.with_name("last.safetensors")),
        load_file(outcome.checkpoint.with_name("last.safetensors")),
    )
    assert {"head.weight", "head.bias"} < names
    rest = names - {"head.weight", "head.bias"}
    assert all(name.startswith(f"backbone.{unfreeze}.") for name in rest)
    # What was judged in training is what the checkpoint says.
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        best = max(csv.DictReader(file), key=lambda r: (float(r["val_acc"]), -float(r["val_loss"])))
    assert outcome.scores["val"]["log_loss"] == pytest.approx(float(best["val_loss"]), abs=1e-2)


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(8, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU())
        self.fc = nn.Linear(16, 7)

    def forward(self, x):
        A = self.layer2(self.layer1(x))
        if float(A.detach().sum()) > 1e30:  # cannot be traced
            A = A * 0
        return self.fc(A.mean((2, 3)))

def build():
    torch.manual_seed(3)
    return Net()
"""


def test_a_network_of_the_users_own(quick, tmp_path, monkeypatch):
    (tmp_path / "my_own_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "my_own_net:build"
    config = replace(
        quick, backbone=name, weights=None, epochs=1, unfreeze="layer2", epochs2=1, lr2=0.01
    )  # fmt: skip
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path)
    # A file does not decide which code is run.
    with pytest.raises(UsageError, match="if you trust it, add --model my_own_net:build"):
        load_classifier(checkpoint=outcome.checkpoint)
    classifier = load_classifier(name, checkpoint=outcome.checkpoint, device="cpu")
    assert classifier.classes == ("green", "red")
    row = next(iter(csv.DictReader((tmp_path / "run" / "predictions.csv").open())))
    rgb = load_image(Path(quick.data) / row["path"])
    prob = classifier(classifier.preprocess.pixels(rgb)[None])[1].softmax(1).max()
    assert float(prob) == pytest.approx(float(row["prob"]), abs=5e-3)
    # Weights of a file replace the factory's.
    state = load_file(outcome.checkpoint)
    plain = {n.removeprefix("backbone."): t for n, t in state.items() if n.startswith("backbone.")}
    plain |= {"fc.weight": torch.zeros(7, 16), "fc.bias": torch.zeros(7)}
    torch.save(plain, tmp_path / "own.pth")
    again = replace(config, unfreeze=None, weights=str(tmp_path / "own.pth"))
    other = load_file(train(again, tmp_path / "again", cache_dir=tmp_path).checkpoint)
    assert torch.equal(other["backbone.layer2.0.weight"], state["backbone.layer2.0.weight"])
    (tmp_path / "my_own_net.py").unlink()
    monkeypatch.delitem(sys.modules, "my_own_net")
    with pytest.raises(UsageError, match="no Python module 'my_own_net'"):
        load_classifier(name, checkpoint=outcome.checkpoint)


def told(out: Path) -> dict:
    (verdict,) = json.loads((out / "run.json").read_text())["fine_tuning"]
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(("lr2", "kept"), [(1e-3, "fine-tuned"), (3.0, "head alone")])
def test_a_run_says_whether_it_was_worth_it_and_keeps_the_better(quick, tmp_path, ear, lr2, kept):
    config = replace(quick, unfreeze="conv5", epochs2=2, lr2=lr2, l2=1.0, ema=0.0)
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path, listener=ear)
    alone = train(
        replace(config, unfreeze=None, solver="lbfgs"), tmp_path / "a", cache_dir=tmp_path
    )
    verdict = told(tmp_path / "run")
    assert verdict["kept"] == kept
    assert verdict["head_alone"] == pytest.approx(alone.scores["val"]["top1"])
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        (first, *rows) = csv.DictReader(file)
    best = max(rows, key=lambda row: (float(row["val_acc"]), -float(row["val_loss"])))
    assert verdict["fine_tuned"] == pytest.approx(float(best["val_acc"]))
    assert verdict["gained"] - verdict["lost"] == round(
        8 * (verdict["fine_tuned"] - verdict["head_alone"])
    )
    # Before any temperature, which the checkpoints have.
    loss = verdict["log_loss"][0] + float(first["val_loss"])
    assert loss == pytest.approx(float(best["val_loss"]), rel=2e-2)
    (sentence,) = [line for line in ear.said if "the head alone" in line]
    if kept == "fine-tuned":
        assert sentence.endswith("The fine-tuned network is kept.")
        assert float(best["val_loss"]) < float(first["val_loss"])
        assert outcome.scores["val"]["top1"] == pytest.approx(float(best["val_acc"]))
    else:
        assert sentence.endswith("The head alone is kept.")
        before, after = (load_file(run.checkpoint) for run in (alone, outcome))
        assert moved(before, after) <= {"head.weight", "head.bias"}
        one, other = (each["head.weight"] for each in (before, after))
        ratio = one.norm() / other.norm()  # of their temperatures
        torch.testing.assert_close(one, ratio * other)


@pytest.mark.slow
def test_it_stops_where_nothing_is_gained(quick, tmp_path, ear):
    """At such a rate no epoch is better than the head alone: four without are enough."""
    config = replace(quick, unfreeze="conv5", epochs2=9, lr2=3.0, l2=0.1)
    train(config, tmp_path / "run", cache_dir=tmp_path, listener=ear)
    assert "fine-tuning stopped after 4 of 9 epochs: the last 4 were no better." in ear.said
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["1", "2", "2", "2", "2"]


@pytest.mark.slow
def test_the_average_is_what_is_judged_and_written(tuned, tmp_path):
    """A decay close to one leaves the network near where it began, whatever its steps do."""
    config = replace(tuned, epochs2=1)
    plain, averaged = (
        load_file(
            train(replace(config, ema=ema), tmp_path / f"{ema}", cache_dir=tmp_path)
            .checkpoint.with_name("last.safetensors")
        )
        for ema in (0.0, 0.999)
    )  # fmt: skip
    start = load_file_of_stage_one(replace(config, solver="lbfgs", augment=0), tmp_path)
    name = "backbone.conv5.0.weight"
    far, near = (float((each[name] - start[name]).norm()) for each in (plain, averaged))
    assert 0 < near < far
