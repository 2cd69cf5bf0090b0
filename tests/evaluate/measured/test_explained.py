from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError
from camcli.evaluate.comparison.measuring.randomised import Likeness
from camcli.evaluate.measured import seen as maps
from camcli.evaluate.measured.seen import see_photographs
from camcli.models.classifier import Classifier


@pytest.fixture
def refs(tmp_path):
    for n in range(6):
        Image.new("RGB", (90, 60), (n, n, n)).save(tmp_path / f"{n}.png")
    return list(find_images(tmp_path))


def guilty(pixels, n):
    return bool((pixels[:, :, 40, 40] == n).all(1).any())


def test_a_photograph_on_which_a_stage_fails_is_left_out_and_told(bundled, refs, monkeypatch):
    look, explained = Classifier.look, maps.explained

    def broken(self, pixels, watch=None):
        if guilty(pixels, 1):
            raise RuntimeError("this one only")
        seen = look(self, pixels, watch)
        logits = seen.logits.clone()
        logits[pixels[:, 0, 40, 40] == 3] = np.nan
        return replace(seen, logits=logits)

    def poisoned(classifier, seen, index, hows):
        found = explained(classifier, seen, index, hows)
        for values in found.values():
            values[seen.logits[:, 0].numpy() == fourth] = np.inf
        return found

    fourth = float(bundled.look(torch.full((1, 3, 224, 224), 4, dtype=torch.uint8)).logits[0, 0])
    hows = {"gradcam": make_map_options("gradcam")}
    expected = {s.ref.rel: s for s in see_photographs(bundled, refs, hows, batch=1)}
    fourth = float(expected["4.png"].logits[0])
    monkeypatch.setattr(Classifier, "look", broken)
    monkeypatch.setattr(maps, "explained", poisoned)
    errors = []
    found = list(see_photographs(bundled, refs, hows, batch=1, failed=errors.append))
    assert [s.ref.rel for s in found] == ["0.png", "2.png", "5.png"]
    assert [str(e).partition(": ")[0] for e in errors] == ["network", "network", "map"]
    assert "RuntimeError: this one only" in str(errors[0])
    assert all("not finite" in str(e) for e in errors[1:])
    errors.clear()
    found = list(see_photographs(bundled, refs[:4], hows, batch=4, failed=errors.append))
    assert [s.ref.rel for s in found] == ["0.png", "2.png"]
    assert len(errors) == 2
    for seen in found:
        torch.testing.assert_close(seen.logits, expected[seen.ref.rel].logits, rtol=1e-3, atol=1e-3)


def test_too_little_memory_is_halved_and_ends_at_one(bundled, refs, monkeypatch):
    look, room = Classifier.look, 2

    def small(self, pixels, watch=None):
        if len(pixels) > room:
            raise torch.OutOfMemoryError("out of memory")
        return look(self, pixels, watch)

    monkeypatch.setattr(Classifier, "look", small)
    assert len(list(see_photographs(bundled, refs, {}))) == 6
    room = 0
    with pytest.raises(CamcliError, match="memory for one image"):
        list(see_photographs(bundled, refs, {}))


def test_only_photographs_that_both_networks_explained_are_compared(bundled, refs):
    hows = {"gradcam": make_map_options("gradcam")}
    seen = list(see_photographs(bundled, refs, hows))
    whole, some = Likeness(hows), Likeness(hows)
    whole.add("x", seen[2:], seen[2:])
    some.add("x", seen, seen[2:])
    assert [r.metrics for r in whole.rows("net", 4)] == [r.metrics for r in some.rows("net", 4)]


def test_of_two_classes_what_a_run_explains_is_measured(bundled, refs):
    """--score auto: the difference of the two, and not the logit of one."""
    weight, bias = bundled.head.weight[:2], bundled.head.bias[:2]
    head = replace(bundled.head, weight=weight, bias=bias)
    two = replace(bundled, head=head, tail=head, cut=None, classes=bundled.classes[:2])
    made = {
        score: next(see_photographs(two, refs[:1], {"cam": make_map_options("cam", score=score)}))
        for score in ("auto", "contrast", "logit")
    }
    auto, contrast, logit = (seen.maps["cam"] for seen in made.values())
    np.testing.assert_array_equal(auto, contrast)
    assert not np.allclose(auto, logit)
    image = made["auto"].image[None]
    again = maps.mapper(two, made["auto"], make_map_options("cam"))(image)
    np.testing.assert_allclose(again[0], auto, rtol=1e-3, atol=1e-5)
