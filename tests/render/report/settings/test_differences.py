"""What a page knows of the difference of two classes."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from camcli.cam.difference_facts import STRAIGHT, why_no_difference
from camcli.cam.method_facts import FACTS
from camcli.render.report.page.data import detail_page, index_page
from camcli.render.report.rows.image_rows import Names, RunData, is_straight, read_rows
from camcli.render.report.settings.differences import (
    ALONE,
    SCORE_ALONE,
    SCORE_WITH_VALUE,
    SHORT,
    WITH_VALUE,
    difference_settings,
    explain_command,
)

SIGNED = np.array([[1.0, -0.5], [0.0, 0.25]], np.float32)


def record(values=SIGNED, target="cat"):
    return {"target": target, "prob": 0.75, "empty": False, "values": values}


def run_of(config=None, maps=1, command=(), **more):
    row = {"path": "1.jpg", "label": "dog", "pred": "cat", "prob": "0.75", "correct": "0",
           "status": "ok", "width": "20", "height": "10"}  # fmt: skip
    heat = {
        "path": "1.jpg", "view": [0, 0, 20, 10], "truth": record(np.eye(2), "dog"),
        "maps": [record(np.eye(2)), record(-np.eye(2), "dog")][:maps], **more,
    }  # fmt: skip
    config = {"method": "gradcam", "layer": "last", "score": "logit", **(config or {})}
    return RunData("run", Path("run"), {"config": config, "command": list(command)}, [row], [heat])


def decoded(told):
    """Levels and the number of the strongest, as numbers."""
    text, high = told
    h, w, cells = text.split(",")
    levels = np.frombuffer(base64.b64decode(cells), np.uint8).reshape(int(h), int(w))
    return (levels - 127.5) / 127.5 * high


def test_a_difference_goes_to_the_page_with_its_sign():
    names = Names()
    rows = read_rows(run_of(difference=record(), against="dog"), names)
    side = rows[0].sides[0]
    assert [names.list[n] for n in (side.pred, side.against)] == ["cat", "dog"]
    assert index_page(rows)["sides"][0]["against"] == [side.against]
    page = detail_page(rows, 32)["sides"][0]
    np.testing.assert_allclose(decoded(page["difference"][0]), SIGNED, atol=0.01)
    assert "either" not in page


@pytest.mark.parametrize("more", [{}, {"difference": None, "against": None},
                                  {"difference": record(), "against": None}])  # fmt: skip
def test_rows_of_before_have_none(more):
    rows = read_rows(run_of(**more), Names())
    assert (rows[0].sides[0].difference, rows[0].sides[0].against) == (None, -1)
    assert "against" not in index_page(rows)["sides"][0]
    assert "difference" not in detail_page(rows, 32)["sides"][0]


def test_a_view_that_cannot_be_takes_the_difference_with_it():
    run = run_of(difference=record(), against="dog")
    (line,) = run.heatmaps
    run.heatmaps = [{**line, "view": [-900, 0, 20, 10]}]
    side = read_rows(run, Names())[0].sides[0]
    assert (side.maps, side.difference, side.against) == ([], None, -1)


def test_several_maps_of_a_straight_method_keep_both_signs():
    page = detail_page(read_rows(run_of(maps=2), Names()), 32)["sides"][0]
    one, other = map(decoded, page["either"][0])
    np.testing.assert_allclose(one, np.eye(2), atol=0.01)
    np.testing.assert_allclose(other, -np.eye(2), atol=0.01)


@pytest.mark.parametrize(
    ("config", "straight"),
    [
        ({}, True), ({"score": "contrast"}, True), ({"score": "probability"}, False),
        ({"method": "layercam"}, False), ({"smooth": "eigen"}, False),
        ({"layer": "layer3,layer4"}, False), ({"score": None}, False),
    ],
)  # fmt: skip
def test_which_runs_are_straight(config, straight):
    assert is_straight(run_of(config)) == straight


def test_straight_methods_are_signed():
    assert all(FACTS[name].signed for name in STRAIGHT)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("eigencam", {}, "same map for every class"), ("eigengradcam", {}, "principal component"),
        ("gradcam", {"smooth": "eigen"}, "principal component"), ("scorecam", {}, "many passes"),
        ("fullgrad", {}, "passes"), ("gradcam", {"smooth": "aug"}, "--smooth aug takes many"),
        ("gradcam", {"several_layers": True}, "several layers"),
        ("gradcam", {"output": "none"}, "values"), ("gradcam", {"output": "sigmoid"}, "labels"),
        ("gradcam", {"output": "probabilities", "several_labels": True}, "labels"),
    ],
)  # fmt: skip
def test_the_reason_is_told(method, options, words):
    assert words in why_no_difference(FACTS[method], **options)
    for name in ("gradcam", "legrad", "attnlrp"):
        assert why_no_difference(FACTS[name]) is None
    assert "backwards through all" in why_no_difference(FACTS["chefer"])


def test_what_scripts_get():
    with_one = run_of(difference=record(), against="dog")
    told = difference_settings(with_one, read_rows(with_one, Names()))
    assert (told["differences"], told["noDifference"]) == (True, None)
    assert told["differenceScale"]["top"] == 1
    assert told["differenceUnit"] == "logits"
    without = run_of({"method": "eigencam"}, command=["camcli", "batch", "photos"])
    told = difference_settings(without, read_rows(without, Names()))
    assert told["differences"] is False
    assert "same map" in told["noDifference"]
    assert told["explain"] is None, "eigencam compares no classes"
    older = run_of()
    assert "before" in difference_settings(older, read_rows(older, Names()))["noDifference"]


def test_differences_of_a_run_of_probabilities_are_of_logits():
    run = run_of({"score": "probability"}, difference=record(), against="dog")
    assert difference_settings(run, read_rows(run, Names()))["differenceUnit"] == "logits"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], "camcli explain"),
        (["photos", "--out", "run", "-m", "resnet18", "--layer=layer3", "--topk", "3"],
         "camcli explain --model resnet18 --layer layer3"),
        (["a b", "-c", "my head.safetensors", "--trust-pickle", "--report"],
         "camcli explain --checkpoint 'my head.safetensors' --trust-pickle"),
        (["--score", "contrast", "--versus", "dog", "--target", "cat"], "camcli explain"),
    ],
)  # fmt: skip
def test_the_command_of_one_photograph(words, command):
    assert explain_command(["/bin/camcli", "batch", *words]) == command


def test_photographs_within_a_container_have_no_command(tmp_path):
    """No file of theirs could be named."""
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("1.jpg", b"bytes")
    run = run_of({"source": str(tmp_path)}, command=["camcli", "batch", "photos.zip"])
    rows = read_rows(run, Names())
    assert difference_settings(run, rows)["explain"] == "camcli explain"
    rows[0].path = "photos/1.jpg"
    assert difference_settings(run, rows)["explain"] is None


@pytest.mark.parametrize("command", [None, [], ["train.py"], ["camcli", "merge", "x"], "camcli"])
def test_other_commands_are_left_alone(command):
    assert explain_command(command) is None


def test_its_words_are_options_of_both_commands():
    from camcli.cli.app import app

    commands = get_command(app).commands
    for name in ("batch", "explain"):
        options = {word: each for each in commands[name].params for word in each.opts}
        assert set(WITH_VALUE) | set(ALONE) | set(SHORT) <= options.keys()
        assert all(options[word].is_flag for word in (*ALONE, *SCORE_ALONE))
        assert not any(options[word].is_flag for word in (*WITH_VALUE, *SCORE_WITH_VALUE))
        for short, word in SHORT.items():
            assert options[short] is options[word]


def test_a_photograph_of_a_run_against_others_is_explained_against_them():
    command = explain_command(["camcli", "batch", "new", "--against", "a b", "--out", "run"])
    assert command == "camcli explain --against 'a b'"
