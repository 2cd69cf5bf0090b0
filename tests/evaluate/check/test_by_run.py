"""A check that judges labels by what a run of training predicted."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import camcli
from camcli.cli.app import app
from camcli.errors import CamcliError, UsageError
from camcli.evaluate.check.by_run import read_run

FLIPPED = {"red/blue-03", "red/blue-17", "blue/red-05", "blue/red-21", "blue/red-30"}


def draw(seed, red):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    rgb = np.array(Image.fromarray(small).resize((96, 72), Image.Resampling.BICUBIC)) // 4
    x, y = rng.integers(0, 30, 2)
    rgb[y : y + 40, x : x + 60, 0 if red else 2] = 250
    return rgb


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of forty, of whose labels five are flipped."""
    root = tmp_path_factory.mktemp("by-run") / "photos"
    flipped = {path.split("/")[1] for path in FLIPPED}
    for name, other in (("red", "blue"), ("blue", "red")):
        for n in range(40):
            stem = f"{name}-{n:02d}"
            folder = root / (other if stem in flipped else name)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw(n + 100 * (name == "red"), name == "red")).save(
                folder / f"{stem}.png"
            )
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(photos, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    camcli.train(
        photos,
        out,
        backbone="efficientnet_lite0",
        solver="lbfgs",
        l2=0.1,
        search=False,
        cache_dir=cache,
    )
    return out


def suspects(found):
    return {issue.rel.removesuffix(".png"): issue.suggestion for issue in found.of("suspect label")}


def test_the_same_flipped_labels_are_found_as_without(photos, run, cache):
    without = suspects(camcli.check(photos, cache_dir=cache))
    found = camcli.check(photos, by_run=run, cache_dir=cache)
    assert {*without} == FLIPPED
    # A head that has learnt from all labels, wrong ones too, is a little less sure.
    assert without.items() <= suspects(found).items()
    assert len(suspects(found)) <= len(without) + 3
    assert without["red/blue-03"] == "blue"
    assert any("held-out predictions" in text for text in found.looked_for)


def test_probabilities_are_those_of_the_table_and_nothing_is_computed_anew(
    photos, run, cache, tmp_path, monkeypatch
):
    """Predictions in which another label is doubted: it is found, and no head is trained."""
    other = shutil.copytree(run, tmp_path / "other")
    with (other / "out_of_fold.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for row in table:
        label = row["label"]
        row["prob red"], row["prob blue"] = ("0.9", "0.1") if label == "red" else ("0.1", "0.9")
        if row["path"] == "red/red-08.png":
            row["prob red"], row["prob blue"] = "0.02", "0.98"
    with (other / "out_of_fold.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    monkeypatch.setattr("camcli.evaluate.check.label_errors.twice", None)
    found = camcli.check(photos, by_run=other, cache_dir=cache)
    assert suspects(found) == {"red/red-08": "blue"}
    (issue,) = found.of("suspect label")
    assert issue.score == pytest.approx(0.96)


def test_photographs_are_known_wherever_they_lie_and_new_ones_are_named(
    photos, run, cache, tmp_path
):
    moved = tmp_path / "moved"
    for name in ("red", "blue"):
        shutil.copytree(photos / name, moved / "photographs" / name)
    Image.fromarray(draw(999, True)).save(moved / "photographs" / "red" / "new.png")
    found = camcli.check(moved / "photographs", by_run=run, cache_dir=cache)
    assert {*suspects(found)} >= FLIPPED
    assert any("1 photograph of which the run has no prediction" in t for t in found.not_looked)


def test_other_photographs_of_the_same_names_are_refused(photos, run, cache, tmp_path):
    for path in photos.rglob("*.png"):
        target = tmp_path / path.relative_to(photos)
        target.parent.mkdir(exist_ok=True)
        rgb = np.array(Image.open(path))
        Image.fromarray(255 - rgb).save(target)
    with pytest.raises(UsageError, match=r"0 are in its out_of_fold\.csv .*80 files have"):
        camcli.check(tmp_path, by_run=run, cache_dir=cache)


def test_other_classes_are_refused(photos, run, cache, tmp_path):
    shutil.copytree(photos / "red", tmp_path / "red")
    shutil.copytree(photos / "blue", tmp_path / "green")
    with pytest.raises(UsageError, match="knows blue, red, and the data has green, too"):
        camcli.check(tmp_path, by_run=run, cache_dir=cache)


def test_what_is_no_run_is_refused_before_anything_is_looked_at(photos, run, tmp_path):
    def said(folder):
        done = CliRunner().invoke(
            app, ["check", str(photos), "--run", str(folder), "--out", str(tmp_path / "out")]
        )
        assert done.exit_code == 2
        return " ".join(done.output.replace("│", " ").split())

    assert "is no run of camcli train" in said(photos)
    assert "takes the folder of a run" in said(run / "best.safetensors")
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(run / "run.json", empty)
    assert "--folds 0" in said(empty)
    (empty / "out_of_fold.csv").write_text("path,label,fold\na.png,red,1\n")
    assert "each class, of which there were too many" in said(empty)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", ["-0.1", "nan", "1.5", "", "blue"])
def test_numbers_that_are_no_probabilities_are_refused(run, tmp_path, bad):
    other = shutil.copytree(run, tmp_path / "other")
    text = (other / "out_of_fold.csv").read_text("utf-8").splitlines()
    cells = text[4].split(",")
    cells[-1] = bad
    text[4] = ",".join(cells)
    (other / "out_of_fold.csv").write_text("\r\n".join(text) + "\r\n", "utf-8")
    with pytest.raises(CamcliError, match=r"out_of_fold\.csv"):
        read_run(other)


def test_the_table_has_the_contents_of_each_file(photos, run):
    from hashlib import sha256

    found = read_run(run)
    assert json.loads((run / "run.json").read_text())["config"]["data"] == found.data
    assert len(found.keys) == 80
    assert all(sha256((photos / p).read_bytes()).hexdigest() == c for p, c in found.keys)
