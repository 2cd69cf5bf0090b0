from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading

import pytest
import torch
import typer
from typer.testing import CliRunner

from camcli.cli.commands.weights import app as weights_app
from camcli.cli.terminal.console import Friendly
from camcli.models.loading.named import catalogue
from camcli.models.loading.named.torchvision_weights import PublishedWeights, TorchvisionModel
from camcli.models.weights.bundled_file import BUNDLED, NAME


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.delenv("CAMCLI_OFFLINE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    (tmp_path / "own").mkdir()
    app = typer.Typer(cls=Friendly)
    app.add_typer(weights_app, name="weights")
    return lambda *args: CliRunner().invoke(app, ["weights", *map(str, args)])


@pytest.fixture
def served(monkeypatch, tmp_path):
    """resnet18's file as a local server has it."""
    folder = tmp_path / "www"
    folder.mkdir()
    torch.save({"fc.bias": torch.zeros(3)}, folder / "draft.pth")
    digest = hashlib.sha256((folder / "draft.pth").read_bytes()).hexdigest()
    name = f"resnet18-{digest[:8]}.pth"
    (folder / "draft.pth").rename(folder / name)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{name}"
        only = PublishedWeights("IMAGENET1K_V1", url, None, None, None)
        known = {"resnet18": TorchvisionModel("resnet", (only,))}
        monkeypatch.setattr(catalogue, "torchvision", lambda: known)
        yield folder / name
        server.shutdown()


def test_list(run, tmp_path):
    (tmp_path / "own" / "resnet18-f37072fd.pth").write_bytes(b"x" * 2**20)
    (tmp_path / "own" / "mine [bold].safetensors").write_bytes(b"")
    (tmp_path / "own" / "notes.txt").write_bytes(b"")
    blob = tmp_path / "hf" / "models--timm--resnet10t.c3_in1k" / "snapshots" / "abc"
    blob.mkdir(parents=True)
    (blob / "model.safetensors").write_bytes(b"")
    done = run("list", "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    carried = [name for name, each in BUNDLED.items() if each.is_here()]
    assert [row["model"] for row in rows] == [*carried, None, "resnet18", "timm:resnet10t.c3_in1k"]
    assert rows[-2]["size"] == 2**20
    assert rows[-2]["sha256"] == "f37072fd"
    lines = run("list").stdout.splitlines()
    own = lines.index(str(tmp_path / "own"))
    assert lines[own + 1 : own + 3] == [
        "      0 MB  mine [bold].safetensors",
        "      1 MB  resnet18-f37072fd.pth",
    ]
    assert lines[-1] == "      0 MB  model.safetensors  (timm:resnet10t.c3_in1k)"


def test_where(run, tmp_path):
    assert run("where").stdout.splitlines() == [
        str(tmp_path / "own"),
        str(tmp_path / "hub" / "checkpoints"),
    ]
    assert run("where", "efficientnet_lite0").stdout.strip() == str(BUNDLED[NAME].path())
    missing = run("where", "resnet18")
    assert missing.exit_code == 4
    assert missing.stdout == ""
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in missing.stderr
    (tmp_path / "own" / "resnet18-f37072fd.pth").write_bytes(b"")
    assert run("where", "resnet18").stdout.strip().endswith("own/resnet18-f37072fd.pth")


def test_fetch(run, served, tmp_path):
    done = run("fetch", "resnet18")
    path = tmp_path / "own" / served.name
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(path)
    assert path.read_bytes() == served.read_bytes()
    again = run("fetch", "resnet18")
    assert again.stdout.strip() == str(path)
    assert "already" in again.stderr
    other = run("fetch", "resnet18", "--dir", tmp_path / "new")
    assert other.stdout.strip() == str(tmp_path / "new" / served.name)
    path.write_bytes(b"damaged")
    assert run("fetch", "resnet18").exit_code == 1


def test_fetch_of_other_bytes(run, served, tmp_path):
    served.write_bytes(b"not these")
    done = run("fetch", "resnet18")
    assert done.exit_code == 4
    assert "other bytes than expected" in done.stderr
    assert list((tmp_path / "own").iterdir()) == []


def test_fetch_offline(run, served, monkeypatch):
    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    done = run("fetch", "resnet18")
    assert done.exit_code == 4
    assert "CAMCLI_OFFLINE" in done.stderr


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["resnt18"], "resnet18"),
        (["efficientnet_lite0"], "bundled"),
        (["resnet18", "--weights", "V9"], "IMAGENET1K_V1"),
        (["timm:resnet10t", "--weights", "V1"], "timm:NAME.TAG"),
    ],
)
def test_fetch_of_what_does_not_exist(run, args, hint):
    done = run("fetch", *args)
    assert done.exit_code == 2
    assert hint in done.stderr


def test_verify(run, tmp_path):
    assert run("verify").stdout.startswith("ok      ")
    content = b"weights"
    good = tmp_path / "own" / f"a-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    good.write_bytes(content)
    unknown = tmp_path / "own" / "mine.pth"
    unknown.write_bytes(content)
    bad = tmp_path / "own" / "resnet18-f37072fd.pth"
    bad.write_bytes(content)
    done = run("verify")
    assert done.exit_code == 1
    verdicts = {line[8:]: line[:8].strip() for line in done.stdout.splitlines()}
    assert verdicts == {
        **{str(each.path()): "ok" for each in BUNDLED.values() if each.is_here()},
        str(good): "ok",
        str(unknown): "unknown",
        str(bad): "DAMAGED",
    }
    assert run("verify", good, "efficientnet_lite0").exit_code == 0
    assert run("verify", "resnet18").exit_code == 1
    assert run("verify", "resnet50").exit_code == 4
    assert run("verify", tmp_path / "gone.pth").exit_code == 2
