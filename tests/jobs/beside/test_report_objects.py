"""Boxes and masks on a run's page: drawn where they are, measured as evaluate measures."""

import shlex
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.measured.annotations import Annotations
from camcli.evaluate.measured.box_files import NamedBox
from camcli.jobs.beside.objects import Annotated, annotated, recorded_objects
from camcli.render.report.rows.image_rows import RunData
from camcli.render.report.settings.commands import commands
from camcli.train.progress import Listener


class Ear(Listener):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    warn = say


def known(boxes=None, masks=None, several=False, trimap=False):
    ear = Ear()
    found = Annotated(Annotations(boxes or {}, masks or {}, trimap), several, ear.warn)
    return found, ear.said


def heat(values, target="cat"):
    return {"target": target, "values": np.asarray(values, np.float32)}


def even(h, w):
    """Nearly: a map without any difference shows nothing, and is empty."""
    return heat(1 + 1e-3 * np.indices((h, w)).sum(0))


SIZE = (200, 100)


def test_even_heat_lies_on_a_box_by_its_area():
    found, _ = known({"a.jpg": ((50, 0, 100, 100),)})
    assert "a.jpg" in found
    assert "b.jpg" not in found
    objects = found.objects("a.jpg", SIZE, None, even(3, 3), 1)
    assert objects.boxes == [[250, 0, 500, 1000]]
    assert objects.share == pytest.approx(0.25, abs=1e-3)


def test_heat_is_where_the_network_saw_it():
    # The network saw the right half only; all of its heat is there.
    view = [100.0, 0.0, 200.0, 100.0]
    found, _ = known({"a.jpg": ((0, 0, 100, 100),), "b.jpg": ((150, 0, 200, 100),)})
    assert found.objects("a.jpg", SIZE, view, even(2, 2), 1).share == 0
    assert found.objects("b.jpg", SIZE, view, even(2, 2), 1).share == pytest.approx(0.5, abs=1e-3)
    # What speaks against a class is no heat. The rest: 1 up to a quarter of the width, from there
    # straight down to 0 at three quarters: 7/16 in the left half, and 1/16 in the other.
    signed = heat([[1.0, -5.0]])
    left = found.objects("a.jpg", SIZE, [0, 0, 200, 100], signed, 1).share
    assert left == pytest.approx(0.875, abs=2e-3)


def test_without_a_map_a_box_is_drawn_and_not_measured():
    found, _ = known({"a.jpg": ((-20, 10, 999, 60), (5, 5, 5, 9))})
    objects = found.objects("a.jpg", SIZE, None, None, 1)
    assert (objects.boxes, objects.share) == ([[0, 100, 1000, 600]], None)


def test_boxes_outside_of_their_pictures_are_told_once_for_all(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.ones((9, 9), np.uint8))
    out, inside = (300, 0, 400, 50), (10, 10, 20, 20)
    boxes = {"a.jpg": (out,), "b.jpg": (out, inside), "c.jpg": (out, out), "d.jpg": (out,)}
    found, said = known(boxes, {"d.jpg": tmp_path / "m.png"})
    for path in [*boxes, *boxes]:
        found.objects(path, SIZE, None, even(3, 3), 1)
    assert said == []
    found.tell_outside()
    line, cut = said
    assert line.startswith("2 photographs without a box that counts: the boxes of a.jpg and of 1 o")
    assert cut.startswith("In the boxes, what reaches out of the picture is cut")
    assert "b.jpg, 300,0,400,50 in 200x100 pixels" in cut


def test_an_outline_goes_around_a_mask_and_its_holes(tmp_path):
    mask = np.zeros((100, 200), np.uint8)
    cv2.circle(mask, (100, 50), 40, 255, -1)
    cv2.circle(mask, (100, 50), 15, 0, -1)
    Image.fromarray(mask).save(tmp_path / "a.png")
    found, _ = known(masks={"a.jpg": tmp_path / "a.png"})
    objects = found.objects("a.jpg", SIZE, None, even(2, 2), 1)
    assert len(objects.outlines) == 2
    assert all(len(line) <= 2 * 120 for line in objects.outlines)
    areas = [cv2.contourArea(np.float32(line).reshape(-1, 2)) / 1e6 for line in objects.outlines]
    assert areas[0] - areas[1] == pytest.approx((mask > 0).mean(), rel=0.05)
    assert objects.share == pytest.approx((mask > 0).mean(), rel=0.02)
    # An edge runs where the mask ends, not half a cell beside it.
    half = np.zeros((224, 224), np.uint8)
    half[:, :112] = 255
    Image.fromarray(half).save(tmp_path / "h.png")
    found, _ = known(masks={"h.jpg": tmp_path / "h.png"})
    (line,) = found.objects("h.jpg", SIZE, None, None, 1).outlines
    assert (max(line[::2]), min(line[::2])) == pytest.approx((500, 0), abs=3)


