"""Networks of labels, of two classes and of values in the comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.audit.audit_inputs import from_photographs
from camcli.evaluate.comparison.measuring.compare import compare
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.rows.advice import advise
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.measured.annotations import Annotations, read_boxes
from camcli.evaluate.measured.box_files import NamedBox
from camcli.evaluate.measured.seen import see_photographs
from camcli.evaluate.metrics.confusion import confusion_markdown, confusion_pictures
from camcli.models.outputs import Output

HOWS = {"cam": make_map_options("cam")}
# Where each colour is in a picture of 64 x 32, and what its label says.
PICTURES = {
    "both": ((0, 1), "red|green"), "one": ((0, None), "red"), "none": ((None, None), ""),
    "wrong": ((2, None), "green"), "other": ((0, 2), "red|blue"),
}  # fmt: skip


@pytest.fixture(scope="session")
def by_label(by_colour):
    """Labels are predicted above 0.9: a half of full colour gives sigmoid(5) = 0.993."""
    return replace(by_colour, output=Output("sigmoid", thresholds=(0.9, 0.9, 0.9)))


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Pictures with a colour on either side; the table of their labels; their boxes as VOC."""
    root = tmp_path_factory.mktemp("sides")
    (root / "boxes").mkdir()
    rows = ["path,label"]
    for name, (colours, label) in PICTURES.items():
        rgb = np.zeros((32, 64, 3), np.uint8)
        objects = ""
        for side, colour in enumerate(colours):
            if colour is not None:
                rgb[:, 32 * side : 32 * side + 32, colour] = 255
                box = f"<xmin>{32 * side + 1}</xmin><ymin>1</ymin><xmax>{32 * side + 32}</xmax>"
                called = ("red", "green", "blue")[colour]
                objects += (
                    f"<object><name>{called}</name><bndbox>{box}<ymax>32</ymax></bndbox></object>"
                )
        Image.fromarray(rgb).save(root / f"{name}.png")
        (root / "boxes" / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        rows.append(f"{name}.png,{label}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def refs(sides):
    return list(find_images(str(sides / "*.png"), labels=str(sides / "labels.csv")))


def test_every_label_of_a_photograph_is_explained(by_label, refs):
    seen = list(see_photographs(by_label, refs, HOWS, every_label=True, batch=2))
    found = {(s.ref.rel, s.label, s.index, s.first) for s in seen}
    assert found == {
        ("both.png", 0, 0, True), ("both.png", 1, 1, False), ("none.png", None, 0, True),
        ("one.png", 0, 0, True), ("other.png", 0, 0, True), ("other.png", 2, 2, False),
        ("wrong.png", 1, 1, True),
    }  # fmt: skip
    maps = {(s.ref.rel, s.index): s.maps["cam"] for s in seen}
    half = maps["both.png", 0].shape[1] // 2
    assert maps["both.png", 0][:, :half].min() > 0
    assert not maps["both.png", 0][:, half + 1 :].any()
    assert not maps["both.png", 1][:, : half - 1].any()
    # One a photograph where that is enough.
    assert len(list(see_photographs(by_label, refs, HOWS))) == 5


def test_labels_are_judged_and_found_where_they_are(by_label, refs, sides):
    boxes = read_boxes(sides / "boxes").match(refs)
    assert all(isinstance(box, NamedBox) for own in boxes.values() for box in own)
    outcome = compare(by_label, "sides", refs, HOWS, Questions(Annotations(boxes), repeats=10))
    rows = {row.method: row for row in outcome.rows}
    judged = rows[CLASSIFICATION]
    # Of five only "wrong" is wrong: blue is predicted in the place of green.
    assert judged.count == 5
    assert judged.metrics["exact"] == pytest.approx(4 / 5)
    assert judged.metrics["f1_micro"] == pytest.approx(2 * 5 / (6 + 6))
    assert judged.metrics["map"] == pytest.approx((1 + (1 / 2 + 2 / 5) / 2 + 1 / 2) / 3, abs=0.2)
    assert {"exact", "map", "f1_micro", "f1_macro"} <= judged.intervals.keys()
    assert "top1" not in judged.metrics
    # Each label on its own box: red twice alone or beside another, green and blue once.
    # What counts are the three photographs that these boxes are of.
    assert rows["cam"].count == 3
    assert rows["cam"].metrics["pointing"] == 1
    assert rows["cam"].metrics["energy"] == pytest.approx(1, abs=0.05)
    assert "top1_loc_error" not in rows["cam"].metrics
    assert outcome.untold == 1  # green's box in "wrong": there is none of this name
    labels = {each["label"]: each for each in outcome.predictions["labels"]}
    assert labels["red"]["f1"] == 1
    assert (labels["green"]["count"], labels["green"]["threshold"]) == (2, 0.9)
    assert "| red | 3 | 1.000 | 1.000 | 0.900 |" in confusion_markdown({"n": outcome.predictions})
    assert list(confusion_pictures({"n": outcome.predictions})) == ["labels.png"]


def test_boxes_without_names_are_of_the_only_label(by_label, refs, sides):
    boxes = {
        rel: tuple(tuple(box) for box in own)
        for rel, own in read_boxes(sides / "boxes").match(refs).items()
    }
    outcome = compare(by_label, "sides", refs, HOWS, Questions(Annotations(boxes), repeats=0))
    rows = {row.method: row for row in outcome.rows}
    assert rows["cam"].count == 2  # one and wrong
    assert outcome.untold == 2


def test_values_have_maps_and_no_predictions(by_colour, refs, sides):
    network = replace(by_colour, output=Output("none"))
    boxes = read_boxes(sides / "boxes").match(refs)
    outcome = compare(network, "v", refs, HOWS, Questions(Annotations(boxes), repeats=0))
    assert outcome.predictions == {}
    assert "pointing" in {row.method: row for row in outcome.rows}["cam"].metrics
    for ask, said in ((Questions(faithfulness=True), "--faith"), (Questions(grid=(2,)), "--grid")):
        with pytest.raises(UsageError, match=f"values.*{said}"):
            compare(network, "v", refs, HOWS, ask)
    with pytest.raises(UsageError, match="values and no classes"):
        from_photographs(
            network, refs, "cam", None, failed=print, progress=lambda: None, clock=Clock()
        )


def test_an_audit_looks_at_each_label(by_label, refs):
    facts = from_photographs(
        by_label, refs, "cam", None, failed=print, progress=lambda: None, clock=Clock()
    ).facts
    assert {(f.rel, f.label, f.pred, f.right) for f in facts} == {
        ("both.png", "red", "red", True), ("both.png", "green", "green", True),
        ("one.png", "red", "red", True), ("other.png", "red", "red", True),
        ("other.png", "blue", "blue", True), ("wrong.png", "green", "not green", False),
    }  # fmt: skip
    side = {(f.rel, f.label): f.thumb for f in facts}
    assert side["both.png", "red"][:, :7].min() > 0.9
    assert side["both.png", "green"][:, 9:].min() > 0.9


def test_a_grid_of_more_classes_than_there_are_is_refused_before_the_work(by_label, refs):
    def looked():
        raise AssertionError("a photograph was looked at first")

    with pytest.raises(UsageError, match="2x2 grid shows 4 classes side by side, and n has 3"):
        compare(by_label, "n", refs, HOWS, Questions(grid=(2,), repeats=0), progress=looked)


def test_labels_of_one_photograph_are_drawn_together(by_label, refs, sides):
    """They are not independent: a label more of the same photographs does not narrow intervals."""
    boxes = read_boxes(sides / "boxes").match(refs)
    ask = Questions(Annotations(boxes), faithfulness=True, repeats=200)
    rows = {row.method: row for row in compare(by_label, "n", refs, HOWS, ask).rows}
    # Of five photographs two have two labels, and one has none.
    assert {rows[m].count for m in ("cam", "centre-gaussian")} == {5}
    assert rows["centre-box"].count == 3, "boxes alone, of which one photograph has none of its own"
    both = [ref for ref in refs if ref.rel in ("both.png", "other.png")]
    outcome = compare(by_label, "n", both, HOWS, Questions(deletion=True, repeats=200))
    own = {row.method: row for row in outcome.rows}["cam"]
    assert own.count == 2
    values = []
    for ref in both:
        alone = compare(by_label, "n", [ref], HOWS, Questions(deletion=True, repeats=10))
        row = {row.method: row for row in alone.rows}["cam"]
        assert (row.count, row.intervals) == (1, {}), "one photograph has no intervals"
        values.append(row.metrics["sparseness"])
    # Two photographs drawn twice: one of them twice, the other twice, or each once.
    drawn = np.unique(outcome.drawn["cam"]["sparseness"].round(9))
    wanted = np.unique(np.round([values[0], values[1], np.mean(values)], 9))
    assert np.allclose(drawn, wanted)
    assert own.metrics["sparseness"] == pytest.approx(np.mean(values))


def test_the_verdict_counts_photographs(by_label, refs):
    """Seven records of labels are of five photographs, which are too few for a verdict."""
    outcome = compare(by_label, "n", refs, HOWS, Questions(faithfulness=True, repeats=50))
    advice = advise("n", outcome.rows, outcome.drawn)
    assert advice is not None
    assert "none. 5 photographs are too few" in advice.lines[0]
