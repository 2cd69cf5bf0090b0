"""`camcli layers` and `camcli methods`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from camcli.cam.methods import METHODS
from camcli.cli.app import app


def run(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_methods_lists_all_with_formula_paper_and_cost():
    text = run("methods")
    for name in METHODS:
        assert name in text
    assert "1610.02391" in text
    records = json.loads(run("methods", "--json"))
    beside = ["diffcam", "trained-on-boxes"]
    assert [record["name"] for record in records] == ["auto", *METHODS, *beside]
    assert [r["name"] for r in records if r["needs"]] == beside
    assert [r["name"] for r in records if not r["explains"]] == ["trained-on-boxes"]
    assert "NO EXPLANATION; needs a checkpoint of train --boxes" in text
    assert "needs --against FOLDER" in text
    gradcam = records[2]
    assert "legrad for a class token" in records[0]["formula"]
    assert records[0]["class_specific"]
    assert gradcam["equals"] == "cam"
    assert gradcam["cost_linear_head"] == "nothing"


def test_methods_fit_80_columns_and_say_which_are_equal(camcli):
    done = camcli("methods")
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80
    equal = [m.name for m in METHODS.values() if m.equals == "cam"]
    assert done.stdout.count("= cam for a GAP head") == len(equal) >= 4
    assert "'= cam' is the same map up to a factor" in " ".join(done.stderr.split())


def test_layers_of_a_network_whose_weights_are_not_here():
    text = run("layers", "resnet18")
    assert "layer3" in text
    assert "layer3.0.conv1" not in text
    assert "14x14" in text
    assert "layer4.1.relu (512 channels, 7x7)" in text
    assert "layer3.0.conv1" in run("layers", "resnet18", "--all")


def test_layers_as_json():
    records = json.loads(run("layers", "efficientnet_lite0", "--json", "--input-size", "320"))
    last = records[-1]
    assert last == {"name": "bn2", "kind": "BatchNormAct2d", "shape": [1280, 10, 10], "main": True}


def test_unknown_models_are_refused():
    result = CliRunner().invoke(app, ["layers", "nonsense"])
    assert result.exit_code == 2