def test_a_ragged_mask_is_drawn_with_few_corners(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2, (224, 224), np.uint8) * 255
    Image.fromarray(noise).save(tmp_path / "a.png")
    found, _ = known(masks={"a.jpg": tmp_path / "a.png"})
    lines = found.objects("a.jpg", SIZE, None, None, 1).outlines
    assert len(lines) <= 20
    assert all(len(line) <= 240 for line in lines)


def test_a_broken_mask_is_told_once_and_its_photograph_shown_without(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    found, said = known(masks={"a.jpg": tmp_path / "a.png"})
    assert found.objects("a.jpg", SIZE, None, heat([[1.0]]), 1) is None
    assert found.objects("a.jpg", SIZE, None, heat([[1.0]]), 1) is None
    assert len(said) == 1
    assert "a.png" in said[0]


def test_of_several_labels_only_the_boxes_of_the_explained_one_are_measured():
    boxes = (NamedBox((0, 0, 100, 100), "cat"), NamedBox((100, 0, 200, 100), "dog"))
    found, _ = known({"a.jpg": boxes, "b.jpg": ((0, 0, 100, 100),)}, several=True)
    left = heat([[1.0, 0.0]], "cat")
    assert found.objects("a.jpg", SIZE, None, left, 2).share > 0.8
    assert found.objects("a.jpg", SIZE, None, heat([[1.0, 0.0]], "dog"), 2).share < 0.2
    assert found.objects("a.jpg", SIZE, None, heat([[1.0]], "cow"), 2).share is None
    assert len(found.objects("a.jpg", SIZE, None, left, 2).boxes) == 2
    # A box without a name is the label's if the photograph has no other.
    assert found.objects("b.jpg", SIZE, None, left, 1).share > 0.8
    assert found.objects("b.jpg", SIZE, None, left, 2).share is None


def test_those_of_an_evaluation_are_taken_and_never_stop_a_page(tmp_path):
    info = {"config": {"source": str(tmp_path)}}
    rows = [{"path": "x/a.jpg"}, {"path": ""}]
    table = tmp_path / "boxes.csv"
    table.write_text("path,x0,y0,x1,y1\nx/a.jpg,0,0,5,5\n")
    nothing = {"boxes": None, "masks": None, "trimap": False}

    def page(evaluation, ear, **given):
        return annotated(info, rows, evaluation, ear, **{**nothing, **given})

    ear = Ear()
    assert "x/a.jpg" in page({"annotations": {"boxes": str(table)}}, ear)
    assert page(None, ear) is None
    assert page({"annotations": {"boxes": "", "masks": 3}}, ear) is None
    assert page({"annotations": {"boxes": str(tmp_path / "gone.csv")}}, ear) is None
    assert "not shown" in ear.said[-1]
    with pytest.raises(UsageError, match="no such file"):
        page(None, ear, boxes=tmp_path / "gone.csv")
    assert recorded_objects({"annotations": {"boxes": "a\0b"}}) is None
    assert recorded_objects({"annotations": {"masks": "m", "trimap": True}})["trimap"] is True


def test_the_command_of_the_evaluation_has_the_boxes_of_the_page(tmp_path):
    table = tmp_path / "the boxes.csv"
    table.write_text("path,x0,y0,x1,y1\nx/a.jpg,0,0,5,5\n")
    info = {"config": {"source": str(tmp_path)}, "provenance": {"name": "resnet18"}}
    rows = [{"path": "x/a.jpg"}]
    nothing = {"boxes": None, "masks": None, "trimap": False}
    given = annotated(info, rows, None, Ear(), **{**nothing, "boxes": table})
    run = RunData("run", tmp_path / "run", info, rows, annotator=given)
    words = shlex.split(commands(run)["evaluation"])
    assert words[:3] == ["camcli", "evaluate", str(tmp_path)]
    assert words[words.index("--boxes") + 1] == str(table)
    assert "--masks" not in words
    assert "--boxes" not in commands(replace(run, annotator=None))["evaluation"]


@pytest.mark.parametrize(
    ("provenance", "asked"),
    [
        ({"name": "resnet18", "source": "torchvision", "weights": "resnet18-f37072fd.pth"},
         ["--models", "resnet18"]),
        ({"name": "resnet18", "source": "checkpoint", "weights": "nets/best.safetensors"},
         ["--models", "{}/nets/best.safetensors"]),
        ({"name": "nets/a.onnx", "source": "user", "weights": "nets/a.onnx"},
         ["--models", "{}/nets/a.onnx"]),
        ({"name": "resnet18", "source": "user", "weights": "nets/a.pth"},
         ["--models", "resnet18", "--weights", "{}/nets/a.pth"]),
        ({"name": "mine:build", "source": "user", "weights": "factory"},
         ["--models", "mine:build"]),
    ],
)  # fmt: skip
def test_the_command_names_the_network_for_any_folder(tmp_path, provenance, asked):
    info = {"config": {"source": "/p"}, "provenance": provenance, "folder": str(tmp_path)}
    words = shlex.split(commands(RunData("run", tmp_path / "run", info, []))["evaluation"])
    assert words[3:-2] == [word.format(tmp_path) for word in asked]
