"""Single deletion and F-Fidelity of a network whose answers can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring import in_domain
from camcli.evaluate.comparison.measuring.compare import compare
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.metrics.fidelity import fidelity
from camcli.models.cutting.cut import LinearHead
from camcli.models.outputs import Output
from camcli.train.fitting.adapted_head import adapt

HOWS = {name: make_map_options(name) for name in ("cam", "random")}


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    """Red pictures whose brightness differs from patch to patch, as the logit's loss then does."""
    root = tmp_path_factory.mktemp("ramps") / "red"
    root.mkdir()
    for n in range(6):
        rgb = np.zeros((32, 32, 3), np.uint8)
        values = np.random.default_rng(n).permutation(16).reshape(4, 4) * 12 + 40
        rgb[..., 0] = values.repeat(8, 0).repeat(8, 1)
        Image.fromarray(rgb).save(root / f"{n}.png")
    return list(find_images(root.parent, labels="folder"))


def table(outcome):
    return {row.method: row for row in outcome.rows}


def test_the_map_of_a_linear_network_ranks_patches_as_it_does(by_colour, ramps):
    outcome = compare(by_colour, "x", ramps, HOWS, Questions(deletion=True, repeats=20))
    rows = table(outcome)
    # The map has 8x8 cells, spread over its input: sums of patches keep their order but for ties.
    assert rows["cam"].metrics["sds"] > 0.95
    assert abs(rows["centre-gaussian"].metrics["sds"]) < 0.4
    assert rows["cam"].metrics["idsds"] > 0.95
    assert rows["cam"].count == 6
    low, high = rows["cam"].intervals["idsds"]
    assert low <= rows["cam"].metrics["idsds"] <= high
    told = outcome.learned["idsds"]
    assert told["loss_after"] <= told["loss_before"]
    assert "deletion" not in rows["cam"].metrics, "it was not asked for"


def test_too_few_to_learn_from_are_asked_as_they_are(by_colour, ramps):
    ask = Questions(deletion=True, fidelity=True, repeats=0)
    outcome = compare(by_colour, "x", ramps[:3], HOWS, ask)
    found = table(outcome)["cam"].metrics
    assert {"sds", "rfid_plus", "rfid_minus"} <= set(found)
    assert not {"idsds", "ffid_plus"} & set(found)
    assert outcome.learned == {}


def test_a_longer_tail_is_asked_as_it_is(by_colour, ramps):
    longer = replace(by_colour, head=None, cut=None)
    ask = Questions(deletion=True, fidelity=True, repeats=0)
    found = table(compare(longer, "x", ramps, {"gradcam": make_map_options("gradcam")}, ask))
    metrics = found["gradcam"].metrics
    assert metrics["sds"] > 0.95
    assert metrics["rfid_plus"] > metrics["rfid_minus"]
    assert not {"idsds", "ffid_plus"} & set(metrics)


def test_the_hottest_patches_cost_more_than_the_coldest(by_colour, halves):
    """What is left of the red half is less without the red than without the black."""
    red = [ref for ref in halves if ref.label in ("red", "blue")] * 2
    red = [replace(ref, rel=f"{n}/{ref.rel}") for n, ref in enumerate(red)]
    found = table(compare(by_colour, "x", red, HOWS, Questions(fidelity=True, repeats=0)))
    metrics = found["cam"].metrics
    assert metrics["ffid_plus"] > 0
    assert metrics["ffid_plus"] > 2 * metrics["ffid_minus"]
    gaussian = found["centre-gaussian"].metrics
    assert metrics["ffid_plus"] > gaussian["ffid_plus"]


def test_f_fidelity_explains_the_head_that_it_asks(by_colour, ramps, monkeypatch):
    """As its authors' code does: a head that learned the opposite has the opposite map."""

    def opposite(head, pooled, labels=False):
        turned = LinearHead(-head.weight, head.bias)
        return replace(adapt(head, pooled, labels=labels), heads=(turned, turned))

    seen = []

    def asked(x, heat, ask, seed=0):
        seen.append((heat, float(ask(x[None])[0])))
        return fidelity(x, heat, ask, seed=seed)

    monkeypatch.setattr(in_domain, "adapt", opposite)
    monkeypatch.setattr(in_domain, "fidelity", asked)
    how = {"cam": make_map_options("cam")}
    compare(by_colour, "x", ramps, how, Questions(fidelity=True, repeats=0))
    assert len(seen) == 12, "six photographs, with the Gaussian beside"
    # Red speaks against red now: nothing is warm, and the class is the least likely of three.
    assert not any(heat.any() for heat, _ in seen[1::2])
    assert all(p < 1 / 3 for _, p in seen)
    seen.clear()
    compare(by_colour, "x", ramps[:3], how, Questions(fidelity=True, repeats=0))
    assert all(heat.any() and p > 1 / 3 for heat, p in seen), "too few: the network as it is"


def test_values_are_refused(by_colour, ramps):
    values = by_colour.taken_for(Output("none"))
    with pytest.raises(UsageError, match="--suite"):
        compare(values, "x", ramps, HOWS, Questions(deletion=True))
