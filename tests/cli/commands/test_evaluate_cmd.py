import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.cli.commands.evaluate import evaluate
from camcli.cli.terminal.console import Friendly, Terminated
from camcli.data.synthetic.scenes import write_scenes
from camcli.evaluate.comparison.result.terminal import show


@pytest.fixture
def run(tmp_path, monkeypatch):
    app = typer.Typer(cls=Friendly)
    app.command("evaluate")(evaluate)
    app.callback()(lambda: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *args: CliRunner().invoke(app, ["evaluate", *map(str, args)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "s"
    write_scenes(folder, counts={"test": 3}, classes=("apple", "pear"), size=96)
    return folder


@pytest.mark.slow
def test_one_table_with_the_controls(run, scenes):
    done = run(
        scenes / "test", "--masks", scenes / "masks" / "test", "--methods", "cam,layercam",
        "--input-size", 64, "--bootstrap", 20, "--out", "results", "--format", "csv",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {r["method"] for r in rows} == {
        "centre-box", "centre-gaussian", "noise", "random", "cam", "layercam",
    }  # fmt: skip
    assert {"maxboxacc_v2", "pxap", "pixel_auc", "iou", "kl", "pointing"} <= {
        r["metric"] for r in rows
    }
    for r in rows:
        assert float(r["low"]) <= float(r["high"])
        assert r["photographs"] == "6"
    record = json.loads(Path("results/results.json").read_text())
    assert record["settings"]["input_size"] == 64
    assert len(record["rows"]) == 6
    text = Path("results/results.md").read_text()
    assert "| centre-box |" in text
    assert "| cam (efficientnet_lite0) |" in text
    assert Path("results/results.png").read_bytes()[:4] == b"\x89PNG"
    again = run(scenes / "test", "--masks", scenes / "masks" / "test", "--out", "results")
    assert again.exit_code == 2
    assert "exists" in again.stderr


def test_a_layer_that_some_methods_do_not_look_at_is_told(run, scenes):
    """Before anything is looked for: here, photographs that are not there."""
    said = "--layer blocks.4 is for the other methods: fullgrad looks at all layers."
    for methods, told in (("gradcam,fullgrad", True), ("gradcam", False)):
        done = run(scenes / "none", "--masks", scenes, "--methods", methods, "--layer", "blocks.4")
        assert done.exit_code != 0
        assert (said in " ".join(done.stderr.split())) == told, done.stderr


def test_a_folder_without_parts_is_refused(run, scenes):
    done = run(scenes / "test", "--parts", scenes)
    assert done.exit_code == 2
    assert "camcli data synthetic FOLDER --parts" in " ".join(done.stderr.split())


def test_the_table_fits_into_80_letters():
    import re

    from camcli.evaluate.comparison.rows.columns import CONTROLS, GROUPS, MetricRow

    names = [name for _, metrics, _ in GROUPS for name in metrics]
    metrics = dict.fromkeys(names, 0.5)
    rows = [MetricRow("net", m, 9, metrics, dict.fromkeys(names, (0.25, 0.75))) for m in CONTROLS]
    out = io.StringIO()
    show(rows, [], {}, {}, Console(file=out, width=80, highlight=False))
    assert "…" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80
    words = re.sub(r"\s+", "", out.getvalue())
    assert out.getvalue().count("centre-gaussian") == len(GROUPS)
    for version in ("_v2@30", "_v2@50", "_v2@70"):
        assert version in words


@pytest.mark.slow
def test_faithfulness_sanity_and_the_table(run, scenes):
    done = run(
        scenes / "test", "--faithfulness", "--sanity", "--methods", "cam,eigencam",
        "--input-size", 64, "--bootstrap", 0, "--limit", 2,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for word in ("deletion", "road", "infidelity", "Sanity: rank", "eigencam", "centre-gaussian"):
        assert word in done.stdout
    assert "centre-box" not in done.stdout  # nothing to hit


def test_randomising_the_head_changes_cam_and_not_eigencam(photos, tmp_path):
    from PIL import Image

    from camcli.cam.map_options import make_map_options
    from camcli.data.sources.find import find_images
    from camcli.evaluate.comparison.measuring.randomised import compare_copies, copies_of_model
    from camcli.models.load import load_classifier

    for n, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / f"{n}.png")
    hows = {name: make_map_options(name) for name in ("cam", "layercam", "eigencam")}
    name = "efficientnet_lite0"
    rows = compare_copies(
        load_classifier(name, input_size=160), name, find_images(tmp_path), hows,
        copies_of_model(name, stops=2, input_size=160),
    )  # fmt: skip
    found = {row.method: row.metrics for row in rows}
    (head, everything) = [m for m in found["cam"] if m.startswith("rank")]
    assert found["cam"][head] < 0.6
    assert found["eigencam"][head] == pytest.approx(1)
    assert found["eigencam"][everything] < 0.9


def test_predictions_are_judged_where_labels_name_classes(run, test_data):
    done = run(
        test_data / "imagenet-samples", "--labels", r"^(n\d+)_", "--limit", 10, "--confidence",
        0.5, "--bootstrap", 9, "--input-size", 128, "--out", "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "probability of 0.5 or more" in done.stdout
    text = Path("out/results.csv").read_text(encoding="utf-8")
    rows = {r["metric"]: r for r in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"top1", "top5", "mean_ap", "share_confident", "top1_confident"}
    for row in rows.values():
        assert row["method"] == "classification"
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        assert f"{float(row['value']):.3f}" in done.stdout
    assert "### Classification" in Path("out/results.md").read_text(encoding="utf-8")
    assert Path("out/confusion.png").is_file()
    assert not Path("out/results.png").exists()  # no map was judged


@pytest.mark.slow
def test_a_named_network_beside_a_checkpoint(run, scenes):
    import torch

    from camcli.models.load import load_classifier
    from camcli.models.loading.checkpoint import Checkpoint, save_checkpoint
    from camcli.models.loading.zoo import build_model

    state = build_model().module.state_dict()
    own = Checkpoint(
        "efficientnet_lite0", ("apple", "pear"), load_classifier(input_size=64).preprocess,
        {n: t for n, t in state.items() if not n.startswith("classifier")},
        torch.randn(2, 1280, generator=torch.Generator().manual_seed(0)), torch.zeros(2),
    )  # fmt: skip
    save_checkpoint(Path("own.safetensors"), own)
    done = run(
        scenes / "test", "--masks", scenes / "masks" / "test", "--input-size", 64, "--bootstrap",
        9, "--models", "efficientnet_lite0,own.safetensors", "--out", "r", "--format", "markdown",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    boxes = lines[lines.index("### Boxes") : lines.index("### Boxes as written")]
    methods = [line.split("|")[1].strip() for line in boxes if line.startswith("| ")][2:]
    assert methods == [
        "centre-box", "centre-gaussian", "noise", "random (efficientnet_lite0)",
        "gradcam (efficientnet_lite0)", "random (own.safetensors)", "gradcam (own.safetensors)",
    ]  # fmt: skip
    judged = json.loads(Path("r/results.json").read_text(encoding="utf-8"))["predictions"]
    # Only the checkpoint knows what an apple and a pear of these folders are.
    assert {name: found["count"] for name, found in judged.items()} == {"own.safetensors": 6}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--labels", "none"], "Nothing to measure"),
        (["--preset", "x", "--grid", 2], "localize"),
        (["--methods", "camm", "--grid", 2], "Did you mean"),
        (["--methods", "cam,cam", "--grid", 2], "different"),
        (["--methods", "cam,CAM", "--grid", 2], "twice"),
        (["--trimap", "--grid", 2], "--masks"),
        (["--boxes", "nowhere"], "no such file"),
        (["--masks", "nowhere"], "no such folder"),
        (["--models", "gone.safetensors", "--grid", 2], "no checkpoint"),
        (["--threshold", 1, "--grid", 2], "below 1"),
        (["--grid", 3, "--input-size", 64], "9 classes"),
        (["--input-size", 64], "Nothing could be measured"),
    ],
)
def test_mistakes_are_explained(run, scenes, args, message):
    done = run(scenes / "test", *args)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.stderr.split()), done.output
    assert done.stdout == ""


@pytest.mark.slow
def test_unreadable_photographs_are_named(run, scenes, tmp_path):
    write_scenes(tmp_path / "s", counts={"test": 1}, classes=("apple", "pear"), size=64)
    (tmp_path / "s" / "test" / "pear" / "broken.jpg").write_bytes(b"x")
    done = run(
        tmp_path / "s" / "test", "--masks", tmp_path / "s" / "masks" / "test", "--input-size", 64,
        "--bootstrap", 0,
    )  # fmt: skip
    assert done.exit_code == 3
    assert "broken.jpg" in done.stderr
    assert "maxboxacc" in done.stdout


@pytest.mark.slow
def test_the_preset(run, scenes):
    done = run(
        scenes / "test", "--masks", scenes / "masks" / "test", "--preset", "localize", "--limit",
        2, "--bootstrap", 0, "--out", "r",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = json.loads(Path("r/results.json").read_text())["settings"]
    assert settings["preset"] == "localize"
    assert settings["input_size"] == 384
    assert "--calibrate with the boxes of a few photographs" in " ".join(done.stderr.split())


@pytest.mark.parametrize("option", ["--checkpoint", "--model"])
def test_the_option_of_other_commands_is_pointed_to_models(option):
    done = CliRunner().invoke(app, ["evaluate", "photos", option, "x.safetensors"])
    assert done.exit_code == 2
    assert "--models names networks, files" in " ".join(done.output.split())


def test_boxes_outside_of_their_pictures_are_told(run, scenes):
    """Not as if there were none: somebody has to find out that they are of another size."""
    rels = sorted(path.relative_to(scenes / "test") for path in (scenes / "test").rglob("*.jpg"))[
        :2
    ]
    asked = ("--input-size", 64, "--bootstrap", 0, "--labels", "none", "--boxes", "b.csv")

    def lines(*lefts):
        rows = [f"{rel.as_posix()},{x},5,{x + 40},50" for rel, x in zip(rels, lefts, strict=True)]
        Path("b.csv").write_text("\n".join(["path,x0,y0,x1,y1", *rows]) + "\n")

    lines(4000, 4000)
    done = run(scenes / "test", *asked)
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2
    assert f"the boxes of {rels[0].as_posix()} and of 1 other lie outside the picture" in said
    assert "no annotation, and" not in said
    lines(5, 4000)
    done = run(scenes / "test", *asked)
    said = " ".join(done.stderr.split())
    assert done.exit_code == 0, done.output
    assert "1 photograph without a box that counts" in said
    assert f"the boxes of {rels[1].as_posix()} lie outside the picture" in said


def test_the_code_tells_a_script_that_not_all_was_measured(run, monkeypatch):
    """And what was measured is printed, whatever ended it."""
    from camcli.evaluate.comparison.result.result import EvaluationResult
    from camcli.evaluate.comparison.rows.columns import MetricRow
    from camcli.jobs.evaluate import EvaluateJob

    rows = (MetricRow("net", "cam", 3, {"pointing": 0.5}, {}),)
    whole = EvaluationResult("photos", 3, rows, (), {}, {}, ("a.jpg is empty.",), {})

    def ends(result, error=None):
        def done(job, listener, stopped):
            if error is None:
                return result
            stopped(result)
            raise error

        monkeypatch.setattr(EvaluateJob, "run", done)
        return run("photos", "--format", "csv")

    for result, error, code in (
        (whole, None, 3),
        (replace(whole, lost=("net: no 2x2 grid: it broke.",)), None, 1),
        (replace(whole, partial=("net was stopped.",)), KeyboardInterrupt(), 130),
        (replace(whole, partial=("net was stopped.",)), Terminated(), 143),
    ):
        done = ends(result, error)
        assert done.exit_code == code, done.output
        assert "net,cam,3,pointing,0.5" in done.stdout
    assert "Not everything was measured" in ends(replace(whole, lost=("x",))).stderr


def test_each_option_that_asks_something_is_named_where_nothing_is_asked(run, scenes):
    """Of the options under these headings, all but those that say how."""
    from inspect import signature

    from camcli.cli.commands.evaluate import ASK, TRUTH
    from camcli.evaluate.comparison.questions.wanted import MEASURES, NOTHING

    how = {
        "trimap", "labels", "confidence", "scale", "threshold", "tolerance", "bootstrap", "store",
        "box_threshold", "methods", "preset", "models", "limit",
    }  # fmt: skip
    asking = {
        name
        for name, parameter in signature(evaluate, eval_str=True).parameters.items()
        for option in getattr(parameter.annotation, "__metadata__", ())
        if getattr(option, "rich_help_panel", None) in (TRUTH, ASK)
    }
    assert asking - how == set(MEASURES)
    done = run(scenes / "test", "--labels", "none")
    assert done.exit_code == 2
    for name in MEASURES:
        assert f"--{name}" in done.stderr
        assert f"--{name}" in NOTHING
