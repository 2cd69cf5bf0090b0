from __future__ import annotations

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from camcli.cli.commands.models import models
from camcli.cli.terminal.console import Friendly
from camcli.models.weights.bundled_file import BUNDLED


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    app = typer.Typer(cls=Friendly)
    app.callback()(lambda: None)
    app.command("models")(models)
    return lambda *args: CliRunner().invoke(app, ["models", *args])


def test_families(run, tmp_path):
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"")
    done = run()
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["bundled", "efficientnet_lite0*"]
    assert lines[1].split()[-4:] == ["4.7", "-", "6.1", "M"]
    assert max(map(len, lines)) <= 80
    words = done.stdout.split()
    for name, carried in BUNDLED.items():
        assert (f"{name}*" if carried.is_here() else name) in words
    assert "resnet18*" in words
    assert {"resnet50", "vit_b_16", "densenet121", "swin_t", "vgg16"} <= set(words)
    assert "*" in done.stderr


def test_filter_finds_timms_models_too(run):
    done = run("--filter", "ResNet18")
    assert done.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    # torchvision's documentation: 11.7 M parameters, 44.7 MB, 69.758 %.
    assert rows["resnet18"] == ["12", "M", "45", "MB", "69.8%"]
    assert "timm:resnet18.a1_in1k" in rows
    assert all("resnet18" in name or name == "Model" for name in rows)


def test_json(run):
    done = run("--json")
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert len(entries) > 80
    assert entries["efficientnet_lite0"]["here"] is True
    resnet50 = entries["resnet50"]
    assert resnet50["here"] is False
    assert resnet50["weights"] == ["IMAGENET1K_V2", "IMAGENET1K_V1"]
    assert resnet50["parameters"] == 25557032
    assert resnet50["top1"] == pytest.approx(0.80858)


def test_all_lists_timms_classifiers_only(run):
    names = {entry["name"] for entry in json.loads(run("--all", "--json").stdout)}
    assert "timm:resnet50.a1_in1k" in names
    assert "timm:vit_base_patch16_clip_224.openai" not in names  # embeddings
    assert not any("dinov2" in name for name in names)


def test_nothing_found(run):
    done = run("--filter", "zzz")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "'zzz'" in done.stderr
