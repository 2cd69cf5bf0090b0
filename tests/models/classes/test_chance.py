"""When predictions are no better than chance, what to check first is said; and only then."""

import math

import numpy as np
import pytest

from camcli.models.classes.chance import at_least, chance_doubt

NAMES = tuple(f"class {n}" for n in range(10))


def pairs_of(matrix) -> dict[tuple[int, int], int]:
    return {at: int(n) for at, n in np.ndenumerate(np.array(matrix))}


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (10, 0.1), (30, 0.7), (200, 0.02)])
def test_the_tail_of_a_binomial_distribution(n, p):
    """Against the sum of exact terms."""
    for k in range(n + 2):
        exact = math.fsum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))
        assert at_least(k, n, p) == pytest.approx(exact, abs=1e-9)
    assert at_least(0, 5, 0.0) == at_least(5, 5, 1.0) == 1
    assert at_least(1, 5, 0.0) == at_least(6, 5, 0.5) == 0


def test_many_trials_are_a_normal_distributions():
    from statistics import NormalDist

    n, p = 1_000_000, 0.1
    sigma = math.sqrt(n * p * (1 - p))
    for k in (99_000, 100_000, 101_000):
        exact = 1 - NormalDist(n * p, sigma).cdf(k - 0.5)
        assert at_least(k, n, p) == pytest.approx(exact, abs=1e-6)


def test_random_answers_are_doubted():
    rng = np.random.default_rng(0)
    doubted = 0
    for _ in range(40):
        pairs = {}
        for true, pred in rng.integers(0, 10, (200, 2)).tolist():
            pairs[true, pred] = pairs.get((true, pred), 0) + 1
        doubted += "chance" in chance_doubt(pairs, NAMES)
    assert doubted >= 36, "one in twenty is surprising by itself"


@pytest.mark.parametrize("accuracy", [0.45, 0.7, 0.95])
def test_answers_that_know_something_are_not(accuracy):
    rng = np.random.default_rng(1)
    for _ in range(40):
        pairs = {}
        for true in rng.integers(0, 10, 200).tolist():
            pred = true if rng.random() < accuracy else int(rng.integers(0, 10))
            pairs[true, pred] = pairs.get((true, pred), 0) + 1
        assert chance_doubt(pairs, NAMES) == ""


def test_always_the_same_answer_is_chance_however_often_it_is_right():
    """90% of one class, and everything is called that: nothing is known."""
    text = chance_doubt(pairs_of([[180, 0], [20, 0]]), ("ok", "faulty"))
    assert "accuracy, 0.9000, is what chance gives" in text
    assert "'ok', as when pixels are on another scale" in text
    assert chance_doubt(pairs_of([[178, 2], [8, 12]]), ("ok", "faulty")) == ""


def test_another_order_of_the_classes_is_recognised():
    rolled = np.roll(np.eye(5, dtype=int) * 30, 1, axis=1) + 1
    text = chance_doubt(pairs_of(rolled), NAMES)
    assert "order of the classes first" in text
    assert "calls 'class 0' mostly 'class 1'" in text


def test_a_size_that_was_doubted_comes_first():
    pairs = pairs_of(np.full((4, 4), 10))
    assert "size of the input first" in chance_doubt(
        pairs, NAMES, ["...: it was probably trained on smaller ones, and"]
    )
    assert "preprocessing first" in chance_doubt(pairs, NAMES)


@pytest.mark.parametrize(
    "pairs",
    [{}, {(0, 1): 500}, {(0, 1): 2, (1, 1): 1}, {(0, 0): 5, (1, 0): 5}, {(0, 0): 0, (1, 0): 0}],
    ids=str,
)
def test_few_images_and_single_classes_say_nothing(pairs):
    assert chance_doubt(pairs, NAMES) == ""


def test_all_wrong_is_said_as_that():
    """Not "0.0000 is what chance gives (0.0000)"."""
    elsewhere = chance_doubt({(n, n + 5): 20 for n in range(5)}, NAMES)
    assert "None of 100 predictions is right" in elsewhere
    assert "no class that a label names is ever predicted" in elsewhere
    rolled = chance_doubt(pairs_of(np.roll(np.eye(5, dtype=int) * 30, 1, axis=1)), NAMES)
    assert "None of 150 predictions is right, and by chance a share of 0.2000 would" in rolled
    for text in (elsewhere, rolled):
        assert "order of the classes first" in text
        assert "0.0000" not in text
