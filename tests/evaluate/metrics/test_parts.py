import numpy as np
import pytest
from scipy.stats import spearmanr

from camcli.evaluate.metrics.parts import (
    THRESHOLDS,
    PartRow,
    PartScores,
    csdc,
    distractibility,
    important,
    irrelevant,
    part_importances,
    single_deletion,
)

T = len(THRESHOLDS)


def _row(rng, **fixed):
    values = {name: rng.random(T) for name in ("csdc", "pc", "dc", "distractibility")}
    values |= {"single_deletion": rng.random(), "target_sensitivity": rng.random()}
    return PartRow(**(values | fixed))


def test_the_words_are_sums_over_dilated_pixels():
    heat = np.zeros((20, 20), np.float32)
    heat[5, 5], heat[5, 8], heat[15, 15] = 1, 2, 4
    part = np.zeros((20, 20), bool)
    part[5, 5] = True
    other = np.zeros((20, 20), bool)
    other[5, 10] = True
    # Two pixels more to each side: 5 to 7 and 3 to 7, but not 8.
    words = part_importances(heat, [("beak", part), ("foot", other), ("foot", part)])
    assert words == {"beak": 1, "foot": 2 + 1}


def test_the_pixels_may_be_of_another_resolution():
    small = np.zeros((4, 4), bool)
    small[1, 1] = True
    heat = np.ones((40, 40), np.float32)
    assert part_importances(heat, [("tail", small)]) == {"tail": 14 * 14}


def test_a_part_is_important_above_a_share_of_the_whole_map():
    chosen = important({"beak": 0.3, "tail": 0.12, "thing-0": 0.0}, 1.0)
    for t, some in zip(THRESHOLDS, chosen, strict=True):
        assert some == {name for name, v in (("beak", 0.3), ("tail", 0.12)) if v > t}
    assert set(important({"beak": 0.0}, 0.0)) == {frozenset()}  # an empty map names nothing


def test_the_best_sufficient_set_counts():
    sufficient = [frozenset({"beak", "tail"}), frozenset({"wing", "foot", "crest"})]
    chosen = [frozenset(some) for some in ({"beak"}, {"beak", "tail"}, {"wing", "foot"}, set())]
    assert csdc(chosen, sufficient).tolist() == [0.5, 1, pytest.approx(2 / 3), 0]


def test_what_costs_little_or_nothing_is_irrelevant():
    without = {"beak": 9.4, "tail": 9.6, "wing": 12.0, "foot": 3.0}
    assert irrelevant(10.0, without) == {"tail", "wing"}
    # Of a negative logit 5% are 5% of its size.
    assert irrelevant(-10.0, {"beak": -10.4, "tail": -10.6, "wing": -8.0}) == {"beak", "wing"}
    nothing = frozenset({"tail", "wing"})
    found = distractibility([frozenset({"tail", "beak"}), frozenset({"foot"})], nothing)
    assert found.tolist() == [0.5, 1]
    assert np.isnan(distractibility([frozenset()], frozenset())).all()


def test_single_deletion_is_spearmans():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b = rng.integers(0, 4, 5) * 1.0, rng.integers(0, 4, 5) * 1.0
        if np.ptp(a) and np.ptp(b):
            assert single_deletion(a, b) == pytest.approx(spearmanr(a, b)[0] * 0.5 + 0.5)
    assert np.isnan(single_deletion([1, 2, 3], [0, 0, 0]))
    assert np.isnan(single_deletion([1, 1, 1], [1, 2, 3]))


def test_the_threshold_is_the_best_of_the_set():
    """Against the authors' way of choosing it: one after the other, the first best."""
    rng = np.random.default_rng(0)
    rows = [_row(rng) for _ in range(7)]
    rows[2] = _row(rng, csdc=np.full(T, np.nan), target_sensitivity=float("nan"))
    rows[4] = _row(rng, distractibility=np.full(T, np.nan), single_deletion=float("nan"))
    scores = PartScores()
    for row in rows:
        scores.add(row)
    most, best = 0.0, -1
    for t in range(T):
        a = np.mean([r.csdc[t] for n, r in enumerate(rows) if n != 2])
        b, c = (np.mean([getattr(r, name)[t] for r in rows]) for name in ("pc", "dc"))
        d = np.mean([r.distractibility[t] for n, r in enumerate(rows) if n != 4])
        if a / 3 + b / 3 + c / 3 + d > most:
            most, best = a / 3 + b / 3 + c / 3 + d, t
    found = scores.compute()
    assert found["completeness"] == pytest.approx(most / 2)
    assert found["pc"] == pytest.approx(np.mean([r.pc[best] for r in rows]))
    assert found["single_deletion"] == pytest.approx(
        np.mean([r.single_deletion for n, r in enumerate(rows) if n != 4])
    )
    three = ("completeness", "single_deletion", "target_sensitivity")
    assert found["parts_mean"] == pytest.approx(np.mean([found[name] for name in three]))


def test_a_weight_is_a_repetition():
    rng = np.random.default_rng(1)
    rows = [_row(rng) for _ in range(3)]
    scores, again = PartScores(), PartScores()
    for row in rows:
        scores.add(row)
    for row in (rows[0], rows[2], rows[2]):
        again.add(row)
    assert len(scores) == 3
    assert scores.compute(np.array([1, 0, 2])) == pytest.approx(again.compute())


def test_what_is_unknown_of_every_scene_is_left_out():
    scores = PartScores()
    nan = float("nan")
    scores.add(_row(np.random.default_rng(2), csdc=np.full(T, nan), target_sensitivity=nan))
    assert set(scores.compute()) == {"single_deletion"}
