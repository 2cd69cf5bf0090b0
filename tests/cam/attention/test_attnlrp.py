"""AttnLRP against the paper's rules, written out as relevances without autograd, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from camcli.cam.attention.relevances import token_relevance
from camcli.cam.attention.rules import Rules
from camcli.cam.attention.seen import Attending
from camcli.cam.explainer import check_influence, maps_of, watching
from camcli.cam.map_options import check_layer, make_map_options, settled
from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance

K, HEADS, GRID, PATCH, C = 8, 2, 3, 4, 5
ATTENTIONS = ["fused", "module", "written"]


class Tiny(nn.Module):
    """A vision transformer with a class token; its attention is computed in one of three ways."""

    def __init__(self, attention: str = "fused", depth: int = 2, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.patches = nn.Conv2d(3, K, PATCH, PATCH)
        self.cls = nn.Parameter(torch.randn(1, 1, K))
        self.places = nn.Parameter(torch.randn(1, GRID * GRID + 1, K))
        self.blocks = nn.Sequential(*(Block(attention, bias) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(K, bias=bias), nn.Linear(K, C, bias=bias)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.6)
        self.eval().requires_grad_(False)

    def tokens(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.places

    def forward(self, images):
        return self.head(self.norm(self.blocks(self.tokens(images)))[:, 0])


class Block(nn.Module):
    def __init__(self, attention: str, bias: bool) -> None:
        super().__init__()
        self.way = attention
        self.norm1, self.norm2 = (nn.LayerNorm(K, bias=bias) for _ in range(2))
        self.attention = nn.MultiheadAttention(K, HEADS, bias=bias, batch_first=True)
        self.up, self.act = nn.Linear(K, 2 * K, bias=bias), nn.GELU()
        self.down = nn.Linear(2 * K, K, bias=bias)

    def attend(self, x):
        a = self.attention
        if self.way == "module":
            return a(x, x, x, need_weights=False)[0]
        q, k, v = (
            t.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for t in functional.linear(x, a.in_proj_weight, a.in_proj_bias).chunk(3, 2)
        )
        if self.way == "fused":
            out = functional.scaled_dot_product_attention(q, k, v)
        else:
            out = ((q * (K / HEADS) ** -0.5) @ k.transpose(2, 3)).softmax(-1) @ v
        return a.out_proj(out.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(self.act(self.up(self.norm2(x))))


class ByHand:
    """Relevances R of every value of one image, by the paper's equations, with numpy alone."""

    def __init__(self, net: Tiny, images: torch.Tensor) -> None:
        self.net, self.absorbed = net, 0.0
        self.X = net.tokens(images)[0].numpy()

    def relevance(self, c: int) -> tuple[np.ndarray, float]:
        """R of the tokens (N, K), and the logit S_c."""
        values, X = [], self.X
        for block in self.net.blocks:
            values.append(self.block(X, block))
            X = values[-1]["out"]
        y, norm = self.norm(X, self.net.norm)
        logits = linear(y, self.net.head)
        R = np.zeros_like(logits)
        R[0, c] = logits[0, c]
        R = self.back(y, self.net.head.weight.numpy(), logits, R)
        R = self.back_norm(X, norm, y, R)
        for block, v in zip(reversed(self.net.blocks), reversed(values), strict=True):
            R = self.back_block(block, v, R)
        return R, logits[0, c]

    def norm(self, x, module):
        """Its output, and the matrix that it is with the deviation held fast."""
        centred = x - x.mean(1, keepdims=True)
        s = np.sqrt((centred**2).mean(1) + module.eps)
        matrix = (np.eye(K) - 1 / K) * module.weight.numpy()[:, None]
        bias = 0 if module.bias is None else module.bias.numpy()
        return centred / s[:, None] * module.weight.numpy() + bias, matrix / s[:, None, None]

    def block(self, x, block):
        a, v = block.attention, {"x": x}
        v["n1"], v["m1"] = self.norm(x, block.norm1)
        qkv = v["n1"] @ a.in_proj_weight.numpy().T
        v["qkv"] = qkv if a.in_proj_bias is None else qkv + a.in_proj_bias.numpy()
        v["o"] = np.concatenate([self.head(v["qkv"], h)[-1] for h in range(HEADS)], 1)
        v["att"] = linear(v["o"], a.out_proj)
        v["mid"] = x + v["att"]
        v["n2"], v["m2"] = self.norm(v["mid"], block.norm2)
        v["up"] = linear(v["n2"], block.up)
        v["act"] = functional.gelu(torch.as_tensor(v["up"])).numpy()
        v["mlp"] = linear(v["act"], block.down)
        v["out"] = v["mid"] + v["mlp"]
        return v

    def head(self, qkv, h):
        d = K // HEADS
        q, k, v = (qkv[:, n * K + h * d :][:, :d] for n in range(3))
        scores = q @ k.T * d**-0.5
        P = np.exp(scores - scores.max(1, keepdims=True))
        P /= P.sum(1, keepdims=True)
        return q, k, v, scores, P, P @ v

    def back(self, x, weight, y, R):
        """Equation 8 with ε = 0: what the biases take is noted."""
        found = x * ((R / y) @ weight)
        self.absorbed += R.sum() - found.sum()
        return found

    def back_norm(self, x, matrix, y, R):
        """Proposition 3.4: linear, once the deviation is a number."""
        found = x * np.einsum("nj,nji->ni", R / y, matrix)
        self.absorbed += R.sum() - found.sum()
        return found

    def back_block(self, block, v, R):
        R_mlp, R_mid = R * v["mlp"] / v["out"], R * v["mid"] / v["out"]
        R_act = self.back(v["act"], block.down.weight.numpy(), v["mlp"], R_mlp)
        R_up = R_act  # equation 9
        R_n2 = self.back(v["n2"], block.up.weight.numpy(), v["up"], R_up)
        R_mid = R_mid + self.back_norm(v["mid"], v["m2"], v["n2"], R_n2)
        R_att, R_x = R_mid * v["att"] / v["mid"], R_mid * v["x"] / v["mid"]
        R_o = self.back(v["o"], block.attention.out_proj.weight.numpy(), v["att"], R_att)
        R_qkv, d = np.zeros_like(v["qkv"]), K // HEADS
        for h in range(HEADS):
            q, k, value, scores, P, o = self.head(v["qkv"], h)
            share = R_o[:, h * d :][:, :d] / o
            R_P = P * (share @ value.T) / 2  # proposition 3.3
            R_v = value * (P.T @ share) / 2
            R_s = scores * (R_P - P * R_P.sum(1, keepdims=True))  # proposition 3.1
            self.absorbed += R_P.sum() - R_s.sum()
            share = R_s / scores * d**-0.5
            R_q, R_k = q * (share @ k) / 2, k * (share.T @ q) / 2
            for n, part in enumerate((R_q, R_k, R_v)):
                R_qkv[:, n * K + h * d :][:, :d] = part
        weight = block.attention.in_proj_weight.numpy()
        R_n1 = self.back(v["n1"], weight, v["qkv"], R_qkv)
        return R_x + self.back_norm(v["x"], v["m1"], v["n1"], R_n1)


