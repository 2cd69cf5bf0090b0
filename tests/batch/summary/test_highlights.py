import random
from pathlib import Path

import numpy as np
import pytest

from camcli.batch.summary.highlights import FIVE, THREE, Highlighter, highlights, of_table
from camcli.batch.tables.journal import Journal
from camcli.batch.tables.reading import read_rows
from camcli.batch.tables.rows import columns
from camcli.batch.tables.rows import row as row_of
from camcli.data.sources.refs import ImageRef
from camcli.models.outputs import Output
from camcli.result import Heat, Result

CLASSES = ("Cat", "dog", "fox")
SOFTMAX, LABELS, VALUES = Output("softmax"), Output("sigmoid"), Output("none")


def row(path, label, pred, prob, correct=None, status="ok", **more):
    if correct is None:
        correct = "" if label == "" else str(int(label.lower() == pred.lower()))
    return {"path": path, "label": label, "pred": pred, "prob": str(prob), "correct": correct,
            "status": status, **more}  # fmt: skip


def paths(told):
    return [one.path for one in told]


def test_the_most_confident_mistakes_come_first_however_the_rows_stand():
    wrong = [row(f"w{n}", "dog", "fox", n / 10) for n in range(1, 10)]
    right = [row(f"r{n}", "dog", "dog", 0.99) for n in range(20)]
    for seed in range(5):
        every = wrong + right + [row("broken", "", "", "", status="error")]
        random.Random(seed).shuffle(every)
        found = highlights(every, CLASSES, SOFTMAX)
        assert paths(found.mistakes) == ["w9", "w8", "w7", "w6", "w5"]
        assert found.mistakes[0].label == "dog"
        assert found.pairs == {(1, 1): 20, (1, 2): 9}
    assert len(found.mistakes) == FIVE


def test_equal_ones_stay_in_the_tables_order():
    every = [row(f"w{n}", "dog", "fox", 0.5) for n in range(8)]
    assert paths(highlights(every, CLASSES, SOFTMAX).mistakes) == ["w0", "w1", "w2", "w3", "w4"]
    assert paths(highlights(every, CLASSES, SOFTMAX).unsure) == ["w0", "w1", "w2", "w3", "w4"]


def test_a_class_with_few_images_is_not_the_weakest_for_sure():
    """4 of 10 says more than 0 of 1; a class that is always recognised is not weak at all."""
    every = [row("c", "cat", "dog", 0.5)]  # another way of writing Cat
    every += [row(f"d{n}", "dog", "dog" if n < 4 else "fox", 0.5) for n in range(9)]
    every += [row("d9", "dog", "Cat", 0.5)]
    every += [row(f"f{n}", "fox", "fox", 0.5) for n in range(5)]
    first, second = highlights(every, CLASSES, SOFTMAX).weakest
    assert (first.name, first.right, first.images, first.other, first.times) == (
        "dog", 4, 10, "fox", 5,
    )  # fmt: skip
    assert (second.name, second.right, second.images, second.other) == ("Cat", 0, 1, "dog")
    many = tuple(map(str, range(50)))
    every = [row(n, n, many[int(n) - 1], 0.5) for n in many]
    assert len(highlights(every, many, SOFTMAX).weakest) == THREE


def test_without_labels_there_is_what_it_is_least_sure_of():
    every = [row(f"x{n}", "", "dog" if n < 6 else "fox", n / 10) for n in range(10)]
    found = highlights(every, CLASSES, SOFTMAX)
    assert found.mistakes == []
    assert found.weakest == []
    assert paths(found.unsure) == ["x0", "x1", "x2", "x3", "x4"]
    assert found.predicted == [("dog", 6), ("fox", 4)]


def test_a_label_of_a_strange_class_is_no_mistake():
    every = [row("x", "zebra", "dog", 0.9, correct="")]
    assert highlights(every, CLASSES, SOFTMAX).mistakes == []


def test_of_labels_it_is_those_of_which_the_likeliest_is_wrong():
    every = [
        row("top wrong", "dog|fox", "Cat", 0.9, "0", labels="dog|fox"),
        row("one missed", "dog|fox", "dog", 0.8, "0", labels="dog|fox"),
        row("all right", "dog", "dog", 0.7, "1", labels="dog"),
    ]
    labels = {
        "classes": {
            "Cat": {"f1": 0.0, "images": 0},  # none has it
            "dog": {"f1": 0.8, "images": 3},
            "fox": {"f1": 0.5, "images": 2},
            "all": {"f1": 1.0, "images": 2},
            "unknown": {"f1": None, "images": 2},
        }
    }
    found = highlights(every, CLASSES, LABELS, labels)
    assert paths(found.mistakes) == ["top wrong"]
    assert [(one.name, one.f1) for one in found.weakest] == [("fox", 0.5), ("dog", 0.8)]


