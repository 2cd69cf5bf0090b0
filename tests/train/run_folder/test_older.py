"""Runs that an older camcli began go on as they began, or say what that takes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from camcli.errors import UsageError
from camcli.train.config import TrainConfig
from camcli.train.run_folder.rundir import INFO, TrainDirectory

PLAIN = TrainConfig(data="photos", backbone="resnet18", epochs=3)
NEWER = (
    "pooling", "search", "time_limit", "explainable", "head", "folds", "ema", "layer_decay",
    "augment2", "mixup", "randaugment", "loss", "focal_gamma", "ignore_label", "tensorboard",
)  # fmt: skip
"""Settings that there were none of."""


@pytest.fixture
def older(tmp_path):
    """Write a run's record as it was before there was a search, when these were the defaults."""

    def begun(config: TrainConfig) -> TrainDirectory:
        directory = TrainDirectory(tmp_path / "run")
        directory.hold()
        directory.begin(config, {"command": "train", "config": config.to_dict()}, overwrite=False)
        directory.let_go()
        record = json.loads((directory.path / INFO).read_text("utf-8"))
        for name in NEWER:
            del record["config"][name]
        record["config"] |= {"solver": "adamw", "patience": 0, "epochs2": 5}
        (directory.path / INFO).write_text(json.dumps(record), "utf-8")
        return directory

    return begun


def test_the_same_command_goes_on(older):
    assert older(PLAIN).check(PLAIN, resume=True, overwrite=False)


def test_other_settings_do_not(older):
    directory = older(PLAIN)
    for more, said in (({"epochs": 4}, "epochs = 3"), ({"solver": "lbfgs"}, "'adamw'.*'lbfgs'")):
        with pytest.raises(UsageError, match=said):
            directory.check(replace(PLAIN, **more), resume=True, overwrite=False)


def test_layers_learn_on_as_they_did(older):
    tuned = replace(PLAIN, unfreeze="layer4")
    directory = older(tuned)
    alike = {
        "solver": "adamw", "layer_decay": 1.0, "ema": 0.0, "augment2": "none", "patience": 0,
        "epochs2": 5,
    }  # fmt: skip
    assert directory.check(replace(tuned, **alike), resume=True, overwrite=False)
    for name in alike:
        other = {key: value for key, value in alike.items() if key != name}
        with pytest.raises(UsageError, match=f"{name} = "):
            directory.check(replace(tuned, **other), resume=True, overwrite=False)


def test_what_is_read_may_be_written_otherwise(tmp_path, monkeypatch):
    asked = replace(PLAIN, labels="l.csv", backbone="nets/own.py:build")
    directory = TrainDirectory(tmp_path / "run")
    directory.hold()
    info = {"command": "train", "config": asked.to_dict(), "folder": str(tmp_path)}
    directory.begin(asked, info, overwrite=False)
    directory.let_go()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    here = {"data": "../photos", "labels": str(tmp_path / "l.csv"),
            "backbone": "../nets/own.py:build"}  # fmt: skip
    assert directory.check(replace(asked, **here), resume=True, overwrite=False)
    for name, other in (("data", "../other"), ("backbone", "../nets/own.py:other")):
        with pytest.raises(UsageError, match=f"made with {name} = "):
            directory.check(replace(asked, **here | {name: other}), resume=True, overwrite=False)
