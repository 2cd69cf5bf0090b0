"""What ends a training or must not: a second one, numbers that are not finite, odd files."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.classifier import Provenance, cut_classifier
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.train.feature_pass.features import ImageView, extract, hash_files
from camcli.train.feature_pass.sight import Sight
from camcli.train.fitting.loop import DivergedError
from camcli.train.progress import Listener
from camcli.train.run import train
from camcli.train.run_folder.rundir import LOCK, STATE, TrainDirectory


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def assert_no_odd_number(folder):
    """No NaN or infinity in any table, JSON file or checkpoint."""

    def odd(word):
        raise AssertionError(f"{word} in {folder}")

    for path in folder.glob("*.json"):
        json.loads(path.read_text(), parse_constant=odd)
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            words = {word.lower() for row in csv.reader(file) for word in row}
        assert not words & {"nan", "inf", "-inf"}
    for path in folder.glob("*.safetensors"):
        assert all(bool(t.isfinite().all()) for t in load_file(path).values())
        metrics = json.dumps(load_checkpoint(path).metrics)
        json.loads(metrics, parse_constant=odd)


# --- two at once ---------------------------------------------------------------------------------


class Inside(Listener):
    """Starts something else while a run goes on."""

    def __init__(self, then) -> None:
        self.then = then

    def bar(self, title, total, unit):
        if then := self.then:
            self.then = None
            then()
        return super().bar(title, total, unit)


@pytest.mark.slow
def test_a_second_training_into_the_same_folder_is_refused(quick, tmp_path, cache):
    out, told = tmp_path / "run", []

    def second():
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(UsageError, match=r"Another camcli is training into .*run"):
                train(quick, out, cache_dir=cache, **options)
            told.append(options)

    outcome = train(quick, out, cache_dir=cache, listener=Inside(second))
    assert len(told) == 3
    assert outcome.checkpoint.is_file()
    assert not (out / LOCK).exists()
    # And when it is over, the folder is free.
    train(replace(quick, epochs=1), out, cache_dir=cache, overwrite=True)


def test_a_run_that_came_and_went_meanwhile_is_not_overwritten(quick, tmp_path, cache):
    out = tmp_path / "run"

    class Waits(Listener):
        def warn(self, text):
            if "RANDOM" in text:  # the last word before the folder is taken
                train(quick, out, cache_dir=cache)

    with pytest.raises(UsageError, match="is not empty"):
        train(replace(quick, epochs=1), out, cache_dir=cache, listener=Waits())
    assert len((out / "metrics.csv").read_text().splitlines()) == 4
    assert not (out / LOCK).exists()


def test_the_lock_of_a_killed_run_is_no_hindrance(quick, tmp_path, cache):
    out = tmp_path / "run"
    out.mkdir()
    (out / LOCK).write_bytes(b"")
    train(replace(quick, epochs=1), out, cache_dir=cache)
    assert not (out / LOCK).exists()


def test_who_waits_at_a_removed_lock_does_not_hold_it(tmp_path):
    first, second = TrainDirectory(tmp_path), TrainDirectory(tmp_path)
    first.hold()
    with pytest.raises(UsageError, match="at this moment"):
        second.hold()
    first.let_go()
    second.hold()
    with pytest.raises(UsageError, match="at this moment"):
        first.hold()
    second.let_go()
    assert not list(tmp_path.iterdir())


def test_the_run_json_of_another_program_is_not_ours(quick, tmp_path, cache):
    (tmp_path / "run.json").write_text('{"command": "train", "config": {"lr": 1}}')
    (tmp_path / "best.safetensors").write_bytes(b"mine")
    with pytest.raises(UsageError, match="not a training run of camcli"):
        train(quick, tmp_path, cache_dir=cache, overwrite=True)
    # Nor is it offered to go on with it, or to replace it.
    with pytest.raises(UsageError, match="not a training run of camcli"):
        train(quick, tmp_path, cache_dir=cache)
    assert (tmp_path / "best.safetensors").read_bytes() == b"mine"


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lr": 1e30}, r"epoch 1 of the head, at a rate of 1e\+30: try --lr 0\.001"),
        ({"lr": 1e30, "batch_size": 99}, r"epoch 1 of the head, at a rate of 1e\+30"),  # one step
        ({"lr": 3e38, "batch_size": 99, "solver": "sgd"}, r"try --lr 0\.003"),
        ({"lr": 1e30, "batch_size": 99, "ensemble": 2}, "epoch 1 of the head"),
        ({"solver": "lbfgs", "label_smoothing": 0.1, "l2": 1e30}, None),
        ({"solver": "lbfgs", "l2": 0.0}, None),  # without an optimum, if classes are far apart
        ({"val": 0.0}, None),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_training(quick, tmp_path, cache, change, said):
    out = tmp_path / "run"
    if said is None:
        train(replace(quick, **change), out, cache_dir=cache)
    else:
        with pytest.raises(DivergedError, match=said) as caught:
            train(replace(quick, **change), out, cache_dir=cache)
        assert caught.value.exit_code == 1
        assert "Nothing was kept" in str(caught.value)
        assert not (out / "best.safetensors").exists()
    assert_no_odd_number(out)


def test_the_best_before_it_is_kept(quick, tmp_path, cache, monkeypatch):
    # A rate that is right for two epochs.
    from camcli.train.fitting import loop

    rate = loop.rate
    monkeypatch.setattr(loop, "rate", lambda e, s, r: rate(e, s, r) if e < 2 else 1e30)
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"epoch 3 .*best\.safetensors keeps .*epoch [12] \(v"):
        train(replace(quick, epochs=4), out, cache_dir=cache)
    saved = load_checkpoint(out / "best.safetensors")
    assert saved.metrics["epoch"] in (1, 2)
    with (out / "metrics.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[saved.metrics["epoch"] - 1]
    assert float(row["val_acc"]) == saved.metrics["val_acc"]
    assert_no_odd_number(out)


def test_in_the_second_stage_the_first_one_s_is_kept(quick, tmp_path, cache):
    out = tmp_path / "run"
    config = replace(quick, epochs=1, unfreeze="conv5", epochs2=2, lr2=1e30)
    with pytest.raises(DivergedError, match=r"second stage.*--lr2 0\.0003.*keeps the best"):
        train(config, out, cache_dir=cache)
    assert load_file(out / "best.safetensors").keys()
    assert_no_odd_number(out)


def test_what_is_no_number_is_written_as_nothing(tmp_path):
    folder = TrainDirectory(tmp_path)
    folder.write_json("a.json", {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}})
    folder.write_csv("a.csv", [{"a": math.nan, "b": 2}, {"a": 0.5, "b": math.inf}])
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": None, "b": [None, 1.5], "c": {"d": None},
    }  # fmt: skip
    assert (tmp_path / "a.csv").read_text().split() == ["a,b", ",2", "0.5,"]


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_pipes_and_kernel_files_in_a_class_folder_are_left_out(
    quick, colours, tmp_path, cache, ear
):
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    os.mkfifo(data / "train/red/pipe.png")
    (data / "train/green/kmsg.png").symlink_to("/proc/kmsg")
    (data / "val/green/zero.png").symlink_to("/dev/zero")
    outcome = train(
        replace(quick, data=str(data), epochs=1), tmp_path / "run", cache_dir=cache, listener=ear
    )
    with (tmp_path / "run" / "skipped.csv").open(newline="") as file:
        skipped = {row["path"] for row in csv.DictReader(file)}
    assert outcome.skipped == len(skipped) > 0
    assert skipped <= {"train/red/pipe.png", "train/green/kmsg.png", "val/green/zero.png"}
    assert sum(text.startswith("left out") for text in ear.warned) == len(skipped)


class Choosy(nn.Module):
    """Fails on dark images: raises, or gives NaN."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.fc, self.how = nn.Conv2d(3, 4, 3, stride=2), nn.Linear(4, 2), how

    def forward(self, x):
        A = self.conv(x)
        if self.how == "raises" and float(x.detach().mean((1, 2, 3)).min()) < -1:
            raise RuntimeError("too dark")
        if self.how == "nan":
            A = A / (x.mean((1, 2, 3)) > -1).float()[:, None, None, None]
        return self.fc(A.relu().mean((2, 3)))


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_an_image_on_which_the_network_fails_is_left_out(tmp_path, how):
    from PIL import Image

    torch.manual_seed(0)
    classifier = cut_classifier(
        Choosy(how), classes=("a", "b"), preprocess=Preprocess(size=32),
        provenance=Provenance("choosy", "random", None, "random"), device=torch.device("cpu"),
    )  # fmt: skip
    paths = [tmp_path / f"{n}.png" for n in range(5)]
    for n, path in enumerate(paths):
        Image.new("RGB", (40, 40), (0, 0, 0) if n == 2 else (200, 180, 40 * n)).save(path)
    features, errors = extract(paths, hash_files(paths), Sight(classifier), ImageView(classifier))
    assert list(errors) == [2]
    assert errors[2].startswith("network: ")
    assert features.shape == (5, 4)
    assert features[[0, 1, 3, 4]].isfinite().all()
    assert not features[2].any()
    dark = [paths[2]] * 3
    with pytest.raises(CamcliError, match="fails on every image"):
        extract(dark, hash_files(dark), Sight(classifier), ImageView(classifier))


