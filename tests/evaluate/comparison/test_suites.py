"""Sets of questions: what they ask, what they say beforehand and afterwards."""

import json

import pytest

from camcli.errors import UsageError
from camcli.evaluate.comparison.duration import expected_seconds, in_words
from camcli.evaluate.comparison.suites import SUITES, find_suite
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.networks import loaded
from camcli.train.progress import Listener


class Hears(Listener):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def run(by_colour, folder, tmp_path, suite):
    hears = Hears()
    job = EvaluateJob(str(folder), suite=suite, bootstrap=20, out=tmp_path / "out")
    found = job.run(hears, [loaded("colours", by_colour)])
    return found, hears.lines


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
