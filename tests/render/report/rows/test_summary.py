"""What a page says of a whole run, counted by hand."""

import numpy as np
import pytest

from camcli.render.report.rows.heat import PageMap
from camcli.render.report.rows.image_rows import (
    ERROR,
    MISSING,
    RIGHT,
    UNKNOWN,
    WRONG,
    ImageRow,
    Side,
)
from camcli.render.report.rows.summary import BINS, MATRIX, for_page, summarise

HEAT = PageMap(0, 1.0, np.full((2, 2), 255, np.uint8))


def row(verdict, pred=-1, label=-1, prob=0.0, **more):
    return ImageRow("x.jpg", label, 0, (9, 9), [Side(verdict, pred, prob, **more)])


# Class 0 is shown four times and recognised twice; once it is taken for 1, once for 2.
ROWS = [
    row(RIGHT, 0, 0, 0.95, maps=[HEAT]), row(RIGHT, 0, 0, 1.0), row(WRONG, 1, 0, 0.5),
    row(WRONG, 2, 0, 0.3, empty=True), row(RIGHT, 1, 1, 0.049), row(WRONG, 0, 2, 0.75),
    row(UNKNOWN, 1, -1, 0.6), row(ERROR, error="cut short"), row(MISSING),
]  # fmt: skip


def test_counts_by_hand():
    found = summarise(ROWS)
    assert found.counts == {RIGHT: 3, WRONG: 3, UNKNOWN: 1, ERROR: 1, MISSING: 1, "empty": 1}
    assert (found.total, found.judged) == (8, 6)
    assert found.accuracy == 0.5
    assert found.confidence == pytest.approx((0.95 + 1 + 0.5 + 0.3 + 0.049 + 0.75 + 0.6) / 7)
    assert found.confused == {(0, 1): 1, (0, 2): 1, (2, 0): 1}
    numbers = {
        n: (c.labelled, c.right, c.predicted, c.judged, round(c.prob, 6), c.heat.count)
        for n, c in found.classes.items()
    }
    assert numbers == {
        0: (4, 2, 3, 3, 2.7, 1), 1: (1, 1, 3, 2, 1.149, 0), 2: (1, 0, 1, 1, 0.3, 0),
    }  # fmt: skip


def test_probabilities_in_twenty_steps():
    """0.95 begins the last, 1 is in it too; 0.049 is in the first, 0.3 in the seventh."""
    found = summarise(ROWS)
    assert found.bins[RIGHT][-1] == 2
    assert found.bins[RIGHT][0] == 1
    wrong = [n for n, count in enumerate(found.bins[WRONG]) if count]
    assert wrong == [int(0.3 * BINS), 10, 15]
    assert sum(map(sum, found.bins.values())) == 7


def test_the_matrix_has_true_classes_in_rows():
    matrix = for_page(summarise(ROWS))["matrix"]
    assert matrix == {"classes": [0, 1, 2], "cells": [[2, 1, 1], [0, 1, 0], [1, 0, 0]], "all": True}


def test_of_many_classes_the_most_confused_are_shown():
    rows = [row(RIGHT, n, n, 0.9) for n in range(MATRIX + 5)]
    rows += [row(WRONG, n + 1, n, 0.9) for n in range(0, MATRIX, 2) for _ in range(2)]
    matrix = for_page(summarise(rows))["matrix"]
    assert matrix["classes"] == list(range(MATRIX))
    assert matrix["cells"][2][3] == 2
    assert not matrix["all"]


def test_nothing_to_judge_is_no_accuracy():
    found = summarise([row(UNKNOWN, 1, -1, 0.6), row(ERROR)])
    assert found.accuracy is None
    assert summarise([]).confidence is None
    assert for_page(found)["pairs"] == []
