"""What a batch says of each image, from a network whose answers can be worked out by hand."""

from dataclasses import replace
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.data.decode.images import Picture
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.outputs import Output

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fly", "gnu")
# Probabilities of a red, a green and a blue picture, by class; all different.
PROBS = {
    "red": (0.40, 0.25, 0.15, 0.10, 0.05, 0.03, 0.02),
    "green": (0.02, 0.40, 0.25, 0.15, 0.10, 0.05, 0.03),
    "blue": (0.03, 0.02, 0.40, 0.25, 0.15, 0.10, 0.05),
}


@pytest.fixture(scope="module")
def classifier():
    """GAP + linear on the three channels: logits are log-probabilities of the main colour."""
    weight = torch.tensor([[log(p) for p in PROBS[c]] for c in ("red", "green", "blue")]).T
    module = nn.Sequential(
        nn.Conv2d(3, 3, 4, stride=4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, len(CLASSES), bias=False),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight.zero_()
        for c in range(3):
            module[0].weight[c, c] = 1 / 16
        module[4].weight.copy_(weight)
    return cut_classifier(
        module.eval(), classes=CLASSES,
        preprocess=Preprocess(size=32, fit="squash", mean=(0, 0, 0), std=(1, 1, 1)),
        provenance=Provenance("by hand", None, None, "user", {}), device=torch.device("cpu"),
    )  # fmt: skip


def picture(colour: str, width: int = 32, height: int = 32) -> np.ndarray:
    """All of it in one colour."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., ("red", "green", "blue").index(colour)] = 255
    return rgb


def explained(classifier, images, **options):
    """Results of (colour, label) or (colour, label, width, height)."""
    what = make_explanation(classifier, options.pop("method", "gradcam"), **options)
    return explain_batch(classifier, decoded(classifier, images), what)


def decoded(classifier, images):
    found = []
    for n, (colour, label, *size) in enumerate(images):
        rgb = picture(colour, *size)

        def load(_, rgb=rgb):
            return Picture(rgb, rgb.shape[1], rgb.shape[0])

        ref = ImageRef(Path(f"/{n}.png"), f"{n}.png", label)
        found.append(read(ref, classifier, lambda rgb: rgb[:0], load))
    return found


@pytest.mark.parametrize("colour", PROBS)
def test_predictions_are_those_worked_out_by_hand(classifier, colour):
    (got,) = explained(classifier, [(colour, None)])
    order = sorted(range(7), key=lambda c: -PROBS[colour][c])
    assert got.pred_index == order[0]
    assert got.pred == CLASSES[order[0]]
    assert got.prob == pytest.approx(0.40, abs=1e-5)
    assert [name for name, _ in got.top] == [CLASSES[c] for c in order[:5]]
    assert [p for _, p in got.top] == pytest.approx([0.4, 0.25, 0.15, 0.10, 0.05], abs=1e-5)
    assert (got.method, got.layer) == ("gradcam", classifier.layer)


@pytest.mark.parametrize(
    ("label", "correct"),
    [
        ("ant", True), ("Ant", True),
        # Second to fifth of five: among the best, and wrong all the same.
        ("bee", False), ("cat", False), ("dog", False), ("elk", False),
        ("gnu", False), ("no such class", None), (None, None),
    ],
)  # fmt: skip
def test_correct_is_the_first_class_and_no_other(classifier, label, correct):
    (got,) = explained(classifier, [("red", label)])
    assert got.pred == "ant"
    assert got.correct is correct


def test_a_target_changes_the_map_and_not_the_prediction(classifier):
    (got,) = explained(classifier, [("red", "cat")], target="cat")
    assert (got.pred, got.prob) == ("ant", pytest.approx(0.4, abs=1e-5))
    assert (got.heats[0].target, got.heats[0].index) == ("cat", 2)
    assert got.heats[0].prob == pytest.approx(0.15, abs=1e-5)
    assert got.correct is False


def test_the_k_best_classes_have_a_map_each_best_first(classifier):
    (got,) = explained(classifier, [("green", None)], topk=3, top=2)
    assert [heat.target for heat in got.heats] == ["bee", "cat", "dog"]
    assert [heat.prob for heat in got.heats] == pytest.approx([0.4, 0.25, 0.15], abs=1e-5)
    assert [name for name, _ in got.top] == ["bee", "cat"]


def test_the_true_class_has_a_map_where_it_is_asked_for(classifier):
    what = replace(make_explanation(classifier), truth=True)
    images = [("red", "dog"), ("red", "ant"), ("red", None)]
    wrong, right, unknown = explain_batch(classifier, decoded(classifier, images), what)
    assert wrong.truth is not None
    assert (wrong.truth.target, wrong.truth.prob) == ("dog", pytest.approx(0.1, abs=1e-5))
    assert right.truth is None
    assert unknown.truth is None
    assert [len(one.heats) for one in (wrong, right, unknown)] == [1, 1, 1]


def test_whole_photographs_of_several_shapes_keep_their_places(classifier):
    """Those of one shape share a pass, and each Result is still that of its own image."""
    whole = replace(classifier, preprocess=classifier.preprocess.with_(fit="whole"))
    wide, tall = (128, 32), (32, 128)
    images = [
        ("red", "ant", *wide), ("green", "bee", *tall), ("blue", "cat", *wide),
        ("red", "ant", *tall), ("green", "bee", *wide), ("blue", "cat", *tall),
    ]  # fmt: skip
    got = explained(whole, images)
    assert [one.ref.rel for one in got] == [f"{n}.png" for n in range(6)]
    assert [one.pred for one in got] == ["ant", "bee", "cat"] * 2
    assert [(one.width, one.height) for one in got] == [wide, tall, wide, tall, wide, tall]
    assert {one.heats[0].heatmap.shape for one in got} == {(8, 32), (32, 8)}


def test_a_picture_without_contrast_has_no_evidence_to_show(classifier):
    (got,) = explained(classifier, [("red", None)])
    assert got.status == "empty", "its map is the same everywhere"
    assert got.heats[0].box is None


def test_labels_that_do_not_exclude_each_other(classifier):
    """Each above one half by itself, the most probable first; the prediction is the best."""
    sigmoid = replace(classifier, output=replace(classifier.output, kind="sigmoid"))
    shifted = replace(
        sigmoid, cut=None, features=lambda images: images[:, :, ::4, ::4].contiguous(),
        tail=lambda A: A.mean((2, 3)) @ classifier.head.weight.T + 1.8, head=None,
    )  # fmt: skip
    (got,) = explained(shifted, [("red", "bee")], method="hirescam")
    # p = 1 / (1 + exp(-1.8) / P), above one half from P = 0.165 on.
    wanted = {c: 1 / (1 + exp(-1.8) / p) for c, p in zip(CLASSES, PROBS["red"], strict=True)}
    assert [name for name, _ in got.positives] == ["ant", "bee"]
    assert dict(got.positives) == pytest.approx(
        {name: wanted[name] for name in ("ant", "bee")}, abs=1e-5
    )
    assert wanted["cat"] < 0.5 < wanted["bee"]


def test_a_label_is_positive_above_one_half_and_not_at_it():
    probs = [0.5, 0.51, 0.9, 0.45, 0.2]
    assert Output("sigmoid").positives(probs) == [2, 1]
    assert Output("sigmoid", thresholds=(0.4, 0.6, 0.9, 0.4, 0.5)).positives(probs) == [0, 3]
    assert Output("probabilities", several=True).positives(probs) == [2, 1]
    for kind in ("softmax", "binary", "probabilities", "none"):
        assert Output(kind).positives(probs) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": 0}, "1 or more"), ({"top": 0}, "at least one"),
        ({"target": "cat", "topk": 2}, "one of them"), ({"target": "yak"}, "yak"),
        ({"target": "cat", "versus": "cat"}, "nothing is left"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_refused(classifier, options, message):
    with pytest.raises(UsageError, match=message):
        make_explanation(classifier, **options)


def test_versus_is_named_in_the_result(classifier):
    (got,) = explained(classifier, [("red", None)], target="ant", versus=1)
    assert got.versus == "bee"


def test_several_methods_share_one_look(classifier, monkeypatch):
    images = decoded(classifier, [("red", None), ("blue", "red")])
    plain = make_explanation(classifier, "cam", topk=2)
    other = make_explanation(classifier, "layercam", topk=2)
    alone = [explain_batch(classifier, images, one) for one in (plain, other)]
    looks = []
    look = type(classifier).look
    monkeypatch.setattr(
        type(classifier),
        "look",
        lambda self, x, *watch: looks.append(len(x)) or look(self, x, *watch),
    )
    together = explain_batch(classifier, images, replace(plain, beside=(other.how,)))
    assert looks == [2]
    for n, result in enumerate(together):
        (beside,) = result.beside
        assert (result.method, beside.method) == ("cam", "layercam")
        for got, expected in ((result, alone[0][n]), (beside, alone[1][n])):
            assert (got.pred, got.prob, got.correct) == (
                expected.pred, expected.prob, expected.correct,
            )  # fmt: skip
            for a, b in zip(got.heats, expected.heats, strict=True):
                assert a.target == b.target
                assert np.array_equal(a.heatmap, b.heatmap)
