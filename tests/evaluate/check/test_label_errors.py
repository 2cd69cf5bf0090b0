import numpy as np
import pytest
import torch

from camcli.evaluate.check.issue import CheckedPhoto
from camcli.evaluate.check.label_errors import folds, suspect_labels
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


def blobs(count, classes, seed=0, width=24):
    """Features around a centre a class, and the classes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % classes
    centres = rng.normal(size=(classes, width)) * 1.2
    return (centres[truth] + rng.normal(size=(count, width))).astype(np.float16), truth


@pytest.fixture
def found(photo):
    def judge(features, labels, alike=None, several=False, clock=None):
        photos = [photo(str(i), f"c{label}") for i, label in enumerate(labels)]
        alike = np.arange(len(photos)) if alike is None else alike
        return suspect_labels(photos, features, alike, several, clock or Clock(), Listener())

    return judge


def test_flipped_labels_are_found_with_the_right_suggestion(found):
    features, truth = blobs(400, 4)
    rng = np.random.default_rng(1)
    flipped = rng.choice(400, 24, replace=False)
    labels = truth.copy()
    labels[flipped] = (truth[flipped] + 1 + rng.integers(0, 3, 24)) % 4
    issues = found(features, labels)
    first = {int(issue.rel) for issue in issues[:24]}
    assert len(first & set(flipped)) >= 22
    right = [i for i in issues if int(i.rel) in set(flipped)]
    assert sum(i.suggestion == f"c{truth[int(i.rel)]}" for i in right) >= 0.9 * len(right)
    assert [i.score for i in issues] == sorted((i.score for i in issues), reverse=True)
    assert len(issues) <= 34


def test_clean_labels_have_hardly_any(found):
    features, truth = blobs(400, 4)
    assert len(found(features, truth)) <= 4


def test_copies_do_not_vouch_for_each_other(found):
    """Five copies of one wrong label: in different folds each would be learnt by heart."""
    features, truth = blobs(200, 2)
    labels = truth.copy()
    labels[:10:2] = 1 - truth[0]
    features[:10:2] = features[0]
    alike = np.arange(200)
    alike[:10:2] = 0
    wrong = {0, 2, 4, 6, 8}
    assert wrong <= {int(issue.rel) for issue in found(features, labels, alike)}


def test_groups_stay_in_one_fold_and_folds_are_balanced():
    targets = torch.tensor([0] * 50 + [1] * 53)
    groups = np.arange(103)
    groups[10:20] = 10
    fold = folds(targets, groups)
    assert len(set(fold[10:20])) == 1
    assert max(np.bincount(fold)) - min(np.bincount(fold)) <= 11
    assert all(len(set(fold[targets.numpy() == c])) == 5 for c in (0, 1))


def test_small_classes_are_named_and_not_judged(found):
    features, truth = blobs(100, 2)
    labels = truth.copy()
    labels[:3] = 2
    clock = Clock()
    issues = found(features, labels, clock=clock)
    assert not {"0", "1", "2"} & {issue.rel for issue in issues}
    assert "c2" in clock.skipped[0]
    assert "fewer than 5" in clock.skipped[0]


def test_several_labels_are_judged_one_by_one(photo):
    rng = np.random.default_rng(0)
    has = rng.random((300, 2)) < 0.4
    features = np.concatenate([has * 3.0, rng.normal(size=(300, 10))], 1)
    features += rng.normal(size=features.shape) * 0.4
    said = has.copy()
    said[:6, 0] = ~said[:6, 0]
    photos = [
        CheckedPhoto(photo(str(i)).ref, tuple(n for n, yes in zip("ab", row, strict=True) if yes))
        for i, row in enumerate(said)
    ]
    issues = suspect_labels(
        photos, features.astype(np.float16), np.arange(300), True, Clock(), Listener()
    )
    assert {str(i) for i in range(6)} <= {issue.rel for issue in issues[:7]}
    told = {issue.rel: issue.suggestion for issue in issues}
    assert told["0"] == ("add a" if has[0, 0] else "remove a")


def test_no_time_is_said(found):
    features, truth = blobs(60, 2)
    clock = Clock(0)
    assert found(features, truth, clock=clock) == []
    assert "no time" in clock.skipped[0]
