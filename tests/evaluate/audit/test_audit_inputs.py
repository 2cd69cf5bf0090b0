"""An audit's facts: from photographs and a network, and from the maps that a run kept of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.run_paths import HEATMAPS
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.audit.audit_inputs import evidence_of, from_photographs, from_run
from camcli.evaluate.findings.clock import Clock


def quiet(*_):
    pass


def test_evidence_is_for_a_class_rather_than_for_any(by_colour):
    """w = 10 I: red's channel speaks for red by 10 - 10/3, the others against it."""
    A = torch.arange(12.0).view(3, 2, 2)
    got = evidence_of(by_colour, A, 0)
    assert got[0] == pytest.approx((10 - 10 / 3) * A[0].numpy(), rel=1e-6)
    assert not got[1:].any()
    other = evidence_of(replace(by_colour, head=None), A, 0)
    assert np.array_equal(other, A.numpy())
    assert evidence_of(by_colour, None, 0) is None


def test_facts_of_photographs(by_colour, halves):
    failed = []
    facts = from_photographs(
        by_colour, halves, "cam", None, failed=failed.append, progress=quiet,
        clock=Clock(),
    ).facts  # fmt: skip
    assert len(failed) == 1
    found = {fact.rel.partition("/")[0]: fact for fact in facts}
    assert {name: (f.label, f.pred, f.right) for name, f in found.items()} == {
        "red": ("red", "red", True), "green": ("green", "red", False),
        "blue": ("blue", "blue", True), "yak": (None, "green", True),
    }  # fmt: skip
    assert found["red"].prob == pytest.approx(0.987, abs=0.002)
    assert found["red"].thumb[:, :7].min() == pytest.approx(1, abs=0.05)
    assert found["red"].thumb[:, 9:].max() == pytest.approx(0, abs=0.05)
    # It is taken for red, and so its map is of what speaks for red.
    assert found["green"].thumb == pytest.approx(found["red"].thumb, abs=0.05)


@pytest.fixture
def run(by_colour, halves, tmp_path):
    """Makes a run over the halves and returns its folder."""

    def make(**options):
        one = Run(
            find_images(tmp_path / "halves", labels="folder"), by_colour,
            make_explanation(by_colour, "cam", **options), RunDirectory(tmp_path / "run"),
        )  # fmt: skip
        one.prepare()
        list(one)
        return tmp_path / "run"

    return make


def test_facts_of_a_run_are_those_of_its_photographs(by_colour, halves, run):
    """Both are of the predicted class, also where it is not the right one."""
    kept = {fact.rel: fact for fact in from_run(run(), None).facts}
    fresh = {
        fact.rel: fact
        for fact in from_photographs(
            by_colour, halves, "cam", None, failed=quiet, progress=quiet, clock=Clock()
        ).facts
    }
    assert kept.keys() == fresh.keys()
    for rel, fact in kept.items():
        assert fact.pred == fresh[rel].pred
        assert fact.prob == pytest.approx(fresh[rel].prob, abs=1e-4)
        assert fact.thumb == pytest.approx(fresh[rel].thumb, abs=2e-3)
        assert (fact.right, fact.corner) == (fresh[rel].right, fresh[rel].corner)
    green = next(fact for rel, fact in kept.items() if rel.startswith("green"))
    assert (green.label, green.pred, green.right) == ("green", "red", False)
    yak = next(fact for rel, fact in kept.items() if rel.startswith("yak"))
    assert yak.label is None, "what names no class of the network contradicts nothing"


def test_a_label_in_another_spelling_is_the_class(halves, run, tmp_path):
    """A folder called RED: the run says that the prediction is right."""
    (tmp_path / "halves" / "red").rename(tmp_path / "halves" / "RED")
    (fact,) = (f for f in from_run(run(), None).facts if f.rel.startswith("RED"))
    assert (fact.label, fact.pred, fact.right) == ("red", "red", True)


def test_maps_of_a_named_class_are_refused(halves, run):
    with pytest.raises(UsageError, match="without --target"):
        from_run(run(target="blue"), None)


def test_a_folder_without_maps_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no"):
        from_run(tmp_path, None)


def test_photographs_whose_maps_a_run_has_lost_are_told(run):
    folder = run()
    whole = from_run(folder, None)
    assert whole.left_out == ()
    lines = (folder / HEATMAPS).read_text().splitlines(keepends=True)
    (folder / HEATMAPS).write_text("".join(lines[:-1]))
    kept = from_run(folder, None)
    assert len(kept.facts) == len(whole.facts) - 1
    assert f"no map of 1 of {len(whole.facts)} photographs" in kept.left_out[0]


@pytest.mark.parametrize("source", ["a\0b", ["a"], 3, {}])
def test_a_record_whose_source_is_no_path_is_read(run, source):
    folder = run()
    info = json.loads((folder / "run.json").read_text())
    info["config"]["source"] = source
    (folder / "run.json").write_text(json.dumps(info))
    assert from_run(folder, None).facts
