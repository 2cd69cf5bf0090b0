"""Average precision and F1 of labels: scikit-learn's numbers, on the same data."""

from __future__ import annotations

import numpy as np
import pytest

from camcli.models.label_metrics import average_precision, label_metrics

metrics = pytest.importorskip("sklearn.metrics")


def drawn(seed, images, classes, *, ties):
    draw = np.random.default_rng(seed)
    truth = draw.random((images, classes)) < draw.uniform(0.05, 0.7, classes)
    probs = draw.random((images, classes))
    return truth, probs.round(1) if ties else probs


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("seed", "images", "classes"), [(0, 50, 14), (1, 7, 3), (2, 1, 4)])
def test_the_numbers_are_scikit_learns(seed, images, classes, ties):
    truth, probs = drawn(seed, images, classes, ties=ties)
    predicted = probs >= 0.5
    got = label_metrics(truth, probs, predicted)
    there = np.flatnonzero(truth.any(0))
    for c in there:
        theirs = metrics.average_precision_score(truth[:, c], probs[:, c])
        assert got.per_class[c][0] == pytest.approx(theirs)
    assert got.without == tuple(set(range(classes)) - set(there))
    # Of a class that no image has scikit-learn warns and says 0; here it is left out.
    assert got.map_macro == pytest.approx(
        metrics.average_precision_score(truth[:, there], probs[:, there], average="macro")
    )
    assert got.map_micro == pytest.approx(
        metrics.average_precision_score(truth, probs, average="micro")
    )
    for average, mine in (("macro", got.f1_macro), ("micro", got.f1_micro)):
        theirs = metrics.f1_score(truth, predicted, average=average, zero_division=0)
        assert mine == pytest.approx(theirs)
    assert got.exact == metrics.accuracy_score(truth, predicted, normalize=False)
    assert got.images == images


def test_without_a_positive_there_is_no_precision():
    nothing = np.zeros((4, 2), bool)
    got = label_metrics(nothing, np.full((4, 2), 0.1), nothing)
    assert (got.map_macro, got.map_micro, got.f1_macro, got.exact) == (None, None, 0.0, 4)
    assert average_precision(nothing[:, 0], np.arange(4.0)) is None
