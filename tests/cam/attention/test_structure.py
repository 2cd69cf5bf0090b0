"""What attends is tried out, not told from sizes: networks whose sizes are those of a transformer.

Each of them has 16 tokens and, where channels attend, 16 channels a head.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from camcli.cam.attention import grid
from camcli.cam.attention.seen import Attending, Ending
from camcli.cam.explainer import check_influence, why_no_attention_of
from camcli.cam.map_options import make_map_options, settled
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance

N = D = 16


class Block(nn.Module):
    """Pre-norm: attention, and a step of each token for itself."""

    def __init__(self, attend, between=None):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.attend, self.between = attend(), between() if between else nn.Identity()
        self.mlp = nn.Sequential(nn.Linear(D, D), nn.GELU(), nn.Linear(D, D))

    def forward(self, x):
        x = self.between(x + self.attend(self.norm1(x)))
        return x + self.mlp(self.norm2(x))


class Attend(nn.Module):
    """Single-headed; what is particular is in `mix`."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.extra = nn.Parameter(torch.randn(N, N) / 4)

    def forward(self, x):
        q, k, v = self.qkv(x)[:, None].chunk(3, -1)
        return self.out(self.mix(q, k, v)[:, 0])

    def mix(self, q, k, v):
        return functional.scaled_dot_product_attention(q, k, v)


class Channels(Attend):
    """XCiT's: of which channel each channel is made."""

    def mix(self, q, k, v):
        q, k, v = (x.transpose(2, 3) for x in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v).transpose(2, 3)


class Projected(Attend):
    """Linformer's: keys are mixtures of tokens, here as many as there are tokens."""

    def mix(self, q, k, v):
        return super().mix(q, self.extra @ k, self.extra @ v)


class Gated(Attend):
    """ConViT's: a second matrix of who looks at whom is added."""

    def mix(self, q, k, v):
        P = (q @ k.transpose(2, 3) / 4).softmax(-1)
        return (0.5 * P + 0.5 * self.extra.softmax(-1)) @ v


class Twice(nn.Module):
    """Two attentions side by side, whose sum is added."""

    def __init__(self):
        super().__init__()
        self.one, self.two = Attend(), Attend()

    def forward(self, x):
        return self.one(x) + self.two(x)


