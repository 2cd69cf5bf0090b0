"""Folders as they come, through the command line: what is said, and what ends up in the files."""

import csv
import json
import os

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def picture(photos, tmp_path_factory):
    """The bytes of a small photograph."""
    path = tmp_path_factory.mktemp("picture") / "a.jpg"
    Image.fromarray(photos[0]).resize((64, 48)).save(path)
    return path.read_bytes()


@pytest.fixture
def put(tmp_path, picture):
    """Writes pictures below the current folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)

    return make


def rows(run):
    with (run / "predictions.csv").open(errors="surrogateescape", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_nas_with_earlier_runs_inside(camcli, put, tmp_path):
    """Two runs in the folder of the pictures, and a third that sees them through a link."""
    put("cat/1.jpg", "dog/1.jpg", "cat/@eaDir/1.jpg/THUMB.jpg", "._2.jpg")
    for n, folder in enumerate([".", ".", "link"], 1):
        (tmp_path / "link").exists() or (tmp_path / "link").symlink_to(".")
        done = camcli("batch", folder, "--out", f"run{n}")
        assert done.exit_code == 0, done.output
        assert {name: row["label"] for name, row in rows(tmp_path / f"run{n}").items()} == {
            "cat/1.jpg": "cat",
            "dog/1.jpg": "dog",
        }
        left = json.loads((tmp_path / f"run{n}" / "run.json").read_text())["left_out"]
        runs = {"folder of a camcli run": n}  # its own too
        assert left == {"@eaDir folder": 1, "hidden file": 1} | runs
        assert done.stderr.count("Left out: ") == 1
    # Labels that name no class: three of each, and no accuracy.
    assert "labels: 'cat', 'dog'; the first classes: 'tench', 'goldfish'" in done.stderr
    assert "accuracy 0" not in done.stderr
    # A run's own overlays, when they are named.
    done = camcli("batch", "run1/overlays", "--out", "again", "--quiet")
    assert list(rows(tmp_path / "again")) == ["cat/1.jpg", "dog/1.jpg"]
    assert not done.stderr
    # But never those of this very run, by whatever name.
    (tmp_path / "behind").symlink_to("run1")
    done = camcli("batch", "behind/overlays", "--out", "run1", "--resume", "--labels", "none")
    assert "run1/overlays" not in done.stderr or done.exit_code == 2


def test_why_there_are_no_labels_and_how_to_have_them(camcli, put, tmp_path):
    put("tabby/1.jpg", "espresso/1.jpg", "stray.jpg")
    done = camcli("batch", ".", "--out", "../r1")
    assert "No labels are taken from the folders: there are images beside" in done.stderr
    assert all(not row["label"] for row in rows(tmp_path / ".." / "r1").values())
    done = camcli("batch", ".", "--labels", "folder", "--out", "../r2")
    assert "No labels" not in done.stderr
    assert "accuracy" in done.stderr
    assert {row["label"] for row in rows(tmp_path / ".." / "r2").values()} == {
        "", "tabby", "espresso",
    }  # fmt: skip


def test_indices(camcli, put, tmp_path):
    put("0/x.jpg", "281/x.jpg", "10/x.jpg")
    done = camcli("batch", ".", "--out", "../r")
    assert "taken for the indices of the network's classes: 0 is tench, 10 is" in done.stderr
    found = rows(tmp_path / ".." / "r")
    assert found["0/x.jpg"]["label"] == "tench"
    assert found["281/x.jpg"]["correct"] in "01"
    assert "of 3)" in done.stderr  # an accuracy
    done = camcli("explain", "281/x.jpg", "0/x.jpg", "--json", "--out", "../e")
    assert done.exit_code == 0, done.output


def test_names_that_are_not_utf_8_in_every_output(camcli, put, tmp_path):
    odd = os.fsdecode(b"caf\xe9")
    put(f"{odd}/{odd}.jpg", "th\u00e9/\u00e9.jpg")
    done = camcli("batch", ".", "--out", "run", "--format", "jsonl", "--report")
    assert done.exit_code == 0, done.output
    found = rows(tmp_path / "run")
    name = f"{odd}/{odd}.jpg"
    assert found[name]["label"] == odd
    assert os.path.exists(tmp_path / "run" / found[name]["overlay"])  # noqa: PTH110
    paths = [json.loads(line)["path"] for line in (tmp_path / "run" / "predictions.jsonl").open()]
    assert name in paths
    page = (tmp_path / "run" / "report" / "index.html").read_bytes()
    page.decode("utf-8")
    assert b"Unexpected" not in done.stderr.encode("utf-8", "replace")
    done = camcli("explain", name, "--json", "--out", "e")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)
    done = camcli("data", "describe", ".", "--json")
    assert done.exit_code == 0, done.output
    assert odd in json.loads(done.stdout)["classes"]
    done = camcli("data", "describe", ".")
    assert done.exit_code == 0, done.output
    done = camcli("merge", odd)
    assert done.exit_code == 2
    for words in (("batch", odd + "x"), ("explain", odd + "x"), ("train", "--data", odd + "x")):
        done = camcli(*words)
        assert done.exit_code == 2, done.output
        assert "mistake in camcli" not in done.output


@pytest.mark.parametrize("spec", ["ftp://host/x", "nosuch://x", "{1..1000000000}", "x[", "\ud800"])
def test_what_cannot_be_a_source_is_one_sentence(camcli, spec):
    done = camcli("batch", spec)
    assert done.exit_code == 2
    assert "mistake in camcli" not in done.output
    assert done.output.count("error:") == 1


NET = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
"""


def test_labels_that_name_no_class_are_said_to_be_left_out(camcli, put, tmp_path, monkeypatch):
    """Some of them: folders counted from 1 and taken as they are, a stranger."""
    (tmp_path / "counting.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    options = ("--model", "counting:net", "--input-size", "64", "--no-overlays", "--overwrite")
    put("one/1/a.jpg", "one/2/a.jpg", "one/3/a.jpg", "one/3/b.jpg")
    done = camcli("batch", "one", "--out", "run", "--labels", "folder", *options)
    assert "of 2)" in done.stderr
    assert "Not in the accuracy: 2 images whose label names no class of this network: '3'." in (
        done.stderr
    )
    assert "called 0 to 2: if the labels are counted from 1" in done.stderr
    done = camcli("batch", "one", "--out", "run", "--labels", "folder", *options[:-1], "--resume")
    assert "Not in the accuracy: 2 images" in done.stderr
    put("two/-1/a.jpg", "two/0/a.jpg", "two/1/a.jpg")
    done = camcli("batch", "two", "--out", "run2", *options)
    assert "Not in the accuracy: 1 image whose label names no class of this network: '-1'." in (
        done.stderr
    )
    assert "counted from 1" not in done.stderr
    put("three/0/a.jpg", "three/1/a.jpg", "three/2/a.jpg")
    assert "Not in the accuracy" not in camcli("batch", "three", "--out", "run3", *options).stderr
