"""``kill -9`` in the middle of `camcli train`, in either stage: --resume ends with the same."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from camcli.train.config import TrainConfig
from camcli.train.config_file import to_toml
from camcli.train.run import train

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="kill -9"),
    pytest.mark.slow,  # three processes that import torch
]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "camcli", "train", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def epochs_of(out: Path, stage: str) -> int:
    """Finished epochs of a stage, as the run's own table tells."""
    try:
        with (out / "metrics.csv").open(newline="") as file:
            return sum(row["stage"] == stage for row in csv.DictReader(file))
    except FileNotFoundError:
        return 0


def killed_in(stage: str, out: Path, arguments: list[str]) -> bool:
    """Kill a run after two epochs of a stage; False if it was over before that."""
    process = start(arguments)
    deadline = time.monotonic() + 300
    while epochs_of(out, stage) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    stderr = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), stderr
    return process.returncode != 0


def kill_in(stage: str, out: Path, arguments: list[str]) -> None:
    """The same, from the same folder once more where this process got the CPU too late."""
    before = out.with_name("before")
    shutil.rmtree(before, ignore_errors=True)
    out.mkdir(exist_ok=True)
    shutil.copytree(out, before)
    for _ in range(3):
        if killed_in(stage, out, arguments):
            return
        shutil.rmtree(out)
        shutil.copytree(before, out)
    pytest.fail("the run was over before it could be killed")


@pytest.mark.posix
def test_killed_in_each_stage_it_ends_with_the_same(quick, tmp_path):
    # So many epochs that a run is still in a stage after two of its epochs.
    config = replace(
        quick, solver="adamw", epochs=80, lr=1e-3, unfreeze="conv5", epochs2=8, lr2=1e-3, augment=1,
        bn="train", patience=0,
    )  # fmt: skip
    whole, out, cache = tmp_path / "whole", tmp_path / "cut", tmp_path / "cache"
    train(config, whole, cache_dir=cache, device="cpu")
    (tmp_path / "c.toml").write_text(to_toml(config))
    arguments = ["--config", str(tmp_path / "c.toml"), "--out", str(out), "--device", "cpu",
                 "--cache-dir", str(cache), "--quiet"]  # fmt: skip
    kill_in("1", out, arguments)
    assert epochs_of(out, "1") < config.epochs
    kill_in("2", out, [*arguments, "--resume"])
    assert epochs_of(out, "1") == config.epochs
    assert epochs_of(out, "2") < config.epochs2
    last = start([*arguments, "--resume"])
    stdout, stderr = last.communicate(timeout=300)
    assert last.returncode == 0, stderr
    assert stdout.strip() == str(out / "best.safetensors")
    for name in ("best.safetensors", "last.safetensors"):
        one, other = load_file(whole / name), load_file(out / name)
        assert one.keys() == other.keys()
        for key in one:
            assert torch.allclose(one[key], other[key], atol=1e-4), (name, key)
    assert not (out / "state.pt").exists()
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]


@pytest.mark.posix
def test_killed_in_a_search_it_finds_the_same(quick, tmp_path):
    config = replace(quick, search=True, epochs=TrainConfig().epochs, batch_size=32)
    whole, out, cache = tmp_path / "whole", tmp_path / "cut", tmp_path / "cache"
    train(config, whole, cache_dir=tmp_path / "other", device="cpu")
    (tmp_path / "c.toml").write_text(to_toml(config))
    arguments = ["--config", str(tmp_path / "c.toml"), "--out", str(out), "--device", "cpu",
                 "--cache-dir", str(cache)]  # fmt: skip
    process = start(arguments)
    assert process.stderr is not None
    for line in process.stderr:  # until the first candidate is told
        if " squash " in line or "mean" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "search.csv").exists()
    last = start([*arguments, "--resume"])
    stdout, stderr = last.communicate(timeout=300)
    assert last.returncode == 0, stderr
    assert stdout.strip() == str(out / "best.safetensors")
    assert (out / "config.toml").read_text() == (whole / "config.toml").read_text()
    one, other = (json.loads((each / "metrics.json").read_text()) for each in (out, whole))
    assert one["val"]["log_loss"] == pytest.approx(other["val"]["log_loss"], abs=1e-3)
