"""Photographs held against references, through the commands and the functions."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import camcli as api
from camcli.errors import UsageError
from camcli.jobs.against import compared_with
from camcli.jobs.model import ModelJob

N = 24
LAYER = "--layer", "blocks.4", "--input-size", "96"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Good pieces of one fabric; among the new ones two have a spot, and one is another fabric."""
    folder = tmp_path_factory.mktemp("pieces")
    draw = np.random.default_rng(0)

    def piece(path, period=8, spot=None):
        x = np.mgrid[:96, :96][1]
        wave = 128 + 60 * np.sin(2 * np.pi * (x + draw.integers(8)) / period)
        rgb = np.stack([wave, 0.8 * wave, 255 - wave], 2) + draw.normal(0, 8, (96, 96, 3))
        if spot:
            rgb[spot[0] : spot[0] + 24, spot[1] : spot[1] + 24] = draw.integers(0, 255, (24, 24, 3))
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(path)

    for n in range(N):
        piece(folder / "good" / f"{n:02}.png")
    for n in range(4):
        piece(folder / "new" / f"fine_{n}.png")
    piece(folder / "new" / "spot_left.png", spot=(36, 4))
    piece(folder / "new" / "spot_right.png", spot=(36, 68))
    piece(folder / "new" / "other.png", period=23)
    (folder / "good" / "broken.png").write_bytes(b"no picture")
    return folder


def rows_of(run):
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as table:
        return {row["path"]: row for row in csv.DictReader(table)}


@pytest.mark.slow
def test_a_folder_is_held_against_another(camcli, pieces, tmp_path):
    command = ["batch", pieces / "new", "--out", "run", *LAYER, "--runtime", "torch", "--signed"]
    done = camcli(*command, "--against", pieces / "good")
    assert done.exit_code == 0, done.output
    assert "leaves one out" in done.stderr
    assert "broken.png" in done.stderr
    said = " ".join(done.stderr.split())
    assert f"3 of 7 images differ more than every one of the {N} photographs" in said
    assert "more like those it would be none" in said
    shown = said[said.index("Most different:") :]
    assert max(map(shown.index, ("other", "spot_left", "spot_right"))) < shown.index("fine_")
    rows = rows_of(tmp_path / "run")
    fine = [float(row["value_difference"]) for name, row in rows.items() if "fine" in name]
    bad = [float(row["value_difference"]) for name, row in rows.items() if "fine" not in name]
    assert len(fine) == 4
    assert min(bad) > max(fine)
    assert min(float(row["value_place"]) for n, row in rows.items() if "fine" not in n) == 1
    assert float(rows["spot_left.png"]["heat_x"]) < 0.45
    assert float(rows["spot_right.png"]["heat_x"]) > 0.55
    config = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["config"]
    assert config["against"]["count"] == N
    assert config["output"] == "none"
    # With other references it is another run.
    other = camcli(*command, "--resume", "--against", f"{pieces}/good/0*.png")
    assert other.exit_code == 2
    assert "against" in other.stderr


@pytest.mark.slow
def test_one_photograph_is_explained(camcli, pieces):
    done = camcli("explain", pieces / "new" / "spot_left.png", "--against", pieces / "good",
                  "--method", "diffcam", "--json", *LAYER)  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert [one["name"] for one in record["values"]] == ["difference", "place"]
    assert record["values"][1]["value"] == 1
    assert record["heats"][0]["target"] == "difference"
    words = camcli("explain", pieces / "new" / "fine_0.png", "--against", pieces / "good",
                   *LAYER)  # fmt: skip
    assert f"of the {N} photographs" in " ".join(words.stdout.split())


def test_the_function_gives_what_the_command_gives(pieces):
    network = ModelJob(layer="blocks.4", input_size=96, against=pieces / "good")
    ours = api.explain(pieces / "new" / "other.png", network)
    assert ours.numbers[1] == 1
    cut = {"layer": "blocks.4", "input_size": 96}
    loaded = api.load_classifier(**cut, against=pieces / "good")
    for again in (
        api.explain(pieces / "new" / "other.png", network.load()),
        api.explain(pieces / "new" / "other.png", loaded, method="diffcam"),
        api.explain(pieces / "new" / "other.png", **cut, against=pieces / "good"),
        *api.batch([pieces / "new" / "other.png"], runtime="torch", **cut, against=pieces / "good"),
    ):
        assert again.numbers == ours.numbers
        assert np.array_equal(again.heats[0].heatmap, ours.heats[0].heatmap)


