"""A run on images that measure something: what it learns, writes and hands on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import camcli
from camcli.data.decode.images import load_image
from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data
from camcli.train.run import train


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Noise with a bright square whose side and redness are the values."""
    root = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(96):
        side, red = int(rng.integers(6, 44)), float(rng.uniform(60, 255))
        rgb = rng.integers(0, 60, (48, 48, 3), dtype=np.uint8)
        x, y = rng.integers(0, 48 - side, 2)
        rgb[y : y + side, x : x + side] = (red, 80, 200)
        Image.fromarray(rgb).save(root / f"{n}.png")
        split = {6: "val", 7: "test"}.get(n % 8, "train")
        rows.append((f"{n}.png", side, round(red, 1), split))
    for name, columns in (("side.csv", (1,)), ("both.csv", (1, 2))):
        with (root / name).open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", *(("side", "red")[c - 1] for c in columns), "split"])
            table.writerows([row[0], *(row[c] for c in columns), row[3]] for row in rows)
    return root


@pytest.fixture
def quick(discs) -> TrainConfig:
    return TrainConfig(
        data=str(discs / "side.csv"), backbone="shufflenet_v2_x0_5", weights="random",
        input_size=64, epochs=3, batch_size=16, solver="lbfgs",
    )  # fmt: skip


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_of_one_value(quick, discs, tmp_path, ear):
    out = tmp_path / "run"
    outcome = train(quick, out, cache_dir=tmp_path / "c", listener=ear)
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "best.safetensors", "metrics.json", "curves.png", "values-val.png", "values-test.png",
        "per_value-val.csv", "per_value-test.csv", "predictions.csv",
    }  # fmt: skip
    scores = json.loads((out / "metrics.json").read_text())
    assert scores == outcome.scores
    test = scores["test"]
    assert test["r2"] > 0.5
    assert test["mae_low"] < test["mae"] < test["mae_high"]
    assert all("val_r2" in row and "train_acc" not in row for row in rows_of(out / "metrics.csv"))

    classifier = load_classifier(checkpoint=outcome.checkpoint)
    assert classifier.output.measures
    assert classifier.classes == ("side",)
    rows = rows_of(out / "predictions.csv")
    for row in rows[:4]:
        pixels = classifier.preprocess.pixels(load_image(discs / row["path"]))[None]
        A, logits = classifier(pixels)
        assert float(logits[0, 0]) == pytest.approx(float(row["value"]), abs=0.1)
        # What the maps are of: their mean and the bias are the value.
        head = classifier.head
        total = (head.weight[0] * A[0].mean((1, 2))).sum() + head.bias[0]
        assert float(total) == pytest.approx(float(logits[0, 0]), rel=1e-4)

    # A run of the checkpoint over the same photographs and table has the same numbers.
    only = tmp_path / "test.csv"
    rows = [row for row in rows if row["split"] == "test"]
    only.write_text("path,side\n" + "".join(f"{discs / r['path']},{r['label']}\n" for r in rows))
    paths = [str(discs / row["path"]) for row in rows]
    list(camcli.batch(paths, tmp_path / "b", classifier, labels=str(only)))
    found = json.loads((tmp_path / "b" / "run.json").read_text())["value_metrics"]
    for name in ("mae", "rmse", "bias", "r2"):
        assert found[name] == pytest.approx(test[name], abs=0.1)


@pytest.mark.slow
def test_a_run_of_several_values_by_steps_and_in_layers(quick, discs, tmp_path):
    config = replace(
        quick, data=str(discs / "both.csv"), output="value", solver="adamw", unfreeze="conv5",
        epochs2=1, ensemble=1, loss="huber",
    )  # fmt: skip
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path / "c")
    classifier = load_classifier(checkpoint=outcome.checkpoint)
    assert (classifier.classes, classifier.output.kind) == (("side", "red"), "none")
    each = rows_of(tmp_path / "run" / "per_value-val.csv")
    assert [row["value"] for row in each] == ["side", "red"]
    assert outcome.scores["val"]["r2"] == pytest.approx(
        np.mean([float(row["r2"]) for row in each]), abs=1e-5
    )
    row = rows_of(tmp_path / "run" / "predictions.csv")[0]
    assert row.keys() == {"path", "split", "label_side", "value_side", "label_red", "value_red"}
    # Values as they are, not as they were learned.
    assert 0 < float(row["value_red"]) < 400


def test_heads_of_an_ensemble_are_averaged(quick, tmp_path):
    outcome = train(replace(quick, ensemble=2), tmp_path / "run", cache_dir=tmp_path / "c")
    assert outcome.scores["val"]["r2"] > 0.3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "focal"}, "--loss focal is for classes"),
        ({"class_weights": "balanced"}, "--class-weights is for classes"),
        ({"label_smoothing": 0.1}, "--label-smoothing is for classes"),
    ],
)
def test_what_means_nothing_of_values_is_refused(quick, settings, said):
    with pytest.raises(UsageError, match=said):
        read_data(replace(quick, solver="adamw", **settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "mse", "output": "sigmoid"}, "--loss mse is not for --output sigmoid"),
        ({"loss": "bce", "output": "softmax"}, "takes auto, ce, focal"),
        ({"loss": "focal", "output": "value"}, "takes auto, mse, huber"),
        ({"loss": "focal", "solver": "lbfgs"}, "may have several"),
        ({"loss": "huber", "class_weights": "balanced"}, "--class-weights is for classes"),
        ({"output": "value", "label_smoothing": 0.1}, "--label-smoothing is for classes"),
        ({"focal_gamma": -1.0}, "--focal-gamma must be at least 0"),
    ],
)
def test_settings_that_contradict_each_other(settings, said):
    with pytest.raises(UsageError, match=said):
        TrainConfig(**settings)


def test_a_split_may_have_no_images(discs, quick, tmp_path):
    """Neither test nor validation images: the last strength counts, and there are no scores."""
    table = discs / "all.csv"
    rows = rows_of(discs / "both.csv")
    table.write_text(
        "path,side,red\n" + "".join(f"{r['path']},{r['side']},{r['red']}\n" for r in rows)
    )
    outcome = train(
        replace(quick, data=str(table), val=0.0), tmp_path / "run", cache_dir=tmp_path / "c"
    )
    assert outcome.scores == {}
    assert load_classifier(checkpoint=outcome.checkpoint).classes == ("side", "red")


@pytest.mark.slow
def test_of_values_nothing_is_searched_for(discs, tmp_path, quick):
    """The first network that is here, and the head at its optimum; a resume knows it."""
    asked = TrainConfig(data=str(discs / "side.csv"), backbone=quick.backbone)
    assert asked.searches
    with pytest.raises(UsageError, match="--search compares heads of classes"):
        train(replace(asked, search=True), tmp_path / "no")
    asked = replace(asked, backbone="auto", input_size=None)
    outcome = train(asked, tmp_path / "run", cache_dir=tmp_path / "c")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["config"]["search"] is False
    assert info["backbone"]["name"] == "efficientnet_lite0"
    assert all("l2" in row for row in rows_of(tmp_path / "run" / "metrics.csv"))
    again = train(asked, tmp_path / "run", resume=True)
    assert again.scores == outcome.scores
