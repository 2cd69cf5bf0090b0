"""Scores of labels are scikit-learn's; a threshold is the best one that there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)

from camcli.train.run_folder import label_scores
from camcli.train.run_folder.label_scores import best_thresholds, score_labels

CLASSES = ("cat", "dog", "owl")


def drawn(n=60, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < (0.5, 0.3, 0.2)
    logits = rng.normal(size=(n, 3)).round(1) + truth * 1.5 - 0.7
    return torch.as_tensor(logits), torch.as_tensor(truth).float()


def test_scores_are_scikit_learns():
    logits, truth = drawn()
    least = (0.5, 0.3, 0.6)
    found = score_labels(logits, truth, CLASSES, least)
    probs, there = logits.sigmoid().numpy(), truth.numpy().astype(int)
    said = (probs > np.array(least)).astype(int)
    assert found.count == 60
    assert found.exact == pytest.approx((said == there).all(1).mean())
    assert found.mean_ap == pytest.approx(average_precision_score(there, probs, average="macro"))
    assert found.micro_ap == pytest.approx(average_precision_score(there, probs, average="micro"))
    assert found.f1_macro == pytest.approx(f1_score(there, said, average="macro"))
    assert found.f1_micro == pytest.approx(f1_score(there, said, average="micro"))
    assert found.log_loss == pytest.approx(
        np.mean([log_loss(there[:, c], probs[:, c]) for c in range(3)])
    )
    for c, each in enumerate(found.labels):
        assert each.precision == pytest.approx(precision_score(there[:, c], said[:, c]))
        assert each.recall == pytest.approx(recall_score(there[:, c], said[:, c]))
        assert each.f1 == pytest.approx(f1_score(there[:, c], said[:, c]))
        assert each.average_precision == pytest.approx(
            average_precision_score(there[:, c], probs[:, c])
        )
        assert (each.name, each.threshold) == (CLASSES[c], least[c])


def test_a_label_that_no_image_has_has_no_precision():
    logits, truth = drawn()
    truth[:, 1] = 0
    logits[:, 1] = -9
    found = score_labels(logits, truth, CLASSES)
    assert found.labels[1].average_precision is None
    assert found.labels[1].precision is None
    assert found.labels[1].recall is None
    aps = [found.labels[c].average_precision for c in (0, 2)]
    assert found.mean_ap == pytest.approx(np.mean(aps))
    assert score_labels(logits, truth * 0, CLASSES).mean_ap is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 60))
def test_no_threshold_has_a_better_f1(seed, n):
    logits, truth = drawn(n, seed)
    least = best_thresholds(logits, truth)
    probs, there = logits.sigmoid().numpy(), truth.numpy().astype(bool)
    for c, chosen in enumerate(least):
        assert 0 < chosen < 1
        if min(there[:, c].sum(), (~there[:, c]).sum()) < 5:
            assert chosen == 0.5
            continue
        best = max(f1(there[:, c], probs[:, c] > cut) for cut in [*probs[:, c], 1e-9])
        assert f1(there[:, c], probs[:, c] > chosen) == pytest.approx(best)


def f1(truth, said):
    """scikit-learn's, which takes a millisecond."""
    return 2 * (truth & said).sum() / (truth.sum() + said.sum())


def test_probabilities_that_differ_in_the_last_bit():
    probs = np.array([0.9] * 4 + [np.nextafter(0.3, 1)] * 2 + [0.3] * 6)
    there = np.array([True] * 6 + [False] * 6)
    least = label_scores._best(probs, there)
    assert f1(there, probs > least) == 1


def test_one_half_stays_where_nothing_is_better():
    logits = torch.tensor([[3.0]] * 6 + [[-3.0]] * 6)
    assert best_thresholds(logits, (logits > 0).float()) == (0.5,)


def test_what_nobody_knows_counts_nowhere():
    """Of each label the numbers are those of the images where it is known."""
    logits, truth = drawn()
    hidden = torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    told = truth.masked_fill(hidden, torch.nan)
    found, known = score_labels(logits, told, CLASSES), ~hidden.numpy()
    probs, there = logits.sigmoid().numpy(), truth.numpy().astype(int)
    said = (probs > 0.5).astype(int)
    for c, each in enumerate(found.labels):
        own = known[:, c]
        assert each.support == there[own, c].sum()
        assert each.precision == pytest.approx(precision_score(there[own, c], said[own, c]))
        assert each.recall == pytest.approx(recall_score(there[own, c], said[own, c]))
        assert each.f1 == pytest.approx(f1_score(there[own, c], said[own, c]))
        assert each.average_precision == pytest.approx(
            average_precision_score(there[own, c], probs[own, c])
        )
    assert found.f1_micro == pytest.approx(f1_score(there[known], said[known]))
    assert found.micro_ap == pytest.approx(average_precision_score(there[known], probs[known]))
    assert found.log_loss == pytest.approx(log_loss(there[known], probs[known]))
    assert found.exact == pytest.approx(((said == there) | ~known).all(1).mean())
    least = best_thresholds(logits, told)
    for c in range(3):
        own = known[:, c]
        alone = best_thresholds(logits[own, c : c + 1], truth[own, c : c + 1])
        assert least[c] == alone[0]
