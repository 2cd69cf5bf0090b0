"""One transformer written in many ways: whatever code says, the maps are those of the definition.

The definition is `ByHand` of the conftest, in float64; AttnLRP's maps are those of the plainest.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from camcli.cam.attention.grid import why_no_attention
from camcli.cam.attention.legrad import legrad
from camcli.cam.attention.relevances import token_relevance
from camcli.cam.attention.rules import Rules
from camcli.cam.attention.seen import Attending
from camcli.cam.explainer import check_influence
from camcli.cam.map_options import make_map_options, settled
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance


def plain(q, k, v):
    return ((q @ k.mT) * q.shape[-1] ** -0.5).softmax(-1) @ v


def named(q, k, v):
    scores = torch.matmul(input=q, other=k.mT) * q.shape[-1] ** -0.5
    return torch.matmul(input=torch.softmax(input=scores, dim=-1), other=v)


def in_place(q, k, v):
    scores = q @ k.mT
    scores *= q.shape[-1] ** -0.5
    scores += torch.zeros_like(scores)
    return scores.softmax(-1) @ v


def einsum(q, k, v):
    scores = torch.einsum("bhnd,bhmd->bhnm", q, k)
    scores *= q.shape[-1] ** -0.5
    return torch.einsum("bhnm,bhmd->bhnd", scores.softmax(-1), v)


def places_first(q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    P = functional.softmax(torch.einsum("bnhd,bmhd->bhnm", q, k) / q.shape[-1] ** 0.5, dim=-1)
    return torch.einsum("b m h d, b h n m -> b n h d", v, P).transpose(1, 2)


def ellipsis(q, k, v):
    P = torch.einsum("...nd,...md->...nm", q, k).mul(q.shape[-1] ** -0.5).softmax(dim=-1)
    return torch.einsum("...nm,...md->...nd", [P, v])


class Written(nn.Module):
    """torchvision's self-attention by its weights, in a way of its own."""

    def __init__(self, mha, way):
        super().__init__()
        self.mha, self.way = mha, way

    def forward(self, x, *_, **__):
        B, N, D = x.shape
        qkv = functional.linear(x, self.mha.in_proj_weight, self.mha.in_proj_bias)
        q, k, v = qkv.reshape(B, N, 3, self.mha.num_heads, -1).permute(2, 0, 3, 1, 4)
        return self.mha.out_proj(self.way(q, k, v).transpose(1, 2).reshape(B, N, D)), None


class Shown(Written):
    """As most write it: what was looked at is computed, too, and let go of."""

    def forward(self, x, *_, **__):
        return self.mha(x, x, x)


class Block(nn.Module):
    """torchvision's, whose sums name what they add."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        y = self.layer.self_attention(self.layer.ln_1(x))[0]
        x = torch.add(input=x, other=y)
        return torch.add(x, other=self.layer.mlp(self.layer.ln_2(x)))


def written(network, way):
    net = copy.deepcopy(network)
    for n, layer in enumerate(net.encoder.layers):
        kind = Shown if way is None else Written
        layer.self_attention = kind(layer.self_attention, way)
        if way is named:
            net.encoder.layers[n] = Block(layer)
    return net


def defined(by_hand, images, index):
    """LeGrad, from the paper."""
    z, total = by_hand.tokens(images), 0
    layers = list(by_hand.net.encoder.layers)
    for layer in layers:
        P, v = by_hand.attention(layer, z)
        P = P.detach().requires_grad_()
        z = by_hand.after(layer, z, P, v)
        s = by_hand.end(z.mean(1)).gather(1, index[:, None]).sum()
        (g,) = torch.autograd.grad(s, P, retain_graph=True)
        total = total + g.clamp(min=0).mean((1, 2))
        z = z.detach()
    return (total / len(layers))[:, 1:].reshape(-1, 4, 4)


WAYS = [plain, named, in_place, einsum, places_first, ellipsis, None]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__ if way else "MultiheadAttention")
def test_the_map_is_that_of_the_definition(network, by_hand, evidence, images, index, way):
    net = written(network, way)
    wanted = defined(by_hand, images, index)
    torch.testing.assert_close(legrad(evidence(net, images, index)), wanted)
    noise = images[:2].clone().requires_grad_()
    with torch.enable_grad(), Attending() as watch:
        watch.finish(net(noise * 1))
    assert why_no_attention(watch, torch.zeros(2, 1, 4, 4), noise) is None

    def score(logits):
        return logits.gather(1, index[:, None]).sum()

    one, other = (token_relevance(images, some, score) for some in (written(network, plain), net))
    torch.testing.assert_close(other.maps(), one.maps())


def test_what_a_module_returned_of_attention_may_not_be_computed_with(network, images):
    class Gated(Shown):
        def forward(self, x, *_, **__):
            y, P = self.mha(x, x, x)
            return y * P.amax(-1, keepdim=True), None

    net = copy.deepcopy(network)
    for layer in net.encoder.layers:
        layer.self_attention = Gated(layer.self_attention, None)
    with torch.enable_grad(), Attending() as watch:
        watch.finish(net(images))
    why = why_no_attention(watch, torch.zeros(3, 1, 4, 4), images)
    assert "is not followed" in str(why)


def test_a_choice_keeps_its_arguments_by_name():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    with Rules():
        y = torch.where(condition=x > 0, input=x, other=x * 0.5)
        z = torch.where(x > 0, other=x * 0.5, input=x)
    assert y.tolist() == z.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("part", ["out_proj", "in_proj_weight", "conv_proj", "in_proj_bias"])
def test_weights_of_zero_are_no_reason_to_refuse(network, images, part):
    """Those of one block, as pruned ones have, or of the first step."""
    net = copy.deepcopy(network)
    names = [name for name, _ in net.named_parameters() if part in name]
    for name, p in net.named_parameters():
        if part in name and ("layer_1" in name or len(names) <= 2):
            nn.init.zeros_(p)
    noise = images[:2].clone().requires_grad_()
    with torch.enable_grad(), Attending() as watch:
        watch.finish(net(noise * 1))
    assert why_no_attention(watch, torch.zeros(2, 1, 4, 4), noise) is None


def test_a_head_of_zeros_is_called_that_by_every_method():
    net = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
    classifier = cut_classifier(
        net, classes=tuple("abcde"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "random", {}), device=torch.device("cpu"),
    )  # fmt: skip
    for method in ("legrad", "rollout", "chefer", "gradcam"):
        with pytest.raises(UsageError, match=r"every picture the same answer.*never trained"):
            check_influence(make_map_options(method), classifier)


def centred(x, n):
    d = x - x.mean(-1, keepdim=True)
    return d / (x.var(-1, keepdim=True, correction=0) + n.eps).sqrt() * n.weight + n.bias


def squared(x, n):
    d = x - torch.mean(x, -1, keepdim=True)
    return d * torch.rsqrt(d.pow(2).mean(-1, keepdim=True) + n.eps) * n.weight + n.bias


def native(x, n):
    return torch.native_layer_norm(x, list(n.normalized_shape), n.weight, n.bias, n.eps)[0]


def root_mean(x, n):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + n.eps) * n.weight


class Norm(nn.Module):
    """A norm by the weights of torch's, in a way of its own."""

    def __init__(self, norm, way):
        super().__init__()
        self.norm, self.way = norm, way

    def forward(self, x):
        return self.way(x, self.norm)


