"""What was judged, in words."""

from __future__ import annotations

import pytest

from camcli.train.judging.words import judged_lines, twice_in_words


@pytest.mark.parametrize(
    ("gain", "low", "high", "words"),
    [
        (0.015, 0.004, 0.026, "about +1.5 points (0.4 to 2.6)"),
        (0.001, -0.001, 0.003, "hardly more: under 0.5 points"),
        (0.03, -0.01, 0.06, "cannot be told: -1.0 to 6.0 points"),
        (0.03, 0.001, 0.06, "cannot be told: 0.1 to 6.0 points"),
    ],
)
def test_what_twice_as_many_would_give(gain, low, high, words):
    assert twice_in_words(gain, low, high).endswith(words)


def test_lines_are_of_what_there_is():
    assert judged_lines({}) == []
    folds = {
        "of": "the head before fine-tuning", "images": 1700, "folds": 5, "groups": 300,
        "accuracy": 0.8718, "low": 0.85, "high": 0.89,
    }  # fmt: skip
    controls = {
        "head": 0.872, "neighbours": {"k": 5, "accuracy": 0.803},
        "majority": {"says": ["nominal"], "accuracy": 0.5},
    }  # fmt: skip
    sure = {
        "value": 0.74, "by": "folds", "out_of_fold": {"ece_before": 0.062, "ece": 0.023},
    }  # fmt: skip
    assert "(5 folds)" in judged_lines({"out_of_fold": folds})[0][1]
    few = {**folds, "folds_judged": 2}
    assert "(2 of 5 folds)" in judged_lines({"out_of_fold": few})[0][1]
    lines = judged_lines({"out_of_fold": folds, "controls": controls, "temperature": sure})
    assert [name for name, _ in lines] == ["Out of fold", "Controls", "Calibration"]
    text = " ".join(text for _, text in lines)
    for part in (
        "0.8718 (0.850 to 0.890) on 1,700 training images", "before fine-tuning", "300 groups",
        "5 nearest neighbours 0.803, always 'nominal' 0.500", "error 0.062, then 0.023", "by folds",
    ):  # fmt: skip
        assert part in text
