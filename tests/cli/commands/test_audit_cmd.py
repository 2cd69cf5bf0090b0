import csv
import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from camcli.cli.commands.audit import audit
from camcli.cli.terminal.console import Friendly
from camcli.data.synthetic.scenes import write_scenes


@pytest.fixture
def run(tmp_path, monkeypatch):
    app = typer.Typer(cls=Friendly)
    app.command("audit")(audit)
    app.callback()(lambda: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *args: CliRunner().invoke(app, ["audit", *map(str, args)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "s"
    write_scenes(folder, counts={"test": 6}, classes=("banana", "lemon"), size=96)
    return folder


@pytest.mark.parametrize("clusters", ["kmeans", "spectral"])
def test_photographs_with_masks(run, scenes, clusters):
    done = run(
        scenes / "test", "--masks", scenes / "masks" / "test", "--input-size", 128, "-k", 3,
        "--clusters", clusters, "--stretch", "--texture", "--merge",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "stray heat" in done.stdout
    told = " ".join(done.stderr.split())
    assert "Maps by gradcam, exact where maps are averaged and one linear layer follows" in told
    record = json.loads(Path("camcli-audit/audit.json").read_text())
    assert record["photographs"] == 12
    assert {"banana", "lemon"} <= {row["label"] for row in record["classes"]}
    for own in record["clusters"].values():
        assert len(own) <= 3
        sure = [cluster["probability"] for cluster in own]
        assert sure == sorted(sure, reverse=True)  # --merge
    rows = list(csv.DictReader(Path("camcli-audit/images.csv").read_text().splitlines()))
    assert len(rows) == 12
    stray = [float(row["stray"]) for row in rows if row["stray"]]
    assert stray == sorted(stray, reverse=True)
    assert all(0 <= float(row["textured"]) <= 1 for row in rows if row["cluster"])
    assert Path("camcli-audit/clusters.jpg").read_bytes()[:2] == b"\xff\xd8"
    again = run(scenes / "test")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    # Of something else: not refused, and not in the place of this one.
    before = Path("camcli-audit/audit.json").read_bytes()
    other = run(scenes / "test" / "banana", "--input-size", 64, "--labels", "folder", "--overwrite")
    assert other.exit_code == 0, other.output
    assert "camcli-audit-banana" in other.stderr
    assert Path("camcli-audit-banana/audit.json").is_file()
    assert Path("camcli-audit/audit.json").read_bytes() == before
    Path("mine").mkdir()
    Path("mine/images.csv").write_text("mine")
    refused = run(scenes / "test", "--out", "mine", "--overwrite")
    assert refused.exit_code == 2
    assert "was not written by 'camcli audit'" in " ".join(refused.stderr.split())
    assert Path("mine/images.csv").read_text() == "mine"


def test_a_run_keeps_enough_to_be_audited(run, scenes, bundled):
    import camcli

    list(camcli.batch(scenes / "test", "run", bundled))
    done = run("run", "--masks", scenes / "masks" / "test", "--texture")
    assert done.exit_code == 0, done.output
    assert "camcli report run --open" in done.stderr
    record = json.loads(Path("camcli-audit/audit.json").read_text())
    assert record["root"] == str((scenes / "test").resolve())
    assert record["network"]["sha256"] == bundled.provenance.sha256
    assert record["photographs"] == 12
    assert {"banana", "lemon"} <= {row["label"] for row in record["classes"]}
    wrong = run("run", "--out", "b", "--input-size", 320, "--method", "layercam")
    assert wrong.exit_code == 2
    assert "leave --method and --input-size out" in " ".join(wrong.stderr.split())
    Path("run/heatmaps.jsonl").unlink()
    gone = run("run", "--out", "b")
    assert gone.exit_code == 2
    assert "heatmaps.jsonl" in gone.stderr


def test_a_run_is_looked_at_again_where_its_photographs_are(run, scenes, bundled, tmp_path):
    """The network and the photographs are there: each photograph's region is known again."""
    import camcli

    shutil.copytree(scenes / "test", "photos")
    list(camcli.batch("photos", "run", bundled, method="layercam"))
    whole = camcli.audit("run")
    assert all(fact.region is not None for fact in whole.facts if not fact.empty)
    assert not any("of the run" in each or "proved" in each for each in whole.not_looked)
    # One is gone: what the run kept of it is still a fact.
    next(Path("photos/lemon").iterdir()).unlink()
    some = camcli.audit("run")
    assert len(some.facts) == len(whole.facts)
    assert sum(fact.region is None for fact in some.facts) >= 1
    assert "1 of 12 photographs of the run cannot be read any more" in some.not_looked[0]
    shutil.rmtree("photos")
    gone = camcli.audit("run")
    assert len(gone.facts) == len(whole.facts)
    assert "12 of 12 photographs" in gone.not_looked[0]
    assert "Nothing was proved" in gone.not_looked[1]
    done = run("run", "--out", "b")
    assert done.exit_code == 0, done.output
    assert "Not looked at" in done.stdout


def test_mistakes(run, scenes, tmp_path):
    assert run("nowhere").exit_code == 2
    assert run(scenes / "test", "--method", "camm").exit_code == 2
    assert run(scenes / "test", "--masks", "nowhere").exit_code == 2
    write_scenes(tmp_path / "s", counts={"test": 1}, classes=("banana", "lemon"), size=64)
    (tmp_path / "s" / "test" / "lemon" / "bad.jpg").write_bytes(b"x")
    done = run(tmp_path / "s" / "test", "--input-size", 64)
    assert done.exit_code == 3
    assert "bad.jpg" in done.stderr
    assert "two classes with 5 correct predictions" in " ".join(done.stdout.split())


def test_why_there_is_nothing_to_audit(run, scenes, tmp_path):
    none = run(scenes / "test", "--time-limit", "0.001")
    assert none.exit_code == 2
    assert "Not a single photograph" in none.stderr
    assert "--time-limit 0.001" in " ".join(none.stderr.split())
    bad = tmp_path / "bad"
    bad.mkdir()
    for n in range(3):
        (bad / f"{n}.jpg").write_bytes(b"x")
    done = run(bad)
    assert done.exit_code == 1
    assert "None of 3 photographs" in done.stderr
    assert "0.jpg: not a picture" in done.stderr.replace("\n", " ")
    assert not Path("camcli-audit").exists()


def test_where_nothing_can_be_written_is_told_before_anything_is_looked_at(run, scenes, tmp_path):
    (tmp_path / "file").write_text("x")
    done = run(scenes / "test", "--out", tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert "Loading" not in done.stderr
