"""What a named setting reaches on photographs with boxes that had no part in its choice."""

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.main import get_command

import camcli
from camcli.cli.app import app
from camcli.errors import UsageError
from camcli.jobs.batch import BatchJob
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.presets import SettledMaps, described, drawn_alike, told_of_boxes, tuned_by
from camcli.jobs.record import filled
from camcli.render.style import Style
from camcli.train.progress import Listener


@pytest.mark.slow
def test_boxes_as_written_are_better_than_a_centred_one(test_data):
    """At every IoU at which the centred box is not always right, with no box of these known."""
    dogs = test_data / "dog-boxes"
    job = EvaluateJob(
        dogs / "images", boxes=dogs / "boxes", preset="localize", labels="none", bootstrap=0
    )
    rows: dict[str, dict[str, float]] = {}
    for row in job.run(Listener()).rows:
        rows.setdefault(row.method, {}).update(row.metrics)
    ours, middle = rows["cam"], rows["centre-box"]
    assert ours["box_iou"] > middle["box_iou"] + 0.04
    assert ours["box_acc@30"] == middle["box_acc@30"] == 1
    for name in ("box_acc@50", "box_acc@70", "maxboxacc_v2@50", "maxboxacc_v2@70"):
        assert ours[name] > middle[name], name


def test_of_a_network_of_one_size_the_preset_is_named_and_no_option_that_nobody_gave(tmp_path):
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.csv").write_text("path,x0,y0,x1,y1\na.png,5,5,30,30\n")
    job = EvaluateJob(
        tmp_path, boxes=tmp_path / "b.csv", preset="localize", labels="none", bootstrap=0,
        models="timm:vit_tiny_patch16_224", weights=["random"], device="cpu",
    )  # fmt: skip
    with pytest.raises(UsageError, match="leave --preset out, whose inputs are 384 pixels") as told:
        job.run(Listener())
    assert "--input-size" not in str(told.value)
    with pytest.raises(UsageError, match=r"cam needs .*--preset localize takes --methods cam wh"):
        replace(job, input_size=224, smooth="aug").run(Listener())
    run = BatchJob(
        tmp_path, ModelJob("timm:vit_tiny_patch16_224", weights="random", device="cpu"),
        MapJob(preset="localize"), out=tmp_path / "run", runtime="torch",
    )  # fmt: skip
    with pytest.raises(UsageError, match="leave --preset out, whose inputs are 384 pixels") as told:
        list(run.results())
    assert "--input-size" not in str(told.value)
    assert not (tmp_path / "run").exists()


CHOSEN = [
    ({}, "", True),
    ({"methods": "layercam", "smooth": "aug"}, " --method layercam --smooth aug", False),
    ({"input_size": 448, "fit": "whole"}, " --fit whole --input-size 448", False),
]


@pytest.mark.parametrize(("chosen", "more", "suits"), CHOSEN)
def test_the_command_that_draws_what_is_measured_is_true(chosen, more, suits):
    """It is parsed as the command line does, and asks for the same maps, boxes and pixels."""
    measured = EvaluateJob("photos", preset="localize", **chosen).settled()
    maps = SettledMaps(
        measured.methods, measured.fit, measured.input_size, measured.smooth
    )  # fmt: skip
    told = drawn_alike("localize", maps)
    assert told == f"'camcli batch PHOTOS --preset localize{more}' draws the same."
    words = shlex.split(told.split("'")[1])[2:]
    given = get_command(app).commands["batch"].make_context("batch", words).params
    drawn = BatchJob("photos", filled(ModelJob, given), filled(MapJob, given))
    (how,) = [how for name, how in measured.hows().items() if name != "random"]
    assert drawn.maps.options() == how
    assert (drawn.network.fit, drawn.network.input_size) == (measured.fit, measured.input_size)
    assert drawn.style.draw_box
    tuned = shlex.split(shlex.split(tuned_by("localize", maps, other=True))[0])[2:]
    given = get_command(app).commands["evaluate"].make_context("evaluate", tuned).params
    chooses = filled(EvaluateJob, given).settled()
    assert (chooses.models, str(chooses.calibrate)) == ("NETWORK", "BOXES")
    for name in ("methods", "fit", "input_size", "smooth", "preset"):
        assert getattr(chooses, name) == getattr(measured, name), name
    assert "--model NETWORK" in drawn_alike("localize", maps, other=True)
    assert ("suits the bundled network" in told_of_boxes("localize", maps, "this")) == suits


