"""Several processes under torchrun end with what one process ends with."""

from __future__ import annotations

import csv
import json
import os
import queue
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from camcli.errors import UsageError
from camcli.train.config import TrainConfig
from camcli.train.config_file import to_toml
from camcli.train.processes import ALONE, Team
from camcli.train.run import train


@pytest.fixture(scope="module")
def gloo():
    """What joins processes on a CPU must be able to listen on this machine."""
    try:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    except (RuntimeError, ValueError, OSError) as error:
        pytest.skip(f"gloo cannot listen here: {error}")
    dist.destroy_process_group()


class Thread(Team):
    """A process of two that is a thread: the first one's words, for both to read."""

    def __init__(self, rank: int, words: queue.Queue) -> None:
        super().__init__(rank, 2)
        object.__setattr__(self, "words", words)

    def agree(self, value):
        if self.leads:
            self.words.put(value)
        return value if self.leads else self.words.get(timeout=60)


def test_the_others_wait_for_the_first_one_and_stop_with_it():
    words, done = queue.Queue(), []
    first, second = Thread(0, words), Thread(1, words)
    with first.leader_first():
        done.append(0)
    with second.leader_first():
        done.append(1)
    assert done == [0, 1]
    with pytest.raises(UsageError, match="no such folder"), first.leader_first():
        raise UsageError("no such folder")
    with pytest.raises(SystemExit), second.leader_first():
        done.append(2)  # what the first one says is said once
    assert done == [0, 1]


def by_two_processes(config: TrainConfig, folder: Path) -> subprocess.CompletedProcess[str]:
    """`folder`/two, as ``torchrun`` trains it."""
    (folder / "c.toml").write_text(to_toml(config))
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "camcli", "train", "--config", str(folder / "c.toml"),
         "--out", str(folder / "two"), "--cache-dir", str(folder / "cache2"),
         "--device", "cpu"],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.mark.slow  # three processes that import torch
def test_two_processes_train_the_same_network(quick, tmp_path, draw, gloo):
    # An odd number of images: the last batch has one, and one process nothing of it.
    data = draw(tmp_path / "data", {"train": 9, "val": 3, "test": 2}, classes=("red", "green"))
    (data / "train" / "red" / "8.png").unlink()
    (data / "val" / "green" / "1.png").write_bytes(b"no image")
    config = replace(
        quick, data=str(data), solver="adamw", epochs=2, unfreeze="conv5", epochs2=2, lr2=1e-3,
        augment=1, class_weights="balanced", label_smoothing=0.1,
    )  # fmt: skip
    one = train(config, tmp_path / "one", cache_dir=tmp_path / "cache", device="cpu")
    ran = by_two_processes(config, tmp_path)
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
    # Each image's logits are beside its own target and the head's own, whoever computed them.
    verdicts = [
        json.loads((tmp_path / n / "run.json").read_text("utf-8"))["fine_tuning"][0]
        for n in ("one", "two")
    ]
    for name in ("head_alone", "fine_tuned", "log_loss"):
        assert verdicts[0][name] == pytest.approx(verdicts[1][name], abs=1e-3), name
    for left, right in zip(*rows, strict=True):
        for key in ("train_loss", "train_acc", "val_loss", "val_acc"):
            assert float(left[key]) == pytest.approx(float(right[key]), abs=1e-3), key
    assert one.skipped == 1


@pytest.mark.slow  # three processes that import torch
def test_two_processes_find_the_same_head(quick, tmp_path, draw, gloo):
    data = draw(tmp_path / "data", {"train": 11, "val": 3})
    (data / "train" / "red" / "4.png").write_bytes(b"no image")
    config = replace(quick, data=str(data), search=True, epochs=TrainConfig().epochs, batch_size=32)
    one = train(config, tmp_path / "one", cache_dir=tmp_path / "cache", device="cpu")
    ran = by_two_processes(config, tmp_path)
    assert ran.stdout.split() == [str(tmp_path / "two" / "best.safetensors")]
    assert ran.stderr.count("Chosen:") == 1
    first, both = (
        list(csv.DictReader((tmp_path / n / "search.csv").open(newline=""))) for n in ("one", "two")
    )
    key = ("fit", "pooling", "views", "head", "images")
    left, right = ({tuple(row[k] for k in key): row for row in rows} for rows in (first, both))
    assert left.keys() == right.keys()
    assert "mirrored" in {row["views"] for row in first}
    for name, row in left.items():
        assert float(row["log_loss"]) == pytest.approx(float(right[name]["log_loss"]), abs=2e-3)
        assert row["won"] == right[name]["won"]
    settled = [(tmp_path / n / "config.toml").read_text() for n in ("one", "two")]
    assert settled[0] == settled[1]
    assert one.skipped == 1


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 16])
def test_every_image_is_in_one_share(size, count):
    batch = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    parts = [Team(rank, size).part(batch) for rank in range(size)]
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1
    # As features come back: row i of rank r is row r + i * size of the whole.
    whole = torch.empty_like(batch)
    for rank, part in enumerate(parts):
        whole[rank::size] = part
    assert torch.equal(whole, batch)


def test_alone_all_is_ones_own():
    assert ALONE.leads
    assert ALONE.sum(1.5, 2) == [1.5, 2]
    assert ALONE.gather("x") == ["x"]
    assert ALONE.agree("x") == "x"
    assert ALONE.device("auto") == "auto"
    with ALONE.leader_first():
        pass


def test_one_process_writes():
    assert [Team(rank, 3).leads for rank in range(3)] == [True, False, False]
