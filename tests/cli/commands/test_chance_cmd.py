"""With labels, a run whose accuracy is at chance says which assumption to check first."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from camcli.cli.app import app

NET = '''
import torch
from torch import nn


def build():
    """The mean colour decides, of pixels from 0 to 1."""
    net = nn.Sequential(
        nn.Conv2d(3, 3, 4, stride=4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, 3, bias=False),
    )
    with torch.no_grad():
        net[0].weight.zero_()
        for c in range(3):
            net[0].weight[c, c] = 1 / 16
        net[4].weight.copy_(torch.eye(3))
    return net
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """42 pictures of three colours."""
    folder = tmp_path_factory.mktemp("chance")
    (folder / "mean_colour.py").write_text(NET)
    rng = np.random.default_rng(0)
    for c, name in enumerate(("red", "green", "blue")):
        (folder / "photos" / name).mkdir(parents=True)
        for n in range(14):
            rgb = rng.integers(0, 150, (40, 40, 3)).astype(np.uint8)
            rgb[..., c] = 200
            Image.fromarray(rgb).save(folder / "photos" / name / f"{n}.png")
    (folder / "right.txt").write_text("red\ngreen\nblue\n")
    (folder / "wrong.txt").write_text("blue\nred\ngreen\n")
    return folder


def batch(place, monkeypatch, names, *more):
    monkeypatch.chdir(place)
    out = f"run-{names}-{len(more)}"
    done = CliRunner().invoke(app, [
        "batch", "photos", "--model", "./mean_colour.py:build", "--classes", f"{names}.txt",
        "--preprocess", "none size=32", "--out", out, "--report", "--device", "cpu", *more,
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split()), place / out


def test_classes_in_another_order_are_told(place, monkeypatch):
    output, run = batch(place, monkeypatch, "wrong")
    assert "accuracy 0.0000" in output
    assert "order of the classes first" in output
    assert "mistakes:" not in output  # which follow from that
    assert re.search(r"calls '(red' mostly 'blue|blue' mostly 'green|green' mostly 'red)'", output)
    assert "Check first" in (run / "report" / "index.html").read_text()
    recorded = json.loads((run / "run.json").read_text())
    assert recorded["config"]["preprocess"]["size"] == 32


def test_where_all_is_well_nothing_is(place, monkeypatch):
    output, run = batch(place, monkeypatch, "right")
    assert "accuracy 1.0000" in output
    assert "chance gives" not in output
    assert "Least certain:" in output
    page = (run / "report" / "index.html").read_text()
    assert "Check first" not in page
    assert "32x32, the centre of 36, bilinear, values from 0 to 1" in page
