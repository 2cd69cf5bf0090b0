"""Runs whose labels do not exclude each other, and runs of values, on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camcli.render.report.build import label_table, write_report
from camcli.render.report.compare import change, pair
from camcli.render.report.page.data import index_page
from camcli.render.report.rows.image_rows import (
    RIGHT,
    UNKNOWN,
    WRONG,
    Names,
    RunData,
    in_order,
    read_rows,
)
from camcli.render.report.rows.summary import for_page, summarise

COMMON = {"status": "ok", "width": "40", "height": "30", "heat_area": "0.2", "heat_border": "0.1"}
ROWS = [
    {"path": "a.jpg", "label": "cat|dog", "labels": "cat|dog", "positives": "dog|cat",
     "pred": "dog", "prob": "0.9", "correct": "1", "top2": "cat", "top2_prob": "0.8"},
    {"path": "b.jpg", "label": "cat", "labels": "cat", "positives": "cat|dog", "pred": "cat",
     "prob": "0.7", "correct": "0", "top2": "dog", "top2_prob": "0.6"},
    {"path": "c.jpg", "label": "", "labels": "", "positives": "", "pred": "dog", "prob": "0.2",
     "correct": "1", "top2": "cat", "top2_prob": "0.1"},
    {"path": "d.jpg", "label": "", "labels": "", "positives": "dog", "pred": "dog",
     "prob": "0.8", "correct": "", "top2": "cat", "top2_prob": "0.1"},
    {"path": "e.jpg", "label": "yak", "labels": "", "positives": "a\\|b", "pred": "a|b",
     "prob": "0.8", "correct": "", "top2": "cat", "top2_prob": "0.1"},
]  # fmt: skip
INFO = {
    "config": {"source": "/none", "thresholds": [0.4, 0.6]},
    "label_metrics": {
        "map_macro": 0.9, "f1_micro": 0.8,
        "classes": {
            "cat": {"average_precision": 0.95, "f1": 0.9, "images": 2},
            "dog": {"average_precision": None, "f1": 0.5, "images": 1},
        },
    },
}  # fmt: skip
VALUES = [
    {"path": "a.jpg", "pred": "", "prob": "", "correct": "", "target": "age", "value": "37.2"},
    {"path": "b.jpg", "pred": "", "prob": "", "correct": "", "target": "age", "value": "4"},
]


def run_of(rows, path=Path("/none"), info=INFO):
    return RunData("run", path, info, [{**COMMON, **row} for row in rows])


@pytest.fixture
def read():
    names = Names()
    return read_rows(run_of(ROWS), names), names


def test_labels_are_several_and_are_not_taken_for_the_likeliest(read):
    rows, names = read
    told = {
        row.path: (
            row.sides[0].verdict,
            None if row.labels is None else [names.list[n] for n in row.labels],
            [names.list[n] for n in row.sides[0].positives],
        )
        for row in rows
    }
    assert told == {
        "a.jpg": (RIGHT, ["cat", "dog"], ["dog", "cat"]),
        "b.jpg": (WRONG, ["cat"], ["cat", "dog"]),
        "c.jpg": (RIGHT, [], []),
        "d.jpg": (UNKNOWN, None, ["dog"]),
        "e.jpg": (UNKNOWN, None, ["a|b"]),
    }
    assert names.list[rows[4].label] == "yak"
    assert [row.label for row in rows[:4]] == [-1] * 4
    page = index_page(rows)
    assert page["labels"][2] == []
    assert page["labels"][3] == 0
    assert page["sides"][0]["positives"][2] == []
    assert next(row.path for row in in_order(rows)) == "b.jpg"


def test_each_label_counts_for_itself(read):
    rows, names = read
    summary = summarise(rows)
    assert summary.accuracy == pytest.approx(2 / 3)
    numbers = {
        names.list[n]: (c.labelled, c.right, c.predicted, c.judged, round(c.prob, 3))
        for n, c in summary.classes.items()
    }
    assert numbers["cat"] == (2, 2, 2, 2, 1.5)
    assert numbers["dog"] == (1, 1, 3, 2, 2.3)
    assert not summary.confused
    assert for_page(summary)["pairs"] == []


def test_the_table_of_labels_has_the_worst_first():
    assert label_table(run_of(ROWS)) == [
        ("cat", 2, 0.95, 0.9, 0.4), ("dog", 1, None, 0.5, 0.6),
    ]  # fmt: skip
    assert label_table(run_of(ROWS, info={})) == []
    # Of one that somebody has changed, what can be read.
    odd = {"label_metrics": {"classes": {"cat": {"f1": "x", "images": []}, "dog": 3}}}
    assert label_table(run_of(ROWS, info=odd)) == [("cat", 0, None, None, 0.5)]


def test_the_page_of_labels_has_no_confusions(tmp_path):
    page = write_report(run_of(ROWS, tmp_path), tmp_path / "report").read_text("utf-8")
    assert 'id="label-table"' in page
    assert 'id="matrix"' not in page
    assert "have all labels right" in page
    assert "0.900" in page
    assert ">0.600<" in page


def test_values_are_neither_right_nor_sure(tmp_path):
    run = run_of(VALUES)
    one = {"target": "age", "prob": None, "empty": False, "values": np.eye(2, dtype=np.float32)}
    run.heatmaps = [{"path": "a.jpg", "view": [0, 0, 40, 30], "maps": [one], "truth": None}]
    rows = read_rows(run, Names())
    assert rows[0].sides[0].maps[0].cells is not None
    assert [row.sides[0].value for row in rows] == ["age 37.2", "age 4"]
    assert {row.sides[0].verdict for row in rows} == {UNKNOWN}
    assert index_page(rows)["sides"][0]["value"] == ["age 37.2", "age 4"]
    page = write_report(run_of(VALUES, tmp_path), tmp_path / "report").read_text("utf-8")
    assert 'id="histogram"' not in page
    assert "mean confidence" not in page
    assert "accuracy" not in page


def test_values_are_numbers_to_sort_and_to_choose_by():
    names = Names()
    rows = read_rows(run_of([*VALUES, {**VALUES[0], "path": "c.jpg", "value": "-1e300"}]), names)
    assert index_page(rows)["sides"][0]["number"] == [37.2, 4, -1e300]
    page = for_page(summarise(rows))
    least, mean, largest = page["classes"][0][-1]
    assert (least, largest) == (-1e300, 37.2)
    assert mean == pytest.approx(-1e300 / 3)
    assert sum(page["values"]["bins"]) == 3
    assert page["values"]["edges"][0] == -1e300
    two = [*VALUES, {**VALUES[0], "path": "c.jpg", "target": "height", "value": "180"}]
    assert for_page(summarise(read_rows(run_of(two), Names())))["values"] is None


def test_what_is_of_classes_is_not_on_a_page_of_values(tmp_path):
    run = run_of(VALUES, info={"config": {"source": "/none"}})
    text = write_report(run, tmp_path / "page").read_text("utf-8")
    for word in ("onfidence", "Predicted", "True class", "onfusion", "onfident", ">Classes<"):
        assert word not in text, word
    for word in ("20.60", "mean age", "least value", "How the values are spread", ">Values<"):
        assert word in text, word


def test_two_runs_differ_by_the_labels_that_they_predict():
    def sides(one, two):
        before, after = (read_rows(run_of([row]), names) for row in (one, two))
        return change(pair(before, after)[0])

    names = Names()
    assert sides(ROWS[3], {**ROWS[3], "positives": "dog|cat"}) == "changed"
    assert sides({**ROWS[3], "positives": "cat|dog"}, {**ROWS[3], "positives": "dog|cat"}) == "same"