def test_a_network_in_memory_is_compared_with_references(pieces):
    from torch import nn

    net = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, 2))  # fmt: skip
    result = api.explain(pieces / "new" / "other.png", net, input_size=96, against=pieces / "good")
    assert [heat.target for heat in result.heats] == ["difference"]
    with pytest.raises(UsageError, match="give against to load_classifier"):
        api.explain(pieces / "new" / "other.png", api.load_classifier(net), against=pieces / "good")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"against": "nowhere"}, "--against: "),
        ({"against": ".", "layer": "blocks.3,last"}, "compares at one layer"),
        ({"against": ".", "output": "sigmoid"}, "leave --output out"),
        ({"against": 3}, "against is "),
    ],
)
def test_references_are_checked_before_a_network_is_loaded(options, part, pieces, monkeypatch):
    from camcli.models import load

    monkeypatch.chdir(pieces / "good")
    monkeypatch.setattr(load, "load_classifier", None)
    with pytest.raises(UsageError, match=part):
        api.load_classifier(**options)


@pytest.mark.slow
def test_what_was_found_is_kept_until_a_photograph_changes(camcli, pieces, tmp_path, monkeypatch):
    from camcli.batch import references

    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path / "cache"))
    looked = []
    true = references.features_of

    def counting(classifier, refs, *more, **named):
        looked.append(len(refs))
        return true(classifier, refs, *more, **named)

    monkeypatch.setattr(references, "features_of", counting)
    good = tmp_path / "good"
    good.mkdir()
    for n in range(4):
        (good / f"{n}.png").write_bytes((pieces / "good" / f"{n:02}.png").read_bytes())
    job = ModelJob(input_size=96, against=good)
    warned = []
    first = job.load(warn=warned.append)
    assert looked == [4, 4]
    assert "from 20 on" in warned[-1]
    (good / "3.png").rename(good / "a.png")  # which is the same photograph
    second = job.load(warn=warned.append)
    assert looked == [4, 4]
    assert first.tail.baseline.equal(second.tail.baseline)
    (kept,) = (tmp_path / "cache" / "references").iterdir()
    assert "1 set of references" in camcli("cache", "list").stderr
    kept.write_bytes(b"damaged")
    job.load(warn=warned.append)
    assert looked == [4, 4] * 2
    (good / "a.png").write_bytes((pieces / "good" / "09.png").read_bytes())
    third = job.load(warn=warned.append)
    assert looked == [4, 4] * 3
    assert not first.tail.baseline.equal(third.tail.baseline)
    assert camcli("cache", "clear", "--all").exit_code == 0
    assert list((tmp_path / "cache" / "references").iterdir()) == []


def test_no_more_is_kept_than_fits(tmp_path, monkeypatch):
    import torch

    from camcli.models.reference import kept
    from camcli.models.reference.usual import Usual

    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    usual = Usual(*(torch.ones(n, dtype=torch.float64) for n in (3, 1, 2, 2, 4)))
    usual = replace(usual, factor=torch.eye(3, dtype=torch.float64))
    found = kept.KeptReferences(
        usual, torch.zeros(4, 8, 8, dtype=torch.uint8), torch.arange(4), compared=True
    )
    for n in range(3):
        kept.keep(f"{n}", found)
        path = kept.root() / f"{n}.safetensors"
        os.utime(path, (n, n))
    size = path.stat().st_size
    assert kept.read("0").usual.count == 4  # which is used again, and so the last to go
    monkeypatch.setattr(kept, "MOST", 2 * size)
    kept.keep("3", found)
    assert {path.stem for path in kept.kept()} == {"0", "3"}
    assert kept.read("1") is None
    assert kept.clear() == 2 * size


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--against", "nowhere"], "--against: "),
        (["--against", "-"], "not a pipe"),
        (["--against", ".", "--layer", "blocks.3,last"], "compares at one layer"),
        (["--against", ".", "--output", "sigmoid"], "leave --output out"),
        (["--against", ".", "--threshold", "0.3"], "leave --threshold out"),
        (["--method", "diffcam"], "--against FOLDER names them"),
        (["--against", ".", "--target", "tabby"], "difference"),
        (["--against", ".", "--topk", "2"], "leave --topk out"),
        (["--against", ".", "--target", "place"], "has no map of its own"),
    ],
)
def test_what_cannot_be_meant_is_refused(camcli, pieces, options, part):
    Path("one.png").write_bytes((pieces / "new" / "other.png").read_bytes())
    for n in range(3):
        Path(f"{n}.png").write_bytes((pieces / "good" / f"{n:02}.png").read_bytes())
    done = camcli("explain", "one.png", *options)
    assert done.exit_code == 2, done.output
    assert part in " ".join(done.stderr.split())


def test_references_are_looked_at_in_single_precision(camcli, pieces):
    done = camcli("batch", pieces / "new", "--against", pieces / "good", "--precision", "bfloat16")
    assert done.exit_code == 2
    assert "leave --precision out" in " ".join(done.stderr.split())


