"""From a few boxes to the boxes of a run: evaluate --calibrate --store, then --box-threshold."""

import csv
import json
from pathlib import Path

import pytest
import torch

from camcli.api import batch, explain
from camcli.data.synthetic.scenes import write_scenes
from camcli.errors import CamcliError, UsageError
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.inspect import InspectJob
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from camcli.models.loading.zoo import build_model


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Six scenes, and boxes of the first four of them in a table."""
    folder = tmp_path_factory.mktemp("calibration") / "s"
    write_scenes(folder, counts={"test": 3}, classes=("apple", "pear"), size=96)
    photos = sorted(path for path in (folder / "test").rglob("*.*") if path.is_file())
    for name, some in (("few", photos[:4]), ("all", photos)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("path", "x0", "y0", "x1", "y1"))
            rows.writerows((path.relative_to(folder / "test"), 30, 30, 60, 60) for path in some)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    built = build_model()
    state = {n: t for n, t in built.module.state_dict().items() if not n.startswith("classifier")}
    path = tmp_path_factory.mktemp("net") / "own.safetensors"
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 1280, generator=generator)
    ready = built.preprocess.with_(size=64, fit="squash")
    save_checkpoint(
        path,
        Checkpoint("efficientnet_lite0", ("a", "b"), ready, state, weight, weight[:, 0]),
    )
    return path


def job(scenes, checkpoint, **more):
    return EvaluateJob(
        str(scenes / "test"), models=str(checkpoint), calibrate=scenes / "few.csv", labels="none",
        methods="cam", bootstrap=20, **more,
    )  # fmt: skip


@pytest.mark.slow
def test_from_boxes_to_boxes(scenes, checkpoint, tmp_path, caplog):
    file = tmp_path / "boxes.toml"
    caplog.set_level("INFO")
    result = job(scenes, checkpoint, store=file, boxes=scenes / "all.csv").run()
    row = result.row("cam")
    assert row.count == 2, "four of the six took part in the choice"
    assert 0 <= row.metrics["box_iou"] <= 1
    assert result.row("centre-box").metrics["box_acc@30"] <= 1
    assert "calibrate" in result.settings

    # One run with the file and one with its number have the same boxes; the record says which.
    classifier = load_classifier(checkpoint=checkpoint)
    (said,) = [line for line in caplog.messages if line.startswith("Wrote")]
    assert "--method cam --fit squash --input-size 64 --box-threshold" in said
    share = float(file.read_text().split("threshold = ")[1].split("\n")[0])
    out = tmp_path / "run"
    by_file = batch(scenes / "test", out, classifier, box_threshold=file, overlays=False).all()
    boxes = [result.heats[0].box for result in by_file]
    by_number = batch(scenes / "test", None, classifier, box_threshold=share).all()
    assert [result.heats[0].box for result in by_number] == boxes
    assert boxes != [r.heats[0].box for r in batch(scenes / "test", None, classifier).all()]
    assert json.loads((out / "run.json").read_text())["config"]["box_threshold"] == share
    with pytest.raises(UsageError, match="box_threshold"):
        batch(scenes / "test", out, classifier, resume=True, overlays=False).all()

    # A checkpoint that is calibrated needs no option; the one before it is as it was.
    before, stored = checkpoint.read_bytes(), tmp_path / "calibrated.safetensors"
    job(scenes, checkpoint, store=stored).run()
    assert checkpoint.read_bytes() == before
    assert load_checkpoint(stored).boxes[0].share == share
    (note,) = [n for n in InspectJob(str(stored)).run().notes if n.startswith("Boxes of cam maps")]
    assert f"above {share:.3g} of the maximum, chosen by the boxes of 4 photographs" in note
    own = load_classifier(checkpoint=stored)
    photo = sorted((scenes / "test").rglob("*.*"))[-1]
    told = {r.ref.path: r.heats[0].box for r in by_file}
    assert explain(photo, own).heats[0].box == told[photo]
    assert explain(photo, own, box_threshold=0.2).heats[0].box == explain(
        photo, classifier
    ).heats[0].box  # fmt: skip
    # Calibrated again, it has one threshold of these maps, and not two.
    again = tmp_path / "again.safetensors"
    job(scenes, stored, store=again).run()
    assert len(load_checkpoint(again).boxes) == 1


def test_without_other_boxes_each_is_judged_by_the_others(scenes, checkpoint):
    result = job(scenes, checkpoint).run()
    assert result.row("cam").count == 4
    assert set(result.row("cam").metrics) == {
        "box_iou", "box_acc@30", "box_acc@50", "box_acc@70", "box_acc",
    }  # fmt: skip
    assert "Boxes as written" in result.markdown()


def test_nothing_is_left_to_measure(scenes, checkpoint):
    with pytest.raises(UsageError, match="none is left to be measured"):
        job(scenes, checkpoint, boxes=scenes / "few.csv").run()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"store": "boxes.toml", "calibrate": None}, "add --calibrate"),
        ({"box_threshold": 0.3}, "leave --box-threshold"),
        ({"store": "boxes.json"}, "--store takes FILE.toml"),
        ({"store": "net.safetensors", "models": "efficientnet_lite0"}, "one checkpoint"),
        ({"box_threshold": "1.5", "calibrate": None}, "--box-threshold takes"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_loaded(tmp_path, options, words):
    asked = {"calibrate": tmp_path / "b.csv", "models": "efficientnet_lite0", **options}
    if "store" in asked:
        asked["store"] = tmp_path / asked["store"]
    with pytest.raises(UsageError, match=words):
        EvaluateJob(str(tmp_path), **asked).check()


def test_no_file_is_written_over(tmp_path, checkpoint):
    there = tmp_path / "boxes.toml"
    there.write_text("mine")
    asked = {"calibrate": tmp_path / "b.csv", "models": str(checkpoint)}
    with pytest.raises(UsageError, match="exists"):
        EvaluateJob(str(tmp_path), **asked, store=there).check()
    EvaluateJob(str(tmp_path), **asked, store=there, overwrite=True).check()
    with pytest.raises(UsageError, match="is the checkpoint itself"):
        EvaluateJob(str(tmp_path), **asked, store=checkpoint, overwrite=True).check()
    assert there.read_text() == "mine"


def test_damaged_thresholds_of_a_checkpoint_are_told(tmp_path, checkpoint):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(checkpoint, framework="pt") as file:
        header = json.loads(file.metadata()["camcli"])
    path = Path(tmp_path / "damaged.safetensors")
    header["box_threshold"] = [{"threshold": 7, "maps": {"method": "cam"}}]
    save_file(load_file(checkpoint), path, metadata={"camcli": json.dumps(header)})
    with pytest.raises(CamcliError, match="is damaged: a box_threshold has no threshold above 0"):
        load_checkpoint(path)


def test_a_file_that_cannot_hold_the_store_is_told_before_anything_runs(scenes, checkpoint):
    there = scenes / "few.csv"
    with pytest.raises(UsageError, match=r"few\.csv is a file"):
        job(scenes, checkpoint, store=there / "boxes.toml").run()
