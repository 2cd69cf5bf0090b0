"""What a named setting reaches on photographs with boxes that had no part in its choice."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.comparison.presets import told_of_boxes
from camcli.jobs.evaluate import EvaluateJob
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
    with pytest.raises(UsageError, match=r"cam needs .*--preset localize takes cam"):
        replace(job, input_size=224, smooth="aug").run(Listener())


@pytest.mark.parametrize(("chosen", "same", "suits"), [
    ({}, "--method cam --fit squash --input-size 384 --smooth views --box-threshold 0.15", True),
    ({"methods": "layercam", "smooth": "aug"},
     "--method layercam --fit squash --input-size 384 --smooth aug --box-threshold 0.15", False),
    ({"methods": "cam,layercam", "input_size": 448},
     "--method METHOD --fit squash --input-size 448 --smooth views --box-threshold 0.15", False),
])  # fmt: skip
def test_the_command_that_draws_the_same_is_that_of_what_was_chosen(chosen, same, suits):
    job = EvaluateJob("photos", preset="localize", **chosen).settled()
    told = told_of_boxes("localize", job.methods, job.fit, job.input_size, job.smooth)
    assert f"with {same}." in told
    assert ("suits the bundled network" in told) == suits
