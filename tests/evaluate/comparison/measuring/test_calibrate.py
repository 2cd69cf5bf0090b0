"""Thresholds of boxes that are chosen by the boxes of a few photographs."""

import numpy as np
import pytest
from PIL import Image

from camcli.cam.box_choice import chosen
from camcli.cam.map_options import make_map_options, settled
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring.calibrate import calibrate, few
from camcli.evaluate.comparison.measuring.compare import compare
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.measured.annotations import Annotations

HOWS = {name: make_map_options(name) for name in ("random", "cam")}
SIDE = 64


@pytest.fixture
def stairs(tmp_path):
    """Photographs of red that grows from a corner; the object is what is above half of it."""
    boxes = {}
    for n in range(6):
        ramp = np.zeros((SIDE, SIDE, 3), np.uint8)
        long = 32 + 4 * n
        ramp[:long, :long, 0] = np.minimum(*np.indices((long, long))[:, ::-1, ::-1]) / long * 255
        Image.fromarray(ramp).save(tmp_path / f"{n}.png")
        boxes[f"{n}.png"] = ((0, 0, long / 2, long / 2),)
    return list(find_images(tmp_path, labels="none")), boxes


def test_threshold_is_the_objects_own(by_colour, stairs):
    refs, boxes = stairs
    found = calibrate(by_colour, "colours", refs, HOWS, Annotations(boxes), repeats=50)
    [one] = found.calibrations
    assert one.share == pytest.approx(0.5, abs=0.1)
    assert one.found["photographs"] == 6
    assert one.found["iou_held_out"] > 0.8 > one.found["iou_usual"]
    for rule, name in (("iou_percentile", "0.2@90"), ("iou_otsu", "otsu")):
        assert f"with {name} {one.found[rule]:.2f}" in found.told[0]
    rows = {row.method: row for row in found.rows}
    assert rows["cam"].metrics["box_iou"] == pytest.approx(one.found["iou_held_out"], abs=1e-3)
    assert rows["centre-box"].metrics["box_iou"] < 0.5
    assert found.warnings == []
    # It is taken for the maps that it is of, and improves what is measured on photographs.
    how = make_map_options("gradcam")
    assert chosen(settled(how, by_colour), by_colour)[0].box_threshold == 0.2
    ask = Questions(Annotations(boxes), repeats=0)
    before, after = (
        {row.method: row.metrics for row in compare(
            by_colour, "colours", refs, HOWS, ask, shares=shares).rows}["cam"]["box_iou"]
        for shares in (None, found.shares)
    )  # fmt: skip
    assert before == pytest.approx(one.found["iou_usual"], abs=1e-3)
    assert after == pytest.approx(one.found["iou"], abs=1e-3)


def test_boxes_that_a_centred_one_beats_are_warned_of(by_colour, stairs):
    refs, boxes = stairs
    middle = dict.fromkeys(boxes, ((16, 16, 48, 48),))
    found = calibrate(by_colour, "colours", refs, HOWS, Annotations(middle), repeats=20)
    assert any("centred box" in sentence for sentence in found.warnings)


def test_few_are_told():
    assert "5 photographs are few" in few(5)
    assert few(10) == ""


def test_boxes_outside_their_picture_are_left_out(by_colour, stairs):
    refs, boxes = stairs
    away = ((SIDE * 3, 0, SIDE * 4, 9),)
    some = {name: box if name < "3" else away for name, box in boxes.items()}
    found = calibrate(by_colour, "colours", refs, HOWS, Annotations(some), repeats=20)
    assert found.calibrations[0].found["photographs"] == found.count == 3
    assert any("3 photographs left out" in sentence for sentence in found.warnings)
    with pytest.raises(UsageError, match=r"0\.png and of 5 others lie outside"):
        calibrate(by_colour, "c", refs, HOWS, Annotations(dict.fromkeys(boxes, away)), repeats=2)
