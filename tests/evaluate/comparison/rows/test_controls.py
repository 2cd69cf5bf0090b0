"""What stands below a table: who beats the centred box; and who is never bold."""

from __future__ import annotations

import io
import json
import re
from itertools import product

import pytest
from rich.console import Console

from camcli.evaluate.comparison.result import table
from camcli.evaluate.comparison.result.terminal import show
from camcli.evaluate.comparison.rows.columns import FORM, GROUPS, LOWER, MetricRow, groups, read_as
from camcli.evaluate.comparison.rows.controls import Standing, best, standing


def row(method, value, low, high, metric="maxboxacc_v2", model="net"):
    model = "" if method in ("centre-box", "centre-gaussian", "noise") else model
    return MetricRow(model, method, 20, {metric: value}, {metric: (low, high)})


ROWS = [
    row("cam", 0.9, 0.85, 0.95),
    row("layercam", 0.7, 0.6, 0.8),
    row("eigencam", 0.3, 0.2, 0.4),
    row("random", 0.99, 0.98, 1.0),
    row("centre-box", 0.65, 0.55, 0.75),
]


def test_who_beats_ties_with_and_loses_to_the_box():
    found = standing(ROWS, ["maxboxacc_v2"], lambda r: r.method)
    assert (found.beat, found.tie, found.lose) == (("cam",), ("layercam",), ("eigencam",))
    assert found.sentence() == (
        "By maxboxacc_v2, cam beats the centred box; layercam ties with it; eigencam loses to it "
        "(a tie: intervals overlap)."
    )
    flat = [row("cam", 0.2, 0.1, 0.3), row("centre-box", 0.65, 0.55, 0.75)]
    said = standing(flat, ["maxboxacc_v2"], lambda r: r.method).sentence()
    assert said == "By maxboxacc_v2, cam loses to the centred box (intervals apart)."
    assert standing(flat[:1], ["maxboxacc_v2"], lambda r: r.method) is None


@pytest.mark.parametrize("sides", [s for s in product(range(4), repeat=3) if any(s)], ids=str)
def test_each_verb_has_its_object_whoever_is_there(sides):
    """In every case: the box is named once and first, and no verb is without what it is about."""
    named = zip("btl", sides, strict=True)
    names = [tuple(f"{side}{n}" for n in range(count)) for side, count in named]
    said = Standing("pointing", *names).sentence()
    one = r"\w\d(?:, \w\d)*(?: and \w\d)? (?:beats?|ties? with|loses? to) "
    assert re.fullmatch(rf"By pointing, {one}the centred box(?:; {one}it)* \([a-z: ]+\)\.", said)
    verbs = [("beats", "beat"), ("ties with", "tie with"), ("loses to", "lose to")]
    for count, (single, several) in zip(sides, verbs, strict=True):
        assert len(re.findall(rf" {single} ", said)) == (count == 1)
        assert len(re.findall(rf" {several} ", said)) == (count > 1)


def test_lower_is_better_where_it_is():
    rows = [
        row("cam", 0.1, 0.05, 0.15, "top1_loc_error"),
        row("centre-box", 0.5, 0.4, 0.6, "top1_loc_error"),
    ]
    assert standing(rows, ["top1_loc_error"], lambda r: r.method).beat == ("cam",)


@pytest.mark.parametrize("control", ["centre-box", "centre-gaussian", "noise", "random"])
def test_a_method_that_loses_to_a_control_is_not_bold(control):
    rows = [row("cam", 0.6, 0.5, 0.7), row("layercam", 0.5, 0.4, 0.6), row(control, 0.7, 0.6, 0.8)]
    assert "**" not in table.markdown(rows)
    rows[2] = row(control, 0.55, 0.4, 0.7)
    assert table.markdown(rows).count("**0.600 (0.50-0.70)**") == 1
    assert table.markdown(rows).count("**") == 2


def test_terminal_json_and_table_say_the_same(tmp_path):
    out = io.StringIO()
    show(ROWS, [], {}, {}, Console(file=out, width=200))
    assert (
        "cam beats the centred box; layercam ties with it; eigencam loses to it (" in out.getvalue()
    )
    table.save(tmp_path, ROWS, [], {"predictions": {}})
    text = (tmp_path / "results.md").read_text()
    assert (
        "cam (net) beats the centred box; layercam (net) ties with it; eigencam (net) loses to it ("
    ) in text
    (found,) = json.loads((tmp_path / "results.json").read_text())["against_centre_box"]
    assert found["beat"] == ["cam (net)"]
    assert found["sentence"] in text


# As they are measured: with boxes or masks, by a suite, with --grid 3, of a head or none.
COLUMNS = [
    ["pointing", "energy"], ["pointing", "energy", "kl", "correlation"], ["sds"],
    ["sds", "idsds"], ["grid_2x2"], ["grid_3x3"], ["rfid_plus", "rfid_minus"],
    ["ffid_plus", "ffid_minus"], ["top1", "top5"], ["max_sensitivity", "infidelity"],
    ["infidelity"], ["single_deletion", "background_independence"], ["sparseness", "complexity"],
]  # fmt: skip


@pytest.mark.parametrize("metrics", COLUMNS, ids=" ".join)
def test_what_is_said_below_a_table_is_of_its_own_columns(metrics):
    rows = [MetricRow("net", "cam", 9, dict.fromkeys(metrics, 0.5), {})]
    ((_, own, hint),) = groups(rows)
    assert sorted(own) == sorted(metrics)
    said = set(re.findall(r"\w+", hint))
    others = {name for _, names, _ in GROUPS for name in names} - set(metrics)
    if metrics[0] != "single_deletion":
        others |= {"ffid", "confident"} - {name.split("_")[0] for name in metrics}
    assert not said & others
    for metric in set(metrics) & LOWER:
        assert "lower is" in hint, metric
        assert hint.endswith("; lower is better") or metric in said


def test_every_hint_is_a_sentence():
    for heading, metrics, hint in GROUPS:
        said = read_as(heading, metrics, hint)
        assert said
        assert "; ;" not in said
        assert not said.endswith(".")


def test_an_interval_below_0_is_told_from_a_dash():
    assert table.cell(row("cam", -0.06, -0.1, -0.02), "maxboxacc_v2") == "-0.060 (-0.10 to -0.02)"
    assert table.cell(row("cam", 0.06, 0.02, 0.1), "maxboxacc_v2") == "0.060 (0.02-0.10)"
    assert table.cell(row("cam", -1e-9, -0.004, 0.1), "maxboxacc_v2") == "0.000 (0.00-0.10)"


def test_the_title_of_a_narrow_table_is_one_line():
    out = io.StringIO()
    show([row("cam", 0.8, 0.7, 0.9, "grid_2x2")], [], {}, {}, Console(file=out, width=80))
    assert "Grid pointing game, net" in out.getvalue().splitlines()


@pytest.mark.parametrize("metric", FORM)
def test_of_the_form_of_a_map_none_is_best(metric):
    """How small the heat is does not say whether it is right: nothing is bold."""
    rows = [row("cam", 0.9, 0.8, 1.0, metric), row("eigencam", 0.2, 0.1, 0.3, metric)]
    assert best(rows, metric) is None
    assert best([row("cam", 0.9, 0.8, 1.0)], "maxboxacc_v2") == 0.9
    assert "**" not in table.markdown(rows)
