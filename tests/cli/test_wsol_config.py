"""configs/wsol.toml from drawn scenes to the table, on a network that needs no download."""

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.data.synthetic.scenes import write_scenes
from camcli.models.loading.checkpoint import load_checkpoint

CONFIG = Path(__file__).resolve().parent.parent.parent / "configs" / "wsol.toml"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path / "cache"))
    return lambda *args: CliRunner().invoke(app, [*map(str, args)])


@pytest.mark.slow
def test_the_protocol_end_to_end(run):
    write_scenes(
        Path("set"), counts={"train": 3, "val": 1, "test": 1}, classes=("apple", "pear"), size=64
    )
    trained = run(
        "train", "--config", CONFIG, "--data", "set", "--out", "run", "--backbone",
        "efficientnet_lite0", "--unfreeze", "blocks.6", "--epochs", 1, "--epochs2", 1,
        "--input-size", 64, "--quiet",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    saved = load_checkpoint(Path("run/best.safetensors"))
    assert saved.members == 3
    assert saved.config["members"] == "pretrained,random,reinit"
    assert saved.config["bn"] == "train"
    done = run(
        "evaluate", "set/test", "--config", CONFIG, "--models", "run/best.safetensors", "--masks",
        "set/masks/test", "--format", "csv", "--bootstrap", 0, "--converge", 0.5,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {r["method"] for r in rows} >= {"cam", "gradcam", "scorecam", "centre-box", "random"}
    assert {"maxboxacc", "maxboxacc_v2", "pixel_auc", "tpr", "fpr", "kl", "correlation"} <= {
        r["metric"] for r in rows
    }
    boxes = {r["method"]: r["value"] for r in rows if r["metric"] == "maxboxacc_v2"}
    assert boxes["cam"] == boxes["gradcam"]  # GAP and one linear layer: the same map


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[evaluate]\nmethod = 'cam'", "did you mean methods?"),
        ("epochs = 3", "no table [evaluate]"),
        ("[evaluate", "not well-formed TOML"),
    ],
)
def test_wrong_configurations_are_explained(run, text, message):
    Path("c.toml").write_text(text)
    done = run("evaluate", ".", "--config", "c.toml")
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_the_command_line_wins_over_the_file(run):
    Path("c.toml").write_text("[evaluate]\nmethods = 'camm'\ngrid = [2]\nbootstrap = 0\n")
    wrong = run("evaluate", ".", "--config", "c.toml")
    assert "camm" in wrong.stderr
    other = run("evaluate", ".", "--config", "c.toml", "--methods", "camx")
    assert "camx" in other.stderr


def test_a_setting_of_the_file_may_be_about_methods_that_are_not_asked_for(run):
    Path("c.toml").write_text("[evaluate]\nconverge = 0.9\ngrid = [2]\n")
    asked = ["evaluate", "nowhere", "--config", "c.toml", "--methods", "cam"]
    assert "nowhere" in run(*asked).stderr
    assert "names none of them" in " ".join(run(*asked, "--converge", 0.9).stderr.split())
