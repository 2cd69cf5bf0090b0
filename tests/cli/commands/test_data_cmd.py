import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from camcli.cli.commands import data
from camcli.cli.terminal.console import Friendly
from camcli.data.datasets.registry import NAMED

CAT = Path(__file__).resolve().parents[3] / "sample_images" / "cat.jpg"
app = typer.Typer(cls=Friendly)
app.add_typer(data.app, name="data")


@app.command("other")
def _other() -> None:
    pass


def run(*words: object):
    return CliRunner().invoke(app, ["data", *map(str, words)])


def test_draw_then_describe(tmp_path):
    drawn = run(
        *("synthetic", tmp_path / "set", "--train", 3, "--val", 1, "--test", 1, "--size", 48),
        *("--classes", "apple, pear", "--shortcut", "pear", "--shortcut-test", "absent"),
    )
    assert drawn.exit_code == 0, drawn.output
    assert drawn.stdout == f"{tmp_path / 'set'}\n"
    marks = sorted(str(p.relative_to(tmp_path / "set")) for p in tmp_path.rglob("marks/*/*/*.png"))
    assert marks == [f"marks/train/pear/000{i}.png" for i in range(3)] + ["marks/val/pear/0000.png"]
    found = run("describe", tmp_path / "set", "--json")
    assert found.exit_code == 0, found.output
    values = json.loads(found.stdout)
    assert values["classes"]["apple"] == {"train": 3, "val": 1, "test": 1}
    assert values["width"] == {"least": 48, "median": 48, "most": 48}
    shown = run("describe", tmp_path / "set")
    assert shown.exit_code == 0
    # The temporary folder's name may be long enough to wrap the line.
    assert "10 images, 2 classes" in " ".join(shown.stdout.split())
    broken = tmp_path / "set" / "train" / "apple" / os.fsdecode(b"[bold]\xff.jpg")
    broken.touch()
    shown = run("describe", tmp_path / "set")
    assert shown.exit_code == 3
    assert "unreadable: 1" in shown.stdout
    assert "[bold]\\udcff.jpg: the file is empty" in shown.stdout
    (tmp_path / "set" / "train" / "plum").mkdir()
    shown = run("describe", tmp_path / "set")
    assert shown.exit_code == 3  # the unreadable picture's
    assert "No class, as there are no images in it: train/plum." in shown.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("describe", "missing"), 2, "No data set 'missing'"),
        (("describe", "fruits360"), 4, "camcli data fetch fruits360"),
        (("fetch", "office31"), 4, "no licence"),
        (("fetch", "mnist"), 2, "fruits360, office31, synthetic"),
        (("synthetic", "x", "--classes", "kiwi,pear"), 2, "No drawn class 'kiwi'"),
        (("synthetic", "x", "--classes", "pear,pear"), 2, "twice"),
        (("synthetic", "x", "--shortcut", "plum"), 2, "No drawn class 'plum'"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMCLI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_fetch_says_what_it_would_bring(tmp_path, monkeypatch):
    from camcli.data.datasets import fetch

    monkeypatch.setattr(
        fetch, "_fetch_archive", lambda remote, folder, sha256, progress, pause: folder
    )
    result = run("fetch", "fruits360", "--to", tmp_path)
    assert result.exit_code == 0
    assert "CC BY-SA 4.0" in result.stderr
    assert "1.0 GB" in result.stderr
    assert result.stdout == f"{tmp_path / 'fruits360'}\n"


def test_birds_are_drawn_with_their_parts(tmp_path):
    done = run(
        "synthetic", tmp_path / "set", "--parts", "--train", 1, "--val", 0, "--test", 1, "--size",
        64, "--classes", "avocet,ibis",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "set" / "without" / "test" / "ibis" / "0000").iterdir())) >= 34
    assert (tmp_path / "set" / "parts.json").is_file()
    tagged = run("synthetic", tmp_path / "other", "--parts", "--shortcut", "ibis")
    assert tagged.exit_code == 2
    assert "leave --shortcut out" in tagged.stderr


def test_fetch_draws_the_synthetic_set(tmp_path, monkeypatch):
    from camcli.data.synthetic import scenes

    monkeypatch.setattr(
        scenes, "write_scenes", lambda folder: (folder.mkdir(), folder / "scenes.csv")[1]
    )
    assert (
        run("fetch", "synthetic", "--to", tmp_path / "d").stdout
        == f"{tmp_path / 'd' / 'synthetic'}\n"
    )


def test_describe_reads_a_zip_and_fetch_is_told_what_there_is(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("cat", "dog"):
            for n in range(2):
                archive.write(CAT, f"{name}/{n}.jpg")
    result = run("describe", tmp_path / "set.zip", "--json", "-q")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["layout"], found["root"]) == ("classes", str(tmp_path / "set.zip"))
    assert found["classes"] == {"cat": {"train": 2}, "dog": {"train": 2}}
    told = run("fetch", "--help").output
    assert all(f"{name} (" in told for name in NAMED)


def test_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("samples")
    assert (done.exit_code, done.stdout) == (0, "sample_images\nconfigs\n")
    assert (tmp_path / "sample_images" / "cat.jpg").read_bytes() == CAT.read_bytes()
    (tmp_path / "sample_images" / "cat.jpg").write_bytes(b"mine")
    assert run("samples").exit_code == 2
    assert run("samples", "elsewhere").exit_code == 0
