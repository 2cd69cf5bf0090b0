"""The numbers of the paper's Figure 1, and a table of probabilities that was worked out by hand."""

import numpy as np
import pytest

from camcli.evaluate.check.confident import (
    calibrated,
    confident_joint,
    thresholds,
    wrong_labels,
)


def test_the_joint_of_the_papers_figure_1():
    """Northcutt, Jiang, Chuang 2021: dog, fox, cow; C as counted, Q as printed."""
    joint = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    counts = calibrated(joint, joint.sum(1))
    printed = [[0.25, 0.1, 0.05], [0.14, 0.15, 0], [0.08, 0.03, 0.2]]
    assert np.abs(counts / counts.sum() - printed).max() < 0.0051


def test_rows_of_the_joint_are_scaled_to_the_labels():
    joint = np.array([[3, 1], [0, 0]])
    # Equation 3: of 8 that are labelled 0, a quarter is 1; of class 1 nothing was confident.
    assert calibrated(joint, np.array([8, 5])).tolist() == [[6, 2], [0, 5]]


# Labels 0 0 0 0 1 1 1 1; thresholds (.9 + .8 + .7 + .2) / 4 = .65 and (.8 + .9 + .6 + .1) / 4 = .6.
P0 = np.array([0.9, 0.8, 0.7, 0.2, 0.2, 0.1, 0.4, 0.9])
P = np.stack([P0, 1 - P0], 1)
Y = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def test_a_table_by_hand():
    assert thresholds(P, Y) == pytest.approx([0.65, 0.6])
    assert confident_joint(P, Y).tolist() == [[3, 1], [1, 3]]
    which, looks, margin = wrong_labels(P, Y)
    assert which.tolist() == [7, 3]
    assert looks.tolist() == [0, 1]
    assert margin == pytest.approx([0.8, 0.6])


def test_what_is_unsure_of_all_classes_counts_for_none():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.1, 0.9]])
    # Thresholds (.9 + .9 + .5) / 3 = .77 and .9: the third reaches neither.
    assert confident_joint(p, np.array([0, 0, 0, 1, 1])).tolist() == [[2, 0], [0, 2]]


def test_where_two_thresholds_are_reached_the_likelier_counts():
    p = np.array([[0.45, 0.55], [0.4, 0.6], [0.6, 0.4], [0.5, 0.5]])
    # Thresholds .425 and .45: the first and the last reach both.
    assert confident_joint(p, np.array([0, 0, 1, 1])).tolist() == [[0, 2], [2, 0]]


def test_clean_labels_have_no_suspects():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    p = np.full((300, 3), 0.05)
    p[np.arange(300), y] = 0.9
    assert all(len(each) == 0 for each in wrong_labels(p, y))


def test_what_is_clear_is_taken_however_little_the_joint_says():
    p = np.array([[0.99, 0.01]] * 20 + [[0.1, 0.9]] + [[0.0, 1.0]] * 20)
    y = np.array([0] * 21 + [1] * 20)
    assert wrong_labels(p, y)[0].tolist() == []  # .9 is below the threshold of 1
    assert wrong_labels(p, y, clear=0.3)[0].tolist() == [20]


def test_a_class_without_photographs_is_no_trouble():
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]] * 10)
    y = np.array([0, 1] * 10)
    assert thresholds(p, y)[2] == np.inf
    assert wrong_labels(p, y)[0].tolist() == []


def test_the_noise_of_each_pair_of_classes_is_found():
    """A third of the dogs are labelled wolf, and no wolf is labelled dog."""
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], 200)
    y = truth.copy()
    flipped = rng.choice(200, 60, replace=False)
    y[flipped] = 1
    p = np.full((600, 3), 0.03)
    p[np.arange(600), truth] = rng.uniform(0.7, 0.95, 600)
    p /= p.sum(1, keepdims=True)
    which, looks, _ = wrong_labels(p, y)
    assert set(which) <= set(flipped)
    assert len(which) > 20  # as many as the joint says, which counts those above the mean
    assert set(looks) == {0}
