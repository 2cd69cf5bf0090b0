"""`camcli train` as a user types it."""

from __future__ import annotations

import inspect
import shlex
from dataclasses import fields

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from camcli.cli.commands.train import train
from camcli.cli.terminal.console import Friendly
from camcli.train.config import TrainConfig
from camcli.train.ranges import CHOICES

app = typer.Typer(cls=Friendly)
app.command("train")(train)
app.command("other")(lambda: None)  # with one command only, Typer would drop its name

FAST = ("--backbone", "shufflenet_v2_x0_5", "--weights", "random", "--input-size", "64",
        "--device", "cpu")  # fmt: skip


@pytest.fixture
def run(tmp_path):
    def call(*arguments: str):
        where = ("--out", str(tmp_path / "run"), "--cache-dir", str(tmp_path / "cache"))
        return CliRunner().invoke(app, ["train", *where, *map(str, arguments)])

    return call


@pytest.fixture
def photos_folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, colour in {"cat": (200, 30, 30), "dog": (30, 200, 30)}.items():
        for n in range(10):
            rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            rgb[8:32, 8:32] = colour
            Image.fromarray(rgb).save(folder / f"{name}.{n}.png")
    return folder


def test_every_setting_is_an_option_with_the_same_default():
    parameters = inspect.signature(train).parameters
    config = TrainConfig()
    for field in fields(TrainConfig):
        assert parameters[field.name].default == getattr(config, field.name), field.name


def test_every_word_of_a_choice_is_offered():
    help_text = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for words in CHOICES.values():
        for word in words:
            assert word in help_text


def test_it_trains_and_prints_the_checkpoint_on_stdout(run, photos_folder, tmp_path):
    result = run("--data", photos_folder, *FAST, "--epochs", "2", "--val", "0.3")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "run" / "best.safetensors")
    assert "warning: the backbone's weights are RANDOM" in result.stderr
    assert "Validation   accuracy" in result.stderr
    assert "(6 images)" in result.stderr
    assert "\nepoch 2/2: loss " in result.stderr
    assert result.stderr.endswith(f" --labels prefix --out {tmp_path / 'run'}-maps --report\n")
    again = run("--data", photos_folder, *FAST, "--epochs", "2", "--val", "0.3")
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    quiet = run("--data", photos_folder, *FAST, "--epochs", "1", "--overwrite", "--quiet")
    assert quiet.exit_code == 0
    assert quiet.stderr == ""


def test_the_command_line_beats_the_file(run, photos_folder, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        f"data = {str(photos_folder)!r}\nepochs = 4\nseed = 3\nbackbone = 'shufflenet_v2_x0_5'\n"
        "weights = 'random'\ninput-size = 64\n"
    )
    # The default value, but said explicitly.
    result = run("--config", config, "--seed", "0", "--epochs", "1", "--quiet")
    assert result.exit_code == 0, result.stderr
    saved = (tmp_path / "run" / "config.toml").read_text()
    assert "seed = 0\n" in saved
    assert "epochs = 1\n" in saved
    assert "input_size = 64\n" in saved


