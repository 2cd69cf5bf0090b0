"""Photographs that were seen once: which class is explained, and whose maps these are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from camcli.cam.map_options import make_map_options
from camcli.evaluate.measured.seen import (
    heat_on,
    logit_of,
    mapper,
    probability_of,
    see_photographs,
)
from camcli.models.classifier import cut_classifier

HOWS = {"gradcam": make_map_options("gradcam"), "cam": make_map_options("cam")}


def by_label(seen):
    return {one.ref.label: one for one in seen}


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("fit", ["squash", "whole"])
def test_the_true_class_is_explained_and_the_predicted_one_where_it_is_not_known(
    by_colour, halves, batch, fit
):
    own = replace(by_colour, preprocess=by_colour.preprocess.with_(fit=fit))
    failed = []
    seen = list(see_photographs(own, halves, HOWS, batch=batch, failed=failed.append))
    assert [one.ref for one in seen] == [ref for ref in halves if "broken" not in ref.rel]
    assert len(failed) == 1
    found = by_label(seen)
    assert {name: one.label for name, one in found.items()} == {
        "red": 0, "green": 1, "blue": 2, "yak": None,
    }  # fmt: skip
    # The green folder's picture is red: predicted red, and green is explained.
    assert int(found["green"].logits.argmax()) == 0
    assert {name: one.index for name, one in found.items()} == {
        "red": 0, "green": 1, "blue": 2, "yak": 1,
    }  # fmt: skip
    assert found["green"].maps["cam"].max() == 0
    for name, channel in (("red", 0), ("blue", 2), ("yak", 1)):
        one = found[name]
        assert one.logits[channel].item() == pytest.approx(5, abs=0.2)
        assert one.probs.tolist() == pytest.approx(one.logits.softmax(0).tolist())
        w = one.maps["cam"].shape[1]
        assert one.maps["cam"][:, : w // 2 - 1].min() == pytest.approx(10, abs=1e-3)
        assert one.maps["cam"][:, w // 2 + 1 :].max() == pytest.approx(0, abs=1e-3)
        Z = one.maps["cam"].size
        assert one.maps["gradcam"] == pytest.approx(one.maps["cam"] / Z, abs=1e-6)


def test_another_class_may_be_given_and_features_kept(by_colour, halves):
    index = {ref.rel: 2 for ref in halves}
    seen = list(see_photographs(by_colour, halves, HOWS, index=index, features=True))
    assert {one.index for one in seen} == {2}
    for one in seen:
        assert one.features.shape == (3, 8, 8)
        assert one.maps["cam"] == pytest.approx(10 * one.features[2].numpy(), abs=1e-5)
    assert [one.features.mean((1, 2)).argmax().item() for one in seen] == [
        int(one.logits.argmax()) for one in seen
    ]


def test_questions_to_the_network(by_colour, halves):
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits = 10 * images.mean((2, 3))
    assert logit_of(by_colour, 1, chunk=2)(images).tolist() == pytest.approx(
        logits[:, 1].tolist(), rel=1e-4
    )
    assert probability_of(by_colour, 2, chunk=2)(images).tolist() == pytest.approx(
        logits.softmax(1)[:, 2].tolist(), rel=1e-3
    )
    seen = next(see_photographs(by_colour, halves[:1], HOWS, index={halves[0].rel: 0}))
    maps = mapper(by_colour, seen, HOWS["cam"])(images)
    torch.testing.assert_close(maps, 10 * nn.functional.avg_pool2d(images[:, 0], 4))


def test_heat_lies_on_the_input_as_it_is_drawn():
    image = torch.zeros(3, 1, 4)
    heat = heat_on(image, np.array([[-1.0, 4.0]], np.float32))
    assert heat[0].tolist() == [0, 0.25, 0.75, 1]
    assert heat_on(image, np.array([[-1.0, -4.0]], np.float32)).tolist() == [[0] * 4]


def test_of_several_layers_the_features_are_those_of_the_last(by_colour, halves):
    """Which the head follows; a method that joins layers asks for more of them."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip
    several = cut_classifier(
        module.eval(), classes=by_colour.classes, preprocess=by_colour.preprocess,
        provenance=by_colour.provenance, device=by_colour.device, layers=("1", "last"),
    )  # fmt: skip
    for one in see_photographs(several, halves, {}, features=True):
        assert one.features.shape[0] == 5
        logits = module[-1](one.features.mean((1, 2)))
        assert logits.tolist() == pytest.approx(one.logits.tolist(), abs=1e-5)
