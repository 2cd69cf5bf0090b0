"""Attention written out is what torch computes."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.cam.attention.explicit import scaled_dot_product
from camcli.cam.attention.seen import Attending

F64 = torch.float64


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": (torch.arange(7) % 3 > 0).expand(5, 7)},
        {"attn_mask": torch.linspace(-2, 2, 35, dtype=F64).reshape(5, 7)},
    ],
    ids=["plain", "causal", "scale", "unseen", "added"],
)
def test_scaled_dot_product(options):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 4, dtype=F64) for n in (5, 7, 7))
    want = functional.scaled_dot_product_attention(q, k, v, **options)
    torch.testing.assert_close(scaled_dot_product(q, k, v, **options), want)


def test_heads_that_share_keys():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, 5, 4, dtype=F64) for heads in (6, 2, 2))
    want = functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    torch.testing.assert_close(scaled_dot_product(q, k, v, enable_gqa=True), want)


KINDS = [
    {},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"kdim": 6, "vdim": 7},
    {"bias": False},
    {"batch_first": True},
]


@pytest.mark.parametrize("kind", KINDS, ids=["-".join(kind) or "plain" for kind in KINDS])
def test_multi_head(kind):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, dtype=F64, **kind).eval().requires_grad_(False)
    q, k, v = (torch.randn(5, 3, kind.get(n, 8), dtype=F64) for n in ("embed", "kdim", "vdim"))
    B, N = (5, 3) if "batch_first" in kind else (3, 5)
    unseen = torch.zeros(B, N, dtype=torch.bool)
    unseen[1, -1] = True
    for asked in (
        {},
        {"attn_mask": torch.eye(N) > 0},
        {"attn_mask": torch.randn(B * 2, N, N, dtype=F64), "average_attn_weights": False},
        {"key_padding_mask": unseen},
        {"need_weights": False},
    ):
        want, weights = module(q, k, v, **asked)
        with Attending() as seen:
            got, P = module(q, k, v, **asked)
        torch.testing.assert_close(got, want)
        assert (P is None) == (weights is None)
        if P is not None:
            torch.testing.assert_close(P, weights)
        (call,) = seen.calls
        torch.testing.assert_close(call.weights @ call.V, call.O)


def test_one_sequence():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, dtype=F64).eval().requires_grad_(False)
    x = torch.randn(5, 8, dtype=F64)
    want = module(x, x, x)
    with Attending():
        got = module(x, x, x)
    torch.testing.assert_close(got, want)