class Shifted(nn.Module):
    """Something that a block does besides: places look at their neighbours."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(D, D, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x.transpose(1, 2)).transpose(1, 2)


class Net(nn.Module):
    def __init__(self, attend=Attend, between=None, *, earlier=False, order=None, last=False):
        super().__init__()
        torch.manual_seed(3)
        self.patches = nn.Conv2d(3, D, 8, 8)
        self.blocks = nn.ModuleList(Block(attend, between) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, 5)
        self.earlier, self.order = earlier, order
        self.token = nn.Parameter(torch.randn(1, 1, D)) if last else None

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = x if self.order is None else x[:, self.order]
        if self.token is not None:
            x = torch.cat([x, self.token.expand(len(x), -1, -1)], 1)
        kept = []
        for block in self.blocks:
            x = block(x)
            kept.append(x)
        z = self.norm(x).mean(1)
        if self.earlier:
            z = z + kept[0].mean(1)
        return self.head(z)


# Four places that are going to be merged beside each other, as Qwen's.
MERGED = torch.arange(N).reshape(2, 2, 2, 2).permute(0, 2, 1, 3).flatten()
COLUMNS = torch.arange(N).reshape(4, 4).T.flatten()
NETWORKS = {
    "merged": (lambda: Net(order=MERGED), "that do not lie row by row"),
    "column by column": (lambda: Net(order=COLUMNS), "that do not lie row by row"),
    "class token last": (lambda: Net(last=True), "that do not lie row by row"),
    "channels": (lambda: Net(Channels), "attends to something else than single places"),
    "mixtures": (lambda: Net(Projected), "attends to something else than single places"),
    "gated": (lambda: Net(Gated), "does something with who looks at whom"),
    "side by side": (lambda: Net(Twice), "attends in other ways, too"),
    "neighbours": (lambda: Net(between=Shifted), "mixes places in other ways"),
    "two ends": (lambda: Net(earlier=True), "decides on more than the last block's tokens"),
}


def classifier_of(net):
    return cut_classifier(
        net, classes=tuple("abcde"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "random", {}), device=torch.device("cpu"),
    )  # fmt: skip


@pytest.mark.parametrize("name", list(NETWORKS))
def test_what_is_not_between_places_alone_is_refused(name):
    make, words = NETWORKS[name]
    classifier = classifier_of(make())
    assert words in str(why_no_attention_of(classifier))
    instead = "name a layer of maps" if "row by row" in words else "take attnlrp or gradcam, which"
    with pytest.raises(UsageError, match=instead):
        check_influence(make_map_options("legrad"), classifier)
    check_influence(make_map_options("attnlrp"), classifier)


def test_the_same_with_attention_between_places_is_explained():
    assert why_no_attention_of(classifier_of(Net())) is None


@pytest.mark.parametrize(("name", "place"), [
    (None, "first tokens"), ("channels", "first tokens"), ("merged", None),
    ("column by column", None), ("class token last", None),
])  # fmt: skip
def test_attnlrp_looks_where_the_network_is_cut_if_tokens_are_out_of_order(name, place):
    """The cut goes before what changes their order."""
    classifier = classifier_of(NETWORKS[name][0]() if name else Net())
    assert settled(make_map_options("attnlrp"), classifier).method.default == place


def test_sizes_alone_would_not_have_told(monkeypatch):
    """Or the networks above would be refused for something else."""
    monkeypatch.setattr(grid, "why_not_places", lambda *_: None)
    monkeypatch.setattr(grid, "why_not_in_order", lambda *_: None)
    for name in ("channels", "mixtures", "neighbours", "two ends", "merged"):
        assert why_no_attention_of(classifier_of(NETWORKS[name][0]())) is None, name


def test_an_ending_that_cannot_be_repeated_is_refused(monkeypatch):
    monkeypatch.setattr(Ending, "__call__", lambda ending, _: ending.logits + 1)
    why = why_no_attention_of(classifier_of(Net()))
    assert why == "does something to its last tokens that cannot be repeated"


def test_nothing_of_the_trial_stays():
    net = Net().eval().requires_grad_(False)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.enable_grad(), Attending() as watch:
        logits = net(images)
    watch.finish(logits)
    A = torch.zeros(2, D, 4, 4)
    outs = [call.O for call in watch.calls]
    before = torch.autograd.grad(logits[:, 1].sum(), outs, retain_graph=True)
    assert grid.why_no_attention(watch, A, images) is None
    after = torch.autograd.grad(logits[:, 1].sum(), outs, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("name", "options", "words"), [
    # 16 tokens of 2 heads with 16 channels each.
    ("xcit_nano_12_p8_224", {"img_size": 32, "embed_dim": 32, "num_heads": 2, "depth": 2,
                             "cls_attn_layers": 1}, "mixes places in other ways, too"),
    ("crossvit_tiny_240", {"img_size": 240}, "attends in other ways, too"),
    ("pit_ti_224", {"img_size": 64}, "attends in other ways, too"),
    ("convit_tiny", {"img_size": 32, "patch_size": 8, "depth": 3, "embed_dim": 24, "num_heads": 2,
                     "local_up_to_layer": 1}, "does something with who looks at whom"),
    ("mobilevit_xxs", {}, "other parts of a picture"),
])  # fmt: skip
def test_what_is_refused_of_timm(name, options, words):
    timm = pytest.importorskip("timm")
    net = timm.create_model(name, num_classes=5, **options)
    size = options.get("img_size", 64)
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    net.eval().requires_grad_(False)
    with torch.enable_grad(), Attending() as watch:
        watch.finish(net(noise))
    side = {"xcit_nano_12_p8_224": 4, "convit_tiny": 4, "mobilevit_xxs": 2}.get(name, 3)
    assert words in str(grid.why_no_attention(watch, torch.zeros(2, 4, side, side), noise))


def test_a_network_that_was_never_trained_is_called_that():
    """torchvision's begins with a head of zeros: no layer of it matters, whichever it is."""
    classifier = classifier_of(VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5))
    with pytest.raises(UsageError, match=r"every picture the same answer.*never trained"):
        check_influence(make_map_options("gradcam"), classifier)
