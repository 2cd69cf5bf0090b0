"""Odd networks are cut where their last map is, and their maps are those of autograd."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.models.cutting.cut import cut
from camcli.models.cutting.listing import list_layers

SIZE = 64


def body(channels: int = 16) -> nn.Sequential:
    """Images (B, 3, 64, 64) -> (B, channels, 8, 8)."""
    layers: list[nn.Module] = []
    for given, made in ((3, 8), (8, 12), (12, channels)):
        layers += [nn.Conv2d(given, made, 3, 2, 1), nn.BatchNorm2d(made), nn.ReLU()]
    return nn.Sequential(*layers)


class Headed(nn.Module):
    """A body, and whatever a function makes of its map; parameters by name."""

    def __init__(self, head, channels: int = 16, **parts) -> None:
        super().__init__()
        self.body, self.head = body(channels), head
        for name, part in parts.items():
            if isinstance(part, Tensor):
                part = nn.Parameter(part)
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self, self.body(x))


def made(network: nn.Module) -> nn.Module:
    """With statistics as after training."""
    generator = torch.Generator().manual_seed(1)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return network.eval()


def images(batch: int = 3, size: int = SIZE) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(5))


def truth(network: nn.Module, layer: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A at a module, the logits, and Grad-CAM of the class that wins, by autograd on all of it."""
    kept: list[Tensor] = []

    def keep(module, given, out):
        out.retain_grad()
        kept.append(out)
        return out.clone()

    network.requires_grad_(True)
    handle = network.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = network(x.clone())
    finally:
        handle.remove()
    logits.amax(1).sum().backward()
    A = kept[-1].detach()
    M = (kept[-1].grad.mean((2, 3), keepdim=True) * A).sum(1)
    network.zero_grad()
    network.requires_grad_(False)
    return A, logits.detach(), M


def gem(net: Headed, A: Tensor) -> Tensor:
    A = A.clamp(min=1e-6).pow(net.p)
    return net.fc(functional.avg_pool2d(A, A.shape[-2:]).pow(1.0 / net.p).flatten(1))


def cosine_head(net: Headed, A: Tensor) -> Tensor:
    return net.s * functional.linear(
        functional.normalize(A.mean((2, 3))), functional.normalize(net.w)
    )


def text_head(net: Headed, A: Tensor) -> Tensor:
    A = A.mean((2, 3))
    A = A / A.norm(dim=-1, keepdim=True)
    return net.s.exp() * A @ (net.w / net.w.norm(dim=-1, keepdim=True)).t()


def lora(net: Headed, A: Tensor) -> Tensor:
    return functional.linear(A.mean((2, 3)), net.fc.weight + net.up @ net.down, net.fc.bias)


def masked(net: Headed, A: Tensor) -> Tensor:
    mask = (torch.arange(A.shape[1]) % 3 > 0).to(A.device, A.dtype)
    return net.fc(A.mean((2, 3)) * mask)


def gram(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2)
    return net.fc(functional.normalize((A @ A.transpose(1, 2) / A.shape[2]).flatten(1)))


def gram_of_one_channel(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2)
    return net.fc(net.conv((A @ A.transpose(1, 2) / 64)[:, None]).relu().mean((2, 3)))


def channel_attention(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2)
    return net.fc((torch.bmm(A, A.transpose(1, 2)).softmax(-1) @ A).mean(2))


def queries(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2).transpose(1, 2)
    asked = net.q[None].expand(len(A), -1, -1)
    return net.fc(asked + net.attention(asked, A, A)[0]).mean(1)


def one_query_a_class(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2).transpose(1, 2)
    asked = net.q[None].expand(len(A), -1, -1)
    return net.out(asked + net.attention(asked, A, A)[0]).squeeze(-1)


def slots(net: Headed, A: Tensor) -> Tensor:
    A = A.flatten(2).transpose(1, 2)
    return net.fc(torch.einsum("bnk,bnd->bkd", net.gate(A).softmax(1), A).relu()).mean(1)


def lstm(net: Headed, A: Tensor) -> Tensor:
    return net.fc(net.lstm(A.flatten(2).transpose(1, 2))[0][:, -1])


