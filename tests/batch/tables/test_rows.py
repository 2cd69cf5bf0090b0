"""The table's columns, from a Result of which no two numbers are the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camcli.batch.tables.rows import columns, row
from camcli.data.sources.refs import ImageRef
from camcli.result import Heat, Result

HEAT = Heat(
    "rabbit", 4, 0.3333333, np.ones((2, 3), np.float32),
    x=0.123456789, y=0.987654321, box=(10, 20, 31, 42), area=0.25, border=0.0625,
)  # fmt: skip
RESULT = Result(
    ref=ImageRef(Path("/photos/a/1.jpg"), "a/1.jpg", "hare"),
    pred="fox", pred_index=2, prob=0.5432109, correct=False,
    top=(("fox", 0.5432109), ("hare", 0.25), ("rabbit", 0.125)),
    method="gradcam", layer="conv_head", score="contrast",
    heats=(HEAT, replace(HEAT, target="second")),
    view=(80, 0, 560, 480), width=640, height=480, overlay="overlays/a/1.jpg",
)  # fmt: skip
WANTED = {
    "path": "a/1.jpg", "label": "hare", "pred": "fox", "prob": 0.54321, "correct": 0,
    "target": "rabbit", "method": "gradcam", "layer": "conv_head", "score": "contrast",
    "top2": "hare", "top2_prob": 0.25, "top3": "rabbit", "top3_prob": 0.125,
    "heat_x": 0.12346, "heat_y": 0.98765,
    "box_x0": 10, "box_y0": 20, "box_x1": 31, "box_y1": 42,
    "heat_area": 0.25, "heat_border": 0.0625,
    "overlay": "overlays/a/1.jpg", "width": 640, "height": 480, "seen": 0.75,
    "status": "ok", "error": None,
}  # fmt: skip


def test_every_number_stands_under_its_own_name():
    assert row(RESULT, 3) == WANTED


def test_columns_are_those_of_a_row_in_their_order():
    assert columns(3) == list(WANTED)
    assert [name for name in columns(1) if name.startswith("top")] == []


@pytest.mark.parametrize(("correct", "cell"), [(True, 1), (False, 0), (None, None)])
def test_correct_is_one_or_zero_or_not_known(correct, cell):
    got = row(replace(RESULT, correct=correct), 1)["correct"]
    assert got == cell
    assert type(got) is type(cell)


def test_more_predictions_than_there_are_classes_stay_empty():
    got = row(RESULT, 5)
    assert got["top3"] == "rabbit"
    assert (got["top4"], got["top4_prob"], got["top5"], got["top5_prob"]) == (None,) * 4


def test_a_map_without_evidence_has_no_place():
    empty = Heat("rabbit", 4, 0.3, np.zeros((2, 3), np.float32), empty=True)
    got = row(replace(RESULT, status="empty", heats=(empty,)), 1)
    assert [got[n] for n in ("heat_x", "heat_y", "box_x0", "box_y1")] == [None] * 4
    assert (got["heat_area"], got["heat_border"]) == (0, 0)
    assert (got["target"], got["status"]) == ("rabbit", "empty")


def test_a_failed_image_has_its_path_its_label_and_its_error():
    got = row(Result(ref=RESULT.ref, status="error", error="cut short"), 2)
    said = {name: value for name, value in got.items() if value is not None}
    assert said == {"path": "a/1.jpg", "label": "hare", "status": "error", "error": "cut short"}
    assert list(got) == columns(2)


@pytest.mark.parametrize(
    ("value", "cell"),
    [(0.123456789, 0.12346), (1.0, 1.0), (0.0, 0.0), (1.23456789e-9, 1.2346e-9), (0.9999961, 1.0)],
)
def test_five_digits_that_count(value, cell):
    assert row(replace(RESULT, prob=value), 1)["prob"] == cell
