"""TensorBoard's files of a run, read with TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from camcli.data.datasets.load import Item
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.jobs.train import TrainJob
from camcli.train.config import TrainConfig
from camcli.train.live.follower import first_to_see
from camcli.train.run import train


@pytest.fixture
def read():
    """Reads a folder of TensorBoard's as TensorBoard does."""
    pytest.importorskip("tensorboard", reason="camcli[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def reader(folder):
        return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()

    return reader


def test_without_tensorboard_it_says_what_brings_it(colours, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    job = TrainJob(TrainConfig(data=str(colours), tensorboard=True), tmp_path / "run")
    with pytest.raises(UsageError, match=r"pip install 'camcli\[tensorboard\]'"):
        job.check()
    assert not (tmp_path / "run").exists()


def test_a_run_writes_its_curves_settings_and_pictures(read, quick, tmp_path):
    out = tmp_path / "run"
    result = train(replace(quick, tensorboard=True), out, cache_dir=tmp_path / "cache")
    seen = read(out / "tensorboard")
    losses = seen.Scalars("loss/validation")
    assert [each.step for each in losses] == [1, 2, 3]
    table = (out / "metrics.csv").read_text("utf-8").splitlines()
    column = table[0].split(",").index("val_loss")
    assert [each.value for each in losses] == pytest.approx(
        [float(line.split(",")[column]) for line in table[1:]], rel=1e-5
    )
    assert seen.Scalars("val/top1")[0].value == pytest.approx(result.scores["val"]["top1"])
    assert len(seen.Images("where it looks/1")) == 1
    # What its table of settings is drawn from.
    assert seen.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"
    files = {p.relative_to(out).as_posix() for p in (out / "tensorboard").rglob("*") if p.is_file()}
    assert files
    assert files <= set(json.loads((out / "run.json").read_text("utf-8"))["files"])


def test_a_killed_run_is_told_once_and_replaced_with_its_files(read, quick, tmp_path, ear_until):
    out, cache = tmp_path / "run", tmp_path / "cache"
    config = replace(quick, tensorboard=True)
    with pytest.raises(KeyboardInterrupt):
        train(config, out, cache_dir=cache, listener=ear_until(2))
    first = set((out / "tensorboard").iterdir())
    assert first
    train(config, out, cache_dir=cache, resume=True)
    assert [each.step for each in read(out / "tensorboard").Scalars("loss/train")] == [1, 2, 3]
    mine = out / "tensorboard" / "events.out.tfevents.1.mine"
    mine.write_bytes(b"")
    train(config, out, cache_dir=cache, overwrite=True)
    assert not any(path.exists() for path in first)
    assert mine.exists()
    assert [each.step for each in read(out / "tensorboard").Scalars("loss/train")] == [1, 2, 3]


def test_a_run_may_be_resumed_with_or_without_it(quick, tmp_path, ear_until):
    out, cache = tmp_path / "run", tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        train(quick, out, cache_dir=cache, listener=ear_until(2))
    assert TrainJob(replace(quick, tensorboard=True), out, resume=True)._is_resumed()


def test_members_are_runs_of_their_own(read, quick, tmp_path):
    out = tmp_path / "run"
    config = replace(quick, tensorboard=True, ensemble=2, epochs=2)
    train(config, out, cache_dir=tmp_path / "cache")
    for member in (1, 2):
        seen = read(out / "tensorboard" / f"member-{member}")
        assert [each.step for each in seen.Scalars("accuracy/train")] == [1, 2]
    assert "where it looks/1" in read(out / "tensorboard").Tags()["images"]


@pytest.mark.parametrize(
    ("column", "cells", "told"),
    [
        ("age", [str(n / 2) for n in range(12)], "age "),
        ("label", ["bright|odd", "", "bright", "odd"] * 3, "labelled "),
    ],
)
def test_what_measures_and_what_has_labels_tells_what_is_true(
    read, quick, draw, tmp_path, column, cells, told
):
    data = draw(tmp_path / "set", {"all": 6})
    table = data / "table.csv"
    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    lines = [f"{path},{cell}" for path, cell in zip(paths, cells, strict=True)]
    table.write_text("\n".join([f"path,{column}", *lines]), "utf-8")
    config = replace(quick, data=str(table), val=0.4, test=0.2, epochs=1, tensorboard=True)
    train(config, tmp_path / "run", cache_dir=tmp_path / "cache")
    seen = read(tmp_path / "run" / "tensorboard")
    (text,) = seen.Tensors("where it looks/1/text_summary")[0].tensor_proto.string_val
    assert told in text.decode()
    assert "None" not in text.decode()


def test_the_surest_mistakes_are_seen_first():
    items = [Item(ImageRef(Path(f"/{n}.jpg"), f"{n}.jpg"), 0, "val") for n in range(4)]
    logits = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.5, 0.0]])
    assert [item.ref.rel for item in first_to_see(items, logits)] == [
        "2.jpg", "1.jpg", "3.jpg", "0.jpg"
    ]  # fmt: skip
    assert first_to_see([], torch.zeros(0, 2)) == []
