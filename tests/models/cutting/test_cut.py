"""Any network cut in two is still the same network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.cut import LinearHead, cut


def images(size: int = 64, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(5))


def stirred(model: nn.Module) -> nn.Module:
    """Random weights and, as after training, BatchNorm statistics that matter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=generator) * 0.2)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.3)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval().requires_grad_(False)


def check(model: nn.Module, size: int = 64):
    """Cut and compare with the network itself, on images that the cut has not seen."""
    before = {name: t.clone() for name, t in model.state_dict().items()}
    modules = [name for name, _ in model.named_modules()]
    halves = cut(model, size)
    x = images(size)
    with torch.no_grad():
        truth = model(x)
        A = halves.features(x)
        kept = A.clone()
        got = halves.tail(A)
    assert torch.equal(A, kept), "the tail wrote into the features"
    assert A.ndim == 4
    assert A.shape[2] > 1
    largest = float(truth.abs().max())
    torch.testing.assert_close(got, truth, rtol=1e-4, atol=1e-4 * largest)
    if halves.head is not None:
        torch.testing.assert_close(halves.head(A), truth, rtol=1e-4, atol=1e-4 * largest)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], t) for name, t in before.items()), "the source changed"
    assert [name for name, _ in model.named_modules()] == modules
    assert not any(m._forward_hooks for m in model.modules()), "a hook was left behind"
    return halves


# --- networks of torchvision ---------------------------------------------------------------------


def torchvision_network(name: str) -> nn.Module:
    from torchvision import models as tv
    from torchvision.models import convnext, densenet, swin_transformer

    torch.manual_seed(0)
    if name == "densenet":
        return densenet.DenseNet(8, (2, 2), 16, num_classes=10)
    if name == "convnext":
        blocks = [convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 1)]
        return convnext.ConvNeXt(blocks, num_classes=10)
    if name == "swin":
        return swin_transformer.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=10)
    if name.startswith("mobilenet"):
        return getattr(tv, name)(num_classes=10, width_mult=0.25)
    return getattr(tv, name)(num_classes=10)


@pytest.mark.parametrize(
    ("name", "layer", "linear"),
    [
        ("resnet18", "layer4.1.relu", True),
        ("densenet", "features.norm5+relu", True),  # a function, not a module
        ("mobilenet_v2", "features.18.2", True),
        ("mobilenet_v3_small", "features.12.2", False),  # linear, Hardswish, linear
        ("convnext", "features.3.0", False),  # LayerNorm between the map and the linear layer
        ("swin", "permute", True),
        ("squeezenet1_1", "classifier.2", False),
        ("shufflenet_v2_x0_5", "conv5.2", True),
    ],
)
def test_torchvision(name, layer, linear):
    halves = check(stirred(torchvision_network(name)))
    assert (halves.head is not None) == linear, halves.layer
    assert halves.layer == layer


# --- networks of one's own -----------------------------------------------------------------------


def block(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)
    )


class Vgg(nn.Module):
    """Maps, an average pool to 3x3 and an MLP, with dropout and ReLUs in place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(block(3, 8), block(8, 16), nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Linear(16 * 9, 20), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(20, 5)
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class InPlace(nn.Module):
    """The function after the map writes into it: the map must be the one before."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, 4)
        self.how = how

    def forward(self, x):
        A = self.conv(x)
        if self.how == "module":
            return self.fc(self.relu(A.mean((2, 3))))
        if self.how == "function":
            return self.fc(torch.relu_(A.mean((2, 3))))
        pooled = A.mean((2, 3))
        pooled += 1
        return self.fc(pooled)


