"""Scores of labels and of two classes are scikit-learn's, also with weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from camcli.evaluate.metrics.label_predictions import LabelPredictions, labels_judged
from camcli.evaluate.metrics.predictions import Predictions, area_under_roc
from camcli.models.outputs import Output

LABELS = Output("sigmoid", thresholds=(0.4, 0.5, 0.7))


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    truth = rng.random((50, 3)) < (0.5, 0.3, 0.2)
    logits = rng.normal(size=(50, 3)).round(1) + truth
    return torch.from_numpy(logits), truth


def test_labels_equal_scikit_learn(drawn):
    logits, truth = drawn
    probs = logits.sigmoid().numpy()
    said = probs > np.array(LABELS.thresholds)
    assert LabelPredictions(logits, truth, "abc", LABELS).compute() == pytest.approx(
        {
            "exact": (said == truth).all(1).mean(),
            "f1_micro": f1_score(truth, said, average="micro"),
            "f1_macro": f1_score(truth, said, average="macro"),
            "map": average_precision_score(truth, probs, average="macro"),
        }
    )


def test_weights_equal_repeated_photographs(drawn):
    logits, truth = drawn
    weights = np.random.default_rng(1).integers(0, 4, 50)
    weights[truth[:, 2]] = 0  # a label that the draw has lost
    again = np.repeat(np.arange(50), weights)
    weighted = LabelPredictions(logits, truth, "abc", LABELS).compute(weights.astype(float))
    repeated = LabelPredictions(logits[again], truth[again], "abc", LABELS).compute()
    assert weighted == pytest.approx(repeated)


def test_photographs_without_known_labels_do_not_count(drawn):
    logits, truth = drawn
    known = [frozenset(np.flatnonzero(row).tolist()) for row in truth]
    found = labels_judged([*logits, logits[0]], [*known, None], "abc", LABELS)
    assert len(found) == 50
    assert found.record()["unlabelled"] == 1
    assert labels_judged([logits[0]], [None], "abc", LABELS) is None


def test_labels_that_nobody_knows_count_nowhere(drawn):
    logits, truth = drawn
    hidden = np.random.default_rng(2).random(truth.shape) < 0.3
    known = [frozenset(np.flatnonzero(row).tolist()) for row in truth & ~hidden]
    doubtful = [frozenset(np.flatnonzero(row).tolist()) for row in hidden]
    probs = logits.sigmoid().numpy()
    said = probs > np.array(LABELS.thresholds)
    found = labels_judged(logits, known, "abc", LABELS, doubtful)
    each = [(truth[~h, c], said[~h, c], probs[~h, c]) for c, h in enumerate(hidden.T)]
    assert found.compute() == pytest.approx(
        {
            "exact": ((said == truth) | hidden).all(1).mean(),
            "f1_micro": f1_score(truth[~hidden], said[~hidden]),
            "f1_macro": np.mean([f1_score(t, s) for t, s, _ in each]),
            "map": np.mean([average_precision_score(t, p) for t, _, p in each]),
        }
    )
    told = found.record()["labels"]
    assert [one["count"] for one in told] == [t.sum() for t, _, _ in each]


def test_the_curve_of_two_classes_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth = rng.random(80) < 0.4
    z = (rng.normal(size=80) + truth).round(1)  # with ties
    logits = torch.from_numpy(np.stack([-z, z], 1))
    found = Predictions(logits, torch.from_numpy(truth).long(), "ab", output=Output("binary"))
    assert found.compute()["auc"] == pytest.approx(roc_auc_score(truth, z))
    weights = rng.integers(0, 4, 80).astype(float)
    assert found.compute(weights)["auc"] == pytest.approx(
        roc_auc_score(truth, z, sample_weight=weights)
    )
    assert area_under_roc(z, np.ones(80, bool), np.ones(80)) is None
    # The second class from its threshold on.
    sure = Output("binary", thresholds=(0.1, 0.9))
    strict = Predictions(logits, torch.from_numpy(truth).long(), "ab", output=sure).compute()
    # z and -z as two columns: p = sigmoid(z).
    assert strict["top1"] == pytest.approx(((1 / (1 + np.exp(-z)) >= 0.9) == truth).mean())
    assert strict["auc"] == pytest.approx(roc_auc_score(truth, z))
