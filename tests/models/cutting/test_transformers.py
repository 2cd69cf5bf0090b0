"""Tokens of Hugging Face's and of other people's transformers: their grid, and autograd's map."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.models.cutting.cut import cut

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
    "image_size": 64, "patch_size": 8, "num_labels": 5,
}  # fmt: skip
SWIN = {
    "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2],
    "window_size": 4, "num_labels": 5,
}  # fmt: skip


def truth(network: nn.Module, layer: str, x: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """The logits, and Grad-CAM (B, N) of the winner over a module's tokens, by autograd."""
    kept: list[Tensor] = []

    def keep(module, given, out):
        out = out[0] if isinstance(out, tuple) else out
        out.retain_grad()
        kept.append(out)

    network.requires_grad_(True)
    handle = network.get_submodule(layer).register_forward_hook(keep)
    logits = network(x).logits
    handle.remove()
    logits.amax(1).sum().backward()
    A, g = kept[-1][:, prefix:], kept[-1].grad[:, prefix:]
    network.requires_grad_(False)
    return logits.detach(), (g.mean(1, keepdim=True) * A).sum(2).detach()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "options", "layer", "prefix"),
    [
        ("ViT", SMALL, "vit.layers.1", 1),
        ("DeiT", SMALL, "deit.layers.1", 2),
        ("Dinov2", SMALL, "dinov2.layernorm", 1),
        (
            "Dinov2WithRegisters", {**SMALL, "num_register_tokens": 4},
            "dinov2_with_registers.layernorm", 5,
        ),
        ("Swin", SWIN, "swin.layernorm", 0),
        ("Swinv2", SWIN, "swinv2.layernorm", 0),
    ],
)  # fmt: skip
def test_networks_of_hugging_face_return_more_and_are_cut_at_their_tokens(
    kind, options, layer, prefix
):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**options)
    network = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    x = torch.randn(2, 3, 64, 64)
    logits, M = truth(network, layer, x, prefix)
    halves = cut(network, 64)
    assert halves.layer == layer
    with torch.inference_mode():
        ((A, tail),) = halves.split(x)
        got = tail(A)
    torch.testing.assert_close(got, logits, rtol=1e-4, atol=1e-5)
    evidence = Evidence(A, got, got.argmax(1), tail, halves.head)
    found = explain(METHODS["gradcam"], evidence).flatten(1)
    assert float(torch.cosine_similarity(found, M).min()) > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        # Its last stages are made by attention that asks from each second place, and by no map.
        ("levit_128s", "stages.2.blocks.3", (384, 4, 4)),
        ("levit_conv_128s", "stages.2.blocks.3", (384, 4, 4)),
    ],
)
def test_attention_that_asks_from_fewer_places_makes_a_map_of_these(name, layer, shape):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5).eval().requires_grad_(False)
    for p in network.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.1)
    halves = cut(network, 224)
    assert halves.layer == layer
    assert halves.places[0].shape == shape
