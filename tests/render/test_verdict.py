"""What a network said, in the words of what it returns: a class, labels, a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.render.picture import annotate, side_by_side
from camcli.render.verdict import (
    explained,
    headline,
    named,
    number,
    said,
    title,
    truth,
)
from camcli.result import Heat, Result

MAP = np.eye(4, dtype=np.float32)
REF = ImageRef(Path("/x.jpg"), "x.jpg")
CLASS = Result(
    replace(REF, label="dog"), pred="cat", prob=0.9, correct=False,
    top=(("cat", 0.9), ("dog", 0.1)), method="gradcam", heats=(Heat("cat", 0, 0.9, MAP),),
)  # fmt: skip
NUMBERS = (0.912, 0.2, 0.641, 0.5)
LABELS = Result(
    replace(REF, label="edema|scar"), pred="edema", prob=0.912, correct=False, labels=("edema",),
    top=(("edema", 0.912), ("nodule", 0.641)), positives=(("edema", 0.912), ("nodule", 0.641)),
    numbers=NUMBERS, method="gradcam", heats=(Heat("edema", 0, 0.912, MAP),),
)  # fmt: skip
NONE = replace(LABELS, positives=(), labels=(), ref=replace(REF, label=""), correct=True)
VALUE = Result(
    REF, numbers=(37.1234,), value=37.1234, method="gradcam",
    heats=(Heat("age", 0, None, MAP, value=37.1234),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("result", "words", "short", "true"),
    [
        (CLASS, ("cat", "90.0%"), ("cat", "90%"), "dog"),
        (LABELS, ("edema 91.2%, nodule 64.1%", None), ("edema, nodule", ""), "edema, scar"),
        (NONE, ("no label", "best: edema 91.2%"), ("no label", "best: edema 91.2%"), "no label"),
        (
            replace(LABELS, positives=LABELS.positives[:1]),
            ("edema", "91.2%"), ("edema", "91.2%"), "edema, scar",
        ),
        (
            replace(LABELS, positives=tuple((f"l{n}", 0.9) for n in range(6))),
            ("l0 90.0%, l1 90.0%, l2 90.0%, l3 90.0% and 2 more", None),
            ("l0, l1, l2, l3, l4, l5", ""), "edema, scar",
        ),
        (VALUE, ("age", "37.12"), ("age", "37.12"), None),
        (Result(REF, status="error"), (None, None), ("None", ""), None),
    ],
)  # fmt: skip
def test_what_was_said(result, words, short, true):
    assert headline(result) == words
    assert title(result) == short
    assert truth(result) == true


def test_values_for_people():
    for value, shown in (
        (37.123456, "37.12"), (40.0, "40.00"), (0.5, "0.5000"), (0.0, "0"),
        (-1234567.8, "-1,234,568"), (1234.0, "1234"), (0.00001234, "1.234e-05"),
        (1e30, "1.000e+30"), (-3.0, "-3.000"),
    ):  # fmt: skip
        assert number(value) == shown
    assert said(VALUE.heats[0]) == "37.12"
    assert said(CLASS.heats[0]) == "90.0%"


def test_what_goes_without_saying():
    assert explained(CLASS, CLASS.heats[0])
    assert not explained(CLASS, Heat("dog", 1, 0.1, MAP))
    assert not explained(LABELS, LABELS.heats[0]), "one of two"
    assert explained(replace(LABELS, positives=LABELS.positives[:1]), LABELS.heats[0])
    assert not explained(NONE, NONE.heats[0])
    assert explained(VALUE, VALUE.heats[0])
    assert named(LABELS, LABELS.heats[0])
    assert named(NONE, NONE.heats[0])
    assert not named(LABELS, Heat("mass", 1, 0.2, MAP))


def words_drawn(monkeypatch, draw):
    """The texts of a picture."""
    import camcli.render.label as module

    seen, real = [], module.text_tile

    def noting(text, ink):
        seen.append(text)
        return real(text, ink)

    monkeypatch.setattr(module, "text_tile", noting)
    draw()
    return " / ".join(seen)


def test_strips_of_each_kind(monkeypatch):
    rgb = np.zeros((300, 600, 3), np.uint8)
    told = words_drawn(monkeypatch, lambda: annotate(rgb, VALUE, signed=True))
    assert "age / 37.12" in told
    assert "raises it" in told
    assert "%" not in told
    told = words_drawn(monkeypatch, lambda: annotate(rgb, LABELS))
    assert "edema 91.2%, nodule 64.1%" in told
    assert "true: edema, scar" in told
    assert "explains: edema" in told
    told = words_drawn(monkeypatch, lambda: annotate(rgb, NONE))
    assert "no label / best: edema 91.2%" in told
    nothing = replace(VALUE.heats[0], heatmap=-MAP, empty=True)
    told = words_drawn(monkeypatch, lambda: annotate(rgb, replace(VALUE, heats=(nothing,))))
    assert "nothing raises it" in told


def test_side_by_side_each_label_says_whether_it_is_predicted(monkeypatch):
    rgb = np.zeros((200, 300, 3), np.uint8)
    heats = (*LABELS.heats, Heat("nodule", 2, 0.641, MAP), Heat("mass", 1, 0.2, MAP))
    told = words_drawn(monkeypatch, lambda: side_by_side(rgb, replace(LABELS, heats=heats)))
    assert "nodule / 64.1% / predicted  ·  gradcam" in told
    assert "mass / 20.0% / not predicted  ·  gradcam" in told
    assert "guess" not in told
    heats = (*VALUE.heats, Heat("height", 1, None, MAP, value=1.81))
    told = words_drawn(monkeypatch, lambda: side_by_side(rgb, replace(VALUE, heats=heats)))
    assert "age / 37.12 / gradcam" in told
    assert "height / 1.810 / gradcam" in told
