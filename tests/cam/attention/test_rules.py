"""Each rule of AttnLRP by itself, in float64: what comes back to each input is what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.cam.attention.rules import Rules


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).double().requires_grad_(True)


R_OUT = torch.rand(4, 6, generator=torch.Generator().manual_seed(9)).double()


def relevances(function, *inputs):
    """R of each input, where the output's relevance is `R_OUT`, or as much of it as there is."""
    with torch.enable_grad(), Rules():
        y = function(*inputs)
    R = R_OUT if y.shape == R_OUT.shape else torch.rand_like(y)
    grads = torch.autograd.grad(y, inputs, R / y.detach(), allow_unused=True)
    return R, [None if g is None else g * x.detach() for g, x in zip(grads, inputs, strict=True)]


@pytest.mark.parametrize(
    "function",
    [
        functional.gelu, lambda x: functional.gelu(x, approximate="tanh"), nn.GELU(),
        functional.silu, lambda x: functional.relu6(8 * x.abs()),
        nn.SiLU(inplace=True), functional.mish, functional.hardswish, nn.Hardswish(), torch.tanh,
        torch.Tensor.tanh, functional.elu, lambda x: functional.silu(x, True), functional.softsign,
        functional.leaky_relu, torch.erf, lambda x: x.abs() ** 3 * 1.0,
        lambda x: x.square(), lambda x: x.abs().sqrt(), lambda x: torch.pow(x, exponent=2),
        # Written out, as they are in networks of Hugging Face and in graphs.
        lambda x: x * torch.sigmoid(1.702 * x),
        lambda x: x * 0.5 * (1.0 + torch.erf(x / 2**0.5)),
        lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * torch.pow(x, 3)))),
        lambda x: x * functional.hardsigmoid(x), lambda x: x.clone().mul_(x.sigmoid()),
    ],
)  # fmt: skip
def test_functions_of_each_element_pass_all_on(function):
    R, (got,) = relevances(lambda x: function(x + 0), drawn(4, 6))
    torch.testing.assert_close(got, R, rtol=1e-6, atol=1e-9)


def test_numbers_are_not_changed():
    x = drawn(4, 6)
    for function in (functional.gelu, functional.silu, functional.mish, torch.tanh):
        with torch.enable_grad(), Rules():
            got = function(x)
        torch.testing.assert_close(got.detach(), function(x.detach()))


def test_nothing_that_came_in_gives_nothing_and_no_nan():
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    for function in (functional.gelu, functional.silu, torch.tanh, functional.mish):
        with torch.enable_grad(), Rules():
            y = function(x)
        (g,) = torch.autograd.grad(y.sum(), x)
        assert g.isfinite().all()


NORMS = [
    lambda x: functional.layer_norm(x, (6,)),
    nn.LayerNorm(6, elementwise_affine=False).double(),
    lambda x: functional.rms_norm(x, (6,)),
    nn.RMSNorm(6).double(),
    lambda x: functional.group_norm(x, 2),
    lambda x: functional.normalize(x, dim=-1),
    # Written out.
    lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6).sqrt(),
    lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).pow(-0.5),
    lambda x: x / x.norm(dim=-1, keepdim=True),
]