def test_values_are_told_by_how_far_they_are_off():
    every = [
        row("near", "3", "", "", value="3.5", target="value"),
        row("far", "30", "", "", value="-3", target="value"),
        row("exact", "4", "", "", value="4", target="value"),
        row("no number", "many", "", "", value="4", target="value"),
        row("broken", "4", "", "", status="error", value="", target=""),
    ]
    found = highlights(every, ("value",), VALUES)
    assert [(one.path, one.number, one.label) for one in found.mistakes] == [
        ("far", -3.0, "30"), ("near", 3.5, "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("output", [SOFTMAX, LABELS, VALUES])
def test_of_nothing_there_is_nothing(output):
    found = highlights([], CLASSES, output)
    assert [found.mistakes, found.unsure, found.weakest, found.predicted] == [[]] * 4


def result(path, label, pred, prob, **more):
    known = label is not None and label.lower() in map(str.lower, CLASSES)
    correct = label.lower() == pred.lower() if known else None
    ref = ImageRef(Path("/", path), path, label)
    values = {"pred": pred, "prob": prob, "correct": correct, "heats": (HEAT,)}
    return Result(ref, **{**values, **more})


HEAT = Heat("age", 0, None, np.zeros((2, 2), np.float32), value=4.5)
SEEN = {
    "softmax": [
        result("a.jpg", "dog", "fox", 0.75), result("b.jpg", "cat", "Cat", 0.5),
        result("c.jpg", None, "dog", 0.25), result("d.jpg", "zebra", "dog", 0.875),
        result("e.jpg", "fox", "dog", 0.625),
        Result(ImageRef(Path("/f.jpg"), "f.jpg", "dog"), status="error", error="broken"),
    ],
    "sigmoid": [
        result("a.jpg", "dog|fox", "Cat", 0.75, correct=False, labels=("dog", "fox"),
               numbers=(0.75, 0.5, 0.25), positives=(("Cat", 0.75),)),
        result("b.jpg", "dog", "dog", 0.5, correct=False, labels=("dog",),
               numbers=(0.25, 0.5, 0.5), positives=(("fox", 0.5),)),
    ],
    "none": [
        result("a.jpg", "30", None, None, value=4.5, numbers=(4.5,)),
        result("b.jpg", "4.5", None, None, value=4.5, numbers=(4.5,)),
        result("c.jpg", "many", None, None, value=4.5, numbers=(4.5,)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", SEEN)
def test_what_passes_by_tells_the_same_as_the_table_that_it_leaves(kind, tmp_path):
    classes = ("age",) if kind == "none" else CLASSES
    output = Output(kind)
    beside = {
        "softmax": {}, "sigmoid": {"labels": classes}, "none": {"values": ("age",)},
    }[kind]  # fmt: skip
    highlighter = Highlighter(classes, output)
    table = tmp_path / "predictions.csv"
    with Journal(table, columns(2, **beside)) as journal:
        for one in SEEN[kind]:
            highlighter.add(one)
            journal.write(journal.line(row_of(one, 2, **beside)))
    passed = highlighter.found()
    read = highlights(read_rows(table), classes, output)
    assert passed == read
    assert passed.mistakes
    # And without the network: its classes are those that the table has.
    alone, told = of_table(table)
    assert told.kind == kind
    assert alone.mistakes == read.mistakes
    assert {(one.name.lower(), one.right, one.images) for one in alone.weakest} == {
        (one.name.lower(), one.right, one.images) for one in read.weakest
    }


@pytest.mark.parametrize("gone", ["label", "correct", "prob", "labels", "target", "value", "path"])
@pytest.mark.parametrize("output", [SOFTMAX, LABELS, VALUES])
def test_a_table_may_lack_a_column(gone, output):
    whole = row("a.jpg", "dog", "fox", 0.5, labels="dog", target="age", value="3")
    highlights([{k: v for k, v in whole.items() if k != gone}], CLASSES, output)
