"""Why this class and not that one: the signed map of the difference of two classes' logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.cam.difference_facts import why_no_difference
from camcli.cam.map_options import make_map_options
from camcli.cam.method_facts import FACTS
from camcli.data.decode.images import Picture
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.outputs import Output

CLASSES = ("ant", "bee", "cat", "dog")


def network(outputs=4, hidden=False, output=None):
    torch.manual_seed(outputs)
    tail = (
        [nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, outputs)] if hidden else [nn.Linear(6, outputs)]
    )
    module = nn.Sequential(
        nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *tail
    )
    with torch.no_grad():
        module[-1].weight.mul_(20)  # so that classes are told apart
    return cut_classifier(
        module.eval(), classes=CLASSES[:outputs], device=torch.device("cpu"), output=output,
        preprocess=Preprocess(size=32, fit="squash", mean=(0, 0, 0), std=(1, 1, 1)),
        provenance=Provenance("tiny", None, None, "user", {}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def classifier():
    return network()


@pytest.fixture(scope="module")
def behind_more():
    """What follows the map is more than a linear layer."""
    return network(hidden=True)


def images(classifier, labels):
    found = []
    for n, label in enumerate(labels):
        rgb = np.random.default_rng(n).integers(0, 255, (32, 32, 3), np.uint8)
        ref = ImageRef(Path(f"/{n}.png"), f"{n}.png", label)
        found.append(
            read(ref, classifier, lambda rgb: rgb[:0], lambda _, rgb=rgb: Picture(rgb, 32, 32))
        )
    return found


def explained(classifier, labels, method="gradcam", truth=True, **options):
    what = replace(make_explanation(classifier, method, **options), truth=truth)
    return explain_batch(classifier, images(classifier, labels), what)


def others_of(classifier, count):
    """For each picture a class that it is not taken for, nor the second best."""
    plain = explained(classifier, [None] * count, truth=False)
    return [[name for name, _ in each.top][2] for each in plain]


def by_autograd(classifier, n, one, other):
    """Σ_k mean(∂(S_one - S_other)/∂A_k) A_k of picture number n."""
    seen = classifier.look(images(classifier, [None] * (n + 1))[n].pixels[None])
    A = seen.parts[0].A.clone().requires_grad_()
    S = seen.parts[0].tail(A)[0]
    (g,) = torch.autograd.grad(S[one] - S[other], A)
    return (g.mean((2, 3), keepdim=True) * A).sum(1)[0].detach().numpy()


def test_a_mistake_is_compared_with_the_truth_and_the_rest_with_the_second_best(classifier):
    (third,) = others_of(classifier, 1)
    (plain,) = explained(classifier, [None])
    first, second = (name for name, _ in plain.top[:2])
    labels = [None, "no class", first, third]
    found = [explained(classifier, [label])[0] for label in labels]
    assert [each.against for each in found] == [second, second, second, third]
    for each in found:
        assert each.difference.target == first
        wanted = by_autograd(classifier, 0, each.pred_index, CLASSES.index(each.against))
        np.testing.assert_allclose(each.difference.heatmap, wanted, rtol=1e-4, atol=1e-6)


def test_a_class_that_was_asked_for_does_not_change_what_is_compared(classifier):
    (plain,) = explained(classifier, [None])
    (third,) = others_of(classifier, 1)
    (asked,) = explained(classifier, [None], target=third)
    assert (asked.heats[0].target, asked.against) == (third, plain.against)
    np.testing.assert_array_equal(asked.difference.heatmap, plain.difference.heatmap)


def test_it_sums_to_the_difference_of_the_logits(classifier):
    """mean(Σ_k (w_p - w_t)_k A_k) + b_p - b_t = S_p - S_t: nothing is left out."""
    results = explained(classifier, [None] * 3, "cam")
    for each, image in zip(results, images(classifier, [None] * 3), strict=True):
        S = classifier.look(image.pixels[None]).logits[0]
        p, t = each.pred_index, CLASSES.index(each.against)
        bias = classifier.head.bias[p] - classifier.head.bias[t]
        assert each.difference.heatmap.mean() + bias == pytest.approx(float(S[p] - S[t]), rel=1e-4)


@pytest.mark.parametrize("score", ["logit", "contrast"])
@pytest.mark.parametrize("method", ["cam", "gradcam", "hirescam", "xgradcam", "reciprocam"])
def test_of_straight_methods_it_is_the_difference_of_the_two_maps(classifier, method, score):
    for each in explained(classifier, others_of(classifier, 2), method, score=score):
        assert each.against == each.truth.target == each.ref.label
        np.testing.assert_allclose(
            each.difference.heatmap, each.heats[0].heatmap - each.truth.heatmap,
            rtol=1e-3, atol=1e-5,
        )  # fmt: skip


def test_of_methods_that_keep_what_is_positive_it_has_both_signs(classifier):
    """LayerCAM's max(d, 0) - max(-d, 0) is d, so that it is Grad-CAM's; Grad-CAM++ is eq. 19."""
    (one,), (other,), (plain,) = (
        explained(classifier, [None], method) for method in ("layercam", "gradcam++", "gradcam")
    )
    assert plain.difference.heatmap.min() < 0 < plain.difference.heatmap.max()
    np.testing.assert_allclose(one.difference.heatmap, plain.difference.heatmap, atol=1e-6)
    A = classifier.look(images(classifier, [None])[0].pixels[None]).parts[0].A[0].numpy()
    weight = classifier.head.weight.numpy()
    d = weight[plain.pred_index] - weight[CLASSES.index(plain.against)]
    x = d * A.mean((1, 2))
    v = np.maximum(d, 0) / (2 + x) - np.maximum(-d, 0) / (2 - x)
    np.testing.assert_allclose(
        other.difference.heatmap, np.einsum("k,khw->hw", v, A), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    "method",
    ["eigencam", "kpcacam", "fem", "random", "eigengradcam", "fullgrad", "scorecam", "sscam",
     "iscam", "scorecam-softmax", "smoothgradcam++"],
)  # fmt: skip
def test_methods_that_have_none_say_none(classifier, method):
    (each,) = explained(classifier, others_of(classifier, 1), method)
    assert (each.difference, each.against) == (None, None)


@pytest.mark.parametrize("smooth", ["aug", "noise", "eigen"])
def test_smoothed_maps_have_none(classifier, smooth):
    how = make_map_options("gradcam", smooth=smooth)
    (each,) = explained(classifier, others_of(classifier, 1), how)
    assert each.difference is None


def test_of_two_views_it_is_said_that_no_map_has_two_sides():
    assert "both views are cut off at zero" in (
        why_no_difference(FACTS["gradcam"], smooth="views", output="softmax") or ""
    )


def test_every_method_is_tried_by_one_of_these(classifier):
    # It is no transformer, and cut at one layer.
    able = [name for name, facts in FACTS.items() if not (facts.attention or facts.joins)]
    have = {name for name in able if explained(classifier, [None], name)[0].difference is not None}
    assert have == {
        "cam", "gradcam", "gradcam++", "hirescam", "elementwise", "xgradcam", "layercam",
        "finercam", "shapleycam", "ablationcam", "reciprocam", "attnlrp",
    }  # fmt: skip


def test_nobody_who_did_not_ask_pays_for_it(classifier):
    (each,) = explained(classifier, others_of(classifier, 1), truth=False)
    assert (each.truth, each.difference, each.against) == (None, None, None)


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_behind_more_than_a_linear_layer_mistakes_alone_have_one(behind_more, method):
    third, _ = others_of(behind_more, 2)
    mistake, other = explained(behind_more, [third, None], method)
    assert (mistake.against, other.difference) == (third, None)
    if method == "gradcam":
        wanted = by_autograd(behind_more, 0, mistake.pred_index, CLASSES.index(third))
        np.testing.assert_allclose(mistake.difference.heatmap, wanted, rtol=1e-4, atol=1e-6)
    assert explained(behind_more, [None], method)[0].difference is None


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(1)
    net = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4)
    for p in net.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=0.2)
    return cut_classifier(
        net.eval(), classes=CLASSES, device=torch.device("cpu"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "user", {}),
    )  # fmt: skip


@pytest.mark.parametrize("method", ["legrad", "attnlrp"])
def test_what_goes_through_the_network_again_has_one_of_mistakes(transformer, method):
    """max(d, 0) - max(-d, 0) is d: of LeGrad the two maps of S_a - S_b and of S_b - S_a."""
    third, _ = others_of(transformer, 2)
    mistake, other = explained(transformer, [third, None], method)
    assert (mistake.against, other.difference, mistake.truth) == (third, None, None)
    assert mistake.difference.heatmap.min() < 0 < mistake.difference.heatmap.max()
    one, two = mistake.pred_index, CLASSES.index(third)
    ways = [(one, two), (two, one)] if method == "legrad" else [(one, None), (two, None)]
    maps = [
        explained(transformer, [None], method, target=a, versus=b, score="logit")[0].heats[0]
        for a, b in ways
    ]
    np.testing.assert_allclose(
        mistake.difference.heatmap, maps[0].heatmap - maps[1].heatmap, rtol=1e-3, atol=1e-5
    )
    assert explained(transformer, [None], method)[0].difference is None


def test_a_map_of_legrad_is_what_it_was(transformer):
    """The signs are for differences alone."""
    (each,) = explained(transformer, [None], "legrad", versus="cat")
    assert each.heats[0].heatmap.min() >= 0


@pytest.mark.parametrize("kind", ["sigmoid", "none"])
def test_labels_and_values_have_no_difference(classifier, kind):
    other = replace(classifier, output=Output(kind))
    assert explained(other, ["ant"])[0].difference is None


@pytest.mark.parametrize("method", ["gradcam", "layercam", "gradcam++", "ablationcam"])
def test_two_classes_explain_what_tells_them_apart(method):
    """The softmax knows S_0 - S_1 alone: adding to both logits what raises both changes no map."""
    two = network(2)
    (plain,) = explained(two, [None], method)
    assert plain.score == "contrast"
    with torch.no_grad():
        shifted = two.head.weight + torch.randn(6)
    moved = replace(two, head=replace(two.head, weight=shifted), cut=None)
    (again,) = explained(moved, [None], method)
    assert again.prob == pytest.approx(plain.prob, abs=1e-4)
    np.testing.assert_allclose(again.heats[0].heatmap, plain.heats[0].heatmap, rtol=1e-2, atol=1e-4)
    (alone,), (moved_alone,) = (explained(each, [None], method, score="logit")
                                for each in (two, moved))  # fmt: skip
    assert alone.score == "logit"
    assert not np.allclose(alone.heats[0].heatmap, moved_alone.heats[0].heatmap, rtol=0.1)


def test_the_contrast_of_two_classes_is_half_their_difference():
    (each,) = explained(network(2), [None])
    np.testing.assert_allclose(2 * each.heats[0].heatmap, each.difference.heatmap, rtol=1e-4)
    (other,) = explained(network(2), [None], target=each.against)
    np.testing.assert_allclose(other.heats[0].heatmap, -each.heats[0].heatmap, rtol=1e-4)


@pytest.mark.parametrize(
    ("outputs", "options", "score"),
    [
        (2, {}, "contrast"), (2, {"score": "auto"}, "contrast"), (2, {"score": "logit"}, "logit"),
        (2, {"score": "probability"}, "probability"), (4, {}, "logit"), (2, {"versus": 1}, "logit"),
        (2, {"method": "scorecam"}, "probability"), (2, {"method": "scorecam-softmax"}, "logit"),
        (2, {"method": "finercam"}, "logit"), (2, {"method": "fullgrad"}, "logit"),
    ],
)  # fmt: skip
def test_what_auto_means(outputs, options, score):
    what = make_explanation(network(outputs), **options)
    assert what.score == score
    asked = options.get("score") not in (None, "auto")
    assert what.auto == (not asked)
    assert bool(what.told) == (score == "contrast")
    if what.told:
        assert "--score contrast" in what.told
        assert "--score logit" in what.told


@pytest.mark.parametrize("kind", ["sigmoid", "binary", "probabilities", "none"])
def test_two_outputs_of_another_kind_are_explained_as_ever(kind):
    what = make_explanation(replace(network(2), output=Output(kind)))
    assert (what.score, what.told) == ("logit", "")


def test_methods_that_look_at_no_class_explain_no_score():
    (each,) = explained(network(2), [None], "eigencam", truth=False)
    assert each.score is None
