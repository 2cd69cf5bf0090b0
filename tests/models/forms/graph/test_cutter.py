"""A graph cut in two says what torch's network says, and its maps are autograd's."""

import copy

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops
from torch import nn
from torch.nn import functional

from camcli.cam.methods import METHODS, heatmaps
from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.cut import cut
from camcli.models.cutting.types import has_gradients
from camcli.models.forms.graph.cutter import GraphCutter
from camcli.models.forms.graph.opening import opened

SHAPE = (3, 32, 32)


def cutter(model):
    return GraphCutter(opened(model, "net.onnx", 32).network)


def block(module, images, target):
    """What autograd says of the last map of a Sequential whose head is GAP, Flatten, Linear."""
    A = module[:-3](images).detach().requires_grad_()
    logits = module[-3:](A)
    (g,) = torch.autograd.grad(logits[range(len(images)), target].sum(), A)
    return A.detach(), logits.detach(), (g.mean((2, 3), keepdim=True) * A.detach()).sum(1)


@pytest.fixture(scope="module")
def images():
    return torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(3))


def gaps():
    """Ways to end in global average pooling and something linear."""

    class Summed(nn.Module):
        def forward(self, x):
            return x.sum((2, 3)) / (x.shape[2] * x.shape[3])

    class Scaled(nn.Module):
        def forward(self, x):
            return (x.flatten(2).mean(2) @ torch.full((8, 8), 0.1)) * 2 + 1

    yield "adaptive", [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)]
    yield "average", [nn.AvgPool2d(16), nn.Flatten(), nn.Linear(8, 5)]
    yield "sum", [Summed(), nn.Identity(), nn.Linear(8, 5)]
    yield "two layers", [Scaled(), nn.Linear(8, 6), nn.Linear(6, 5)]
    yield "pointwise", [nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    yield "pooled first", [nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 5, 1), nn.Flatten()]
    yield "normalised", [nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 5))]  # fmt: skip


@pytest.mark.parametrize(("name", "end"), [pytest.param(*g, id=g[0]) for g in gaps()])
def test_pooling_and_a_linear_layer_in_any_form_are_a_linear_head(name, end, graph_of, images):
    torch.manual_seed(1)
    first = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    network = nn.Sequential(*first, *end).eval()
    made = cutter(graph_of(network))(SHAPE)
    assert made.head is not None
    assert made.places[0].shape == (5 if name == "pointwise" else 8, 16, 16)
    with torch.no_grad():
        A = made.features(images)
        torch.testing.assert_close(made.head(A), network(images), rtol=1e-4, atol=1e-5)
    target = torch.tensor([0, 1, 2, 3, 4])
    if name == "pointwise":
        return  # its last map is that of the classes themselves
    _, _, truth = block(network, images, target)
    ours = heatmaps(METHODS["gradcam"], A, made.head(A), target, head=made.head, tail=made.tail)
    torch.testing.assert_close(ours, truth, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("way", ["channels last", "fixed batch", "half", "bytes"])
def test_whatever_a_graph_takes_the_maps_are_the_same(
    way, graph_of, channels_last_of, convnet, images
):
    network = convnet().eval()
    model = graph_of(network)
    if way == "channels last":
        model = channels_last_of(model)
    elif way == "fixed batch":
        model.reshape([1, *SHAPE])
    elif way == "half":
        from openvino.passes import ConvertFP32ToFP16, Manager

        passes = Manager()
        passes.register_pass(ConvertFP32ToFP16())
        passes.run_passes(model)
        assert model.input(0).get_element_type() == ov.Type.f16
    elif way == "bytes":
        prepared = ov.preprocess.PrePostProcessor(model)
        prepared.input().tensor().set_element_type(ov.Type.u8)
        prepared.input().preprocess().convert_element_type(ov.Type.f32).mean(120.0).scale(60.0)
        model = prepared.build()
        images = (images * 60 + 120).clamp(0, 255).round()
    found = opened(model, "net.onnx", 32)
    assert found.entrance.batch == (1 if way == "fixed batch" else None)
    assert found.entrance.span == ("bytes" if way == "bytes" else "unknown")
    assert found.network.batch is None
    made = GraphCutter(found.network)(SHAPE)
    seen = (images - 120) / 60 if way == "bytes" else images
    with torch.no_grad():
        truth = network[:3](seen)
        tolerance = 1e-3 if way == "half" else 1e-4  # its weights were rounded
        torch.testing.assert_close(made.features(images), truth, rtol=tolerance, atol=tolerance)
    assert made.head is not None


def test_a_graph_that_holds_its_one_image_in_a_reshape_is_run_for_any_number(graph_of, images):
    class Fixed(nn.Module):
        def __init__(self, rest):
            super().__init__()
            self.rest = rest

        def forward(self, x):
            x = self.rest[:4](x)
            return self.rest[5](x.reshape(1, 8))

    torch.manual_seed(0)
    rest = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.Identity(), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Identity(), nn.Linear(8, 5),
    ).eval()  # fmt: skip
    frontendless = graph_of(nn.Sequential(*rest[:4], nn.Flatten(), rest[5]))
    frontendless.reshape([1, *SHAPE])
    for node in frontendless.get_ordered_ops():
        if node.get_type_name() == "Reshape" and len(node.get_output_shape(0)) == 2:
            new = ops.reshape(node.input_value(0), ops.constant([1, 8], dtype="int64"), False)
            node.output(0).replace(new.output(0))
    found = opened(frontendless, "net.onnx")
    assert found.network.batch is None
    made = GraphCutter(found.network)(SHAPE)
    with torch.no_grad():
        truth = torch.cat([Fixed(rest)(one[None]) for one in images])
        torch.testing.assert_close(made.head(made.features(images)), truth, rtol=1e-4, atol=1e-5)