def test_images_that_go_in_the_middle_of_a_run_are_told(quick, colours, tmp_path, cache):
    for change in ({"cache": False}, {"epochs": 1, "unfreeze": "conv5"}):
        data = tmp_path / "data"
        shutil.copytree(colours, data)

        class Removes(Listener):
            def bar(self, title, total, unit, data=data):
                # After the first look at the training images.
                if title.startswith(("head", "fine-tuning")):
                    (data / "train/red/3.png").unlink(missing_ok=True)
                return super().bar(title, total, unit)

        config = replace(quick, data=str(data), **change)
        with pytest.raises(CamcliError, match=r"could be read before.*3\.png: no such file.*--res"):
            train(config, tmp_path / "run", cache_dir=cache, listener=Removes(), overwrite=True)
        shutil.rmtree(data)
        shutil.rmtree(tmp_path / "run")


# --- little data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"solver": "lbfgs"}, {"class_weights": "balanced"}])
def test_a_class_with_one_image_is_trained_and_not_judged(
    quick, tmp_path, cache, draw, ear, change
):
    data = draw(tmp_path / "data", {".": 6})
    for path in sorted((data / "red").iterdir())[1:]:
        path.unlink()
    config = replace(quick, data=str(data), **change)
    outcome = train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert load_checkpoint(outcome.checkpoint).classes == ("green", "red")
    assert any("no validation image is of red" in text for text in ear.warned)
    assert outcome.scores["val"]["count"] == 1
    assert_no_odd_number(tmp_path / "run")


