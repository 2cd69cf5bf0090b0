"""Which classes are flagged, and with which pictures: by numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from camcli.evaluate.audit.audit import CHANCE, rank_test, suspicions
from camcli.evaluate.audit.map_stats import Fact


def fact(label, n, *, border=0.0, corner=-1, pred=None, prob=0.9):
    thumb = np.zeros((16, 16), np.float32)
    return Fact(f"{label}/{n}", label, pred or label, prob, thumb, False, math.nan, border, corner)


def others(classes, kind="border"):
    """45 photographs of so many classes, with hardly anything at the border."""
    return [
        fact(f"c{n % classes}", n, **({kind: n / 1000} if kind == "border" else {}))
        for n in range(45)
    ]


OWN = [fact("odd", n, border=value) for n, value in enumerate((0.9, 0.8, 0.7, 0.6, 0.0155))]


def test_the_more_classes_are_looked_at_the_surer_it_must_be():
    """One chance in 250: enough for two classes at a hundredth each half, not for ten."""
    p = rank_test([f.border for f in OWN], [f.border for f in others(1)])
    assert CHANCE / 10 < p < CHANCE / 2
    (found,) = suspicions([*OWN, *others(1)])
    assert (found.label, found.kind, found.p) == ("odd", "border", pytest.approx(p))
    assert found.value == pytest.approx(np.mean([f.border for f in OWN]))
    assert found.others == pytest.approx(0.022)
    assert suspicions([*OWN, *others(9)]) == []


def test_the_most_suspicious_come_first():
    """By how much there is, and where that is the same by how sure the prediction was."""
    values = [0.7, 0.9, 0.8, 0.9, 0.6, 0.5, 0.9]
    own = [
        fact("odd", n, border=value, prob=0.5 + n / 100) for n, value in enumerate(values)
    ]  # fmt: skip
    (found,) = suspicions([*own, *others(1)])
    assert found.examples == ("odd/6", "odd/3", "odd/1", "odd/2", "odd/0")


def test_the_corner_is_the_commonest():
    """Top right in five of six; in the others' maps nothing is in a corner."""
    own = [fact("odd", n, corner=corner) for n, corner in enumerate((1, 1, 2, 1, 1, 1))]
    (found,) = suspicions([*own, *others(2, "corner")])
    assert (found.kind, found.value, found.others) == ("corner", pytest.approx(5 / 6), 0)
    assert set(found.examples) == {f"odd/{n}" for n in (0, 1, 3, 4, 5)}


def test_wrong_predictions_and_empty_maps_say_nothing():
    """A class is what is rightly predicted as it: five of these are needed."""
    wrong = [replace(f, label="even") for f in OWN]
    empty = [replace(f, empty=True) for f in OWN]
    assert suspicions([*wrong, *others(1)]) == []
    assert suspicions([*empty, *others(1)]) == []
    assert suspicions([*OWN[:4], *others(1)]) == []
    unlabelled = [replace(f, label=None) for f in OWN]
    assert [s.label for s in suspicions([*unlabelled, *others(1)])] == ["odd"]