def test_mistakes_are_one_sentence_and_exit_code_2(run, photos_folder, tmp_path):
    (tmp_path / "bad.toml").write_text("epochs == 3")
    (tmp_path / "unknown.toml").write_text("epoch = 3")
    for arguments, said in (
        ((), "--data"),
        (("--data", tmp_path / "nowhere"), "No data set"),
        (("--config", tmp_path / "bad.toml"), "not well-formed TOML"),
        (("--config", tmp_path / "unknown.toml"), "did you mean epochs"),
        (("--data", photos_folder, "--epochs", "0"), "--epochs"),
        (("--data", photos_folder, "--solver", "adam"), "adam"),
        (("--data", photos_folder, "--download"), "has a name"),
        (("--data", photos_folder, "--resume", "--overwrite"), "give one"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert said in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_data_sets_that_are_not_fit_for_training(run, tmp_path):
    blob = Image.new("RGB", (40, 40), "red")

    def tree(name, *rels):
        for rel in rels:
            path = tmp_path / name / rel
            path.parent.mkdir(parents=True, exist_ok=True)
            blob.save(path)
        return tmp_path / name

    only = tree("only", "cat.0.png", "cat.1.png")
    unseen = tree("unseen", "train/cat/0.png", "train/dog/0.png", "test/cat/0.png",
                  "test/eel/0.png")  # fmt: skip
    table = tmp_path / "t.csv"
    table.write_text("path,kind\na.png,cat\n")
    for data, options, said in (
        (only, ("--labels", "prefix"), "at least two classes"),
        (unseen, (), "never trained: eel"),
        (table, (), "first line path,label"),
    ):
        result = run("--data", data, *options, *FAST)
        assert result.exit_code == 2, result.output
        assert said in result.stderr
    empty = tree("empty", "train/cat/0.png", "train/dog/0.png")
    (empty / "train" / "eel").mkdir()
    result = run("--data", empty, *FAST)
    assert result.exit_code == 0, result.output
    assert "no images in it: train/eel" in result.stderr


def test_without_weights_it_exits_with_4(run, photos_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    result = run("--data", photos_folder, "--offline", "--no-search", "--backbone", "resnet50")
    assert result.exit_code == 4
    assert "--backbone efficientnet_lite0" in result.stderr
    monkeypatch.setenv("CAMCLI_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    result = run("--data", "fruits360", "--offline")
    assert result.exit_code == 4
    assert "fetch fruits360" in result.stderr


def test_ctrl_c_says_how_to_go_on(run, photos_folder, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("camcli.train.run.train", interrupted)
    result = run("--data", photos_folder)
    assert result.exit_code == 130
    assert "--resume" in result.stderr


def test_under_torchrun_the_first_process_alone_tells_a_mistake(run, photos_folder, monkeypatch):
    # The others give it time: torchrun ends all as soon as one is gone.
    waits = []
    monkeypatch.setattr("camcli.cli.torchrun.time.sleep", waits.append)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    first = run("--data", photos_folder, "--epochs", "0")
    assert first.exit_code == 2
    assert first.stderr.startswith("error: --epochs must be at least 1")
    assert not waits
    monkeypatch.setenv("RANK", "1")
    other = run("--data", photos_folder, "--epochs", "0")
    assert (other.exit_code, other.output) == (1, "")
    assert waits == [5]

    def stopped(*args, **options):
        raise SystemExit(1)  # what the first one could not do

    monkeypatch.setattr("camcli.train.run.train", stopped)
    other = run("--data", photos_folder)
    assert (other.exit_code, other.output) == (1, "")
    assert waits == [5, 5]


def test_several_processes_do_not_download_the_same(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("CAMCLI_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    result = run("--data", "fruits360", "--download")
    assert result.exit_code == 2
    assert "camcli data fetch fruits360" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_each_epoch_is_a_line_and_the_next_command_works(run, photos_folder, tmp_path):
    """Also in a pipe, and for each way in which images are given."""
    from camcli.cli.app import app as camcli

    table, paths = tmp_path / "truth.csv", tmp_path / "paths.txt"
    photos = sorted(photos_folder.iterdir())
    table.write_text("path,label\n" + "".join(f"{p},{p.name[:3]}\n" for p in photos))
    for photo in photos:
        place = tmp_path / "tree" / photo.name[:3] / photo.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photo.read_bytes())
    paths.write_text("".join(f"{p}\n" for p in sorted((tmp_path / "tree").rglob("*.png"))))
    for data, labels in (
        (photos_folder, "prefix"),
        (table, str(table)),
        (paths, "folder"),
        (tmp_path / "tree", None),
    ):
        done = run("--data", data, *FAST, "--epochs", "2", "--val", "0.3", "--overwrite")
        assert done.exit_code == 0, done.stderr
        lines = done.stderr.splitlines()
        epochs = [line for line in lines if line.startswith("epoch ")]
        assert [line.split(":")[0] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
        assert "; validation " in epochs[0]
        assert epochs[0].endswith(", best")
        assert lines[-1].startswith("To see where it looks: camcli batch ")
        words = shlex.split(lines[-1].partition(": ")[2])
        assert words[-1] == "--report"
        again = run("--data", data, *FAST, "--epochs", "2", "--val", "0.3", "--resume")
        assert shlex.split(again.stderr.splitlines()[-1].partition(": ")[2]) == words
        assert (words[words.index("--labels") + 1] if "--labels" in words else None) == labels
        # The page of it costs seconds, and has tests of its own.
        done = CliRunner().invoke(camcli, [*words[1:-1], "--no-overlays"])
        assert done.exit_code == 0, done.output
        assert " of 20)" in done.stderr  # each image has its label
    again = run("--data", tmp_path / "tree", *FAST, "--epochs", "2", "--val", "0.3", "--resume")
    assert "is finished already" in again.stderr
    last = again.stderr.splitlines()[-1]
    assert last.partition(" --out ")[2] == f"{tmp_path / 'run-maps-5'} --report"
