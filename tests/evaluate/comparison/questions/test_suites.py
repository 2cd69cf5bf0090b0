"""Sets of questions: what they ask, what they say beforehand and afterwards."""

import json
from contextlib import contextmanager
from time import sleep

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.questions.suites import SUITES, find_suite
from camcli.evaluate.comparison.result.adapted_words import LITTLE, heads_told
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION
from camcli.evaluate.comparison.turn.duration import expected_seconds, in_words
from camcli.evaluate.measured.part_scenes import read_part_scenes
from camcli.evaluate.measured.square_canvas import GAUSSIAN
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.networks import loaded
from camcli.models.classifier import cut_classifier
from camcli.models.load import load_classifier
from camcli.train.progress import Listener
from tests.evaluate.part_set import write


class Hears(Listener):
    def __init__(self):
        self.lines = []
        self.bars = []

    def say(self, text):
        self.lines.append(text)

    @contextmanager
    def bar(self, title, total, unit):
        self.bars.append([title, total, 0])
        yield self

    def advance(self, by=1):
        self.bars[-1][2] += by


def run(by_colour, folder, tmp_path, suite):
    hears = Hears()
    job = EvaluateJob(str(folder), suite=suite, bootstrap=20, out=tmp_path / "out")
    found = job.run(hears, [loaded("colours", by_colour)])
    return found, hears


LOOKS = {
    None: [],
    "quick": ["used to missing patches"],
    "standard": ["used to missing patches"],
    "full": ["used to missing patches", "without some of its patches"],
}


def has_a_bar_for_each_look(hears, suite):
    """One that counted all looks alike would say that an hour is left where a minute is."""
    # One photograph cannot be read, and is not looked at again.
    titles = ["colours", *(f"colours, {words}" for words in LOOKS[suite])]
    return hears.bars == [[title, 5, 4] for title in titles]


def test_one_look_has_one_bar(by_colour, folder):
    hears = Hears()
    EvaluateJob(str(folder), bootstrap=0).run(hears, [loaded("colours", by_colour)])
    assert has_a_bar_for_each_look(hears, None)


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
    found, hears = run(by_colour, folder, tmp_path, suite)
    lines = hears.lines
    assert has_a_bar_for_each_look(hears, suite), hears.bars
    assert [row.method for row in found.rows] == [
        CLASSIFICATION, GAUSSIAN, "random", "gradcam", "layercam", "eigencam",
    ]  # fmt: skip
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


def test_how_well_the_head_got_used_to_it_stands_beside_the_number(by_colour, folder, tmp_path):
    found, _ = run(by_colour, folder, tmp_path, "quick")
    told = found.adapted["colours"]["idsds"]
    assert 0 <= told["kept_before"] <= told["kept_after"] <= 1
    (line,) = heads_told(found.adapted)
    assert f"in {told['kept_after']:.0%} of pictures" in line
    assert ("next to nothing" in line) == (told["learned"] < LITTLE)
    assert line in (tmp_path / "out" / "results.md").read_text()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["about_heads"] == [line]
    console = Console(record=True, width=1000)
    found.show(console)
    assert line in console.export_text()


@pytest.mark.parametrize(
    ("learned", "kept", "why"),
    [(0.0, 0.7, "more photographs"), (0.09, 0.96, "little to learn"), (0.1, 0.7, "")],
)
def test_a_head_that_learned_next_to_nothing_is_named_with_the_reason(learned, kept, why):
    told = {"learned": learned, "kept_before": kept, "kept_after": 0.97}
    (line,) = heads_told({"net": {"ffid": told}})
    assert ("hardly more than rfid" in line) == bool(why)
    assert why in line
    assert ("more photographs" in line) == (why == "more photographs")
    assert "without a random tenth its head says in 97% of pictures" in line


def test_a_transformer_is_asked_for_attnlrp_as_well(tmp_path):
    """Where the method is left to the suite; named ones stay alone."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    network = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=3
    )
    rng = np.random.default_rng(0)
    for n in range(2):
        rgb = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(tmp_path / f"{n}.png")
    words = "size=32 squash mean=0.5,0.5,0.5 std=0.5,0.5,0.5"
    tokens = load_classifier(network.eval(), classes=["a", "b", "c"], preprocess=words)
    asked = {None: ["random", "legrad", "attnlrp", "layercam", "eigencam"],
             "auto,eigencam": ["random", "legrad", "eigencam"]}  # fmt: skip
    for methods, wanted in asked.items():
        job = EvaluateJob(str(tmp_path), suite="quick", methods=methods, bootstrap=0)
        found = job.run(Hears(), [loaded("tokens", tokens)])
        assert [r.method for r in found.rows if r.method != GAUSSIAN] == wanted


def test_the_time_of_scenes_with_parts_is_told(by_colour, tmp_path, monkeypatch):
    folder = write(tmp_path / "set")
    hears = Hears()
    job = EvaluateJob(str(folder / "test"), parts=folder, methods="cam", bootstrap=0)
    job.run(hears, [loaded("colours", by_colour)])
    assert any("by the first photograph" in line for line in hears.lines), hears.lines
    scenes = read_part_scenes(folder)
    refs = list(find_images(folder / "test", labels="folder"))
    hows = {"cam": make_map_options("cam")}

    def slow(*args, failed, **more):
        sleep(0.2)

    monkeypatch.setattr("camcli.evaluate.comparison.measuring.part_rows.ask_parts", slow)
    for count in (1, 5):
        seconds = expected_seconds(by_colour, refs * count, hows, Questions(parts=scenes))
        assert 0.2 * count <= seconds < 0.2 * count + 1
    assert expected_seconds(by_colour, refs, hows, Questions()) < 0.2, (
        "of nothing that is not asked"
    )
