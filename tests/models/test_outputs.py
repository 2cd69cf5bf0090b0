"""Probabilities are the network's own, whatever it ends in: softmax, a sigmoid, one output."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.cam.explainer import maps_of
from camcli.cam.map_options import make_map_options
from camcli.cam.methods import METHODS
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.outputs import log_probabilities, probabilities

SIZE = 32


def backbone(outputs: int) -> nn.Sequential:
    """Whose logits are far apart, as after training."""
    torch.manual_seed(outputs)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, outputs),
    )  # fmt: skip
    net[-1].weight.data.mul_(20)
    if outputs == 1:  # so that either class is predicted
        net[-1].bias.data.sub_(0.8)
    return net.eval()


class Ends(nn.Module):
    """A network with something after its logits; one that cannot be traced, if `branches`."""

    def __init__(self, outputs, end, *, branches=False):
        super().__init__()
        self.net, self.end, self.branches = backbone(outputs), end, branches

    def forward(self, x):
        if self.branches and float(x.abs().sum()) < 0:
            return x
        return self.end(self.net(x))


def classifier_of(module, classes, **options):
    return cut_classifier(
        module.eval(), classes=tuple(classes), preprocess=Preprocess(size=SIZE),
        provenance=Provenance("own", "factory", None, "user", {}), device=torch.device("cpu"),
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pixels():
    draw = np.random.default_rng(0)
    blocks = torch.from_numpy(draw.integers(0, 255, (6, 3, 2, 2), np.uint8))
    return blocks.repeat_interleave(SIZE // 2, 2).repeat_interleave(SIZE // 2, 3)


def own(module, classifier, pixels):
    """What the network itself says, by torch alone."""
    with torch.no_grad():
        return module(classifier.preprocess.normalise(pixels).contiguous()).reshape(len(pixels), -1)


SOFTMAXES = {
    "module": nn.Softmax(1),
    "last dimension": nn.Softmax(-1),
    "function": lambda z: functional.softmax(z, dim=1),
    "method": lambda z: z.softmax(1),
    "temperature": lambda z: (z / 3).softmax(1),
    "clamped": lambda z: z.softmax(1).clamp(1e-7, 1),
    "squeezed": lambda z: z[:, :, None, None].softmax(1).flatten(1),
}
SIGMOIDS = {
    "module": nn.Sigmoid(),
    "function": torch.sigmoid,
    "method": lambda z: z.sigmoid(),
    "in place": lambda z: z.sigmoid_(),
    "special": torch.special.expit,
}


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize("end", SOFTMAXES.values(), ids=SOFTMAXES)
def test_a_softmax_at_the_end_is_not_softmaxed_again(pixels, end, branches):
    module = Ends(3, end, branches=branches)
    classifier = classifier_of(module, "abc")
    truth = own(module, classifier, pixels)
    assert truth.max() > 0.58, "the softmax of a softmax of three is never above 0.576"
    A, logits = classifier(pixels)
    torch.testing.assert_close(classifier.probabilities(logits), truth, rtol=1e-4, atol=1e-6)
    if end is SOFTMAXES["clamped"] and branches:  # what is clamped is not seen without a graph
        assert classifier.output.kind == "probabilities"
        return
    assert classifier.output.kind == "softmax"
    assert "ends in a softmax" in classifier.output.told
    if end is not SOFTMAXES["temperature"]:
        assert classifier.head is not None, "maps explain the logits"
        torch.testing.assert_close(classifier.head(A), logits)


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize(
    "end",
    [nn.LogSoftmax(1), lambda z: functional.log_softmax(z, 1), lambda z: z.softmax(1).log()],
    ids=["module", "function", "two steps"],
)
def test_a_log_softmax_at_the_end(pixels, end, branches):
    module = Ends(3, end, branches=branches)
    classifier = classifier_of(module, "abc")
    _, logits = classifier(pixels)
    truth = own(module, classifier, pixels).exp()
    torch.testing.assert_close(classifier.probabilities(logits), truth, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize("end", SIGMOIDS.values(), ids=SIGMOIDS)
def test_labels_keep_their_own_probabilities(pixels, end, branches):
    module = Ends(4, end, branches=branches)
    classifier = classifier_of(module, "abcd")
    A, logits = classifier(pixels)
    truth = own(module, classifier, pixels)
    torch.testing.assert_close(classifier.probabilities(logits), truth, rtol=1e-4, atol=1e-6)
    assert classifier.output.kind == "sigmoid"
    assert "own" in classifier.output.told
    torch.testing.assert_close(classifier.head(A), logits)


ONE = {
    "logit": (lambda z: z, torch.sigmoid, "binary"),
    "squeezed logit": (lambda z: z.squeeze(1), torch.sigmoid, "binary"),
    "all squeezed": (lambda z: z.squeeze(), torch.sigmoid, "binary"),
    "sigmoid": (torch.sigmoid, lambda p: p, "binary"),
    "squeezed sigmoid": (lambda z: z.sigmoid().squeeze(-1), lambda p: p, "binary"),
}


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize(("end", "p", "kind"), ONE.values(), ids=ONE)
def test_one_output_tells_two_classes_apart(pixels, end, p, kind, branches):
    module = Ends(1, end, branches=branches)
    classifier = classifier_of(module, ("no", "yes"))
    A, logits = classifier(pixels)
    truth = p(own(module, classifier, pixels))[:, 0]
    probs = classifier.probabilities(logits)
    assert truth.min() < 0.5 < truth.max(), "both classes are predicted"
    torch.testing.assert_close(probs[:, 1], truth, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(probs.sum(1), torch.ones(6))
    assert torch.equal(logits.argmax(1), (truth > 0.5).long())
    assert classifier.output.kind == kind
    assert "one output" in classifier.output.told
    torch.testing.assert_close(classifier.head(A), logits)
    # One picture alone is squeezed to a number.
    torch.testing.assert_close(classifier(pixels[:1])[1], logits[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
def test_probabilities_that_no_activation_made_last(pixels, branches):
    """A mean of two softmaxes, as of an ensemble: the sums say it."""
    module = Ends(3, lambda z: (z.softmax(1) + (2 * z).softmax(1)) / 2, branches=branches)
    classifier = classifier_of(module, "abc")
    _, logits = classifier(pixels)
    truth = own(module, classifier, pixels)
    torch.testing.assert_close(classifier.probabilities(logits), truth, rtol=1e-4, atol=1e-6)
    assert classifier.output.kind == "probabilities"
    assert "sum to 1" in classifier.output.told


def test_what_is_said_goes(pixels):
    plain = Ends(3, lambda z: z)
    for kind, truth in (("sigmoid", torch.sigmoid), ("softmax", lambda z: z.softmax(1))):
        classifier = classifier_of(plain, "abc", output=kind)
        _, logits = classifier(pixels)
        expected = truth(own(plain, classifier, pixels))
        torch.testing.assert_close(classifier.probabilities(logits), expected, rtol=1e-4, atol=1e-6)
        assert classifier.output.told == ""
    # A probability of one's own making, of which nothing tells that it is one.
    ramp = Ends(1, lambda z: (z / 20 + 0.5).clamp(0, 1))
    classifier = classifier_of(ramp, ("no", "yes"), output="probabilities")
    probs = classifier.probabilities(classifier(pixels)[1])
    torch.testing.assert_close(probs[:, 1], own(ramp, classifier, pixels)[:, 0])
    torch.testing.assert_close(probs.sum(1), torch.ones(6))
    plain = classifier_of(Ends(3, lambda z: z), "abc")
    assert (plain.output.kind, plain.output.told) == ("softmax", "")


@pytest.mark.parametrize(
    ("outputs", "end", "kind", "words"),
    [
        (1, nn.Softmax(1), None, "1 for every picture"),
        (1, nn.Identity(), "softmax", "1 for every picture"),
        (3, nn.Identity(), "binary", "one output, and this one has 3"),
        (3, nn.Identity(), "probabilities", "0 to 1"),
        (1, nn.Identity(), "probabilities", "0 to 1"),
        (3, nn.Softmax(1), "sigmoid", "ends in a softmax"),
    ],
)
def test_what_cannot_be_is_refused(outputs, end, kind, words):
    with pytest.raises(UsageError, match=words):
        classifier_of(Ends(outputs, end), "abc"[: max(2, outputs)], output=kind)


def test_outputs_between_0_and_1_are_logits_but_it_is_said():
    classifier = classifier_of(Ends(3, lambda z: (z / 200 + 0.5).clamp(0, 1)), "abc")
    assert classifier.output.kind == "softmax"
    assert "--output probabilities" in classifier.output.told


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "probabilities"])
def test_log_probabilities_are_logarithms(kind):
    S = torch.tensor([[0.2, 0.7, 0.1], [0.0, 1.0, 0.5]], dtype=torch.float64)
    p = probabilities(S, kind).clamp(min=1e-300)
    known = p > 1e-300
    assert torch.allclose(log_probabilities(S, kind)[known], p.log()[known])


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize("end", [nn.Identity(), lambda z: z.squeeze(), lambda z: 100 * z.sigmoid()])
def test_a_value_is_shown_as_it_is(pixels, end, branches):
    """Of an age there is no softmax, no sigmoid and no second class."""
    module = Ends(1, end, branches=branches)
    classifier = classifier_of(module, ("not age", "age"), output="none")
    _, logits = classifier(pixels)
    torch.testing.assert_close(logits, own(module, classifier, pixels), rtol=1e-4, atol=1e-5)
    assert classifier.classes == ("age",)
    assert classifier_of(module, ("0", "1"), output="none").classes == ("value",)
    with pytest.raises(UsageError, match="give one, of what it measures"):
        classifier_of(module, ("no", "yes"), output="none")
    for of in (probabilities, log_probabilities):
        with pytest.raises(UsageError, match="values and not classes"):
            of(logits, classifier.output.kind)


def test_values_are_in_the_networks_order(pixels):
    module = Ends(4, nn.Sigmoid())
    classifier = classifier_of(module, "abcd", output="none")
    _, logits = classifier(pixels)
    torch.testing.assert_close(logits, own(module, classifier, pixels), rtol=1e-4, atol=1e-6)
    assert classifier.output.best(logits, 3).tolist() == [[0, 1, 2]] * 6
    assert classifier.output.best(logits, 9).tolist() == [[0, 1, 2, 3]] * 6


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
def test_a_binary_network_that_turns_out_to_measure(pixels, branches):
    module = Ends(1, nn.Identity(), branches=branches)
    binary = classifier_of(module, ("0", "1"))
    assert binary.output.assumed
    value = binary.taken_for(replace(binary.output, kind="none"))
    truth = classifier_of(module, ("0", "1"), output="none")
    assert (value.classes, value.output.kind) == (truth.classes, "none")
    for one, other in zip(value.look(pixels).parts, truth.look(pixels).parts, strict=True):
        torch.testing.assert_close(one.tail(one.A), other.tail(other.A))
        torch.testing.assert_close(one.head(one.A), other.head(other.A))
    torch.testing.assert_close(value(pixels)[1], truth(pixels)[1])
    how = make_map_options("gradcam")
    index = torch.zeros(6, dtype=torch.int64)
    torch.testing.assert_close(
        maps_of(value, value.look(pixels), index, how),
        maps_of(truth, truth.look(pixels), index, how),
    )


@pytest.mark.parametrize(
    "end",
    [
        nn.ReLU(), lambda z: z.clamp(min=-50).exp().squeeze(1), functional.softplus, torch.tanh,
        lambda z: functional.relu(z).flatten(1),
    ],
)  # fmt: skip
def test_one_output_that_ends_as_no_logit_does_is_a_value(pixels, end):
    module = Ends(1, end)
    classifier = classifier_of(module, ("not age", "age"))
    assert (classifier.classes, classifier.output.kind) == (("age",), "none")
    assert "--output binary" in classifier.output.told
    truth = own(module, classifier, pixels)
    torch.testing.assert_close(classifier(pixels)[1], truth, rtol=1e-4, atol=1e-5)
    for classes, asked in ((("no", "yes"), None), (("0", "1"), "binary")):  # whoever knows says
        classifier = classifier_of(module, classes, output=asked)
        assert (classifier.classes, classifier.output.kind) == (classes, "binary")


def test_what_follows_a_relu_is_a_logit_again(pixels):
    module = Ends(1, lambda z: 3 - functional.relu(z))
    assert classifier_of(module, ("0", "1")).output.kind == "binary"


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
def test_a_binary_network_that_turns_out_to_give_a_probability(pixels, branches):
    module = Ends(1, lambda z: (z / 20 + 0.5).clamp(0, 1), branches=branches)
    binary = classifier_of(module, ("no", "yes"))
    probable = binary.taken_for(replace(binary.output, kind="probabilities"))
    truth = own(module, binary, pixels)
    _, p = probable(pixels)
    torch.testing.assert_close(p, torch.cat([1 - truth, truth], 1), rtol=1e-4, atol=1e-5)
    said = classifier_of(module, ("no", "yes"), output="probabilities")
    torch.testing.assert_close(p, said(pixels)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("end", "kind", "told"),
    [
        (lambda z: (z.exp() / z.exp().sum(1, keepdim=True)).log(), "softmax", "logarithms"),
        (lambda z: z.exp() / z.exp().sum(1, keepdim=True), "probabilities", "no softmax was found"),
    ],
)
def test_a_softmax_that_is_written_out_is_found_from_numbers(pixels, end, kind, told):
    module = Ends(3, end)
    classifier = classifier_of(module, "abc")
    truth = own(Ends(3, nn.Softmax(1)), classifier, pixels)
    probs = classifier.probabilities(classifier(pixels)[1])
    torch.testing.assert_close(probs, truth, rtol=1e-4, atol=1e-6)
    assert classifier.output.kind == kind
    assert told in classifier.output.told


def test_labels_whose_sigmoid_is_not_seen(pixels):
    module = Ends(4, lambda z: 1 / (1 + (-z).exp()))
    classifier = classifier_of(module, "abcd", output="probabilities")
    probs = classifier.probabilities(classifier(pixels)[1])
    torch.testing.assert_close(probs, own(module, classifier, pixels), rtol=1e-4, atol=1e-6)
    assert classifier.output.multi_label
    assert "several can be right" in classifier.output.told
    row = probs[0].tolist()
    assert set(classifier.output.positives(row)) == {c for c, p in enumerate(row) if p > 0.5}


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_the_second_of_two_classes_is_predicted_from_its_threshold_on(pixels, threshold):
    for module, outputs in ((Ends(1, nn.Identity()), 1), (Ends(2, nn.Identity()), 2)):
        classifier = classifier_of(module, ("no", "yes"))
        output = replace(classifier.output, thresholds=(1 - threshold, threshold))
        _, logits = classifier(pixels)
        z = own(module, classifier, pixels)
        second = z.sigmoid()[:, 0] if outputs == 1 else z.softmax(1)[:, 1]
        assert output.best(logits, 2).tolist() == [
            [1, 0] if p >= threshold else [0, 1] for p in second
        ]
        assert output.best(logits, 1).tolist() == [[int(p >= threshold)] for p in second]


# --- maps of probabilities -----------------------------------------------------------------------


@pytest.mark.parametrize("score", ["logit", "probability", "contrast"])
@pytest.mark.parametrize("versus", [None, 0])
@pytest.mark.parametrize(
    ("outputs", "end"),
    [(3, nn.Softmax(1)), (3, nn.Sigmoid()), (1, nn.Sigmoid()), (1, nn.Identity())],
    ids=["softmax", "sigmoid", "one sigmoid", "one logit"],
)
def test_maps_follow_autograd_through_the_networks_own_probability(
    pixels, outputs, end, score, versus
):
    """HiResCAM is the gradient of the score times the features, so autograd says what is right."""
    module = Ends(outputs, end)
    classifier = classifier_of(module, "abc" if outputs == 3 else "ab")
    seen = classifier.look(pixels)
    index = torch.tensor([1, 1, 0, 1, 0, 1] if versus is None else [1] * 6)
    images = classifier.preprocess.normalise(pixels).contiguous()
    front, back = module.net[:5], module.net[5:]
    A = front(images).detach().requires_grad_(True)
    z = back(A)
    z = z if outputs == 3 else torch.cat([-z, z], 1)
    if score == "probability":
        z = z.softmax(1) if isinstance(end, nn.Softmax) else z.sigmoid()
    elif score == "contrast":
        z = z - z.mean(1, keepdim=True)
    S = z.gather(1, index[:, None])[:, 0]
    S = S if versus is None else S - z[:, versus]
    (g,) = torch.autograd.grad(S.sum(), A)
    truth = (g * A).sum(1).detach()
    for name in ("hirescam", "gradcam"):  # equal, with a linear head
        how = make_map_options(name, score=score)
        how = how if versus is None else type(how)(how.method, how.score, versus)
        got = maps_of(classifier, seen, index, how)
        torch.testing.assert_close(got, truth, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "method", [name for name, m in METHODS.items() if name != "random" and not m.attention]
)
@pytest.mark.parametrize(
    ("outputs", "end", "asked"),
    [(3, nn.Sigmoid(), None), (1, nn.Identity(), None), (3, nn.Softmax(1), "probabilities"),
     (3, lambda z: (z.softmax(1) + (2 * z).softmax(1)) / 2, None)],
    ids=["sigmoid", "one logit", "asked", "mean"],
)  # fmt: skip
def test_every_method_explains_every_kind(pixels, method, outputs, end, asked):
    classifier = classifier_of(Ends(outputs, end), "abc" if outputs == 3 else "ab", output=asked)
    seen = classifier.look(pixels[:2])
    for score in (None, "probability") if METHODS[method].class_specific else (None,):
        how = make_map_options(method, score=score)
        if method == "cam" and classifier.head is None:
            with pytest.raises(UsageError, match="linear layer"):
                maps_of(classifier, seen, torch.tensor([0, 1]), how)
            continue
        got = maps_of(classifier, seen, torch.tensor([0, 1]), how)
        assert torch.isfinite(got).all()


def test_ablation_of_a_labels_probability_by_hand(pixels):
    module = Ends(3, nn.Sigmoid())
    classifier = classifier_of(module, "abc")
    seen = classifier.look(pixels[:1])
    A = seen.parts[0].A
    how = make_map_options("ablationcam", score="probability")
    got = maps_of(classifier, seen, torch.tensor([2]), how)
    back = module.net[5:]
    p = float(back(A).sigmoid()[0, 2])
    truth = torch.zeros(A.shape[2:])
    for k in range(A.shape[1]):
        without = A.clone()
        without[:, k] = 0
        truth += (p - float(back(without).sigmoid()[0, 2])) / p * A[0, k]
    torch.testing.assert_close(got[0], truth, rtol=1e-3, atol=1e-5)


def test_results_list_the_labels_that_hold(pixels, tmp_path):
    from PIL import Image

    from camcli.data.sources.find import find_images

    rgb = pixels[0].permute(1, 2, 0).numpy()
    Image.fromarray(rgb).save(tmp_path / "x.png")
    module = Ends(4, nn.Sigmoid())
    module.net[-1].bias.data = torch.tensor([4.0, -4.0, 5.0, -5.0])
    classifier = classifier_of(module, "abcd")
    images = [read(ref, classifier, lambda rgb: rgb[:0]) for ref in find_images(tmp_path)]
    (result,) = explain_batch(classifier, images, make_explanation(classifier))
    (truth,) = own(module, classifier, images[0].pixels[None]).tolist()
    assert dict(result.top) == pytest.approx(dict(zip("abcd", truth, strict=True)), rel=1e-4)
    assert {name for name, _ in result.positives} == {
        name for name, p in zip("abcd", truth, strict=True) if p > 0.5
    }
    assert [p for _, p in result.positives] == sorted((p for p in truth if p > 0.5), reverse=True)
    assert result.positives, "some hold"
    assert len(result.positives) < 4, "and some do not"


@pytest.mark.parametrize("branches", [False, True], ids=["traced", "hooked"])
@pytest.mark.parametrize(
    "end",
    [
        lambda z: z.double(),
        lambda z: z.double().softmax(1),
        lambda z: z.double().softmax(1).float(),
        lambda z: z.bfloat16(),
        lambda z: z.double().sigmoid(),
    ],
)
def test_a_last_step_in_another_precision_changes_nothing(end, branches, pixels):
    module = Ends(3, end, branches=branches)
    classifier = classifier_of(module, "abc")
    logits = classifier.look(pixels[:2]).logits
    assert logits.dtype == torch.float32
    with torch.no_grad():
        said = own(module, classifier, pixels[:2]).float()
    truth = said if bool((said.min() >= 0) & (said.max() <= 1)) else said.softmax(1)
    got = probabilities(logits, classifier.output.kind)
    torch.testing.assert_close(got, truth, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda z: z.argmax(1), "int64 numbers of 2: let it return the scores"),
        (lambda z: z > 0, "bool numbers"),
        (lambda z: (10 * z).long(), "int64 numbers"),
        (lambda z: z.to(torch.complex64), "complex64 numbers"),
        (lambda z: {"one": z, "hidden": z[:, :2]}, "a dict of 'one' 2x3, 'hidden' 2x2: wrap"),
        (lambda z: (z, z[:, :2]), "a tuple of 0 2x3, 1 2x2: wrap it"),
        (lambda z: SimpleNamespace(a=z, b=z[:, :2]), "SimpleNamespace of .a 2x3, .b 2x2"),
        (lambda z: None, "None: wrap it"),
    ],
)
@pytest.mark.parametrize("branches", [False, True], ids=["traced", "hooked"])
def test_what_is_no_scores_is_named_with_the_way_out(end, said, branches):
    with pytest.raises(CamcliError, match=re.escape(said)):
        classifier_of(Ends(3, end, branches=branches), "abc")


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda z: 100 * z.softmax(1), "percentages"),
        (lambda z: -z.log_softmax(1), "negative logarithms"),
    ],
)
def test_numbers_of_which_a_softmax_would_be_wrong_are_refused(end, said):
    with pytest.raises(UsageError, match=said):
        classifier_of(Ends(3, end), "abc")
    assert classifier_of(Ends(3, end), "abc", output="softmax").output.kind == "softmax"