def shuffled(net: Headed, A: Tensor) -> Tensor:
    B, K, h, w = A.shape
    A = A.view(B, 4, K // 4, h, w).transpose(1, 2).reshape(B, K, h, w)
    return net.fc(net.conv(A).relu().mean((2, 3)))


class Rounds(torch.autograd.Function):
    """Its gradient is not that of what it computes."""

    @staticmethod
    def forward(ctx, x, steps):
        return (x * steps).round() / steps

    @staticmethod
    def backward(ctx, g):
        return g, None


def rounded(net: Headed, A: Tensor) -> Tensor:
    return net.fc(Rounds.apply(A.mean((2, 3)), 8.0) ** 2)


def checkpointed(net: Headed, A: Tensor) -> Tensor:
    from torch.utils.checkpoint import checkpoint

    if A.mean() > 1e9:  # so that it cannot be traced
        A = A / 2
    return net.fc(checkpoint(net.conv, A, use_reentrant=True).mean((2, 3)) ** 2)


def networks() -> dict[str, nn.Module]:
    """By name; of each the last map is what its body returns."""
    torch.manual_seed(0)

    def fc(given: int = 16, made: int = 5) -> nn.Linear:
        return nn.Linear(given, made)

    return {
        "gem": Headed(gem, p=torch.tensor([3.0]), fc=fc()),
        "cosine": Headed(cosine_head, w=torch.randn(5, 16), s=torch.tensor(10.0)),
        "text": Headed(text_head, w=torch.randn(5, 16), s=torch.tensor(2.0)),
        "lora": Headed(lora, fc=fc(), up=torch.randn(5, 2), down=torch.randn(2, 16)),
        "masked": Headed(masked, fc=fc()),
        "gram": Headed(gram, fc=fc(256)),
        "gram of one channel": Headed(gram_of_one_channel, conv=nn.Conv2d(1, 4, 3, 1, 1), fc=fc(4)),
        "channel attention": Headed(channel_attention, fc=fc()),
        "queries": Headed(
            queries, q=torch.randn(64, 16), fc=fc(),
            attention=nn.MultiheadAttention(16, 2, batch_first=True),
        ),
        "one query a class": Headed(
            one_query_a_class, q=torch.randn(16, 16), out=fc(16, 1),
            attention=nn.MultiheadAttention(16, 2, batch_first=True),
        ),
        "slots": Headed(slots, gate=fc(16, 9), fc=fc()),
        "lstm": Headed(lstm, lstm=nn.LSTM(16, 8, batch_first=True), fc=fc(8)),
        "rounded": Headed(rounded, fc=fc()),
    }  # fmt: skip


def close(got: torch.Tensor, true: torch.Tensor) -> None:
    torch.testing.assert_close(got, true, rtol=1e-3, atol=1e-4 * float(true.abs().max()))


def explained(network: nn.Module, size: int = SIZE, layers=("last",)):
    """As a run does it: the network runs in inference mode, and autograd in its tail alone."""
    halves = cut(copy.deepcopy(network).requires_grad_(False), size, layers)
    with torch.inference_mode():
        ((A, tail),) = halves.split(images(size=size))
        logits = tail(A)
    evidence = Evidence(A, logits, logits.argmax(1), tail, halves.head)
    return halves, A, logits, explain(METHODS["gradcam"], evidence)


@pytest.mark.parametrize("name", networks())
def test_the_map_is_the_bodys_and_grad_cam_that_of_autograd(name):
    network = made(networks()[name])
    A, logits, M = truth(network, "body", images())
    halves, *got = explained(network)
    close(got[1], logits)
    if name == "gem":  # what a power is taken of, so that no cell is zero
        close(got[0], A.clamp(min=1e-6))
        return
    close(got[0], A)
    close(got[2], M)
    assert "passes by it" not in halves.output.told


def test_values_of_parameters_alone_pass_by_no_cut():
    for name in ("gem", "cosine", "text", "lora", "masked"):
        assert cut(made(networks()[name]).requires_grad_(False), SIZE).plain, name


def test_what_passes_by_a_cut_can_be_multiplied_with():
    """A gate is made from the map before, which inference mode has made."""

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.more = body(), nn.Conv2d(16, 16, 3, 1, 1)
            self.gate, self.fc = nn.Conv2d(16, 16, 1), nn.Linear(16, 5)

        def forward(self, x):
            A = self.body(x)
            gate = self.gate(A.mean((2, 3), keepdim=True)).sigmoid()
            return self.fc((self.more(A) * gate).mean((2, 3)) ** 2)

    torch.manual_seed(0)
    network = made(Gated())
    _, logits, M = truth(network, "more", images())
    halves, _, got, map_ = explained(network, layers=("more",))
    assert halves.places[0].batched == (True,)
    close(got, logits)
    close(map_, M)


def test_a_shuffle_of_channels_leaves_places_where_they_are():
    torch.manual_seed(0)
    network = made(Headed(shuffled, conv=nn.Conv2d(16, 6, 3, 1, 1), fc=nn.Linear(6, 5)))
    assert cut(network.requires_grad_(False), 32).layer == "conv+relu"


def test_channels_last_of_a_cube_are_not_taken_for_channels_first():
    """(B, 16, 16, 16) may be either: where it comes from tells."""

    class Cube(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 16, 3, 4, 1), nn.LayerNorm(16)
            self.fc = nn.Linear(16, 5)

        def forward(self, x):
            return self.fc(self.norm(self.conv(x).permute(0, 2, 3, 1)).mean((1, 2)))

    torch.manual_seed(0)
    network = Cube().eval().requires_grad_(False)
    made_ = cut(network, SIZE)
    assert made_.layer == "norm"
    with torch.no_grad():
        true = network.norm(network.conv(images()).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        close(made_.features(images()), true)


def test_checkpointing_hides_nothing_from_autograd():
    """Nor does what cannot be traced."""
    torch.manual_seed(0)
    network = made(Headed(checkpointed, conv=nn.Conv2d(16, 6, 3, 1, 1), fc=nn.Linear(6, 5)))
    plain = copy.deepcopy(network)
    plain.head = lambda net, A: net.fc(net.conv(A).mean((2, 3)) ** 2)
    _, logits, M = truth(plain, "conv", images())
    halves, _, got, map_ = explained(network)
    assert halves.layer == "conv"
    close(got, logits)
    close(map_, M)


# --- several branches ----------------------------------------------------------------------------


class Branches(nn.Module):
    """Two bodies; one of them counts for more."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.one, self.two, self.fc = body(), body(), nn.Linear(32, 5)
        self.weight = weight

    def forward(self, x):
        two = self.two(x).mean((2, 3)) * self.weight
        return self.fc(torch.cat([self.one(x).mean((2, 3)), two], 1) ** 2)


@pytest.mark.parametrize(("weight", "layer", "other"), [(9.0, "two", "one"), (0.1, "one", "two")])
def test_of_two_branches_the_one_is_explained_that_decides_most(weight, layer, other):
    torch.manual_seed(0)
    network = made(Branches(weight))
    A, logits, M = truth(network, layer, images())
    halves, *got = explained(network)
    assert halves.layer == f"{layer}.8"
    assert f"Maps are of '{layer}.8', and part of what the network decides on" in halves.output.told
    assert f"'{other}.8', which --layer shows" in halves.output.told
    close(got[0], A)
    close(got[1], logits)
    close(got[2], M)
    assert cut(network.requires_grad_(False), SIZE, (f"{other}.8",)).output.told == ""


def test_a_pyramid_is_not_explained_by_its_first_layer():
    """Everything has passed there, and nothing has been decided."""

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
            self.two = nn.Sequential(nn.Conv2d(8, 16, 3, 4, 1), nn.ReLU())
            self.fc = nn.Linear(24, 5)

        def forward(self, x):
            one = self.one(x)
            return self.fc(torch.cat([one.mean((2, 3)) * 0.1, self.two(one).mean((2, 3))], 1))

    torch.manual_seed(0)
    made_ = cut(Pyramid().eval().requires_grad_(False), SIZE)
    assert made_.layer == "two.1"
    assert "passes by it" in made_.output.told


def test_pooling_at_several_sizes_has_one_map():
    torch.manual_seed(0)

    def pools(net, A):
        parts = [nn.functional.adaptive_max_pool2d(A, side).flatten(1) for side in (1, 2, 4)]
        return net.fc(torch.cat(parts, 1))

    network = made(Headed(pools, fc=nn.Linear(16 * 21, 5))).requires_grad_(False)
    made_ = cut(network, SIZE)
    assert made_.layer == "body.8"
    assert made_.output.told == ""


def test_a_gram_matrix_is_not_listed_as_a_layer():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.gram, self.fc = body(), nn.Identity(), nn.Linear(256, 5)

        def forward(self, x):
            A = self.body(x).flatten(2)
            return self.fc(self.gram(A @ A.transpose(1, 2)).flatten(1))

    names = [layer.name for layer in list_layers(made(Listed()).requires_grad_(False), SIZE)]
    assert "body" in names
    assert "gram" not in names


def test_options_of_forward_keep_their_defaults_and_its_graph():
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.fc = body(), nn.Linear(16, 5)

        def forward(self, *args, labels=None, scale=2.0, **more):
            logits = self.fc(self.body(args[0]).mean((2, 3)) * scale)
            return logits if labels is None and not more else logits.sum()

    torch.manual_seed(0)
    network = made(Optional()).requires_grad_(False)
    made_ = cut(network, SIZE)
    assert isinstance(made_.first, torch.fx.GraphModule)
    with torch.no_grad():
        close(made_.tail(made_.features(images())), network(images()))
