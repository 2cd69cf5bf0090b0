"""Controls, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camcli.train.judging.controls import better, majority, neighbours, right_share

NAN = float("nan")


def test_the_most_frequent_class_is_right_where_it_is_there():
    found = majority(torch.tensor([2, 0, 2, 1]), 3)
    assert found.said.tolist() == [0, 0, 1]
    assert found.right.tolist() == [1, 0, 1, 0]


def test_of_labels_each_is_there_or_not_as_it_mostly_is():
    targets = torch.tensor([[1, 0, NAN], [1, 0, 1.0], [0, 1, 1]])
    found = majority(targets, 3)
    assert found.said.tolist() == [1, 0, 1]
    assert found.right.tolist() == pytest.approx([1, 1, 1 / 3])


def test_right_shares_leave_out_what_nobody_knows():
    logits = torch.tensor([[1.0, -1, 1], [1, 1, 1]])
    assert right_share(logits, torch.tensor([[1, 0, NAN], [NAN, NAN, NAN]])).tolist() == [1, 1]
    assert right_share(logits, torch.tensor([[0, 0, NAN], [0, 1, 1.0]])).tolist() == pytest.approx(
        [0.5, 2 / 3]
    )


def test_neighbours_vote_but_none_of_the_own_fold():
    angle = torch.tensor([0.0, 0.1, 0.2, 1.4, 1.5, 0.05])
    points = torch.stack([angle.cos(), angle.sin()], 1)
    targets = torch.tensor([0, 0, 1, 1, 1, 1])
    fold = torch.tensor([0, 1, 1, 1, 1, 0])
    votes = neighbours(points, targets, 2, fold, torch.tensor([0]), k=1)
    assert votes.argmax(1).tolist() == [0]  # the nearest is its twin of the same fold, a 1
    votes = neighbours(points, targets, 2, fold, torch.tensor([0]), k=3)
    assert votes.argmax(1).tolist() == [1]


def test_where_votes_are_equal_the_nearest_decides():
    points = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2]])
    fold, targets = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    assert neighbours(points, targets, 2, fold, torch.tensor([0]), k=2).argmax(1).item() == 1
    other = torch.tensor([0, 0, 1])
    assert neighbours(points, other, 2, fold, torch.tensor([0]), k=2).argmax(1).item() == 0


def test_neighbours_of_labels():
    points = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [1, 0.3]])
    targets = torch.tensor([[0, 0], [1, 0], [1, NAN], [0, NAN]])
    fold = torch.tensor([0, 1, 1, 1])
    votes = neighbours(points, targets, 2, fold, torch.tensor([0]), k=3)
    assert (votes > 0).tolist() == [[True, False]]


def test_a_difference_of_the_same_images_is_surer_than_of_others():
    rng = np.random.default_rng(0)
    one = (rng.random(400) < 0.7).astype(float)
    other = one.copy()
    other[np.flatnonzero(one)[:20]] = 0
    found = better(one, other, range(400))
    assert found.value == pytest.approx(0.05)
    assert 0.02 < found.low < 0.04
    pairs = better(one, other, [n // 2 for n in range(400)])
    assert pairs.low < found.low + 0.02
