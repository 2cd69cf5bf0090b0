"""The verdict in words, from rows whose differences are known."""

import numpy as np
import pytest

from camcli.evaluate.comparison.rows.advice import FEWEST, advise, difference
from camcli.evaluate.comparison.rows.columns import UNRELATED, MetricRow
from camcli.evaluate.metrics.bootstrap import draws, spans
from camcli.evaluate.metrics.means import Means

NOISE = np.random.default_rng(0).normal(size=40) * 0.3


def measured(**means):
    """Rows and draws of methods; each photograph has a difficulty that all methods share."""
    rows, drawn = [], {}
    for method, metrics in means.items():
        part = Means()
        for n, difficulty in enumerate(NOISE):
            own = np.random.default_rng([n, len(method)]).normal() * 0.02
            part.add({metric: value + difficulty + own for metric, value in metrics.items()})
        name = method.replace("_", "-")
        drawn[name] = draws(part.compute, len(part), repeats=200)
        rows.append(MetricRow("net", name, len(part), part.compute(), spans(drawn[name])))
    return rows, drawn


def checks(**ranks):
    rows = [MetricRow("net", m, 9, {"rank@head": v}, {}) for m, v in ranks.items()]
    return [*rows, MetricRow("net", UNRELATED, 9, {"rank@head": 0.1}, {})]


NOTHING = {"random": {"idsds": 0.0}, "centre_gaussian": {"idsds": 0.1}}


def test_differences_are_paired():
    """The photographs differ by far more than the methods do."""
    rows, drawn = measured(a={"idsds": 0.40, "deletion": 0.3}, bb={"idsds": 0.35, "deletion": 0.4})
    low, high = rows[0].intervals["idsds"]
    assert high - low > 0.05, "by themselves they overlap"
    low, high = difference(drawn, "a", "bb", "idsds")
    assert 0 < low < 0.05 < high < 0.1
    assert difference(drawn, "a", "bb", "deletion")[0] > 0, "lower is better"
    assert difference(drawn, "bb", "a", "idsds")[1] < 0
    assert difference(drawn, "a", "bb", "pxap") is None


def test_the_better_one_is_advised_and_the_other_told_why_not():
    rows, drawn = measured(good={"idsds": 0.5}, fair={"idsds": 0.4}, **NOTHING)
    found = advise("net", rows, drawn, checks(good=0.2, fair=0.2))
    assert (found.method, found.tied) == ("good", ())
    assert found.lines[0] == "Verdict on net (40 photographs): use good."
    assert any("ranks the patches" in line and "centre-gaussian" in line for line in found.lines)
    assert any(line.startswith("Not fair: good is better by idsds") for line in found.lines)


def test_what_cannot_be_told_apart_is_said_and_the_cheapest_comes_first():
    rows, drawn = measured(dear={"idsds": 0.402}, cheap={"idsds": 0.4}, **NOTHING)
    found = advise("net", rows, drawn, (), {"dear": 400, "cheap": 1})
    assert found.method == "cheap"
    assert found.tied == ("dear",)
    assert "do not tell them apart" in found.lines[0]
    assert "--sanity" in found.lines[-1]


def test_a_map_that_a_random_head_leaves_is_not_advised():
    rows, drawn = measured(stuck={"idsds": 0.6}, fair={"idsds": 0.4}, **NOTHING)
    found = advise("net", rows, drawn, checks(stuck=0.98, fair=0.2))
    assert found.method == "fair"
    assert any("Not stuck: a random head" in line for line in found.lines)


@pytest.mark.parametrize("value", [0.1, -0.2])
def test_maps_no_better_than_a_gaussian_are_not_believed(value):
    rows, drawn = measured(poor={"idsds": value}, **NOTHING)
    found = advise("net", rows, drawn)
    assert found.method is None
    assert "believe no map yet" in found.lines[0]
    assert "by idsds it is not shown" in found.lines[1]
    assert "(centre-gaussian and random)" in found.lines[1]
    assert not any("ahead" in line for line in found.lines), "no photographs would help"


def close(value):
    """A method whose photographs differ from the control's by far more than their means do."""
    rows, drawn = measured(poor={"idsds": -0.3}, **NOTHING)
    part = Means()
    for n in range(len(NOISE)):
        part.add({"idsds": value + (0.5 if n % 2 else -0.5)})
    drawn["fair"] = draws(part.compute, len(part), repeats=200)
    return [*rows, MetricRow("net", "fair", len(part), part.compute(), spans(drawn["fair"]))], drawn


def test_what_is_ahead_by_less_than_can_be_told_may_need_more_photographs():
    rows, drawn = close(0.2)
    low, high = difference(drawn, "fair", "centre-gaussian", "idsds")
    assert low < 0 < high, "chance could have made it"
    found = advise("net", rows, drawn)
    assert found.method is None
    (ahead,) = [line for line in found.lines if "too few photographs" in line]
    assert "fair is ahead of them by idsds, 0.20 against 0.09" in ahead
    assert "poor" not in ahead
    assert sum("poor and fair" in line for line in found.lines) == 1, "one reason, said once"


