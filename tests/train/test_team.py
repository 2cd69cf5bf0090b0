"""Several processes under torchrun end with what one process ends with."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from camcli.train.config import to_toml
from camcli.train.run import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gloo as the CI has it")


def test_two_processes_train_the_same_network(quick, tmp_path, draw):
    # An odd number of images: the last batch has one, and one process nothing of it.
    data = draw(tmp_path / "data", {"train": 9, "val": 3, "test": 2}, classes=("red", "green"))
    (data / "train" / "red" / "8.png").unlink()
    (data / "val" / "green" / "1.png").write_bytes(b"no image")
    config = replace(
        quick, data=str(data), epochs=2, unfreeze="conv5", epochs2=2, lr2=1e-3, augment=1,
        class_weights="balanced", label_smoothing=0.1,
    )  # fmt: skip
    one = train(config, tmp_path / "one", cache_dir=tmp_path / "cache", device="cpu")
    (tmp_path / "c.toml").write_text(to_toml(config))
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "camcli", "train", "--config", str(tmp_path / "c.toml"),
         "--out", str(tmp_path / "two"), "--cache-dir", str(tmp_path / "cache2"),
         "--device", "cpu"],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    # One of them speaks.
    assert ran.stdout.split() == [str(tmp_path / "two" / "best.safetensors")]
    assert ran.stderr.count("left out 'val/green/1.png'") == 1
    first, both = (load_file(tmp_path / n / "last.safetensors") for n in ("one", "two"))
    assert first.keys() == both.keys()
    for name in first:
        assert torch.allclose(first[name].float(), both[name].float(), atol=1e-4), name
    rows = [
        list(csv.DictReader((tmp_path / n / "metrics.csv").open(newline="")))
        for n in ("one", "two")
    ]
    assert len(rows[0]) == len(rows[1]) == 4
    for left, right in zip(*rows, strict=True):
        for key in ("train_loss", "train_acc", "val_loss", "val_acc"):
            assert float(left[key]) == pytest.approx(float(right[key]), abs=1e-3), key
    assert one.skipped == 1