def test_the_options_that_help_tells_are_those_of_the_preset():
    given = get_command(app).commands["batch"].make_context(
        "batch", ["photos", *described("localize").split()]
    ).params  # fmt: skip
    by_options = BatchJob("photos", *(filled(each, given) for each in (ModelJob, MapJob, Style)))
    preset = BatchJob("photos", maps=MapJob(preset="localize"))
    assert by_options.network == preset.network
    assert by_options.style == preset.style
    one, other = by_options.maps.options(), preset.maps.options()
    assert (one.method, one.smooth) == (other.method, other.smooth)
    assert one.box_threshold == other.box_threshold


def test_of_several_methods_a_run_draws_one():
    maps = SettledMaps("cam,layercam", "squash", 384, "views")
    assert "--preset localize --method METHOD'" in drawn_alike("localize", maps)


def test_what_is_said_beside_a_preset_goes_over_it():
    maps = MapJob(preset="localize", method="auto", smooth="aug", box_threshold="otsu")
    how = maps.options()
    assert (how.method.name, how.smooth, how.box_threshold) == ("auto", "aug", "otsu")
    job = BatchJob("photos", ModelJob(fit="whole", input_size=320), maps)
    assert (job.network.fit, job.network.input_size) == ("whole", 320)
    plain = MapJob().options()
    assert (plain.method.name, plain.smooth, plain.box_threshold) == ("auto", None, 0.2)
    assert not BatchJob("photos").style.draw_box
    several = MapJob(preset="localize", method="cam,layercam").each()
    assert [job.options().smooth for job in several] == ["views", "views"]
    assert [job.options().box_threshold for job in several] == [0.15, 0.15]


@pytest.mark.parametrize(("network", "maps", "style", "part"), [
    ({}, {}, {"signed": True}, "--signed is for one map.*takes --smooth views where nothing else"),
    ({"fit": "crop", "preprocess": "size=100"}, {}, {}, "sizes.* takes --input-size 384 where"),
    ({"against": "."}, {}, {}, "take diffcam. --preset localize takes --method cam where nothing"),
])  # fmt: skip
def test_a_mistake_is_blamed_on_whoever_made_it(network, maps, style, part):
    job = BatchJob(".", ModelJob(**network), MapJob(preset="localize", **maps), Style(**style))
    with pytest.raises(UsageError, match=part):
        job.check()
    assert job.network.fit == network.get("fit", "squash")


def test_what_a_user_said_is_not_blamed_on_the_preset():
    maps = MapJob(preset="localize", smooth="views")
    with pytest.raises(UsageError, match="--signed is for one map") as told:
        BatchJob(".", maps=maps, style=Style(signed=True)).check()
    assert "preset" not in str(told.value)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(3):
        pixels = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
    return folder


def boxes_in(run):
    """The boxes of a run, as a file that evaluate reads."""
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [",".join([row["path"], *(row[f"box_{edge}"] for edge in EDGES)]) for row in rows]
    (run / "boxes.csv").write_text("\n".join(["path,x0,y0,x1,y1", *lines]) + "\n")
    return run / "boxes.csv"


def box_iou(found):
    (one,) = [row for row in found.rows if row.method == "cam" and "box_iou" in row.metrics]
    return one.metrics["box_iou"]