def test_what_is_behind_is_not_said_to_need_more_photographs():
    rows, drawn = close(0.0)
    low, high = difference(drawn, "fair", "centre-gaussian", "idsds")
    assert low < 0 < high, "nor is it shown to be worse"
    found = advise("net", rows, drawn)
    assert found.method is None
    assert not any("ahead" in line or "too few" in line for line in found.lines)


def test_scenes_with_parts_are_a_reason_and_noise_is_a_control_there():
    """Which class a part belongs to is a toss-up for noise, and no for a centred box."""
    nothing = {
        "random": {"parts_mean": 0.4},
        "centre_gaussian": {"parts_mean": 0.48},
        "noise": {"parts_mean": 0.58},
    }
    rows, drawn = measured(good={"parts_mean": 0.79}, fair={"parts_mean": 0.5}, **nothing)
    found = advise("net", rows, drawn)
    assert (found.method, found.tied) == ("good", ())
    (why,) = [line for line in found.lines if line.startswith("good has its heat on the parts")]
    assert "parts_mean 0.7" in why
    assert "noise 0.5" in why
    (not_fair,) = [line for line in found.lines if line.startswith("Not fair: by parts_mean")]
    assert "noise" in not_fair


def test_maps_that_a_random_head_leaves_are_not_said_to_be_worse_than_chance():
    rows, drawn = measured(one={"idsds": 0.6}, other={"idsds": 0.5}, **NOTHING)
    found = advise("net", rows, drawn, checks(one=0.98, other=0.99))
    assert found.method is None
    assert "does not depend on what the head learned" in found.lines[0]
    assert "not shown to be better" not in " ".join(found.lines)
    assert any("Not one and other: a random head" in line for line in found.lines)


def test_a_method_may_be_right_by_one_question_and_not_by_another():
    nothing = {
        "random": {"idsds": 0.0, "grid_2x2": 0.25},
        "centre_gaussian": {"idsds": 0.1, "grid_2x2": 0.25},
    }
    rows, drawn = measured(
        one={"idsds": 0.4, "grid_2x2": 0.25}, other={"idsds": 0.1, "grid_2x2": 0.8}, **nothing
    )
    found = advise("net", rows, drawn)
    assert {found.method, *found.tied} == {"one", "other"}, "neither outdoes the other"
    assert any("It is not shown that one tells the class" in line for line in found.lines)


def test_few_photographs_no_draws_and_nothing_measured():
    rows, drawn = measured(good={"idsds": 0.5}, **NOTHING)
    few = [MetricRow(r.model, r.method, FEWEST - 1, r.metrics, r.intervals) for r in rows]
    found = advise("net", few, drawn)
    assert found.method is None
    assert "too few" in found.lines[0]
    assert advise("net", rows, {}) is None
    assert advise("net", [], {}) is None
    rows, drawn = measured(good={"average_drop": 0.5})
    assert advise("net", rows, drawn) is None


def test_methods_that_differ_are_not_said_to_be_alike():
    """Each is better by another metric: that is told, and not that nothing tells them apart."""
    nothing = {
        "random": {"idsds": 0.0, "grid_2x2": 0.25},
        "centre_gaussian": {"idsds": 0.1, "grid_2x2": 0.25},
    }
    rows, drawn = measured(
        one={"idsds": 0.6, "grid_2x2": 0.5}, other={"idsds": 0.4, "grid_2x2": 0.8}, **nothing
    )
    found = advise("net", rows, drawn, (), {"one": 1, "other": 2})
    assert found.lines[0].endswith("use one, or other: none is best by everything.")
    assert any(line.startswith("one is better than other by idsds, by 0.1") for line in found.lines)
    assert any(line.startswith("other is better than one by grid_2x2") for line in found.lines)
    assert "apart" not in " ".join(found.lines)


@pytest.mark.parametrize(("ahead", "words"), [(0.004, "0.00"), (0.0004, "0.000"), (1e-7, "")])
def test_a_difference_that_is_told_is_one_that_can_be_seen(ahead, words):
    """No "better by 0.00 to 0.01", and no "0.40, random 0.40"."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.4, 0.1, 40)
    rows, drawn = [], {}
    for name, own in {
        "good": values + ahead * (1 + 0.3 * rng.normal(size=40)),
        "fair": values,
        "random": values - ahead * (1 + 0.3 * rng.normal(size=40)),
    }.items():
        part = Means()
        for value in own:
            part.add({"idsds": value})
        drawn[name] = draws(part.compute, len(part), repeats=200)
        rows.append(MetricRow("net", name, len(part), part.compute(), spans(drawn[name])))
    found = advise("net", rows, drawn, checks(good=0.2, fair=0.2))
    assert found.method == "good"
    (why,) = [line for line in found.lines if line.startswith("Not fair: good is better by idsds")]
    low, high = difference(drawn, "good", "fair", "idsds")
    if words:
        told = [float(word) for word in why.removesuffix(".").split(" by ")[-1].split(" to ")]
        assert told == pytest.approx([low, high], abs=10.0 ** -len(words.split(".")[1]))
        assert told[0] > 0
        (reason,) = [line for line in found.lines if line.startswith("good ranks the patches")]
        numbers = [line.split(" (")[0].split(" ")[-1] for line in reason.split(", ")[:2]]
        assert numbers[0] != numbers[1]
    else:
        assert "more than 0 and up to " in why
