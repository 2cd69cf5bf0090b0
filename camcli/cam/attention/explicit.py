"""Attention written out: what torch computes in one fused step, in steps that can be watched.

Every step is a torch function, so that a `torch.overrides.TorchFunctionMode` that is entered around
these sees the softmax and the products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def scaled_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """O = softmax(scale · q kᵀ + mask) v, as `torch.nn.functional.scaled_dot_product_attention`.

    Args:
        query: (..., heads, Nq, d).
        key: (..., heads, Nk, d).
        value: (..., heads, Nk, e).
        attn_mask: added where it has numbers; where it is boolean, False is not looked at.
        dropout_p: not applied: maps are of networks that are not being trained.
        is_causal: each token looks at itself and those before it.
        scale: by default 1/√d.
        enable_gqa: several heads of the queries share one of the keys and values.

    Returns:
        O (..., heads, Nq, e).
    """
    P, value = attention(
        query, key, value, attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
    )
    return torch.matmul(P, value)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """P (..., heads, Nq, Nk), whose rows sum to 1, and the values that it is multiplied with.

    The arguments are those of `scaled_dot_product`.
    """
    if enable_gqa:
        shared = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(shared, -3) for x in (key, value))
    root = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.matmul(query * root, key.transpose(-2, -1))
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1), value


# What torch calls the first arguments, where code names them.
_KEYWORDS = ((0, "input"), (1, "other"), (1, "mat2"), (1, "exponent"))


def positional(args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments of a torch function of one value or two, which code may have named.

    Args:
        args: as they were given.
        kwargs: the same.

    Returns:
        The same, with the values first.
    """
    rest = dict(kwargs)
    for place, key in _KEYWORDS:
        if len(args) == place and key in rest:
            args = (*args, rest.pop(key))
    return args, rest


def summed_product(
    equation: str, P: Tensor, V: Tensor, first: bool, over: int
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]] | None:
    """An `einsum` of P and V as a product of matrices.

    Args:
        equation: as ``bhnm,bmhd->bnhd``; with an ellipsis, too.
        P: who looks at whom.
        V: values.
        first: whether P comes first in the equation.
        over: the dimension of P in which it sums to 1.

    Returns:
        P (..., Nq, Nk), V (..., Nk, e), and what makes of their product (..., Nq, e) what the
        equation says; None where it is no such product.
    """
    words = equation.replace(" ", "").replace("->", ",").split(",")
    if len(words) != 3:
        return None
    p, v, out = words if first else (words[1], words[0], words[2])
    if "..." in p + v + out:
        spare = "".join(c for c in "ABCDEFGH" if c not in equation)[: P.ndim - len(p) + 3]
        p, v, out = (word.replace("...", spare) for word in (p, v, out))
    if (len(p), len(v)) != (P.ndim, V.ndim) or any(len({*w}) < len(w) for w in (p, v, out)):
        return None
    together = [c for c in out if c in p and c in v]
    key = [c for c in p if c in v and c not in out]
    query = [c for c in p if c in out and c not in v]
    depth = [c for c in v if c in out and c not in p]
    if [len(key), len(query), len(depth)] != [1, 1, 1] or p[over] != key[0]:
        return None
    if len(together) + 2 != len(p) or len(p) != len(v):
        return None
    made = [*together, *query, *depth]
    return (
        P.permute([p.index(c) for c in (*together, *query, *key)]),
        V.permute([v.index(c) for c in (*together, *key, *depth)]),
        lambda product: product.permute([made.index(c) for c in out]),
    )


def multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """As `torch.nn.functional.multi_head_attention_forward`, by three linear layers and attention.

    Whoever watches sees `torch.nn.functional.scaled_dot_product_attention`, which it may replace by
    `scaled_dot_product`. The arguments are torch's own; dropout is not applied. A causal mask is
    in `attn_mask`, as torch wants it.

    Returns:
        (Nq, B, E), or (Nq, E) for one sequence; and P if `need_weights`: (B, heads, Nq, Nk), or its
        mean over the heads.
    """
    single = query.ndim == 2
    if single:
        query, key, value = (x[:, None] for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
    Nq, B, E = query.shape
    d = E // num_heads
    weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases: Any = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (
        functional.linear(x, w, b)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    if bias_k is not None and bias_v is not None:
        k, v = torch.cat([k, bias_k.expand(1, B, E)]), torch.cat([v, bias_v.expand(1, B, E)])

    def heads(x: Tensor) -> Tensor:
        return x.reshape(len(x), B, num_heads, d).permute(1, 2, 0, 3)

    k = heads(k) if static_k is None else static_k.reshape(B, num_heads, -1, d)
    v = heads(v) if static_v is None else static_v.reshape(B, num_heads, -1, d)
    if add_zero_attn:
        none = k.new_zeros(B, num_heads, 1, d)
        k, v = torch.cat([k, none], 2), torch.cat([v, none], 2)
    mask = _mask(attn_mask, key_padding_mask, (B, num_heads, Nq, k.shape[2]), q)
    out = functional.scaled_dot_product_attention(heads(q), k, v, attn_mask=mask)
    out = out.permute(2, 0, 1, 3).reshape(Nq, B, E)
    out = functional.linear(out, out_proj_weight, out_proj_bias)
    P: Tensor | None = None
    if need_weights:
        with torch._C.DisableTorchFunction():  # It is computed to be looked at, not to attend.
            P = attention(heads(q), k, v, mask)[0]
            P = P.mean(1) if average_attn_weights else P
            P = P[0] if single else P
    return (out[:, 0] if single else out), P


def _mask(
    attn_mask: Tensor | None,
    padding: Tensor | None,
    shape: tuple[int, int, int, int],
    like: Tensor,
) -> Tensor | None:
    """What is added to the scores: both masks of a MultiheadAttention, where True is not seen."""
    B, heads, Nq, Nk = shape
    total: Tensor | None = None
    if attn_mask is not None:
        each = attn_mask.ndim == 3
        apart = attn_mask.reshape(B, heads, Nq, -1) if each else attn_mask[None, None]
        total = _added(apart, like, Nk)
    if padding is not None:
        apart = _added(padding[:, None, None], like, Nk)
        total = apart if total is None else total + apart
    return total


def _added(mask: Tensor, like: Tensor, keys: int) -> Tensor:
    """A mask as numbers, as wide as the keys that were appended make it."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -torch.inf)
    return functional.pad(mask.to(like.dtype), (0, keys - mask.shape[-1]))
