"""Methods side by side, on photographs whose maps, boxes and predictions are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring import one_pass
from camcli.evaluate.comparison.measuring.compare import compare, merged
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.rows.advice import advise
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION, CONTROLS, MetricRow
from camcli.evaluate.measured.annotations import Annotations

HOWS = {name: make_map_options(name) for name in ("cam", "random")}


def boxes_of(refs):
    """The left half, which has the colour."""
    return {ref.rel: ((0, 0, 32 if ref.label in ("red", "blue") else 16, 32),) for ref in refs}


def table(outcome):
    return {row.method: row for row in outcome.rows}


def test_rows_are_what_was_drawn(by_colour, halves):
    """The red and the blue half are found; in the red picture of the green there is no green."""
    failed = []
    ask = Questions(Annotations(boxes=boxes_of(halves)), repeats=20)
    rows = table(compare(by_colour, "colours", halves, HOWS, ask, failed=failed.append))
    assert set(rows) == {CLASSIFICATION, *CONTROLS, *HOWS}
    assert len(failed) == 1
    found = rows["cam"]
    assert (found.model, found.count) == ("colours", 4)
    # Of four, three maps lie on their box; the fourth is empty.
    assert found.metrics["energy"] == pytest.approx(3 / 4, abs=0.03)
    assert found.metrics["pointing"] == pytest.approx(3 / 4)
    assert found.metrics["maxboxacc"] == pytest.approx(3 / 4)
    assert found.metrics["maxboxacc_v2@70"] == pytest.approx(3 / 4)
    assert "top1_loc_error" not in found.metrics, "the yak is no class of the network"
    low, high = found.intervals["energy"]
    assert low <= found.metrics["energy"] <= high
    # What knows nothing has half of its heat on the left half.
    for control in CONTROLS:
        assert rows[control].model == ""
        assert rows[control].metrics["energy"] == pytest.approx(0.5, abs=0.1)


def test_predictions_of_known_classes_are_judged(by_colour, halves):
    outcome = compare(by_colour, "colours", halves, {}, Questions(repeats=0), confidence=0.9)
    (row,) = outcome.rows
    assert (row.method, row.count) == (CLASSIFICATION, 3)
    assert row.metrics["top1"] == pytest.approx(2 / 3)
    # softmax of (5, 0, 0): 0.987, so all are sure.
    assert row.metrics["share_confident"] == 1
    assert outcome.predictions["unlabelled"] == 1
    cells = {(c["true"], c["predicted"]): c["count"] for c in outcome.predictions["confusion"]}
    assert cells == {("red", "red"): 1, ("green", "red"): 1, ("blue", "blue"): 1}


def test_errors_of_localization_count_wrong_classes(by_colour, halves):
    known = [ref for ref in halves if ref.label != "yak"]
    ask = Questions(Annotations(boxes=boxes_of(known)), repeats=0)
    rows = table(compare(by_colour, "x", known, HOWS, ask, controls=False))
    assert not set(CONTROLS) & set(rows)
    assert rows["cam"].metrics["top1_loc_error"] == pytest.approx(1 / 3)
    # Three classes: the true one is always among the first five, and its map is empty.
    assert rows["cam"].metrics["top5_loc_error"] == pytest.approx(1 / 3)


def test_noise_is_drawn_anew_for_each_photograph(by_colour, halves, monkeypatch):
    seeds = []
    real = one_pass.noise
    monkeypatch.setattr(one_pass, "noise", lambda seed: seeds.append(seed) or real(seed))
    ask = Questions(Annotations(boxes=boxes_of(halves)), repeats=0)
    compare(by_colour, "x", halves, {}, ask)
    assert len(set(seeds)) == 4
    first, seeds[:] = list(seeds), []
    compare(by_colour, "x", halves, {}, Questions(ask.annotations, repeats=0, seed=100))
    assert not set(first) & set(seeds)


def test_faithfulness_is_of_the_explained_class(by_colour, halves):
    """Greying the left half of the red picture takes the red away, at once and to the end."""
    red = [ref for ref in halves if ref.label == "red"]
    ask = Questions(faithfulness=True, repeats=0)
    rows = table(compare(by_colour, "x", red, {"cam": HOWS["cam"]}, ask))
    p = lambda red: np.exp(10 * red) / (np.exp(10 * red) + 2)  # noqa: E731
    shares = np.linspace(0, 1, 17)
    wanted = np.array([p(max(0.5 - s, 0)) for s in shares])
    area = (wanted[:-1] + wanted[1:]).mean() / 2
    assert rows["cam"].metrics["deletion"] == pytest.approx(area, abs=0.03)
    assert rows["cam"].metrics["average_drop"] == pytest.approx(0, abs=0.03)
    assert rows["cam"].metrics["deletion"] < rows["centre-gaussian"].metrics["deletion"]
    assert rows["cam"].metrics["insertion"] > rows["centre-gaussian"].metrics["insertion"]


def test_a_method_has_one_row():
    one = MetricRow("m", "cam", 3, {"a": 1.0}, {"a": (0, 2)})
    other = MetricRow("m", "cam", 5, {"b": 2.0}, {})
    third = MetricRow("n", "cam", 1, {"a": 9.0}, {})
    assert merged([one, other, third]) == [
        MetricRow("m", "cam", 5, {"a": 1.0, "b": 2.0}, {"a": (0, 2)}), third,
    ]  # fmt: skip


def test_form_and_agreement_with_itself_by_hand(by_colour, halves):
    """The red half alone has the same map, so it agrees with itself; half of the picture is hot."""
    red = [ref for ref in halves if ref.label == "red"]
    rows = table(compare(by_colour, "x", red, HOWS, Questions(faithfulness=True, repeats=0)))
    found = rows["cam"].metrics
    assert found["coherency"] == pytest.approx(1, abs=0.01)
    assert found["sparseness"] == pytest.approx(0.5, abs=0.03)
    assert found["complexity"] == pytest.approx(1 + np.log(0.5) / np.log(32 * 32), abs=0.02)
    assert found["adcc"] == pytest.approx(3 / (1 + 2 + 1 / (1 - found["average_drop"])), abs=0.05)
    assert found["arcc"] == pytest.approx(3 / (1 + 2 + 1 / min(2 * found["road"], 1)), abs=0.05)
    # What never changes agrees with itself, which says nothing for it.
    assert rows["centre-gaussian"].metrics["coherency"] == 1


def test_an_empty_map_shows_nothing(by_colour, halves):
    """The red picture of the green: no green anywhere, so the map is empty."""
    green = [ref for ref in halves if ref.label == "green"]
    rows = table(compare(by_colour, "x", green, HOWS, Questions(faithfulness=True, repeats=0)))
    found = rows["cam"].metrics
    assert (found["coherency"], found["adcc"], found["arcc"]) == (0, 0, 0)
    assert "sparseness" not in found


def test_one_photograph_has_no_interval(by_colour, halves):
    """Sets drawn from one photograph are all that photograph: nothing is known of others."""
    red = [ref for ref in halves if ref.label == "red"]
    ask = Questions(Annotations(boxes=boxes_of(red)), deletion=True, repeats=20)
    found = compare(by_colour, "x", red, HOWS, ask)
    assert all(row.metrics and not row.intervals for row in found.rows)
    (advice,) = [advise("x", found.rows, found.drawn)]
    assert advice.lines[0] == "Verdict on x: none. 1 photograph is too few to tell methods apart."


@pytest.mark.parametrize(("each", "decides"), [(1, False), (5, False), (6, True)])
def test_a_few_mosaics_do_not_decide(by_colour, tmp_path, each, decides):
    """All draws from one mosaic agree, whatever it is: that is no reason to believe a map."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue", "grey")):
        for n in range(each):
            rgb = rng.integers(0, 20, (32, 32, 3), dtype=np.uint8)
            rgb[..., channel % 3] += 200
            rgb[: 16 * (channel > 2)] = 0
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(rgb).save(tmp_path / name / f"{n}.png")
    four = of_four(by_colour)
    refs = list(find_images(tmp_path, labels="folder"))
    ask = Questions(grid=(2,), grid_confidence=0.0, deletion=True, repeats=30)
    hows = {name: make_map_options(name) for name in ("gradcam", "random")}
    found = compare(four, "x", refs, hows, ask)
    assert "grid_2x2" in table(found)["gradcam"].metrics
    assert ("grid_2x2" in table(found)["gradcam"].intervals) == decides
    assert ("grid_2x2" in found.drawn["gradcam"]) == decides
    assert "sds" in found.drawn["gradcam"], "of the photographs there are enough"
    assert any("too few for intervals" in why for why in found.left_out) == (not decides)


def of_four(by_colour):
    """Of one class more: of grey."""
    four = replace(
        by_colour, classes=("red", "green", "blue", "grey"),
        head=None, tail=torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4, bias=False),
        ).requires_grad_(False),
    )  # fmt: skip
    four.tail[-1].weight.copy_(torch.eye(4)[:, :3] * 10)
    return four


def test_a_grid_that_cannot_be_played_loses_nothing_that_was_found_beside_it(by_colour, tmp_path):
    for n in range(3):
        Image.fromarray(np.full((16, 16, 3), 60 * n, np.uint8)).save(tmp_path / f"{n}.png")
    refs, hows = list(find_images(tmp_path)), {"gradcam": make_map_options("gradcam")}
    beside = Questions(grid=(2,), grid_confidence=0.0, deletion=True)
    found = compare(of_four(by_colour), "x", refs, hows, beside)
    assert "sds" in table(found)["gradcam"].metrics
    assert any("needs photographs of 4 classes" in why for why in found.left_out)
    with pytest.raises(UsageError, match="needs photographs of 4 classes"):
        compare(of_four(by_colour), "x", refs, hows, replace(beside, deletion=False))
