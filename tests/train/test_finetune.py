"""The second stage: which layers move, what BatchNorm does, and resuming."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from camcli.train.run import train


@pytest.fixture
def tuned(quick):
    return replace(quick, epochs=1, unfreeze="conv5,stage4.3.branch2.5", epochs2=2, lr2=1e-3)


def moved(before, after) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


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
    first = replace(config, unfreeze=None, augment=1)
    train(first, tmp_path / "first", cache_dir=tmp_path)
    return load_file(tmp_path / "first" / "last.safetensors")


def test_an_interrupted_second_stage_resumes_to_the_same_checkpoint(tuned, tmp_path, ear_until):
    config = replace(tuned, augment=1)
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


def test_fine_tuning_learns_and_the_checkpoint_says_the_same(quick, tmp_path):
    config = replace(
        quick, backbone="efficientnet_lite0", weights=None, epochs=1, unfreeze="conv_head,bn2",
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


def test_a_convolution_as_head_is_replaced_too(quick, tmp_path):
    # SqueezeNet's classes come from a 1x1 convolution and a ReLU: not a linear head.
    from camcli.errors import UsageError

    config = replace(quick, backbone="squeezenet1_1", unfreeze="features.12", epochs2=1)
    with pytest.raises(UsageError, match="--unfreeze needs a backbone that ends in"):
        train(config, tmp_path / "run", cache_dir=tmp_path)