def normed(network, way, kind=nn.LayerNorm, attend=plain):
    net = written(network, attend)
    for layer in [*net.encoder.layers, net.encoder]:
        for name, norm in list(layer.named_children()):
            if isinstance(norm, nn.LayerNorm):
                if kind is nn.RMSNorm:
                    new = nn.RMSNorm(norm.normalized_shape, norm.eps).double()
                    new.weight = norm.weight
                    norm = new.requires_grad_(False)
                setattr(layer, name, norm if way is None else Norm(norm, way))
    return net


def relevance_of(net, images, index):
    return token_relevance(images, net, lambda s: s.gather(1, index[:, None]).sum())


@pytest.mark.parametrize("way", [centred, squared, native, root_mean], ids=lambda w: w.__name__)
def test_attnlrp_starts_at_the_stream_whoever_wrote_the_norm(network, images, index, way):
    kind = nn.RMSNorm if way is root_mean else nn.LayerNorm
    one, other = (normed(network, how, kind) for how in (None, way))
    torch.testing.assert_close(one(images), other(images))
    found, wanted = (relevance_of(net, images, index) for net in (other, one))
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-7, atol=1e-9)


def of_exponentials(q, k, v):
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    e = (scores - scores.amax(-1, keepdim=True)).exp()
    return (e / e.sum(-1, keepdim=True)) @ v


def of_logarithms(q, k, v):
    return ((q @ k.mT) * q.shape[-1] ** -0.5).log_softmax(-1).exp() @ v


@pytest.mark.parametrize("way", [of_exponentials, of_logarithms], ids=lambda w: w.__name__)
def test_attnlrp_follows_a_softmax_that_is_written_out(network, images, index, way):
    found, wanted = (relevance_of(written(network, w), images, index) for w in (way, plain))
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-7, atol=1e-9)


class NormBehind(nn.Module):
    """torch's own encoder as it comes: norms behind the sums, so that attention comes first."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.places = nn.Parameter(torch.randn(1, 16, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)
        self.before = nn.Identity()

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.layers(self.before(tokens)).mean(1))


def test_attnlrp_starts_at_the_stream_of_torchs_own_encoder(images, index):
    """It turns tokens round for its attention, and the sum goes around that."""
    torch.manual_seed(0)
    net = NormBehind().eval().requires_grad_(False).double()
    found = relevance_of(net, images, index)
    net.before = nn.Linear(16, 16).double().requires_grad_(False)  # seen, and changes nothing
    net.before.weight.copy_(torch.eye(16))
    net.before.bias.zero_()
    wanted = relevance_of(net, images, index)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-7, atol=1e-9)


def test_tokens_that_something_unseen_goes_around_are_not_taken(network):
    """A norm that hides from torch: the stream has no gradient, what the branch is given has."""

    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    net = normed(network, lambda x, n: Hidden.apply(x)).float()
    classifier = cut_classifier(
        net, classes=tuple("abcde"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "random", {}), device=torch.device("cpu"),
    )  # fmt: skip
    assert settled(make_map_options("attnlrp"), classifier).method.default is None
