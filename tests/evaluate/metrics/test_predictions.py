import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, confusion_matrix, top_k_accuracy_score

from camcli.evaluate.metrics import predictions
from camcli.evaluate.metrics.bootstrap import intervals
from camcli.evaluate.metrics.confusion import confusion_markdown, confusion_pictures
from camcli.evaluate.metrics.predictions import Predictions, judged

NAMES = [f"c{n}" for n in range(8)]


@pytest.fixture
def some():
    rng = np.random.default_rng(0)
    truth = np.r_[np.arange(7), rng.integers(0, 7, 53)]  # no photograph of the last class
    logits = rng.normal(size=(60, 8)).round(1)
    logits[np.arange(60), truth] += 1
    logits[5] = logits[6]  # ties
    return torch.from_numpy(logits), torch.from_numpy(truth)


def test_metrics_equal_scikit_learn(some):
    logits, truth = some
    p = logits.softmax(1).numpy()
    sure = p.max(1) >= 0.4
    found = Predictions(logits, truth, NAMES, confidence=0.4).compute()
    aps = [average_precision_score(truth == c, p[:, c]) for c in range(7)]
    right = p.argmax(1) == truth.numpy()
    assert found == pytest.approx(
        {
            "top1": right.mean(),
            "top5": top_k_accuracy_score(truth, p, k=5, labels=range(8)),
            "mean_ap": np.mean(aps),
            "share_confident": sure.mean(),
            "top1_confident": right[sure].mean(),
        }
    )


def test_a_prediction_of_just_the_confidence_is_sure():
    """At least one half: two equal logits are, and what is a little less is not."""
    logits = torch.tensor([[0.0, 0, -99], [0, 0, -2], [3, 0, 0]], dtype=torch.float64)
    found = Predictions(logits, torch.tensor([0, 0, 1]), ["a", "b", "c"], confidence=0.5).compute()
    assert found["share_confident"] == pytest.approx(2 / 3)
    assert found["top1_confident"] == pytest.approx(1 / 2)


def test_weights_equal_repeated_photographs(some):
    logits, truth = some
    weights = np.random.default_rng(1).integers(0, 4, 60)
    weights[truth == 3] = 0  # a class that the draw has lost
    again = np.repeat(np.arange(60), weights)
    weighted = Predictions(logits, truth, NAMES, confidence=0.4).compute(weights.astype(float))
    repeated = Predictions(logits[again], truth[again], NAMES, confidence=0.4).compute()
    assert weighted == pytest.approx(repeated)


def test_many_photographs_have_no_interval_of_mean_ap(some, monkeypatch):
    monkeypatch.setattr(predictions, "MOST", 59)
    found = Predictions(*some, NAMES)
    assert "mean_ap" in found.compute()
    assert intervals(found.compute, len(found), repeats=3).keys() == {"top1", "top5"}


def test_confusion_is_scikit_learns_and_drawn(some):
    logits, truth = some
    record = Predictions(logits, truth, NAMES, unlabelled=3).record()
    expected = confusion_matrix(truth, logits.argmax(1), labels=range(8))
    counts = np.zeros((8, 8), int)
    for cell in record["confusion"]:
        counts[NAMES.index(cell["true"]), NAMES.index(cell["predicted"])] = cell["count"]
    assert (counts == expected).all()
    assert record["unlabelled"] == 3
    worst = record["most_confused"][0]
    assert worst["count"] == (expected - np.diag(np.diag(expected))).max()
    text = confusion_markdown({"a|b": record})
    assert "Most often mistaken, a\\|b" in text
    assert f"| {worst['true']} | {worst['predicted']} | {worst['count']} (" in text
    pictures = confusion_pictures({"one": record, "two": record})
    assert list(pictures) == ["confusion.png", "confusion-2.png"]
    assert pictures["confusion.png"][:4] == b"\x89PNG"


def test_too_many_classes_are_not_drawn_and_none_wrong_is_no_table():
    truth = torch.arange(70)
    record = Predictions(torch.eye(70) * 9, truth, [str(n) for n in range(70)]).record()
    assert confusion_pictures({"net": record}) == {}
    assert confusion_markdown({"net": record}) == ""


def test_only_labelled_photographs_are_judged():
    rows = [torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([2.0, 0.0])]
    found = judged(rows, [0, -1, 1], ("a", "b"), 0.99)
    assert len(found) == 2
    numbers = found.compute()
    assert numbers["top1"] == 0.5
    assert numbers["share_confident"] == 0
    assert "top1_confident" not in numbers
    assert found.record()["at_confidence"] == {"confidence": 0.99, "share": 0, "top1": None}
    assert judged(rows, [-1, -1, -1], ("a", "b")) is None
