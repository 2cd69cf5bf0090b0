"""``camcli cache``."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.train.feature_pass.cache import FeatureCache, record_key


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    for name, days in (("resnet18", 40), ("resnet50", 0)):
        space = {"backbone": name, "preprocess": {"size": 224, "fit": "crop"}}
        with FeatureCache(tmp_path / "features", space, 8) as made:
            made.add([record_key("a", "plain")], np.ones((1, 8), np.float16))
        for path in (made.path, made.path.with_suffix(".json")):
            then = path.stat().st_mtime - days * 86400
            os.utime(path, (then, then))
    return tmp_path / "features"


def run(*words):
    return CliRunner().invoke(app, ["cache", *words])


def backbones():
    return [each["about"]["backbone"] for each in json.loads(run("list", "--json").stdout)]


def test_list_says_how_much_of_what_and_when_it_was_used(cache):
    done = run("list")
    assert done.exit_code == 0
    first, *rest = done.stdout.splitlines()
    assert first == str(cache)
    assert "1 image, used just now" in rest[0]
    assert "resnet50, 224 pixels, crop, mean" in rest[1]
    assert "used 40 days ago" in rest[2]
    assert max(map(len, rest)) <= 80


def test_clear_takes_names_ages_or_all(cache):
    assert backbones() == ["resnet50", "resnet18"]
    done = run("clear", "--unused-for", "30")
    assert "Removed 0.1 kB" in done.stderr
    assert backbones() == ["resnet50"]
    (name,) = (each["name"] for each in json.loads(run("list", "--json").stdout))
    assert run("clear", name).exit_code == 0
    assert backbones() == []
    assert "No features are kept" in run("list").stderr


def test_clear_by_backbone_and_all(cache):
    assert run("clear", "resnet18").exit_code == 0
    assert backbones() == ["resnet50"]
    assert run("clear", "--all").exit_code == 0
    assert list(cache.iterdir()) == []


def test_what_is_in_use_stays_and_is_told(cache):
    space = {"backbone": "resnet50", "preprocess": {"size": 224, "fit": "crop"}}
    with FeatureCache(cache, space, 8):
        done = run("clear", "--all")
    assert "in use" in done.stderr
    assert backbones() == ["resnet50"]


@pytest.mark.parametrize("words", [[], ["x", "--all"], ["--all", "--unused-for", "3"], ["nothing"]])
def test_what_cannot_be_meant_removes_nothing(cache, words):
    done = run("clear", *words)
    assert done.exit_code == 2
    assert len(backbones()) == 2


def test_a_limit_that_is_no_size_is_told_before_anything_else(tmp_path):
    words = ["train", "--data", "gone", "--out", str(tmp_path / "o"), "--cache-limit", "much"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "--cache-limit takes a size" in done.stderr