EDGES = ("x0", "y0", "x1", "y1")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [{}, {"input_size": 256}, {"box_threshold": 0.4}], ids=str)
def test_a_run_has_the_boxes_that_are_measured(chosen, tmp_path):
    """Each box is the whole truth for evaluate: it overlaps with its own in all of it."""
    photos = Path(__file__).resolve().parents[2] / "sample_images"
    list(camcli.batch(photos, tmp_path / "run", preset="localize", labels="none", **chosen))
    ask = {"boxes": boxes_in(tmp_path / "run"), "labels": "none", "bootstrap": 0}
    found = camcli.evaluate(photos, preset="localize", **ask, **chosen)
    assert found.photographs >= 5
    written = [
        row.metrics for row in found.rows if row.method == "cam" and "box_iou" in row.metrics
    ]
    assert written[0]["box_iou"] == pytest.approx(1)
    plain = camcli.evaluate(photos, methods="cam", **ask)
    assert box_iou(plain) < 0.9


def test_a_run_says_which_preset_it_had_and_goes_on_with_the_same_by_any_name(
    photographs, tmp_path
):
    out = tmp_path / "run"
    small = {"input_size": 64, "labels": "none", "overlays": False}
    list(camcli.batch(photographs, out, preset="localize", **small))
    record = json.loads((out / "run.json").read_text())
    assert record["preset"] == "localize"
    config = record["config"]
    assert (config["method"], config["smooth"], config["box_threshold"]) == ("cam", "views", 0.15)
    assert (config["preprocess"]["fit"], config["preprocess"]["size"]) == ("squash", 64)
    rows = (out / "predictions.csv").read_bytes()
    (out / "predictions.csv").write_bytes(b"".join(rows.splitlines(keepends=True)[:2]))
    assert len(list(camcli.batch(photographs, out, preset="localize", resume=True, **small))) == 2
    assert (out / "predictions.csv").read_bytes() == rows
    same = {"method": "cam", "smooth": "views", "box_threshold": 0.15, "draw_box": True}
    network = ModelJob(fit="squash")
    assert not list(camcli.batch(photographs, out, network, resume=True, **same, **small))
    assert "preset" not in json.loads((out / "run.json").read_text())
    with pytest.raises(UsageError, match="differ") as told:
        camcli.batch(photographs, out, resume=True, **small)
    assert "--preset" not in str(told.value)  # by its options, the last time
    list(camcli.batch(photographs, out, preset="localize", overwrite=True, **small))
    with pytest.raises(UsageError, match=r"differ: .*That run had --preset localize"):
        camcli.batch(photographs, out, resume=True, **small)


def test_a_network_that_is_loaded_has_to_see_as_the_preset_does(photographs, caplog):
    caplog.set_level("INFO", logger="camcli")
    image = photographs / "0.png"
    plain = camcli.load_classifier()
    with pytest.raises(UsageError, match=r"give fit and .*takes 'squash' and 384"):
        camcli.explain(image, plain, preset="localize")
    there = camcli.load_classifier(fit="squash", input_size=384)
    by_itself = camcli.explain(image, preset="localize")
    assert "suits the bundled network's maps" in caplog.text
    assert camcli.explain(image, there, preset="localize").heats[0].box == by_itself.heats[0].box
    smaller = camcli.load_classifier(fit="squash", input_size=96)
    caplog.clear()
    camcli.explain(image, smaller, preset="localize")
    assert "not for these" in caplog.text


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 3)

    def forward(self, images):
        return self.last(self.first(images).relu().mean((2, 3)))


def test_a_network_in_memory_is_shown_what_the_preset_says_and_its_boxes_are_doubted(
    photographs, caplog
):
    torch.manual_seed(0)
    result = camcli.explain(photographs / "0.png", Tiny(), preset="localize")
    height, width = result.heats[0].heatmap.shape
    assert (height, width) == (191, 191)  # of 384 pixels
    assert result.method == "cam"
    assert "chosen for the bundled network and not for" in caplog.text


def test_another_network_is_told_by_evaluate_too(photographs):
    class Heard(Listener):
        warned = ""

        def warn(self, text):
            self.warned += text

    (photographs / "b.csv").write_text("path,x0,y0,x1,y1\n0.png,5,5,30,30\n")
    for weights, told in ((["random"], True), (None, False)):
        EvaluateJob(
            photographs, boxes=photographs / "b.csv", preset="localize", labels="none",
            bootstrap=0, weights=weights, input_size=64,
        ).run(heard := Heard())  # fmt: skip
        assert ("not for efficientnet_lite0" in heard.warned) == told
