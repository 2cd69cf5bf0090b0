"""Sets of questions: what they ask, what they say beforehand and afterwards."""

import json
from contextlib import contextmanager

import pytest
from torch import nn

from camcli.errors import UsageError
from camcli.evaluate.comparison.duration import expected_seconds, in_words
from camcli.evaluate.comparison.suites import SUITES, find_suite
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.networks import loaded
from camcli.models.classifier import cut_classifier
from camcli.train.progress import Listener


class Hears(Listener):
    def __init__(self):
        self.lines = []
        self.total = self.done = 0

    def say(self, text):
        self.lines.append(text)

    @contextmanager
    def bar(self, title, total, unit):
        self.total = total
        yield self

    def advance(self, by=1):
        self.done += by


def run(by_colour, folder, tmp_path, suite):
    hears = Hears()
    job = EvaluateJob(str(folder), suite=suite, bootstrap=20, out=tmp_path / "out")
    found = job.run(hears, [loaded("colours", by_colour)])
    return found, hears.lines


@pytest.mark.parametrize(("suite", "looks"), [("quick", 2), ("full", 3)])
def test_the_bar_counts_each_time_that_photographs_are_looked_at(
    by_colour, folder, tmp_path, suite, looks
):
    """Else it would stand still at its end for as long as the second look takes."""
    hears = Hears()
    EvaluateJob(str(folder), suite=suite, bootstrap=0).run(hears, [loaded("colours", by_colour)])
    assert hears.total == 5 * looks
    assert hears.done == 4 * looks, "one photograph cannot be read"
    hears = Hears()
    EvaluateJob(str(folder), bootstrap=0).run(hears, [loaded("colours", by_colour)])
    assert (hears.total, hears.done) == (5, 4)


def test_why_a_head_got_used_to_nothing_is_said(by_colour, folder, tmp_path):
    few = Hears()
    job = EvaluateJob(str(folder), suite="quick", bootstrap=0, limit=2)
    job.run(few, [loaded("colours", by_colour)])
    assert any("sds, and not idsds: a head learns from 4" in line for line in few.lines), few.lines
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    several = cut_classifier(
        module.eval(), classes=by_colour.classes, preprocess=by_colour.preprocess,
        provenance=by_colour.provenance, device=by_colour.device, layers=("1", "last"),
    )  # fmt: skip
    hears = Hears()
    found = EvaluateJob(str(folder), suite="quick", methods="layercam", bootstrap=0).run(
        hears, [loaded("colours", several)]
    )
    assert "idsds" not in found.row("layercam").metrics
    assert any("cut at several layers (1," in line for line in hears.lines), hears.lines


@pytest.fixture
def folder(halves):
    return halves[0].path.parent.parent


@pytest.mark.parametrize("suite", list(SUITES))
def test_each_suite_asks_all_that_the_one_before_asks(by_colour, folder, tmp_path, suite):
    found, lines = run(by_colour, folder, tmp_path, suite)
    metrics = set(found.row("gradcam").metrics)
    wanted = {
        "quick": {"sds", "idsds", "sparseness", "complexity"},
        "standard": {"deletion", "road", "adcc", "arcc"},
        "full": {"ffid_plus", "ffid_minus"},
    }
    names = list(SUITES)
    for name in names[: names.index(suite) + 1]:
        assert wanted[name] <= metrics
    for name in names[names.index(suite) + 1 :]:
        assert not wanted[name] & metrics
    assert any("by the first photograph" in line for line in lines), lines
    assert any("No grid" in line for line in lines) == (suite != "quick")
    assert any("No sanity check" in line for line in lines) == (suite == "full")
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record["settings"]["suite"] == suite
    (advice,) = record["advice"]
    assert "too few" in advice["lines"][0], "there are four photographs"
    assert advice["lines"][0] in (tmp_path / "out" / "results.md").read_text()
    assert set(record["adapted_heads"]["colours"]) == (
        {"idsds", "ffid"} if suite == "full" else {"idsds"}
    )


def test_unknown_names_are_refused_before_the_work():
    with pytest.raises(UsageError, match="quick, standard, full, not 'fast'"):
        EvaluateJob("photos", suite="fast").check()
    assert find_suite(None) is None


def test_the_time_grows_with_the_photographs(by_colour, halves):
    from camcli.cam.map_options import make_map_options
    from camcli.evaluate.comparison.compare import Questions

    broken_first = sorted(halves, key=lambda ref: "broken" not in ref.rel)
    hows = {"cam": make_map_options("cam")}
    ask = Questions(faithfulness=True)
    few = expected_seconds(by_colour, broken_first, hows, ask)
    many = expected_seconds(by_colour, broken_first * 50, hows, ask)
    assert few is not None
    assert many > 10 * few > 0
    assert expected_seconds(by_colour, broken_first[:1], hows, ask) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "a few seconds"), (31, "about 30 seconds"), (70, "about a minute"),
     (150, "about 2 minutes"), (5400, "about 1.5 hours")],
)  # fmt: skip
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words
