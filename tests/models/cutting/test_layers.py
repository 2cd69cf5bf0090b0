"""Cuts at any layer, of convolutional networks and of transformers, against the whole network."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision.models import convnext, densenet, resnet, swin_transformer, vision_transformer

from camcli.errors import UsageError
from camcli.models.cutting.cut import LinearHead, cut
from camcli.models.cutting.listing import list_layers

SIZE = 64


def images(batch: int = 3, size: int = SIZE) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(5))


class Untraceable(nn.Module):
    """Its path depends on the data; its first map also goes around the second."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.one(x)
        if x.mean() < 1e9:
            x = x + self.two(x)
        return self.fc(x.mean((2, 3)) ** 2)


MAKERS = {
    "resnet": lambda: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=5),
    "densenet": lambda: densenet.DenseNet(8, (2, 2), 16, num_classes=5),
    "convnext": lambda: convnext.ConvNeXt(
        [convnext.CNBlockConfig(24, 32, 2), convnext.CNBlockConfig(32, None, 2)], num_classes=5
    ),
    "vit": lambda: vision_transformer.VisionTransformer(SIZE, 16, 3, 2, 16, 32, num_classes=5),
    "swin": lambda: swin_transformer.SwinTransformer(
        [4, 4], 24, [1, 2], [2, 2], [2, 2], num_classes=5
    ),
    "timm-vit": lambda: timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=SIZE, patch_size=16, depth=3, embed_dim=24
    ),
    "timm-vit-gap": lambda: timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=SIZE, patch_size=16, depth=2, embed_dim=24,
        global_pool="avg", class_token=False,
    ),
    "timm-registers": lambda: timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=SIZE, patch_size=16, depth=2, embed_dim=24,
        reg_tokens=4,
    ),
    "timm-deit": lambda: timm.create_model(
        "deit_tiny_distilled_patch16_224", num_classes=5, img_size=SIZE, patch_size=16, depth=2,
        embed_dim=24,
    ),
    "timm-swin": lambda: timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=5, img_size=SIZE, window_size=2, depths=(1, 2),
        embed_dim=24, num_heads=(2, 2),
    ),
    "untraceable": Untraceable,
}  # fmt: skip


@pytest.fixture(scope="module", params=MAKERS)
def network(request):
    torch.manual_seed(0)
    model = MAKERS[request.param]().eval().requires_grad_(False)
    for p in model.parameters():  # fresh transformers' heads are zero
        if not p.any():
            nn.init.normal_(p, std=0.1)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.2)
    return request.param, model


def truth(model: nn.Module, layer: str, x: torch.Tensor, c: int):
    """What a layer returns, and the gradient of logit c there, from the whole network."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda m, i, out: kept.append(out.clone().requires_grad_(True)) or kept[-1].clone()
    )
    try:
        logits = model(x)
    finally:
        handle.remove()
    (g,) = torch.autograd.grad(logits[:, c].sum(), kept[-1])
    return kept[-1].detach(), g, logits.detach()


def in_maps(value: torch.Tensor, shape) -> torch.Tensor:
    """A layer's output as (B, K, h, w), by the shape that the cut reports."""
    K, h, w = shape
    if value.ndim == 3:
        return value[:, -h * w :].transpose(1, 2).unflatten(2, (h, w))
    return value if value.shape[1] == K else value.permute(0, 3, 1, 2)


