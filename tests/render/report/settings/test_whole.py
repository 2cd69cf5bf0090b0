"""How much of the photographs a network saw, and the commands that show it all of them."""

import shlex
from pathlib import Path

import pytest
import typer.main

from camcli.cli.app import app
from camcli.render.report.rows.image_rows import ImageRow, RunData, Side
from camcli.render.report.settings.whole import (
    REPLACED,
    REPLACED_ALONE,
    cropped,
    usually_seen,
    whole_commands,
)


def run(command, fit="crop", path="/runs/a"):
    config = {"source": "/photos", "preprocess": {"fit": fit}}
    return RunData("a", Path(path), {"config": config, "command": command}, [])


def rows(*shares):
    return [ImageRow(f"{n}", -1, n, (9, 9), [Side("r", seen=s)]) for n, s in enumerate(shares)]


def test_what_is_replaced_are_options_of_batch():
    batch = typer.main.get_command(app).commands["batch"]
    known = {word: option for option in batch.params for word in option.opts}
    assert not any(known[word].is_flag for word in REPLACED)
    assert all(known[word].is_flag for word in REPLACED_ALONE)


def test_commands_keep_what_decides_network_and_map():
    words = "batch /photos -o /runs/a --fit=crop -m resnet50 --alpha 0.3 --resume --smooth aug"
    more = ["--weights=a b.pth", "--signed", "--report"]
    found = whole_commands(run(["/usr/bin/camcli", *words.split(), *more]))
    assert found["one"] == (
        "camcli explain --model resnet50 --smooth aug --weights 'a b.pth' --signed --fit whole"
    )
    assert shlex.split(found["run"]) == [
        "camcli", "batch", "/photos", "-m", "resnet50", "--alpha", "0.3", "--smooth", "aug",
        "--weights=a b.pth", "--signed", "--report", "--fit", "whole", "--out", "/runs/a-whole",
    ]  # fmt: skip
    assert found["source"] == str(Path("/photos").absolute())


@pytest.mark.parametrize(
    ("command", "fit"),
    [(["camcli", "batch", "x"], "squash"), (["x.py"], "crop"), (None, "crop"), ([], "crop")],
)
def test_there_is_none_where_nothing_is_hidden_or_known(command, fit):
    assert whole_commands(run(command, fit)) is None


def test_the_usual_share_is_the_median():
    assert usually_seen(rows(0.5, None, 0.6, 1.0)) == 0.6
    assert usually_seen(rows(None)) is None
    assert cropped(rows(None, 1.0, 0.7))
    assert not cropped(rows(None, 1.0, 0.996))