def test_a_graph_that_cannot_be_changed_takes_its_own_number_of_images(convnet, graph_of, images):
    network = convnet().eval()
    model = graph_of(network)
    model.reshape([3, *SHAPE])
    node = model.get_results()[0].input_value(0).get_node()
    rows = ops.constant(np.zeros((3, 5), np.float32))  # adds nothing, and is for three images only
    sum_ = ops.add(node, rows)
    model = ov.Model([sum_], model.get_parameters())
    found = opened(model, "net.onnx", 32)
    assert found.network.batch == 3
    made = GraphCutter(found.network)(SHAPE)
    with torch.no_grad():
        A, tail = made.split(images)[0]
        torch.testing.assert_close(tail(A), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "log_softmax"])
def test_an_activation_at_the_end_is_left_out_and_told(end, graph_of, convnet, images):
    network = convnet().eval()
    last = {"softmax": nn.Softmax(1), "sigmoid": nn.Sigmoid(), "log_softmax": nn.LogSoftmax(1)}
    made = cutter(graph_of(nn.Sequential(network, last[end])))(SHAPE)
    truth = cut(nn.Sequential(copy.deepcopy(network), last[end]).eval(), 32)
    assert (made.output.kind, made.output.told) == (truth.output.kind, truth.output.told)
    assert made.output.told
    with torch.no_grad():
        torch.testing.assert_close(
            made.head(made.features(images)), network(images), rtol=1e-4, atol=1e-5
        )


def test_one_output_is_two_classes(graph_of, images):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)
    ).eval()
    made = cutter(graph_of(network))(SHAPE)
    assert (made.outputs, made.output.kind) == (2, "binary")
    with torch.no_grad():
        logit = network(images)
        torch.testing.assert_close(
            made.head(made.features(images)), torch.cat([-logit, logit], 1), rtol=1e-4, atol=1e-5
        )