@pytest.mark.parametrize("norm", NORMS)
def test_norms_pass_all_on(norm):
    """The sum: an element may take from the others by their mean."""
    R, (got,) = relevances(norm, drawn(4, 6))
    torch.testing.assert_close(got.sum(1), R.sum(1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", ["layer", "group", "rms"])
def test_norms_are_linear_once_the_deviation_is_a_number(name, affine):
    torch.manual_seed(2)
    norm = {
        "layer": nn.LayerNorm(6, elementwise_affine=affine),
        "group": nn.GroupNorm(2, 6, affine=affine),
        "rms": nn.RMSNorm(6, elementwise_affine=affine),
    }[name].double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    norm.requires_grad_(False)
    x = drawn(4, 6)
    parts = x.detach().unflatten(1, (2, 3)) if name == "group" else x.detach()[:, None]
    centred = parts if name == "rms" else parts - parts.mean(-1, keepdim=True)
    eps = torch.finfo(torch.float64).eps if name == "rms" else 1e-5
    s = (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    bias = getattr(norm, "bias", None)
    y = (centred / s).flatten(1) * (norm.weight if affine else 1) + (0 if bias is None else bias)
    torch.testing.assert_close(norm(x).detach(), y)
    g = (R_OUT / y * (norm.weight if affine else 1)).unflatten(1, parts.shape[1:])
    if name != "rms":
        g = g - g.mean(-1, keepdim=True)
    _, (got,) = relevances(norm, x)
    torch.testing.assert_close(got, (parts * g / s).flatten(1), rtol=1e-6, atol=1e-9)


PRODUCTS = [
    lambda a, b: a * b, torch.mul, lambda a, b: torch.mul(a, other=b), torch.matmul,
    lambda a, b: a @ b, lambda a, b: torch.bmm(a[None], b[None])[0],
    lambda a, b: torch.einsum("ij,jk->ik", a, b), functional.linear,
    lambda a, b: functional.linear(a, weight=b),
    lambda a, b: torch.baddbmm(torch.zeros(1, 6, 6).double(), a[None], b[None])[0],
]  # fmt: skip


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_product_of_two_gives_half_to_each(product):
    a, b = drawn(6, 6), drawn(6, 6, seed=1)
    R, (to_a, to_b) = relevances(product, a, b)
    for part in (to_a, to_b):
        torch.testing.assert_close(part.sum(), R.sum() / 2, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_weight_that_is_no_part_of_the_image_takes_nothing(product):
    a, b = drawn(6, 6), drawn(6, 6, seed=1).detach()
    with torch.enable_grad(), Rules():
        y = product(a, b)
    R = torch.rand_like(y)
    (g,) = torch.autograd.grad(y, a, R / y.detach())
    torch.testing.assert_close((g * a).sum().detach(), R.sum(), rtol=1e-6, atol=1e-9)


def test_gates_take_nothing():
    """Squeeze-and-excitation, a gated linear unit: all is the signal's."""
    for gated in (
        lambda a, b: a * b.mean(1, keepdim=True).sigmoid().expand_as(a),
        lambda a, b: functional.hardsigmoid(b).view(4, 6) * a,
        lambda a, b: functional.glu(torch.cat([a, b], 1)),
        lambda a, b: a.clone().mul_(torch.sigmoid(b)),
        lambda a, b: a / (1 + b.abs()),
    ):
        R, (to_a, to_b) = relevances(gated, drawn(4, 6), drawn(4, 6, seed=1))
        torch.testing.assert_close(to_a, R, rtol=1e-6, atol=1e-9)
        assert to_b is None or not to_b.any()


def attention_by_hand(q, k, v, R):
    """Propositions 3.1 and 3.3 for one head (N, d)."""
    scores = q @ k.T / q.shape[1] ** 0.5
    P = scores.softmax(1)
    share = R / (P @ v)
    R_P, R_v = P * (share @ v.T) / 2, v * (P.T @ share) / 2
    R_s = scores * (R_P - P * R_P.sum(1, keepdim=True))
    share = R_s / scores / q.shape[1] ** 0.5
    return q * (share @ k) / 2, k * (share.T @ q) / 2, R_v


@pytest.mark.parametrize("way", ["fused", "named", "written", "module"])
def test_attention(way):
    q, k, v = (drawn(6, 6, seed=n) for n in range(3))

    def run(q, k, v):
        if way == "written":
            return torch.softmax(q @ k.mT / 6**0.5, -1) @ v
        if way == "module":
            attention = nn.MultiheadAttention(6, 1, bias=False).double()
            with torch.no_grad():
                attention.in_proj_weight.copy_(torch.eye(6).repeat(3, 1))
                attention.out_proj.weight.copy_(torch.eye(6))
            attention.requires_grad_(False)
            return attention(q, k, v, need_weights=False)[0]
        q, k, v = q[None], k[None], v[None]
        if way == "named":
            return functional.scaled_dot_product_attention(query=q, key=k, value=v)[0]
        return functional.scaled_dot_product_attention(q, k, v)[0]

    R, got = relevances(run, q, k, v)
    for one, expected in zip(got, attention_by_hand(*(t.detach() for t in (q, k, v)), R),
                             strict=True):  # fmt: skip
        torch.testing.assert_close(one, expected, rtol=1e-6, atol=1e-9)


def test_a_query_that_is_learned_leaves_the_half_to_the_keys():
    q, k, v = drawn(6, 6).detach(), drawn(6, 6, seed=1), drawn(6, 6, seed=2)
    R = torch.rand(6, 6, dtype=torch.float64)
    with torch.enable_grad(), Rules():
        y = functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    to_k, to_v = (g * t for g, t in zip(torch.autograd.grad(y, (k, v), R / y.detach()), (k, v),
                                        strict=True))  # fmt: skip
    to_q_by_hand, to_k_by_hand, to_v_by_hand = attention_by_hand(q, k.detach(), v.detach(), R)
    torch.testing.assert_close(to_k.detach(), 2 * to_k_by_hand)
    torch.testing.assert_close(to_v.detach(), to_v_by_hand)
    assert to_q_by_hand.sum() == pytest.approx(to_k_by_hand.sum().item())


def test_outside_of_it_gradients_are_derivatives():
    x = drawn(4, 6)
    with torch.enable_grad(), Rules():
        pass
    with torch.enable_grad():
        (g,) = torch.autograd.grad(functional.silu(x).sum(), x)
    s = x.detach().sigmoid()
    torch.testing.assert_close(g, s + x.detach() * s * (1 - s))