@pytest.mark.slow
def test_every_listed_layer_can_be_cut(network):
    name, model = network
    listed = list_layers(model, SIZE)
    assert len(listed) > (2 if name == "untraceable" else 8)
    for one in listed[:: max(1, len(listed) // 12)]:
        layer, kind, shape = one.name, one.kind, one.shape
        assert type(model.get_submodule(layer)).__name__ == kind
        made = cut(model, SIZE, (layer,))
        ((A, tail),) = made.split(images())
        value, g, logits = truth(model, layer, images(), 2)
        assert A.shape == (3, *shape), layer
        close(A, in_maps(value, shape), layer)
        close(tail(A), logits, layer)
        rows = torch.tensor([2, 2, 0, 1])
        close(tail(A[rows], rows), logits[rows], layer)
        # Backward from the logits to A alone, as through the whole network.
        leaf = A.detach().clone().requires_grad_(True)
        logit = tail(leaf)[:, 2].sum()
        if g.any():
            (mine,) = torch.autograd.grad(logit, leaf)
            close(mine, in_maps(g, shape), layer)


def close(got: torch.Tensor, truth: torch.Tensor, layer: str) -> None:
    got, truth = got.detach(), truth.detach()
    size = max(float(truth.abs().max()), 1e-6)
    assert float((got - truth).abs().max()) < 2e-4 * size, layer


LAST = {
    "resnet": "layer4.0.relu",
    "densenet": "features.norm5+relu",
    "vit": "encoder.layers.encoder_layer_1",
    "swin": "permute",
    "timm-vit": "blocks.1",
    "timm-registers": "blocks.0",
    "timm-deit": "blocks.0",
    "timm-swin": "norm",
}


def test_the_last_layer_that_matters(network):
    """A class token's network ends, for its patches, one block before the last."""
    name, model = network
    made = cut(model, SIZE)
    if name in LAST:
        assert made.layer == LAST[name]
    ((A, tail),) = made.split(images())
    leaf = A.detach().clone().requires_grad_(True)
    (g,) = torch.autograd.grad(tail(leaf)[:, 1].sum(), leaf)
    assert g.abs().max() > 0
    close(tail(A), model(images()), made.layer)
    # The name of the default is a name, too.
    assert cut(model, SIZE, (made.layer,)).layer == made.layer


@pytest.mark.parametrize(
    ("name", "matters"), [("timm-vit", False), ("timm-registers", False), ("timm-vit-gap", True)]
)
def test_tokens_after_the_last_attention(name, matters):
    model = MAKERS[name]().eval()
    after = list_layers(model, SIZE)[-1].name
    assert cut(model, SIZE, (after,)).places[0].matters == matters
    assert all(place.matters for place in cut(model, SIZE).places)


def test_several_layers_at_once(network):
    name, model = network
    if name == "untraceable":
        layers = ("one", "two")
    else:
        listed = [layer.name for layer in list_layers(model, SIZE)]
        layers = tuple(listed[len(listed) * i // 4] for i in (1, 2, 3))
    made = cut(model, SIZE, layers)
    x = images()
    for (A, tail), place, layer in zip(made.split(x), made.places, layers, strict=True):
        ((alone, _),) = cut(model, SIZE, (layer,)).split(x)
        close(A, alone, layer)
        close(tail(A), model(x), layer)
        assert place.shape == tuple(A.shape[1:])


def test_swins_and_averaged_vits_have_linear_heads(network):
    name, model = network
    made = cut(model, SIZE)
    if name in ("swin", "timm-swin"):
        assert made.head is not None
    if name in ("vit", "timm-vit", "timm-deit", "untraceable"):
        assert made.head is None


def test_unknown_layers_are_refused(network):
    _, model = network
    with pytest.raises(UsageError, match="no layer 'nothing'"):
        cut(model, SIZE, ("nothing",))


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet", "fc"), ("resnet", "avgpool"), ("timm-vit", "head")]
)
def test_layers_without_a_map_are_refused(name, layer):
    model = MAKERS[name]().eval()
    with pytest.raises(UsageError, match=rf"'{layer}' returns a tensor of shape \(B, "):
        cut(model, SIZE, (layer,))


def test_near_names_are_offered():
    with pytest.raises(UsageError, match="layer3"):
        cut(MAKERS["resnet"]().eval(), SIZE, ("layr3",))


def test_a_head_of_ones_own_at_any_layer():
    """A trained head replaces what follows the last map, also when the cut is before it."""
    model = MAKERS["resnet"]().eval()
    head = LinearHead(torch.randn(3, 512), torch.randn(3))
    x = images()
    logits = head(cut(model, SIZE).features(x))
    assert logits.shape == (3, 3)
    for layers in (("last",), ("layer2",), ("layer3", "layer4")):
        made = cut(model, SIZE, layers, head=head)
        assert made.outputs == 3
        for A, tail in made.split(x):
            close(tail(A), logits, str(layers))
    assert made.places[1].head is not None
    close(made.places[1].head.weight, head.weight, "head")


def test_the_main_layers_of_a_residual_network():
    """Not those inside of blocks, and each place by its shortest name."""
    listed = list_layers(MAKERS["resnet"]().eval(), SIZE)
    assert [layer.name for layer in listed if layer.main] == [
        "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4",
    ]  # fmt: skip
    assert {"layer1.0.conv1", "layer4.0"} <= {layer.name for layer in listed if not layer.main}


def test_what_passes_its_input_on_is_no_layer_of_its_own():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity(), nn.Conv2d(4, 4, 3), nn.Identity(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))  # fmt: skip
    listed = list_layers(net.eval(), 32)
    assert [layer.name for layer in listed if layer.main][:2] == ["0", "2"]
    assert {"1", "3"} <= {layer.name for layer in listed}  # --layer takes them, as it takes all