def linear(x, layer):
    y = x @ layer.weight.numpy().T
    return y if layer.bias is None else y + layer.bias.numpy()


def some_images(count=1, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, GRID * PATCH, GRID * PATCH, generator=generator).to(dtype)


def relevance_of(net, images, c):
    found = token_relevance(images, net, lambda logits: logits[:, c])
    assert found is not None
    assert found.layout.prefix == 1
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_papers_rules_by_hand(attention, bias):
    net, images = Tiny(attention, bias=bias).double(), some_images()
    for c in range(C):
        hand = ByHand(net, images)
        expected, S = hand.relevance(c)
        got = relevance_of(net, images, c).values[0].numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())
        # Conservation: the tokens have all of the score but what biases and softmaxes took.
        assert got.sum() + hand.absorbed == pytest.approx(S, rel=1e-9)
        assert abs(S) > 1e-3
        assert abs(got[1:]).sum() > 1e-3


def test_all_of_the_score_comes_back_where_nothing_can_take_it():
    """No biases, and attention that is the same for every image: R adds up to S exactly."""
    net = Tiny("written", bias=False).double()
    attend = torch.rand(HEADS, GRID * GRID + 1, GRID * GRID + 1, dtype=torch.float64).softmax(-1)
    kept = Block.attend

    def fixed(self, x):
        v = x @ self.attention.in_proj_weight[-K:].T
        v = v.unflatten(2, (HEADS, -1)).transpose(1, 2)
        _ = torch.rand(1, 2, 2, 2).softmax(-1)  # where it would look
        return self.attention.out_proj((attend @ v).transpose(1, 2).flatten(2))

    Block.attend = fixed
    try:
        images = some_images(3)
        for c in range(C):
            got = relevance_of(net, images, c).values.sum((1, 2))
            torch.testing.assert_close(got, net(images)[:, c], rtol=1e-6, atol=1e-6)
    finally:
        Block.attend = kept


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_numbers_of_the_network_stay(attention):
    net, images = Tiny(attention), some_images(2, dtype=torch.float32)
    with torch.enable_grad(), Rules():
        got = net(images.clone().requires_grad_(True))
    torch.testing.assert_close(got.detach(), net(images), rtol=1e-5, atol=1e-6)