class Longer(nn.Module):
    """A tail that is more than a linear head, with a residual connection past its middle."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(8, 8, 3, padding=1)
        self.top = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.fc1, self.fc2 = nn.Linear(8 * 64, 12), nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        x = (x + self.mid(x)).relu()
        x = self.top(x).relu().flatten(1)
        return self.fc2(self.fc1(x).relu())


@pytest.fixture(scope="module")
def longer(graph_of):
    network = Longer().eval()
    return network, cutter(graph_of(network))


def test_gradients_go_through_other_tails_in_torch(longer, images):
    network, graph = longer
    ours, truth = graph(SHAPE), cut(network, 32)
    assert ours.head is None
    assert has_gradients(ours.tail)
    assert not ours.gradients  # of all of it
    with torch.no_grad():
        A, tail = ours.split(images)[0]
        B, theirs = truth.split(images)[0]
    torch.testing.assert_close(A, B, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(tail(A), network(images), rtol=1e-4, atol=1e-5)
    index = tail(A).argmax(1)
    for name in METHODS:
        facts = METHODS[name]
        if facts.images or facts.network or name == "cam":
            continue
        one, other = (
            heatmaps(facts, a, t(a), index, head=None, tail=t) for a, t in ((A, tail), (B, theirs))
        )
        cosine = functional.cosine_similarity(one.flatten(1), other.flatten(1))
        assert cosine.min() > 0.999, name


def test_a_tail_that_torch_does_not_know_is_explained_without_gradients(graph_of, images):
    model = graph_of(Longer())
    relu = [n for n in model.get_ordered_ops() if n.get_type_name() == "Relu"][-1]
    users = list(relu.output(0).get_target_inputs())
    stepped = ops.round(ops.multiply(relu, np.float32(16)), "half_to_even")
    for user in users:
        user.replace_source_output(stepped.output(0))
    made = cutter(model)(SHAPE)
    assert not has_gradients(made.tail)
    with torch.no_grad():
        A, tail = made.split(images)[0]
        logits = tail(A)
        for name in ("reciprocam", "ablationcam", "eigencam", "fem"):
            m = heatmaps(METHODS[name], A, logits, logits.argmax(1), head=None, tail=tail)
            assert m.shape == (5, 8, 8)
            assert m.std() > 0
    for name in ("gradcam", "layercam", "shapleycam", "eigengradcam"):
        with pytest.raises(UsageError, match="reciprocam"):
            heatmaps(METHODS[name], A, logits, logits.argmax(1), head=None, tail=tail)


def test_any_layer_of_the_graph_may_be_explained(longer, images):
    network, graph = longer
    layers = graph.layers(SHAPE)
    assert [layer.shape for layer in layers if layer.main][-1] == (8, 8, 8)
    inside = next(layer for layer in layers if not layer.main)  # the convolution of the block
    made = graph(SHAPE, (inside.name, layers[-1].name))
    with torch.no_grad():
        pieces = made.split(images)
        for A, tail in pieces:
            torch.testing.assert_close(tail(A), network(images), rtol=1e-4, atol=1e-5)
        rows = torch.tensor([4, 0, 0])
        A, tail = pieces[0]
        torch.testing.assert_close(tail(A[rows], rows), network(images[rows]), rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        graph(SHAPE, ("nowhere",))


def test_pictures_of_another_size_are_looked_at(graph_of, convnet):
    network = convnet().eval()
    made = cutter(graph_of(network))(SHAPE)
    images = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(made.features(images), network[:3](images), rtol=1e-4, atol=1e-4)


def test_a_transformers_tokens_are_maps(graph_of, vit, images):
    network = vit().eval()
    ours, truth = cutter(graph_of(network))(SHAPE), cut(network, 32)
    assert ours.places[0].shape == truth.places[0].shape
    assert ours.places[0].matters
    with torch.no_grad():
        A, tail = ours.split(images)[0]
        B, theirs = truth.split(images)[0]
        torch.testing.assert_close(tail(A), network(images), rtol=1e-4, atol=1e-4)
        index = network(images).argmax(1)
        one, other = (
            heatmaps(METHODS["reciprocam"], a, t(a), index, head=None, tail=t)
            for a, t in ((A, tail), (B, theirs))
        )
    assert functional.cosine_similarity(one.flatten(1), other.flatten(1)).min() > 0.999
    assert has_gradients(ours.tail)
    one, other = (
        heatmaps(METHODS["gradcam"], a, t(a), index, head=None, tail=t)
        for a, t in ((A, tail), (B, theirs))
    )
    assert functional.cosine_similarity(one.flatten(1), other.flatten(1)).min() > 0.999


def test_of_several_outputs_the_scores_are_taken_and_said(graph_of, convnet):
    model = graph_of(convnet())
    logits = model.get_results()[0].input_value(0)
    probs = ops.softmax(logits, 1)
    A = next(n for n in model.get_ordered_ops() if n.get_type_name() == "Relu").output(0)
    features = ops.reduce_mean(A, ops.constant([2, 3], dtype="int64"), False).output(0)
    features.set_names({"embedding"})
    probs.output(0).set_names({"probs"})
    model = ov.Model([features, probs.output(0), logits, A], model.get_parameters())
    found = opened(model, "net.onnx", 32)
    assert found.outputs == 5
    assert "4 outputs" in found.told[0]
    assert "embedding" in found.told[0]
    made = GraphCutter(found.network)(SHAPE)
    assert made.output.told == ""
    assert made.outputs == 5


def test_the_size_that_a_graph_leaves_open_is_found_out(graph_of):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), nn.Linear(4 * 31 * 31, 5))
    assert opened(graph_of(network, 64), "net.onnx").size == (64, 64)
    assert opened(graph_of(network[:1].append(nn.AdaptiveAvgPool2d(1))), "net.onnx").size == (
        224, 224,
    )  # fmt: skip


def test_which_output_can_be_said(graph_of, convnet):
    model = graph_of(convnet())
    logits = model.get_results()[0].input_value(0)
    other = ops.add(logits, ops.constant(np.float32(1)))
    for value, name in ((logits, "one"), (other.output(0), "other")):
        value.set_names({name})
    model = ov.Model([logits, other.output(0)], model.get_parameters())
    found = opened(model.clone(), "net.onnx", 32, chosen="other")
    assert found.network.model.get_results()[0].input_value(0).get_names() == {"other"}
    with pytest.raises(UsageError, match=r"no output 'third'.*one, other"):
        opened(model, "net.onnx", 32, chosen="third")


def test_what_is_no_classifier_of_pictures_is_refused_in_a_sentence(graph_of, convnet):
    model = graph_of(convnet())
    more = ops.parameter([1, 5], np.float32, name="length")
    added = ops.add(model.get_results()[0].input_value(0), more)
    two = ov.Model([added], [*model.get_parameters(), more])
    with pytest.raises(UsageError, match=r"takes 2 inputs.*length"):
        opened(two, "net.onnx", 32)
    maps = graph_of(nn.Conv2d(3, 5, 3))
    with pytest.raises(CamcliError, match="no scores of classes"):
        opened(maps, "net.onnx", 32)
    flat = graph_of(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5)))
    with pytest.raises(CamcliError, match="no spatial feature map"):
        cutter(flat)(SHAPE)
    with pytest.raises(UsageError, match="64x64 pixels"):
        opened(graph_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 5))),
               "net.onnx", 64)  # fmt: skip
    broken = convnet()
    broken[5].weight.data[0, 0] = float("nan")
    with pytest.raises(CamcliError, match="NaN"):
        cutter(graph_of(broken))(SHAPE)
