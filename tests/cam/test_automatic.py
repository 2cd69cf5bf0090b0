"""``--method auto`` becomes a method once the network is known, and says which and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from camcli.batch.explain import make_explanation
from camcli.cam.automatic import USUAL, each_suited, suited
from camcli.cam.explainer import maps_of
from camcli.cam.map_options import make_map_options
from camcli.cam.method_facts import AUTO, FACTS, find_facts
from camcli.cam.methods import find_method
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.spec import layer_names


def classifier_of(module, classes=3, layer="last"):
    return cut_classifier(
        module,
        classes=tuple(f"class {n}" for n in range(classes)),
        preprocess=Preprocess(size=24),
        provenance=Provenance("tiny", None, None, "memory"),
        device=torch.device("cpu"),
        layers=layer_names(layer),
    )


def gap_network(classes=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes),
    )  # fmt: skip


@pytest.fixture(scope="module")
def linear():
    return classifier_of(gap_network())


def test_a_linear_head_has_the_exact_map(linear):
    what = make_explanation(linear)
    assert what.method.name == USUAL == "gradcam"
    assert "by gradcam, exact where" in what.how.chosen
    seen = linear.see(torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1)))
    index = torch.tensor([0, 2])
    named = make_explanation(linear, "gradcam")
    assert not named.how.chosen
    assert torch.equal(
        maps_of(linear, seen, index, what.how), maps_of(linear, seen, index, named.how)
    )


def test_another_tail_is_not_said_to_be_exact():
    deep = nn.Sequential(*gap_network()[:5], nn.Flatten(), nn.Linear(6, 5), nn.ReLU(),
                         nn.Linear(5, 3))  # fmt: skip
    how = suited(make_map_options("auto"), classifier_of(deep))
    assert how.method.name == "gradcam"
    assert "exact" not in how.chosen
    early = classifier_of(gap_network(), layer="1")
    assert "exact" not in suited(make_map_options("auto"), early).chosen
    both = classifier_of(gap_network(), layer="1,last")
    assert "exact" not in suited(make_map_options("auto"), both).chosen


def test_options_stay(linear):
    how = make_map_options("Auto", score="contrast", smooth="noise", samples=3)
    got = suited(how, linear)
    assert replace(got, method=how.method, chosen="") == how


def test_two_classes_are_compared_as_ever():
    two = classifier_of(gap_network(2), 2)
    what = make_explanation(two)
    assert (what.method.name, what.score) == ("gradcam", "contrast")
    assert "difference" in what.told


def test_it_is_no_method_by_itself():
    assert find_facts("AUTO") is AUTO
    assert AUTO.name not in FACTS
    with pytest.raises(UsageError, match="no method by itself"):
        find_method("auto")


def test_among_others_nothing_is_measured_twice(linear):
    hows = {name: make_map_options(name) for name in ("random", "auto", "layercam")}
    assert list(each_suited(hows, linear)) == ["random", "gradcam", "layercam"]
    hows = {name: make_map_options(name) for name in ("gradcam", "auto")}
    got = each_suited(hows, linear)
    assert [(name, how.chosen) for name, how in got.items()] == [("gradcam", "")]


@pytest.mark.parametrize(("asked", "shown"), [
    ("auto,layercam,gradcam", ["gradcam", "layercam"]),
    ("layercam,gradcam,auto", ["layercam", "gradcam"]),
])  # fmt: skip
def test_among_others_nothing_is_drawn_twice(linear, asked, shown):
    from camcli.jobs.maps import MapJob

    what = MapJob(method=asked).explanation(linear)
    assert [one.method.name for one in what.alone()] == shown


def test_a_run_goes_on_as_it_was_begun(linear):
    """What auto is may change with camcli; what a run was begun with by default was Grad-CAM."""
    what = make_explanation(linear)
    later = replace(what, how=replace(what.how, method=FACTS["layercam"]))
    old = {"method": "gradcam", "score": "logit"}
    assert later.as_before(old).method.name == "gradcam"
    assert "begun" in later.as_before(old).how.chosen
    other = later.as_before({"method": "hirescam"})
    assert other.method.name == "layercam", "that was somebody's choice"
    named = make_explanation(linear, "layercam")
    assert named.as_before(old).method.name == "layercam", "this is somebody's choice"


def test_a_class_token_is_followed_through_all_blocks():
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    net = VisionTransformer(img_size=24, patch_size=8, embed_dim=16, depth=2, num_heads=2,
                            num_classes=3)  # fmt: skip
    token = classifier_of(net)
    how = suited(make_map_options("auto"), token)
    assert how.method.name == "legrad"
    assert "class token" in how.chosen
    for smooth in ("aug", "noise", "views"):
        assert suited(make_map_options("auto", smooth=smooth), token).method.name == "legrad"
    # What LeGrad has not is by the gradient: evidence against, channels' components, one layer.
    assert suited(make_map_options("auto"), token, signed=True).method.name == USUAL
    assert suited(make_map_options("auto", smooth="eigen"), token).method.name == USUAL
    named = replace(classifier_of(net, layer="blocks.0"), usual_layer=False)
    assert suited(make_map_options("auto"), named).method.name == USUAL
    mean = VisionTransformer(img_size=24, patch_size=8, embed_dim=16, depth=2, num_heads=2,
                             num_classes=3, class_token=False, global_pool="avg")  # fmt: skip
    assert suited(make_map_options("auto"), classifier_of(mean)).method.name == USUAL


def test_maps_of_finer_sizes_beside_it_do_not_change_why():
    pyramid = classifier_of(gap_network(), layer="1,last")
    beside = suited(make_map_options("auto"), replace(pyramid, usual_layer=True))
    assert "exact" in beside.chosen
