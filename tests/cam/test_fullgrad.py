"""FullGrad against independent passes in float64: completeness, the paper's map, and by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.batch.explain import make_explanation
from camcli.cam.explainer import maps_of
from camcli.cam.fullgrad import full_gradients
from camcli.cam.map_options import check_layer, make_map_options
from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.cutting.cut import Tail
from camcli.models.loading.zoo import Provenance

SIZE = 64


def piecewise_linear() -> nn.Module:
    """Biases in convolutions, BatchNorms and linear layers; a residual sum and ReLUs in place."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

        def forward(self, x):
            return functional.relu_(self.bn(self.conv(x)) + x)

    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), Block(), nn.Conv2d(8, 12, 3), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 5),
    )  # fmt: skip
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            for t in (m.running_mean, m.bias, m.weight):
                nn.init.normal_(t)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images(photos):
    return torch.cat([Preprocess(size=SIZE).tensor(photo) for photo in photos[:2]])


@pytest.fixture(scope="module")
def classifier():
    return cut_classifier(
        piecewise_linear(), classes=tuple("abcde"), preprocess=Preprocess(size=SIZE),
        provenance=Provenance("test", "random", None, "random"), device=torch.device("cpu"),
    )  # fmt: skip


def test_by_hand():
    """S = mean(relu(2 x + 1)) over 2x2: x g = 2x/4 and b g = 1/4 where 2x + 1 > 0."""
    x = torch.tensor([[[[1.0, -1], [0, 3]]]])
    weight, bias = torch.full((1, 1, 1, 1), 2.0), torch.ones(1)

    def forward(images):
        return functional.conv2d(images, weight, bias).relu_().mean((2, 3))

    parts = full_gradients(x, forward, lambda logits: logits[:, 0])
    assert [part[0, 0].tolist() for part, _ in parts] == [
        [[0.5, 0], [0, 1.5]], [[0.25, 0], [0.25, 0.25]],
    ]  # fmt: skip
    assert sum(part.sum() for part, _ in parts) == forward(x).item() == 2.75
    e = Evidence(x, forward(x), torch.tensor([0]), Tail(forward), images=x, forward=forward)
    # Each scaled to [0, 1]: (1/3, 0, 0, 1) + (1, 0, 1, 1).
    torch.testing.assert_close(
        explain(METHODS["fullgrad"], e)[0], torch.tensor([[4 / 3, 0], [1, 2]])
    )


def test_input_and_biases_sum_to_the_logit(images):
    net = piecewise_linear().double()
    x = images.double()
    parts = full_gradients(x, net, lambda logits: logits[:, 2])
    # The input; two BatchNorms, two convolutions and two linear layers.
    assert len(parts) == 1 + 2 + 2 + 2
    total = sum(part.flatten(1).sum(1) for part, _ in parts)
    torch.testing.assert_close(total, net(x)[:, 2], rtol=1e-12, atol=1e-12)


def official(net: nn.Module, x: torch.Tensor, c: int) -> np.ndarray:
    """The authors' map, written again with hooks: conv and BatchNorm biases, one image."""
    outputs, biases, handles = [], [], []

    def keep(module, _, out):
        if isinstance(module, nn.BatchNorm2d):
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            biases.append(module.bias - scale * module.running_mean)
        else:
            biases.append(module.bias)
        out = out.clone()
        out.retain_grad()
        outputs.append(out)
        return out.clone()

    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d) or (isinstance(m, nn.Conv2d) and m.bias is not None):
            handles.append(m.register_forward_hook(keep))
    x = x.clone().requires_grad_(True)
    try:
        net(x)[0, c].backward()
    finally:
        for handle in handles:
            handle.remove()
    total = torch.zeros(x.shape[2:], dtype=x.dtype)
    pairs = zip(outputs, biases, strict=True)
    for part in [x.grad * x, *(o.grad * b[:, None, None] for o, b in pairs)]:
        size = part.detach().abs()
        size = (size - size.min()) / (size.max() - size.min())
        size = functional.interpolate(size, x.shape[2:], mode="bilinear", align_corners=False)
        total += size[0].sum(0)
    return total.numpy()


def cosine(a, b):
    a, b = np.ravel(a).astype(float), np.ravel(b).astype(float)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def bn_only() -> nn.Module:
    """Biases as folding leaves them: a convolution without one before each BatchNorm."""
    net = piecewise_linear()
    net[4].conv.bias = None
    return net


def test_the_cut_networks_map_is_the_papers(images):
    """In float32, BatchNorms folded, layers written over: still the authors' map in float64."""
    net = bn_only()
    classifier = cut_classifier(
        copy.deepcopy(net), classes=tuple("abcde"), preprocess=Preprocess(size=SIZE),
        provenance=Provenance("test", "random", None, "random"), device=torch.device("cpu"),
    )  # fmt: skip
    got = maps_of(
        classifier, classifier.see(images), torch.tensor([1, 3]), make_map_options("fullgrad")
    )
    for b, c in enumerate((1, 3)):
        truth = official(net.double(), images[b : b + 1].double(), c)
        assert cosine(got[b].numpy(), truth) > 0.99999


def test_the_package_scales_each_channel_alone(images):
    """grad-cam's FullGrad stretches every channel of every layer to [0, 1], however weak it is."""
    peer = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is compared with")
    target = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    net = bn_only().requires_grad_(True)
    with peer.FullGrad(model=net, target_layers=[]) as method:
        theirs = method(input_tensor=images[:1].clone(), targets=[target(1)])[0]
    truth = official(bn_only().double(), images[:1].double(), 1)
    assert cosine(theirs - theirs.min(), truth - truth.min()) < 0.999


def test_of_a_real_network(bundled, photos):
    pixels = torch.stack([bundled.preprocess.pixels(photos[0])])
    seen = bundled.look(pixels)
    one = maps_of(bundled, seen, seen.logits.argmax(1), make_map_options("fullgrad"))
    assert one.shape == (1, 224, 224)
    assert (one >= 0).all()
    other = maps_of(bundled, seen, seen.logits.argmin(1), make_map_options("fullgrad"))
    assert cosine(one, other) < 0.999, "it looks at the class"


def test_layers_are_not_chosen():
    check_layer(make_map_options("fullgrad"), "last")
    with pytest.raises(UsageError, match="all layers at once"):
        check_layer(make_map_options("fullgrad"), "layer3")


def test_a_result_says_so(classifier):
    assert make_explanation(classifier, "fullgrad").method.network


def test_a_network_that_is_cut_with_hooks_has_the_same_map(images):
    """It runs twice, the second time without the image up to the layer: that run counts no bias."""

    class Untraceable(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x) if x.isfinite().all() else x

    maps = []
    for net in (piecewise_linear(), Untraceable(piecewise_linear())):
        classifier = cut_classifier(
            net, classes=tuple("abcde"), preprocess=Preprocess(size=SIZE),
            provenance=Provenance("net", "random", None, "random"), device=torch.device("cpu"),
        )  # fmt: skip
        seen = classifier.see(images)
        maps.append(maps_of(classifier, seen, torch.tensor([0, 3]), make_map_options("fullgrad")))
    near = torch.cosine_similarity(*(m.flatten(1) for m in maps))
    # On the graph a convolution and its BatchNorm are one layer with one bias, here they are two.
    assert near.min() > 0.99
