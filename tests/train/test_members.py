"""An ensemble of networks: each is trained on its own, and one checkpoint averages them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from camcli.data.decode.images import load_image
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.models.loading.zoo import build_model
from camcli.train.run import train


@pytest.fixture
def seed_recipe(quick):
    """Three members in two phases with BatchNorm released, as in weakly supervised localization."""
    return replace(
        quick, backbone="efficientnet_lite0", weights=None, members="pretrained,random,reinit",
        solver="adamw", epochs=1, epochs2=2, unfreeze="conv_head,bn2", bn="train", lr2=1e-3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow  # trains three networks, twice
def test_two_phases_and_three_members_in_one_checkpoint(seed_recipe, tmp_path, cache, ear_until):
    whole, out = tmp_path / "whole", tmp_path / "cut"
    outcome = train(seed_recipe, whole, cache_dir=cache)
    assert load_checkpoint(outcome.checkpoint).members == 3

    # Each row says whose it is; the curves are drawn for each.
    rows = rows_of(whole / "metrics.csv")
    told = [(r["member"], r["stage"], r["epoch"]) for r in rows]
    assert told == [(m, *se) for m in "123" for se in (("1", "1"), ("2", "1"), ("2", "2"))]

    # Where the members began: the same, another network, the same but for two layers.
    pretrained = build_model("efficientnet_lite0").module.state_dict()
    members = [load_file(whole / f"member-{n}-last.safetensors") for n in (1, 2, 3)]
    stem, block = "backbone.conv_stem.weight", "backbone.blocks.6.0.conv_pw.weight"
    assert [torch.equal(m[stem], pretrained["conv_stem.weight"]) for m in members] == [1, 0, 1]
    random = build_model("efficientnet_lite0", weights="random", seed=1).module.state_dict()
    # A network that knows nothing learns in all of its layers.
    assert not torch.equal(members[1][block], random[block.removeprefix("backbone.")])
    last = "conv_head.weight"
    far = [float((m[f"backbone.{last}"] - pretrained[last]).norm()) for m in members]
    assert far[2] > 10 * far[0] > 0

    # The checkpoint says what the run said: the mean of the members' logits.
    ensemble = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
    alone = [
        load_classifier(checkpoint=whole / f"member-{n}.safetensors", device="cpu")
        for n in (1, 2, 3)
    ]
    assert ensemble.head.weight.shape == (2, 3 * 1280)
    for row in rows_of(whole / "predictions.csv")[:3]:
        rgb = load_image(Path(seed_recipe.data) / row["path"])
        pixels = ensemble.preprocess.pixels(rgb)[None]
        logits = ensemble(pixels)[1]
        mean = torch.stack([each(pixels)[1] for each in alone]).mean(0)
        assert torch.allclose(logits, mean, atol=1e-4)
        prob, best = logits.softmax(1).max(1)
        assert ensemble.classes[int(best)] == row["pred"]
        assert float(prob) == pytest.approx(float(row["prob"]), abs=5e-3)

    info = json.loads((whole / "run.json").read_text())
    assert [m["start"] for m in info["members"]] == ["pretrained", "random", "reinit"]
    assert [m["top1"] for m in info["members"]] == outcome.members

    # Stopped in the second member's second phase, a run ends with the same.
    with pytest.raises(KeyboardInterrupt):
        train(seed_recipe, out, cache_dir=cache, listener=ear_until(5))
    train(seed_recipe, out, cache_dir=cache, resume=True)
    for name in ("best.safetensors", "last.safetensors"):
        one, other = load_file(whole / name), load_file(out / name)
        assert all(torch.allclose(one[k], other[k], atol=1e-4) for k in one), name
    assert [(r["member"], r["stage"], r["epoch"]) for r in rows_of(out / "metrics.csv")] == told


@pytest.mark.slow
def test_members_with_frozen_backbones(quick, tmp_path, cache):
    config = replace(
        quick, backbone="efficientnet_lite0", weights=None, members="pretrained,random", epochs=1
    )  # fmt: skip
    outcome = train(config, tmp_path / "run", cache_dir=cache)
    saved = load_checkpoint(outcome.checkpoint)
    for n, weights in enumerate((None, "random")):
        state = build_model("efficientnet_lite0", weights=weights, seed=n).module.state_dict()
        own = saved.networks()[n]
        assert own
        assert all(torch.equal(own[name], state[name]) for name in own)
    assert saved.config["backbone_weights"] == ["bundled", "random"]
    again = train(config, tmp_path / "run", cache_dir=cache, resume=True)
    assert again.members == outcome.members
    train(replace(config, members=None), tmp_path / "run", cache_dir=cache, overwrite=True)
    assert not list((tmp_path / "run").glob("member-*"))


def test_as_many_networks_as_the_ensemble_asks_for(quick, tmp_path, cache):
    config = replace(quick, ensemble=2, unfreeze="conv5", epochs=1, epochs2=1)
    outcome = train(config, tmp_path / "run", cache_dir=cache)
    one, two = load_checkpoint(outcome.checkpoint).networks()
    assert not torch.equal(one["conv5.0.weight"], two["conv5.0.weight"])