@pytest.mark.parametrize(
    ("splits", "classes", "said"),
    [
        ({".": 5}, ("red",), "one class only"),
        ({"val": 5}, ("red", "green"), "no training images"),
        ({"test": 5}, ("red", "green"), "no training images"),
    ],
)
def test_what_no_classifier_can_learn_from_is_told(quick, tmp_path, draw, splits, classes, said):
    data = draw(tmp_path / "data", splits, classes=classes)
    with pytest.raises(UsageError, match=said):
        train(replace(quick, data=str(data)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("room_for", [0, 1, 2])
def test_a_full_disk_says_how_the_training_goes_on_and_so_it_does(
    quick, tmp_path, cache, monkeypatch, room_for
):
    """As safetensors tells it; after the first files are written, and before."""
    out, written = tmp_path / "run", []

    def save(tensors, path, metadata):
        written.append(path)
        if len(written) > room_for:
            raise SafetensorError(
                "Error while serializing: I/O error: No space left on device (os error 28)"
            )
        return save_file(tensors, path, metadata)

    monkeypatch.setattr("camcli.models.loading.checkpoint.save_file", save)
    with pytest.raises(CamcliError, match="No space left on device") as said:
        train(quick, out, cache_dir=cache)
    begun = (out / STATE).is_file()
    assert ("What was finished is kept" in str(said.value)) == begun
    assert ("it begins with the features" in str(said.value)) != begun
    assert str(said.value).count("run the same command with --resume") == 1
    monkeypatch.undo()
    assert train(quick, out, cache_dir=cache, resume=True).checkpoint.is_file()


def test_where_there_is_no_run_yet_resume_is_not_spoken_of(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("camcli.train.run_folder.rundir.write_whole", full)
    with pytest.raises(CamcliError, match=r"No space left on device\.$"):
        TrainDirectory(tmp_path).write("run.json", b"{}")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CamcliError, match=r"with --resume: there is no epoch to go on from"):
        TrainDirectory(tmp_path).write("epochs.csv", b"")
    (tmp_path / STATE).write_bytes(b"")
    with pytest.raises(CamcliError, match=r"What was finished is kept; .* with --resume\.$"):
        TrainDirectory(tmp_path).write("epochs.csv", b"")