def test_too_few_that_can_be_read_are_refused(pieces, tmp_path):
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes((pieces / "good" / f"{n:02}.png").read_bytes())
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"needs 3 photographs or more, and has 2.*x\.png"):
        ModelJob(against=tmp_path).load()


def test_another_process_finds_the_references(pieces, monkeypatch):
    monkeypatch.chdir(pieces)
    job = pickle.loads(pickle.dumps(ModelJob(against="good").elsewhere()))
    assert job.against == str(pieces / "good")
    assert ModelJob(against="@l.txt").elsewhere().against == f"@{pieces / 'l.txt'}"
    several = replace(ModelJob(), against=["good/00.png", "good/0[1-3].png"]).elsewhere().against
    assert several == [str(pieces / "good/00.png"), str(pieces / "good/0[1-3].png")]


def test_a_copy_among_the_references_counts_once(pieces, tmp_path):
    for n in range(4):  # two photographs, each there twice: each would be held against its copy
        content = (pieces / "good" / f"{n // 2:02}.png").read_bytes()
        (tmp_path / f"{n}.png").write_bytes(content)
    told = []
    classifier = ModelJob(input_size=64).load()
    with pytest.raises(UsageError, match="needs 3 photographs or more, and has 2"):
        compared_with(classifier, str(tmp_path), warn=told.append)
    assert "2 copies of photographs" in told[0]


def test_a_reference_that_was_saved_again_is_told_each_time(tmp_path):
    """A JPEG of one, and a larger one of another; the same fabric, shifted, is no copy."""
    x = np.arange(96)
    draw = np.random.default_rng(0)
    for n in range(6):
        wave = np.broadcast_to(128 + 60 * np.sin(2 * np.pi * (x + n) / 8), (96, 96))
        wave = (wave + draw.normal(0, 8, (96, 96))).clip(0, 255).astype(np.uint8)
        Image.fromarray(wave).convert("RGB").save(tmp_path / f"{n}.png")
    Image.open(tmp_path / "2.png").save(tmp_path / "again.jpg", quality=60)
    Image.open(tmp_path / "4.png").resize((192, 192)).save(tmp_path / "large.png")
    classifier = ModelJob(input_size=64).load()
    for _ in range(2):  # also where the references were looked at before
        told = []
        compared_with(classifier, str(tmp_path), warn=told.append)
        (line,) = (line for line in told if "saved again" in line)
        assert "2 photographs that look like another one saved again" in line
        pairs = line.partition("(")[2].partition(")")[0].split(", ")
        assert {frozenset(pair.split(" of ")) for pair in pairs} == {
            frozenset({"2.png", "again.jpg"}),
            frozenset({"4.png", "large.png"}),
        }
    for name in ("again.jpg", "large.png"):
        (tmp_path / name).unlink()
    told = []
    compared_with(classifier, str(tmp_path), warn=told.append)
    assert not any("saved again" in line for line in told)


def test_a_photograph_that_is_a_reference_itself_is_told(camcli, pieces, tmp_path):
    """By its content, whatever its name, by both commands; and of others nothing is said."""
    new = tmp_path / "new"
    new.mkdir()
    for n in range(2):
        (new / f"copy_{n}.png").write_bytes((pieces / "good" / f"{n:02}.png").read_bytes())
    (new / "fine.png").write_bytes((pieces / "new" / "fine_0.png").read_bytes())
    against = ("--against", pieces / "good", "--input-size", "64")
    done = camcli("batch", new, *against, "--out", "run", "--runtime", "torch")
    said = " ".join(done.stderr.split())
    assert "2 of 3 photographs are among those of --against (copy_0.png, copy_1.png)" in said, said
    done = camcli("explain", new / "copy_1.png", *against, "--out", "a.jpg")
    said = " ".join(done.stderr.split())
    assert "The photograph is among those of --against (copy_1.png): held against itself" in said
    assert "more usual than it is" in said
    done = camcli("explain", new / "fine.png", *against, "--out", "b.jpg")
    assert "among those" not in done.stderr


def test_what_is_cropped_away_and_where_most_is_are_told(camcli, pieces):
    """A defect in the margin is not looked at; of a warm map the middle of its peak is told."""
    new = pieces / "new" / "spot_right.png"
    done = camcli("explain", new, "--against", pieces / "good", *LAYER, "--out", "a.jpg")
    assert "Only the middle of each photograph is compared" in " ".join(done.stderr.split())
    options = (*LAYER, "--fit", "squash")
    done = camcli("explain", new, "--against", pieces / "good", *options, "--out", "b.jpg")
    assert "Only the middle" not in done.stderr
    said = " ".join(done.stdout.split())
    x, y = (int(v) for v in re.search(r"difference: most at x (\d+), y (\d+), heat", said).groups())
    assert 60 <= x <= 96
    assert 28 <= y <= 68
    assert done.stdout.splitlines()[0].rstrip() == "spot_right.png"