def cut_up(net, *layers, size=GRID * PATCH):
    return cut_classifier(
        net, classes=tuple("abcde"), preprocess=Preprocess(size=size),
        provenance=Provenance("test", "random", None, "random"), device=torch.device("cpu"),
        **({"layers": layers} if layers else {}),
    )  # fmt: skip


HOW = make_map_options("attnlrp")


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_maps_of_a_classifier_are_those_of_the_tokens(attention):
    """By default of those that enter the first block, wherever the network is cut."""
    net, images = Tiny(attention), some_images(6, dtype=torch.float32)
    index = torch.arange(6) % C
    classifier = cut_up(net)
    check_influence(HOW, classifier)
    got = maps_of(classifier, classifier.see(images), index, HOW)
    for n, c in enumerate(index.tolist()):
        expected = ByHand(Tiny(attention).double(), images[n : n + 1].double()).relevance(c)[0]
        np.testing.assert_allclose(
            got[n].flatten(), expected[1:].sum(1), rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )
    # Nothing of it is left on the network, nor on its weights.
    assert not any(p.requires_grad or p.grad is not None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    torch.testing.assert_close(net(images), Tiny(attention)(images))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_maps_of_a_layer_that_is_named(attention):
    """Between two blocks it is what the second one alone makes of what the first returns."""
    net, images = Tiny(attention), some_images(2, dtype=torch.float32)
    classifier = cut_up(net, "blocks.0")
    look = classifier.see(images)
    index = torch.tensor([1, 3])
    got = maps_of(classifier, look, index, HOW)
    rest = Tiny(attention).double()
    between = rest.blocks[0](rest.tokens(images.double()))
    rest.blocks = rest.blocks[1:]
    for n, c in enumerate(index.tolist()):
        hand = ByHand(rest, images[n : n + 1].double())
        hand.X = between[n].numpy()
        expected = hand.relevance(c)[0]
        np.testing.assert_allclose(
            got[n].flatten(), expected[1:].sum(1), rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )
    check_layer(HOW, "blocks.0")
    assert (HOW.method.place(True), HOW.method.place(False)) == (None, "first tokens")


def test_the_pass_that_predicts_is_the_one_that_is_followed():
    """One forward pass for all classes of a batch, and the same maps as of a second one."""
    net, images = Tiny(), some_images(3, dtype=torch.float32)
    classifier, runs = cut_up(net), []
    plain = classifier.see(images)
    look = classifier.see(images, watching([HOW]))
    torch.testing.assert_close(look.logits, plain.logits, rtol=1e-5, atol=1e-6)
    assert not look.logits.requires_grad
    with torch.no_grad(), _Counting(runs):
        for c in range(C):
            index = torch.full((3,), c)
            once = maps_of(classifier, look, index, HOW)
            assert not runs
            torch.testing.assert_close(once, maps_of(classifier, plain, index, HOW))
            assert len(runs) == 1
            runs.clear()
    assert watching([HOW], named=True) is None
    # By one watch with those that need true gradients: who is left has the network look again.
    both = watching([HOW, make_map_options("legrad")])
    assert isinstance(both, Attending)
    shared = maps_of(classifier, classifier.see(images, both), index, HOW)
    torch.testing.assert_close(shared, once)


class _Counting(TorchFunctionMode):
    """Notes each convolution: the network's first step."""

    def __init__(self, runs):
        super().__init__()
        self.runs = runs

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.conv2d:
            self.runs.append(True)
        return func(*args, **(kwargs or {}))


class Written(Tiny):
    """Its sums are written over what they are added to."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, images):
        x = self.tokens(images)
        for block in self.blocks:
            for branch in (lambda x, b=block: b.attend(b.norm1(x)),
                           lambda x, b=block: b.down(b.act(b.up(b.norm2(x))))):  # fmt: skip
                if self.how == "+=":
                    x += branch(x)
                else:
                    x.add_(branch(x))
        return self.head(self.norm(x)[:, 0])


def test_networks_that_write_over_their_tokens():
    images, index = some_images(2, dtype=torch.float32), torch.tensor([0, 3])
    usual = cut_up(Tiny())
    expected = maps_of(usual, usual.see(images), index, HOW)
    for how in ("+=", "add_"):
        classifier = cut_up(Written(how))
        chosen = settled(HOW, classifier)
        got = maps_of(classifier, classifier.see(images, watching([chosen])), index, chosen)
        assert got.isfinite().all()
        if chosen.method.place(named=False) is None:  # then it says another layer
            assert how == "add_"
        else:
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_pictures_of_a_batch_do_not_mix():
    net, images = Tiny(), some_images(7, dtype=torch.float32)
    classifier = cut_up(net)
    index = torch.arange(7) % C
    every = maps_of(classifier, classifier.see(images), index, HOW)
    for n in range(7):
        one = maps_of(classifier, classifier.see(images[n : n + 1]), index[n : n + 1], HOW)
        torch.testing.assert_close(one[0], every[n], rtol=1e-4, atol=1e-6)


def of_timm(name, fused=True, **options):
    timm = pytest.importorskip("timm", reason="its networks are explained, if installed")
    torch.manual_seed(1)
    net = timm.create_model(name, num_classes=C, **options)
    for module in net.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    return net


def of_torchvision(kind, *options, **more):
    torchvision = pytest.importorskip("torchvision", reason="the same")
    torch.manual_seed(1)
    return getattr(torchvision.models, kind)(*options, num_classes=C, **more)


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
SWIN = {"img_size": 64, "window_size": 4, "embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2)}
NETWORKS = {
    "class token": (lambda: of_timm("vit_tiny_patch16_224", **VIT), 32, (4, 4)),
    "written": (lambda: of_timm("vit_tiny_patch16_224", fused=False, **VIT), 32, (4, 4)),
    "registers": (lambda: of_timm("vit_tiny_patch16_224", reg_tokens=4, **VIT), 32, (4, 4)),
    "pooled": (lambda: of_timm("vit_tiny_patch16_224", class_token=False, global_pool="avg", **VIT),
               32, (4, 4)),
    "attention pooling": (lambda: of_timm("vit_tiny_patch16_224", class_token=False,
                                          global_pool="map", **VIT), 32, (4, 4)),
    "normed q, k": (lambda: of_timm("vit_tiny_patch16_224", qk_norm=True, **VIT), 32, (4, 4)),
    "distilled": (lambda: of_timm("deit_tiny_distilled_patch16_224", **VIT), 32, (4, 4)),
    "windows": (lambda: of_timm("swin_tiny_patch4_window7_224", **SWIN), 64, (16, 16)),
    "cosine": (lambda: of_timm("swinv2_tiny_window8_256", **SWIN), 64, (16, 16)),
    "torchvision": (lambda: of_torchvision("VisionTransformer", 32, 8, 2, 2, 16, 32), 32, (4, 4)),
    "torchvision's windows": (lambda: of_torchvision(
        "SwinTransformer", [4, 4], 8, [2, 2], [2, 2], [4, 4]), 64, (16, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_others(name):
    make, size, grid = NETWORKS[name]
    net = make().eval().requires_grad_(False)
    for head in [m for m in net.modules() if isinstance(m, nn.Linear) and m.out_features == C]:
        nn.init.normal_(head.weight)  # some begin with zeros
    generator = torch.Generator().manual_seed(0)
    images, index = torch.randn(2, 3, size, size, generator=generator), torch.tensor([1, 3])
    whole = token_relevance(images, net, lambda logits: logits.gather(1, index[:, None]))
    assert whole is not None
    classifier = cut_up(net, size=size)
    got = maps_of(classifier, classifier.see(images), index, settled(HOW, classifier))
    assert got.shape == (2, *grid)
    assert got.isfinite().all()
    # On the network's graph, and on the network itself.
    torch.testing.assert_close(got, whole.maps(), rtol=1e-3, atol=1e-4 * float(got.abs().max()))
    assert float(got.abs().max()) > 0
    assert settled(HOW, classifier).method.place(named=False) == "first tokens"
    if name == "written":
        fused = NETWORKS["class token"][0]().eval().requires_grad_(False)
        fused.load_state_dict(net.state_dict())
        other = token_relevance(images, fused, lambda logits: logits.gather(1, index[:, None]))
        torch.testing.assert_close(other.values, whole.values, rtol=1e-3, atol=1e-5)


def test_networks_without_attention_are_explained_where_they_are_cut():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.GELU(), nn.Conv2d(6, 6, 3, padding=1, bias=False),
        nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, C, bias=False),
    )  # fmt: skip
    images, index = some_images(2, dtype=torch.float32), torch.tensor([0, 1])
    for layer in ("last", "1"):
        classifier = cut_up(net, layer)
        look = classifier.see(images)
        how = settled(HOW, classifier)
        got = maps_of(classifier, look, index, how)
        assert how.method.place(layer != "last") is None
        # Of a layer with no bias behind it all of the score is in the map.
        heat = got.sum((1, 2))
        torch.testing.assert_close(heat, look.logits.gather(1, index[:, None])[:, 0])
        assert torch.equal(got, maps_of(classifier, look, index, HOW))
    assert settled(HOW, cut_up(Tiny())) == HOW


def test_the_authors_code_gives_the_same():
    """`lxt`'s functions, whose backward passes carry relevances themselves."""
    lf = pytest.importorskip("lxt.explicit.functional", reason="lxt is compared with, if installed")
    identity = pytest.importorskip("lxt.explicit.rules").identity
    net, images, tiny = Tiny().double(), some_images(), 1e-30

    def dense(x, layer):
        return lf.linear_epsilon(x, layer.weight, layer.bias, tiny)

    def norm(x, layer):
        return lf.layer_norm_grad_fn.apply(x, layer.weight, layer.bias, layer.eps, tiny)

    def attention(x, a):
        qkv = lf.linear_epsilon(x, a.in_proj_weight, a.in_proj_bias, tiny)
        q, k, v = (t.unflatten(2, (HEADS, -1)).transpose(1, 2) for t in qkv.chunk(3, 2))
        q = lf.mul2(q, torch.tensor((K / HEADS) ** -0.5).to(q))
        P = lf.softmax(lf.matmul(q, k.transpose(2, 3), False, tiny), -1)
        return dense(lf.matmul(P, v, False, tiny).transpose(1, 2).flatten(2), a.out_proj)

    for c in range(C):
        with torch.enable_grad():
            X = net.tokens(images).requires_grad_(True)
            x = X
            for block in net.blocks:
                x = lf.add2(x, attention(norm(x, block.norm1), block.attention), False, tiny)
                act = identity(functional.gelu, dense(norm(x, block.norm2), block.up))
                x = lf.add2(x, dense(act, block.down), False, tiny)
            logits = dense(norm(x, net.norm)[:, 0], net.head)
            (theirs,) = torch.autograd.grad(logits[:, c].sum(), X, logits[:, c].detach()[0])
        ours = relevance_of(net, images, c).values
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)