class Untraceable(nn.Module):
    """Its path depends on the data, which no tracer follows."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(block(3, 8), block(8, 12))
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        if x.mean() > 1e9:
            x = x / 255
        return self.fc(self.body(x).mean((2, 3)))


class InsideHead(nn.Module):
    """GAP, something, linear."""

    def __init__(self, between: nn.Module, pool: nn.Module | None = None, bias: bool = True):
        super().__init__()
        self.body = block(3, 8)
        self.pool = pool or nn.AdaptiveAvgPool2d(1)
        self.between = between
        self.fc = nn.Linear(8, 4, bias=bias)

    def forward(self, x):
        return self.fc(self.between(self.pool(self.body(x)).flatten(1)))


class ConvHead(nn.Module):
    """A 1x1 convolution to classes, averaged afterwards: the same function as GAP + linear."""

    def __init__(self, after: nn.Module) -> None:
        super().__init__()
        self.body = block(3, 8)
        self.conv = nn.Conv2d(8, 4, 1)
        self.after = after

    def forward(self, x):
        return self.after(self.conv(self.body(x))).mean((2, 3))


def test_vgg():
    halves = check(stirred(Vgg()))
    assert halves.head is None


def test_the_map_before_an_adaptive_pool_to_several_cells():
    """VGG pools 7x7 to 7x7 for its own size: either place is right, both are spatial."""
    halves = check(stirred(Vgg()), size=96)
    assert halves.layer in ("features.2", "avgpool")


@pytest.mark.parametrize("how", ["module", "function", "operator"])
def test_what_writes_in_place_after_the_cut(how):
    halves = check(stirred(InPlace(how)))
    assert halves.layer == "conv"


def test_untraceable():
    halves = check(stirred(Untraceable()))
    assert halves.layer == "body.1.2" or halves.layer.startswith("body")
    assert halves.head is not None


def test_untraceable_gradients_flow_through_the_hook():
    model = stirred(Untraceable())
    halves = cut(model, 64)
    with torch.no_grad():
        A = halves.features(images())
    leaf = A.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(halves.tail(leaf)[:, 2].sum(), leaf)
    truth = (model.fc.weight[2] / (A.shape[2] * A.shape[3]))[None, :, None, None].expand_as(A)
    torch.testing.assert_close(g, truth)


@pytest.mark.parametrize(
    ("model", "linear"),
    [
        (InsideHead(nn.Identity()), True),
        (InsideHead(nn.Identity(), bias=False), True),
        (InsideHead(nn.Dropout(0.5)), True),  # nothing in eval mode
        (InsideHead(nn.ReLU()), False),  # nothing on maps >= 0, but not linear
        (InsideHead(nn.LayerNorm(8)), False),
        (InsideHead(nn.Sequential(nn.Linear(8, 8), nn.ReLU())), False),
        (InsideHead(nn.Sequential(nn.Linear(8, 8))), False),  # linear, but not of one layer
        (InsideHead(nn.BatchNorm1d(8)), False),
        (InsideHead(nn.Identity(), nn.AdaptiveMaxPool2d(1)), False),
        (ConvHead(nn.Identity()), True),
        (ConvHead(nn.ReLU()), False),  # SqueezeNet
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else None,
)
def test_a_head_is_linear_only_when_it_is(model, linear):
    model = stirred(copy.deepcopy(model))
    halves = check(model)
    if not linear:
        assert halves.head is None
        return
    # A 1x1 convolution may itself be the last map; then there is no head after it to find.
    if isinstance(model, InsideHead):
        assert halves.head is not None
        torch.testing.assert_close(halves.head.weight, model.fc.weight)
        bias = model.fc.bias if model.fc.bias is not None else torch.zeros(4)
        torch.testing.assert_close(halves.head.bias, bias)


def test_a_bounded_activation_is_not_taken_for_linear():
    """A bounded activation that ordinary features never reach."""
    halves = check(stirred(InsideHead(nn.Hardtanh(-50, 50))))
    assert halves.head is None


class NoMap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, 4)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Returns(nn.Module):
    def __init__(self, what) -> None:
        super().__init__()
        self.body, self.what = block(3, 8), what

    def forward(self, x):
        return self.what(self.body(x))


@pytest.mark.parametrize("branch", [False, True], ids=["traced", "hooked"])
def test_a_network_without_a_map(branch):
    model = NoMap()
    if branch:
        plain = model.forward
        model.forward = lambda x: plain(x if x.sum() < 1e9 else -x)
    with pytest.raises(CamcliError, match=r"no .*(map|feature)"):
        cut(stirred(model), 32)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda A: A, r"2x8x32x32, which are feature maps and no scores: .*nn.Linear\(8, CLASSES"),
        (lambda A: {"maps": A, "loss": A.mean()}, "dict"),
        (lambda A: (A.mean((2, 3)), A.mean((2, 3))[:, :3]), "tuple"),
        (lambda A: A.mean(), "a single number"),
    ],
)
def test_outputs_that_are_no_logits(what, said):
    with pytest.raises(CamcliError, match=said):
        cut(stirred(Returns(what)), 64)


# --- the linear head -----------------------------------------------------------------------------


def test_linear_head_is_gap_and_linear():
    A = torch.tensor([[[[1.0, 3], [0, 0]], [[0, 0], [0, 4]]]])
    head = LinearHead(torch.tensor([[1.0, 2], [0, -1]]), torch.tensor([0.5, 0]))
    assert head(A).tolist() == [[3.5, -1.0]]


def test_folding_batchnorm_changes_only_the_time():
    model = stirred(nn.Sequential(block(3, 8), block(8, 12), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                  nn.Linear(12, 4)))  # fmt: skip
    halves = check(model)
    kinds = {type(m) for m in halves.first.modules()}
    assert nn.BatchNorm2d in {type(m) for m in model.modules()}
    assert nn.BatchNorm2d not in kinds
    with torch.no_grad():
        A = model[1](model[0](images()))
        got = halves.features(images())
    torch.testing.assert_close(got, A, rtol=1e-4, atol=1e-4 * float(A.abs().max()))


class Shared(nn.Module):
    """One convolution used twice, with two BatchNorms: folding either would break the other."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = block(3, 8), nn.Conv2d(8, 8, 3, 1, 1)
        self.one, self.two, self.fc = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.one(self.conv(self.stem(x)))
        return self.fc(self.two(self.conv(x)).mean((2, 3)))


def test_a_convolution_that_is_used_twice_is_not_folded():
    check(stirred(Shared()))


def test_other_batch_sizes_and_image_sizes():
    model = stirred(torchvision_network("resnet18"))
    halves = cut(model, 64)
    for batch, size in ((1, 64), (5, 96)):
        x = images(size, batch)
        with torch.no_grad():
            torch.testing.assert_close(halves.tail(halves.features(x)), model(x), rtol=1e-3,
                                       atol=1e-4)  # fmt: skip


def test_a_size_that_the_network_does_not_take_is_said():
    model = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(4 * 8 * 8, 5)).eval()
    assert cut(model, 64).outputs == 5
    with pytest.raises(UsageError, match=r"cannot look at 96x96 pixels \(.*\): leave --input-size"):
        cut(model, 96)


def test_an_answer_that_no_map_decides_alone_is_said():
    class Past(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 3)

        def forward(self, x):
            y = self.fc(torch.relu(self.conv(x)).mean((2, 3)))
            return y + x.mean((1, 2, 3))[:, None]

    halves = cut(stirred(Past()), 32)
    assert halves.layer == "conv+relu"
    assert halves.output.told == (
        "Maps are of 'conv+relu', and part of what the network decides on passes by it."
    )
