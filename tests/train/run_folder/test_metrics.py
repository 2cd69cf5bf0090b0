"""Metrics against scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.train.run_folder.metrics import (
    average_precision,
    calibration_error,
    most_confused,
    score,
)

sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference")


def drawn(seed: int, n: int = 200, c: int = 7) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, c, n)
    truth[:c] = np.arange(c)
    logits = rng.normal(size=(n, c)) + 2 * np.eye(c)[truth]
    return torch.tensor(logits), torch.tensor(truth), [f"c{i}" for i in range(c)]


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed):
    logits, truth, names = drawn(seed)
    got = score(logits, truth, names)
    p, t = logits.softmax(1).numpy(), truth.numpy()
    labels = np.arange(len(names))
    assert got.top1 == pytest.approx(sklearn.accuracy_score(t, p.argmax(1)))
    top5 = sklearn.top_k_accuracy_score(t, p, k=5, labels=labels)
    assert got.top5 == pytest.approx(top5)
    assert got.log_loss == pytest.approx(sklearn.log_loss(t, p, labels=labels))
    ap = [sklearn.average_precision_score(t == c, p[:, c]) for c in labels]
    assert got.mean_ap == pytest.approx(np.mean(ap))
    assert [c.average_precision for c in got.classes] == pytest.approx(ap)
    precision, recall, _, support = sklearn.precision_recall_fscore_support(
        t, p.argmax(1), labels=labels, zero_division=0
    )
    assert [c.precision for c in got.classes] == pytest.approx(precision)
    assert [c.recall for c in got.classes] == pytest.approx(recall)
    assert [c.support for c in got.classes] == support.tolist()
    matrix = sklearn.confusion_matrix(t, p.argmax(1), labels=labels)
    assert (got.confusion.numpy() == matrix).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_average_precision_with_ties(pairs):
    scores = torch.tensor([float(s) for s, _ in pairs])
    positive = torch.tensor([p for _, p in pairs])
    got = average_precision(scores, positive)
    if not positive.any():
        assert got is None
    else:
        want = sklearn.average_precision_score(positive.numpy(), scores.numpy())
        assert got == pytest.approx(want)


def test_calibration_error_by_hand():
    # Two bins of ten: (0.8, 0.9] holds three of which two are right, (0.5, 0.6] one wrong one.
    confidence = torch.tensor([0.85, 0.85, 0.9, 0.6])
    right = torch.tensor([True, True, False, False])
    want = (abs((0.85 + 0.85 + 0.9) - 2) + 0.6) / 4
    assert calibration_error(confidence, right, bins=10) == pytest.approx(want, abs=1e-6)


def test_a_sure_and_right_classifier_is_perfect():
    got = score(torch.eye(3).double() * 100, torch.arange(3), ("a", "b", "c"))
    assert (got.top1, got.top5, got.mean_ap) == (1, 1, 1)
    assert got.log_loss == pytest.approx(0, abs=1e-9)
    assert got.ece == pytest.approx(0, abs=1e-9)


def test_a_class_without_images_is_left_out():
    got = score(torch.tensor([[3.0, 0, 0], [0, 3, 0]]), torch.tensor([0, 1]), ("a", "b", "c"))
    assert got.classes[2].recall is None
    assert got.classes[2].precision is None
    assert got.classes[2].average_precision is None
    assert got.mean_ap == 1


def test_most_confused_pairs():
    counts = torch.tensor([[5, 3, 2], [0, 10, 0], [4, 0, 4]])
    pairs = most_confused(counts, ("a", "b", "c"), most=2)
    assert [(p["true"], p["predicted"], p["count"]) for p in pairs] == [
        ("c", "a", 4),
        ("a", "b", 3),
    ]
    assert pairs[0]["share"] == 0.5
    assert most_confused(torch.eye(2).long(), ("a", "b")) == []


def test_a_bin_holds_its_upper_edge():
    """(0, 1/2] and (1/2, 1], as in Guo et al. 2017: 0.5 lies in the first, 0.6 in the second."""
    confidence = torch.tensor([0.5, 0.6])
    right = torch.tensor([True, False])
    assert calibration_error(confidence, right, bins=2) == pytest.approx((0.5 + 0.6) / 2)
    # The ends: 0 is in the first bin, 1 in the last.
    ends = torch.tensor([0.0, 1.0])
    assert calibration_error(ends, torch.tensor([True, False]), bins=2) == 1
    assert calibration_error(ends, torch.tensor([False, True]), bins=2) == 0


def test_too_sure_and_not_sure_enough_do_not_cancel():
    confidence = torch.tensor([0.9, 0.9, 0.3, 0.3])
    right = torch.tensor([True, False, True, False])
    assert calibration_error(confidence, right, bins=10) == pytest.approx((0.4 + 0.2) / 2)


@given(st.lists(st.tuples(st.integers(0, 32), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_calibration_error_bin_by_bin(pairs):
    """Confidences in 32nds and 16 bins: half of them lie on an edge, exactly."""
    p, hit = np.array([n / 32 for n, _ in pairs]), np.array([float(r) for _, r in pairs])
    want = 0.0
    for m in range(16):
        inside = (p > m / 16) & (p <= (m + 1) / 16) | ((p == 0) & (m == 0))
        if inside.any():
            want += inside.mean() * abs(p[inside].mean() - hit[inside].mean())
    got = calibration_error(torch.tensor(p), torch.tensor(hit) > 0, bins=16)
    assert got == pytest.approx(want, abs=1e-9)


def test_five_are_the_best_five():
    logits = torch.tensor([[7.0, 6, 5, 4, 3, 2, 1]]).repeat(7, 1)
    got = score(logits, torch.arange(7), [f"c{n}" for n in range(7)])
    assert got.top5 == pytest.approx(5 / 7)
    assert got.top1 == pytest.approx(1 / 7)
