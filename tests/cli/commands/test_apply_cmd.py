"""``camcli apply`` as a user types it, and ``camcli train`` on what it made."""

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data
from camcli.train.run import train


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name, colour in {"cat": (200, 30, 30), "dog": (30, 200, 30)}.items():
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for n in range(6):
            rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            rgb[8:32, 8:32] = colour
            Image.fromarray(rgb).save(folder / f"{n}.png")
    return tmp_path / "photos"


def write(path, photos, rows):
    with Path(path).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["path", "mark", "label", "note", "source"])
        writer.writerows([*row, "", photos] for row in rows)
    return path


def test_the_result_is_told_and_so_is_the_next_command(camcli, photos, tmp_path):
    marks = write(
        tmp_path / "marks.csv", photos, [("cat/0.png", "drop", ""), ("cat/1.png", "relabel", "dog")]
    )
    done = camcli("apply", marks, "--to", "my clean")
    assert (done.exit_code, done.stdout) == (0, "my clean\n"), done.output
    assert "Wrote 11 photographs of 2 classes: 1 dropped, 1 relabelled." in done.stderr
    assert done.stderr.splitlines()[-1] == "Next: camcli train --data 'my clean'"
    done = camcli("apply", marks, "--to", "moved", "--data", photos, "--move")
    assert done.exit_code == 0
    line = next(x for x in done.stderr.splitlines() if x.startswith("To undo it: camcli "))
    done = camcli(*shlex.split(line.removeprefix("To undo it: camcli ")))
    assert (done.exit_code, done.stdout) == (0, "")
    assert len(list(photos.rglob("*.png"))) == 12
    assert not Path("moved").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone.csv", "--to", "x"], 2, "The marks gone.csv cannot be read"),
        (["marks.csv"], 2, "Missing option '--to'"),
        (["marks.csv", "--to", "x", "--data", "gone"], 2, "No data set 'gone'"),
        (["marks.csv", "--to", "x", "--labels", "("], 2, "not a regular expression"),
    ],
)
def test_mistakes(camcli, photos, tmp_path, arguments, code, said):
    write(tmp_path / "marks.csv", photos, [("cat/0.png", "drop", "")])
    done = camcli("apply", *arguments)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks.csv", "photos"]


@pytest.mark.slow
def test_training_takes_each_of_the_three(camcli, photos, tmp_path):
    drop = [("cat/0.png", "drop", ""), ("dog/5.png", "drop", "")]
    marks = write(tmp_path / "marks.csv", photos, [*drop, ("cat/1.png", "relabel", "dog")])
    only = write(tmp_path / "drop.csv", photos, drop)
    for file, to, cats in ((marks, "clean", 4), (marks, "clean.csv", 4), (only, "clean.txt", 5)):
        done = camcli("apply", file, "--to", to)
        assert done.exit_code == 0, done.output
        out = tmp_path / f"run-{to}"
        config = TrainConfig(
            data=to, backbone="shufflenet_v2_x0_5", weights="random", input_size=64, epochs=1,
            val=0.2,
        )  # fmt: skip
        train(config, out, device="cpu", offline=True, cache_dir=tmp_path / "cache")
        info = json.loads((out / "run.json").read_text())
        assert (info["classes"], info["skipped"]) == (["cat", "dog"], 0)
        assert sum(info["counts"].values()) == 10
        labels = [item.ref.label for item in read_data(config).items]
        assert (labels.count("cat"), labels.count("dog")) == (cats, 10 - cats)
