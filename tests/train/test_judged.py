"""What a run says of how good it is, and that the checkpoint is what was judged."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import camcli.train.steps
from camcli.data.datasets.load import load_dataset
from camcli.data.decode.images import load_image
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import (
    load_checkpoint,
    with_temperature,
    without_temperature,
)
from camcli.train.config import TrainConfig
from camcli.train.fitting.head import FeatureScale, linear, solve_head
from camcli.train.judging.temperature import reliability
from camcli.train.run import train


@pytest.fixture(scope="module")
def patches(tmp_path_factory, draw) -> Path:
    """Three classes of enough images for a curve and a temperature, some of them copies."""
    counts = {"train": 24, "val": 8, "test": 4}
    root = draw(tmp_path_factory.mktemp("judged"), counts, ("red", "green", "blue"))
    for n in range(2):
        copy = (root / "train" / "red" / f"{n}.png").read_bytes()
        (root / "val" / "red" / f"{n}.png").write_bytes(copy)
    return root


@pytest.fixture(scope="module")
def judged(patches, tmp_path_factory, ear_until):
    """A run, its folder, and what it said."""
    config = TrainConfig(
        data=str(patches), backbone="shufflenet_v2_x0_5", weights="random", input_size=64,
        epochs=2, batch_size=8,
    )  # fmt: skip
    out, ear = tmp_path_factory.mktemp("run") / "out", ear_until()
    cache = tmp_path_factory.mktemp("cache")
    result = train(config, out, cache_dir=cache, listener=ear)
    return config, out, ear, result, cache


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_is_judged_by_a_head_that_has_not_seen_it(judged, patches):
    _, out, _, result, _ = judged
    table = rows(out / "out_of_fold.csv")
    items = load_dataset(patches).items
    assert {row["path"] for row in table} == {item.ref.rel for item in items}
    trained = [row for row in table if row["split"] == "train"]
    assert {row["fold"] for row in trained} == set("12345")
    assert {row["fold"] for row in table if row["split"] != "train"} == {""}
    told = result.judged["out_of_fold"]
    right = np.mean([int(row["correct"]) for row in trained])
    assert told["accuracy"] == pytest.approx(right)
    assert told["low"] < right < told["high"] or right in (told["low"], told["high"])
    for row in table:
        probs = {name: float(row[f"prob {name}"]) for name in ("red", "green", "blue")}
        assert sum(probs.values()) == pytest.approx(1, abs=1e-4)
        assert max(probs, key=probs.get) == row["pred"]
        assert int(row["pred"] == row["label"]) == int(row["correct"])


def test_the_checkpoint_gives_the_probabilities_that_were_judged(judged, patches):
    _, out, _, _, _ = judged
    saved = load_checkpoint(out / "best.safetensors")
    classifier = load_classifier("shufflenet_v2_x0_5", checkpoint=out / "best.safetensors")
    assert saved.temperature != 1
    for row in rows(out / "out_of_fold.csv"):
        if row["split"] == "test":
            rgb = load_image(patches / row["path"])
            pixels = classifier.preprocess.pixels(rgb)[None]
            with torch.inference_mode():
                features = classifier.features(classifier.preprocess.normalise(pixels))
                probs = classifier.tail(features).softmax(1)[0]
            assert float(probs.max()) == pytest.approx(float(row["prob"]), abs=2e-3)


def test_the_temperature_is_told_and_makes_validation_no_worse(judged):
    _, out, _, result, _ = judged
    told = result.judged["temperature"]
    assert told["value"] == load_checkpoint(out / "best.safetensors").temperature
    assert told["by"] == "validation"
    assert told["val"]["log_loss"] <= told["val"]["log_loss_before"]
    assert told["val"]["log_loss"] == pytest.approx(result.scores["val"]["log_loss"], abs=1e-6)
    assert told["val"]["ece"] == pytest.approx(result.scores["val"]["ece"], abs=1e-6)


def test_copies_across_the_splits_are_warned_of_and_named(judged):
    _, out, ear, result, _ = judged
    copies = rows(out / "crossing.csv")
    assert {row["path"] for row in copies} == {"val/red/0.png", "val/red/1.png"}
    assert {row["kind"] for row in copies} == {"same file"}
    told = result.judged["crossing"]["val"]
    assert (told["images"], told["of"]) == (2, 24)
    assert told["accuracy_without"] is not None
    assert any("2 of 24 validation images are copies" in text for text in ear.warned)


def test_controls_and_curve_are_there(judged):
    _, out, _, result, _ = judged
    control = result.judged["controls"]
    assert control["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert control["images"] == 72
    sizes = [row["images"] for row in rows(out / "learning_curve.csv")]
    assert sizes[-2:] == ["72", "144"]
    assert (out / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"


def test_what_was_judged_is_in_the_folder_and_read_back(judged):
    config, out, _, result, cache = judged
    assert json.loads((out / "metrics.json").read_text()) == {**result.scores, **result.judged}
    assert json.loads((out / "run.json").read_text())["judged"] == result.judged
    again = train(config, out, resume=True, cache_dir=cache)
    assert again.scores == result.scores
    assert again.judged == result.judged


def test_a_kill_at_the_end_divides_by_the_temperature_once(judged, tmp_path, monkeypatch):
    config, _, _, result, cache = judged
    config = replace(config, folds=0)

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(camcli.train.steps.TrainDirectory, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run", cache_dir=cache)
    first = load_checkpoint(tmp_path / "run" / "best.safetensors")
    train(config, tmp_path / "run", resume=True, cache_dir=cache)
    second = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert first.temperature == pytest.approx(second.temperature)
    assert torch.allclose(first.weight, second.weight)
    assert second.temperature == pytest.approx(result.judged["temperature"]["value"])


def test_without_folds_there_are_no_tables_of_them(judged, tmp_path):
    config, _, _, _, cache = judged
    result = train(replace(config, folds=0), tmp_path / "run", cache_dir=cache)
    assert result.judged.keys() == {"temperature", "crossing"}
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not names & {"out_of_fold.csv", "learning_curve.csv", "learning_curve.png"}


def test_without_validation_the_folds_give_the_temperature(judged, patches, tmp_path):
    config, _, _, _, cache = judged
    alone = replace(config, data=str(patches / "train"), val=0.0, solver="lbfgs", augment=2)
    result = train(alone, tmp_path / "run", cache_dir=cache)
    told = result.judged["temperature"]
    assert told["by"] == "folds"
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").temperature == told["value"]
    assert told["out_of_fold"]["log_loss"] <= told["out_of_fold"]["log_loss_before"]


def test_views_are_in_the_fold_of_their_image_and_only_the_image_is_judged(
    judged, tmp_path, monkeypatch
):
    config, _, _, _, cache = judged
    config = replace(config, solver="lbfgs", l2=0.01, mirror=True, augment=1)
    trials = []

    def kept(splits, heads, *args, **more):
        trials.extend(heads)
        raise KeyboardInterrupt

    monkeypatch.setattr("camcli.train.judged_run.judge", kept)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", cache_dir=cache)
    (own,) = trials
    plain, mirrored, part = own.views
    assert plain.equal(own.plain)
    assert not mirrored.equal(plain)
    assert not part.equal(plain)
    # By hand: a head of three views of the images that are not judged.
    learn, held = torch.arange(0, 60), torch.arange(60, 72)
    seen = torch.cat([view[learn] for view in own.views])
    scale = FeatureScale.of(seen)
    truth = torch.cat([own.targets[learn]] * 3)
    head = solve_head(scale(seen), truth, own.classes, 0.01, own.recipe)
    wanted = linear(scale.fold(*head), own.plain[held])
    assert torch.allclose(own(learn, held), wanted, atol=1e-2)


def test_without_a_cache_only_the_temperature_is_known(judged, tmp_path, ear):
    config, _, _, _, _ = judged
    result = train(replace(config, cache=False, epochs=1), tmp_path / "run", listener=ear)
    assert any("--no-cache no features are kept" in text for text in ear.said)
    assert result.judged.keys() == {"temperature"}


def test_the_mean_of_several_networks_is_judged(judged, tmp_path):
    config, _, _, _, cache = judged
    result = train(
        replace(config, members="random,random", epochs=1), tmp_path / "run", cache_dir=cache
    )
    assert result.judged["out_of_fold"]["images"] == 72
    saved = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert saved.temperature == result.judged["temperature"]["value"]


def test_of_a_large_set_a_fold_is_judged_and_the_others_are_told(judged, tmp_path, monkeypatch):
    config, _, _, _, cache = judged
    monkeypatch.setattr("camcli.train.judging.judge.LARGE", 1)
    monkeypatch.setattr("camcli.train.judging.curve.JUDGED", 10)
    result = train(config, tmp_path / "run", cache_dir=cache)
    told = result.judged["out_of_fold"]
    assert (told["images"] + told["not_judged"], told["folds"]) == (72, 5)
    assert 10 <= told["images"] < 30
    table = rows(tmp_path / "run" / "out_of_fold.csv")
    assert sum(row["split"] == "train" for row in table) == told["images"]


@pytest.mark.parametrize("head", ["prototype", "neighbours"])
def test_heads_of_examples_are_judged_as_they_are(judged, tmp_path, head):
    config, _, _, _, cache = judged
    config = replace(config, head=head, epochs=5, batch_size=32)
    result = train(config, tmp_path / "run", cache_dir=cache)
    assert result.judged["out_of_fold"]["images"] == 72
    saved = load_checkpoint(tmp_path / "run" / "best.safetensors")
    told = result.judged["temperature"]
    assert saved.temperature == told["value"]
    if saved.nearest is not None:
        before = without_temperature(saved).nearest.temperature
        assert saved.nearest.temperature == pytest.approx(before * told["value"])
    assert told["val"]["log_loss"] <= told["val"]["log_loss_before"]


def test_a_temperature_can_be_taken_out_again(judged):
    _, out, _, _, _ = judged
    saved = without_temperature(load_checkpoint(out / "best.safetensors"))
    hot = with_temperature(with_temperature(saved, 2.0), 1.5)
    assert hot.temperature == 3
    assert torch.allclose(without_temperature(hot).weight, saved.weight)
    z = torch.randn(50, 3)
    assert reliability(z, z.argmax(1))["log_loss"] < 1.1


def test_where_folds_can_judge_one_class_alone_that_is_said(tmp_path, draw, ear_until):
    data = draw(tmp_path / "data", {"train": 12, "val": 4}, ("red", "green"))
    for photo in sorted((data / "train" / "green").iterdir())[1:]:
        photo.unlink()
    ear = ear_until()
    config = TrainConfig(
        data=str(data), backbone="shufflenet_v2_x0_5", weights="random", input_size=64, epochs=1,
        search=False,
    )  # fmt: skip
    train(config, tmp_path / "out", cache_dir=tmp_path / "cache", listener=ear)
    told = " ".join(ear.warned)
    assert "all images that folds can judge have the same truth" in told
    assert "does not see what" not in told
