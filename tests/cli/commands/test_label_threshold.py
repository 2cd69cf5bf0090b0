"""`evaluate --label-threshold`: labels are predicted above it, as by `batch --threshold`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NET = """
import torch
from torch import nn


def labels():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(6, 3), nn.Sigmoid())
    net[4].weight.data.mul_(9)
    net.classes = ["a", "b", "c"]
    return net
"""


@pytest.mark.parametrize("threshold", ["0.4", "0.6", "t.csv"])
def test_evaluate_and_batch_predict_the_same_labels(camcli, tmp_path, monkeypatch, threshold):
    (tmp_path / "net_of_labels.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    draw = np.random.default_rng(5)
    lines = ["path,label"]
    Path("pics").mkdir()
    for n in range(16):
        blocks = Image.fromarray(draw.integers(0, 255, (3, 3, 3), np.uint8))
        blocks.resize((32, 32), Image.Resampling.NEAREST).save(f"pics/{n}.png")
        lines.append(f"{n}.png,{'|'.join(name for name in 'abc' if draw.random() < 0.5)}")
    Path("truth.csv").write_text("\n".join(lines) + "\n")
    Path("t.csv").write_text("class,threshold\nb,0.3\na,0.7\nc,0.55\n")
    common = ("pics", "--labels", "truth.csv", "--input-size", 32)
    done = camcli("batch", *common, "--model", "net_of_labels:labels", "--threshold", threshold,
                  "--out", "run", "--no-overlays", "--runtime", "torch")  # fmt: skip
    assert done.exit_code == 0, done.output
    done = camcli("evaluate", *common, "--models", "net_of_labels:labels", "--out", "found",
                  "--label-threshold", threshold, "--bootstrap", 0)  # fmt: skip
    assert done.exit_code == 0, done.output
    run = json.loads(Path("run/run.json").read_text("utf-8"))["label_metrics"]
    (row,) = json.loads(Path("found/results.json").read_text("utf-8"))["rows"]
    assert row["metrics"]["exact"] == pytest.approx(run["exact_match"], abs=1e-6)
    assert row["metrics"]["f1_macro"] == pytest.approx(run["f1_macro"], abs=1e-6)
    assert row["metrics"]["map"] == pytest.approx(run["map_macro"], abs=1e-6)
    done = camcli("evaluate", *common, "--models", "net_of_labels:labels",
                  "--label-threshold", "1.5")  # fmt: skip
    assert done.exit_code == 2
    assert "--label-threshold: 1.5 is no threshold" in " ".join(done.stderr.split())
