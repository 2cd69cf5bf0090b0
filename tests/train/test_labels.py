"""A run on images with several labels, or none: what it learns, writes and hands on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import camcli
from camcli.data.datasets.load import load_dataset
from camcli.data.decode.images import load_image
from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data
from camcli.train.feature_pass.examples import of_labels
from camcli.train.run import train

COLOURS = {"green": (40, 180, 60), "red": (200, 40, 40)}
KINDS = ((), ("green",), ("red",), ("green", "red"))


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """Noise with a patch of no colour, one, or two; both tables of them."""
    root = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(64):
        rgb = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        for name in KINDS[n % 4]:
            x = {"green": 0, "red": 34}[name]
            rgb[8:40, x : x + 30] = COLOURS[name]
        Image.fromarray(rgb).save(root / f"{n}.png")
        split = "train" if n < 32 else "val" if n < 48 else "test"
        rows.append((f"{n}.png", KINDS[n % 4], split))
    with (root / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        table.writerows([path, "|".join(names), split] for path, names, split in rows)
    with (root / "columns.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "red", "green", "split"])
        table.writerows(
            [path, int("red" in names), int("green" in names), split] for path, names, split in rows
        )
    return root


@pytest.fixture
def quick(patches) -> TrainConfig:
    return TrainConfig(
        data=str(patches / "labels.csv"), backbone="shufflenet_v2_x0_5", weights="random",
        input_size=64, epochs=3, batch_size=8,
    )  # fmt: skip


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_both_tables_say_the_same(patches):
    first, second = (load_dataset(patches / name) for name in ("labels.csv", "columns.csv"))
    for found in (first, second):
        assert found.several
        assert found.classes == ("green", "red")
        assert found.counts() == {"train": 32, "val": 16, "test": 16}
    assert [(x.ref.rel, x.labels) for x in first.items] == [
        (x.ref.rel, x.labels) for x in second.items
    ]
    assert {x.labels for x in first.items} == {(), (0,), (1,), (0, 1)}
    assert any("red, green" in note for note in second.notes)


def test_a_column_a_class_with_one_in_each_row_is_of_classes(tmp_path):
    for n in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{n}.png")
    (tmp_path / "t.csv").write_text("path,cat,dog\n0.png,1,0\n1.png,0,1\n2.png,1,0\n3.png,0,1\n")
    found = load_dataset(tmp_path / "t.csv")
    assert not found.several
    assert [item.target for item in found.items] == [0, 1, 0, 1]
    # As labels where that is wanted.
    config = TrainConfig(data=str(tmp_path / "t.csv"), output="sigmoid")
    asked = read_data(config)
    assert asked.several
    assert [item.labels for item in asked.items] == [(0,), (1,), (0,), (1,)]


def test_softmax_of_images_with_several_labels_is_refused(quick):
    with pytest.raises(UsageError, match=r"--output softmax.*has 0"):
        read_data(replace(quick, output="softmax"))


def test_every_label_is_held_out(tmp_path):
    """Also rare ones, however they are combined."""
    rng = np.random.default_rng(0)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    lines = ["path,label"]
    for n in range(200):
        names = [c for c, p in zip("abcdef", (0.6, 0.4, 0.3, 0.2, 0.1, 0.04), strict=True)
                 if rng.random() < p]  # fmt: skip
        lines.append(f"{n}.png,{'|'.join(names)}")
    (tmp_path / "0.png").write_bytes((tmp_path / "x.png").read_bytes())
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = load_dataset(tmp_path / "t.csv", val=0.2, test=0.1)
    counts = found.counts()
    assert 34 <= counts["val"] <= 46
    assert 14 <= counts["test"] <= 26
    for c in range(6):
        has = [sum(c in x.labels for x in found.split(s)) for s in ("train", "val", "test")]
        assert min(has) >= 1
        assert abs(has[1] - 0.2 * sum(has)) <= max(2, 0.06 * sum(has))
    assert found == load_dataset(tmp_path / "t.csv", val=0.2, test=0.1)


@pytest.mark.slow
def test_a_run_of_labels(quick, patches, tmp_path, ear):
    out = tmp_path / "run"
    outcome = train(replace(quick, solver="lbfgs"), out, cache_dir=tmp_path / "c", listener=ear)
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "best.safetensors", "metrics.json", "curves.png", "labels-val.png", "labels-test.png",
        "thresholds.csv", "per_class-val.csv", "per_class-test.csv", "predictions.csv",
    }  # fmt: skip
    assert not any(name.startswith("confus") for name in names)
    scores = json.loads((out / "metrics.json").read_text())
    assert scores == {**outcome.scores, **outcome.judged}
    assert scores["test"].keys() == {
        "count", "exact", "mean_ap", "micro_ap", "f1_macro", "f1_micro", "log_loss", "right",
        "right_low", "right_high",
    }  # fmt: skip
    assert scores["test"]["mean_ap"] > 0.9
    assert all("val_map" in row for row in rows_of(out / "metrics.csv"))

    # The checkpoint says what the run said: kind, thresholds, probabilities, predictions.
    classifier = load_classifier(checkpoint=outcome.checkpoint)
    assert classifier.output.kind == "sigmoid"
    told = [float(row["threshold"]) for row in rows_of(out / "thresholds.csv")]
    assert classifier.output.thresholds == pytest.approx(told, abs=1e-6)
    rows = rows_of(out / "predictions.csv")
    exact = []
    for row in rows:
        if row["split"] != "test":
            continue
        exact.append(int(row["correct"]))
        assert row["correct"] == str(int(set(row["labels"].split("|")) ==
                                        set(row["positives"].split("|"))))  # fmt: skip
    assert np.mean(exact) == pytest.approx(scores["test"]["exact"])
    for row in rows[:6]:
        _, logits = classifier(
            classifier.preprocess.pixels(load_image(patches / row["path"]))[None]
        )
        probs = classifier.probabilities(logits)[0]
        for name, p in zip(classifier.classes, probs.tolist(), strict=True):
            assert p == pytest.approx(float(row[f"prob {name}"]), abs=5e-3)  # fp16 features
    # Its own thresholds can be given to another command.
    other = load_classifier(checkpoint=outcome.checkpoint, threshold=str(out / "thresholds.csv"))
    assert other.output.thresholds == pytest.approx(told)


def test_an_ensemble_of_heads_and_half(quick, tmp_path):
    config = replace(quick, ensemble=2, thresholds="half", class_weights="balanced", patience=2)
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path / "c")
    classifier = load_classifier(checkpoint=outcome.checkpoint)
    assert classifier.output.kind == "sigmoid"
    assert classifier.output.thresholds is None


@pytest.mark.slow
def test_layers_learn_labels_too(quick, tmp_path):
    config = replace(quick, unfreeze="conv5", epochs2=1, l2=0.1)
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path / "c")
    rows = rows_of(tmp_path / "run" / "metrics.csv")
    assert [row["stage"] for row in rows] == ["1", "2"]
    assert float(rows[1]["val_map"]) > 0
    assert load_classifier(checkpoint=outcome.checkpoint).output.kind == "sigmoid"
    assert torch.isfinite(torch.tensor(outcome.scores["val"]["log_loss"]))


@pytest.mark.parametrize("table", ["labels.csv", "columns.csv"])
def test_a_folder_and_a_table_of_labels_are_the_same_set(patches, table):
    """``--data photos --labels labels.csv``: labels and splits as where the table is the data."""
    alone = load_dataset(patches / table)
    both = load_dataset(patches, labels=str(patches / table))
    assert both.several
    assert both.classes == alone.classes
    assert both.counts() == alone.counts() == {"train": 32, "val": 16, "test": 16}
    said = [{x.ref.rel: (x.labels, x.split) for x in data.items} for data in (alone, both)]
    assert said[0] == said[1]


def test_a_folder_and_a_table_of_one_class_an_image(patches, tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("file,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(40)))
    data = load_dataset(patches, labels=str(table))
    assert (data.several, data.classes, len(data.items)) == (False, ("a", "b"), 40)
    assert any("24 images without a row" in note for note in data.notes)
    table.write_text("file,label\n0.png,a\n1.png,\n")
    with pytest.raises(UsageError, match=r"'1\.png' has no label"):
        load_dataset(patches, labels=str(table))


def test_a_column_that_nobody_has_is_told(patches, tmp_path):
    table = tmp_path / "columns.csv"
    rows = "".join(f"{n}.png,{n % 2},{n // 2 % 2},0\n" for n in range(40))
    table.write_text("file,a,b,horse\n" + rows)
    data = load_dataset(patches, labels=str(table))
    assert data.classes == ("a", "b")
    assert "No image has horse: not learned." in data.notes


@pytest.fixture
def doubtful(patches, tmp_path):
    """A table in which a fifth of what there is to know is not known."""
    rng = np.random.default_rng(1)
    cells = ["-1", "?", "", "unknown"]
    lines = ["file,red,green,split"]
    for row in rows_of(patches / "columns.csv"):
        said = [cells[rng.integers(4)] if rng.random() < 0.2 else row[n] for n in ("red", "green")]
        lines.append(",".join([str(patches / row["file"]), *said, row["split"]]))
    (tmp_path / "doubtful.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "doubtful.csv"


def test_what_nobody_knows_is_read_as_that(doubtful):
    found = load_dataset(doubtful)
    rows = rows_of(doubtful)
    hidden = sum(row[n] not in "01" or row[n] == "" for row in rows for n in ("red", "green"))
    assert hidden > 10
    assert sum(len(item.unknown) for item in found.items) == hidden
    targets = of_labels(found.items, 2)
    assert int(targets.isnan().sum()) == hidden
    assert any("taken for unknown" in note for note in found.notes)
    # The same in one cell.
    other = doubtful.with_name("cells.csv")
    lines = [f"{x.ref.path},{x.ref.label},{x.split}" for x in found.items]
    other.write_text("path,label,split\n" + "\n".join(lines))
    again = load_dataset(other)
    assert [(x.labels, x.unknown) for x in again.items] == [
        (x.labels, x.unknown) for x in found.items
    ]


@pytest.mark.slow
def test_a_run_of_labels_that_are_not_all_known(quick, doubtful, patches, tmp_path):
    """Its numbers are those of a run of its checkpoint over the same photographs and table."""
    out = tmp_path / "run"
    config = replace(quick, data=str(doubtful), solver="lbfgs")
    outcome = train(config, out, cache_dir=tmp_path / "c")
    scores = outcome.scores["test"]
    assert scores["mean_ap"] > 0.8
    rows = [row for row in rows_of(out / "predictions.csv") if row["split"] == "test"]
    assert any("?" in row["labels"] for row in rows)
    only = tmp_path / "test.csv"
    said = {row["file"]: row for row in rows_of(doubtful)}
    test = [path for path, row in said.items() if row["split"] == "test"]
    only.write_text("file,red,green\n" + "".join(
        f"{path},{said[path]['red'] or '?'},{said[path]['green'] or '?'}\n" for path in test
    ))  # fmt: skip
    classifier = load_classifier(checkpoint=outcome.checkpoint)
    results = camcli.batch(test, tmp_path / "b", classifier, labels=str(only), overlays=False)
    assert {name for each in results for name in each.unknown} == {"red", "green"}
    metrics = json.loads((tmp_path / "b" / "run.json").read_text())["label_metrics"]
    assert metrics["map_macro"] == pytest.approx(scores["mean_ap"], abs=2e-3)
    assert metrics["f1_micro"] == pytest.approx(scores["f1_micro"], abs=2e-3)
    assert metrics["exact_match"] == pytest.approx(scores["exact"], abs=2e-3)
    assert any("?" in row["labels"] for row in rows_of(tmp_path / "b" / "predictions.csv"))


def test_labels_by_the_focal_loss(quick, tmp_path):
    """Of which no search is made, as it compares log-losses."""
    config = replace(quick, loss="focal", class_weights="effective")
    assert not config.searches
    assert config.head_solver() == "adamw"
    outcome = train(config, tmp_path / "run", cache_dir=tmp_path / "c")
    assert outcome.scores["val"]["mean_ap"] > 0.5
