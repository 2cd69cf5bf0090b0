"""Attention is seen wherever it is computed, and nothing stays behind."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from camcli.cam.attention.seen import Attending

timm = pytest.importorskip("timm")


def torchvisions():
    return VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)


def timms(name="vit_tiny_patch16_224", **options):
    return timm.create_model(
        name, img_size=32, depth=2, embed_dim=24, num_heads=2, num_classes=5, **options
    )


class Layers(nn.Module):
    """nn.TransformerEncoder, which has a path of its own without gradients."""

    def __init__(self, *, batch_first=True, norm_first=True):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        one = nn.TransformerEncoderLayer(
            16, 2, 32, batch_first=batch_first, norm_first=norm_first, activation="gelu"
        )
        self.layers = nn.TransformerEncoder(one, 2, enable_nested_tensor=False)
        self.first, self.head = batch_first, nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = tokens if self.first else tokens.transpose(0, 1)
        return self.head(self.layers(tokens).mean(1 if self.first else 0))


class InPlace(nn.Module):
    """Attention written out, sums that are written over, and an adapter's sum among them."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2))
        self.qkv = nn.ModuleList(nn.Linear(16, 48) for _ in range(2))
        self.low = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        for norm, qkv in zip(self.norms, self.qkv, strict=True):
            y = norm(tokens)
            q, k, v = qkv(y).chunk(3, -1)
            q = q + self.low(y)
            P = functional.dropout((q @ k.transpose(-2, -1) / 4).softmax(-1), 0.5, self.training)
            tokens += P @ v
        return self.head(tokens.mean(1))


class Batched(nn.Module):
    """Images and heads in one dimension, as CLIP's code multiplied them, tokens first."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2))
        self.qkv = nn.ModuleList(nn.Linear(16, 48) for _ in range(2))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).permute(2, 0, 1)
        N, B, D = tokens.shape
        for norm, qkv in zip(self.norms, self.qkv, strict=True):
            q, k, v = (
                x.contiguous().view(N, B * 2, D // 2).transpose(0, 1)
                for x in qkv(norm(tokens)).chunk(3, -1)
            )
            P = functional.softmax(torch.bmm(q, k.transpose(1, 2)) / 3, dim=-1)
            tokens = tokens + torch.bmm(P, v).transpose(0, 1).reshape(N, B, D)
        return self.head(tokens.mean(0))


CASES = {
    "torchvision": torchvisions,
    "timm": timms,
    "distilled": lambda: timms("deit_tiny_distilled_patch16_224"),
    "registers": lambda: timms("vit_small_patch14_reg4_dinov2", patch_size=8),
    "pooled": lambda: timms(global_pool="avg"),
    "layers": Layers,
    "tokens first": lambda: Layers(batch_first=False),
    "norm last": lambda: Layers(norm_first=False),
    "in place": InPlace,
    "heads with images": Batched,
}


@pytest.fixture(params=list(CASES))
def network(request):
    torch.manual_seed(0)
    return CASES[request.param]().eval().requires_grad_(False)


@pytest.fixture(params=["fused", "explicit"])
def images(request, monkeypatch):
    timm.layers.set_fused_attn(request.param == "fused")
    yield torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    timm.layers.set_fused_attn(True)


def test_each_block_is_seen_once(network, images):
    want = network(images)
    with Attending() as seen:
        logits = network(images)
    seen.finish(logits)
    torch.testing.assert_close(logits, want)
    assert len(seen.calls) == 2
    for call in seen.calls:
        rows, queries, keys = call.shape
        assert (rows, queries) == (3, keys)
        torch.testing.assert_close(call.weights.sum(-1), torch.ones_like(call.weights[..., 0]))
        torch.testing.assert_close(call.weights.reshape(*call.O.shape[:-1], -1) @ call.V, call.O)
        assert call.weights.shape == (3, call.weights.shape[1], queries, keys)
        assert call.tokens is not None


def test_what_follows_the_last_tokens_is_known(network, images):
    """It makes the logits of them, and of other tokens what the network would."""
    with Attending() as seen:
        logits = network(images)
    seen.finish(logits)
    last = seen.calls[-1].tokens.detach()
    torch.testing.assert_close(seen.ending(last), logits)
    other = seen.ending(last.flip(0) if len(last) == 3 else last.flip(1))
    torch.testing.assert_close(other, logits.flip(0))


def test_the_gradient_is_of_what_was_multiplied(network, images):
    """Against autograd through a softmax that is replaced by its own, watched result."""
    with Attending() as seen:
        logits = network(images)
    seen.finish(logits)
    score = logits[:, 2].sum()
    outs = [call.O for call in seen.calls]
    got = [
        call.gradient(g)
        for call, g in zip(seen.calls, torch.autograd.grad(score, outs), strict=True)
    ]
    small = 1e-2
    for n, g in enumerate(got):
        moved = torch.randn(g.shape, generator=torch.Generator().manual_seed(2))
        scores = []
        for sign in (1, -1):
            with Moved(n, sign * small * moved):
                scores.append(network(images)[:, 2].sum())
        slope = (scores[0] - scores[1]) / (2 * small)
        torch.testing.assert_close(slope, (g * moved).sum(), rtol=2e-2, atol=2e-3)


class Moved(Attending):
    """Adds to the attention of one block."""

    def __init__(self, which, by):
        super().__init__()
        self.which, self.by = which, by

    def _saw(self, V, O, make):  # noqa: E741
        super()._saw(V, O, make)
        if len(self.calls) == self.which + 1:
            O.data += self.by.reshape(*O.shape[:-1], -1) @ V


def test_nothing_stays(network, images):
    before = {name: id(value) for name, value in network.state_dict(keep_vars=True).items()}
    with Attending():
        network(images)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    assert {name: id(value) for name, value in network.state_dict(keep_vars=True).items()} == before
    assert not network(images).requires_grad


def test_a_convolutional_network_has_none():
    with Attending() as seen:
        seen.finish(nn.Conv2d(3, 5, 32)(torch.zeros(1, 3, 32, 32)).flatten(1))
    assert not seen.calls
    assert seen.ending is None
