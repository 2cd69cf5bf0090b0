r"""Layer-wise relevance propagation by autograd: the AttnLRP rules as other gradients.

Relevance that goes back through a network by the ε-rule with ε = 0 is gradient times input, if the
gradient of some functions is another one than their derivative (Achtibat 2024, arXiv 2402.05602;
the authors' `lxt` calls it "efficient"). So within `Rules` a network computes the numbers that it
always does, and its backward pass carries g̃ with R = x ⊙ g̃ at every value x on the way:

| function | rule | g̃ of what goes in |
| --- | --- | --- |
| linear, convolution, sum, mean, maximum | ε | the gradient |
| f(x), element by element, f(0) = 0 | identity (eq. 9): R passes | g̃ f(x)/x |
| layer, group, RMS norm, x/\|x\| | identity (prop. 3.4) | with the deviation held fast |
| a b, both made of the image | uniform (prop. 3.2, 3.3): half to each | half the gradient |
| a/b, a·rsqrt(b) | of a normalisation: all to a | with b held fast |
| softmax, exp(x)/Σ exp(x) | Taylor at x (prop. 3.1) | the gradient |
| a σ(b): a gate that is not 0 at 0 | all to the signal (Arras 2017, 1706.07206) | b held fast |

Functions are known by the names that torch gives them, in modules, in a graph and written out;
what a script or another `torch.autograd.Function` hides is differentiated as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from camcli.cam.attention.explicit import positional

Rule = Callable[..., Any]
_IN_PLACE = ("add_", "sub_", "mul_", "div_")


class Rules(TorchFunctionMode):
    """Within it, in this thread, what is computed has the gradients of the table above."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _IN_PLACE and args and _is_start(args[0]):
            # A new value instead: code goes on with what is returned, as ``a += b`` does.
            func, name = getattr(Tensor, name[:-1]), name[:-1]
        if name in _RULES:
            args, given = positional(args, given)
        self.meet(name, args, given)
        if torch.is_grad_enabled() and (rule := _RULES.get(name)) is not None:
            return rule(func, *args, **given)
        return func(*args, **given)

    def meet(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Called with each function before it is computed; for those who look on."""


def _is_start(value: Any) -> bool:
    """Whether gradients end at a value, which may not be written over then."""
    return _varies(value) and value.is_leaf and torch.is_grad_enabled()


def _varies(value: Any) -> bool:
    """Whether a value is made of what is explained."""
    return isinstance(value, Tensor) and value.requires_grad


class _Scaled(torch.autograd.Function):
    """The same value, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def _scaled(x: Tensor, factor: float) -> Tensor:
    if factor == 1 or not x.requires_grad:
        return x
    found: Tensor = _Scaled.apply(x, factor)
    return found


def _made(out: Tensor, factor: float) -> Tensor:
    """What a function has just made, the gradient of which is multiplied: it may be written over.

    A network goes on with ``scores *= scale``, and torch allows that of no view that a function
    of ours returns.
    """
    if factor != 1 and out.requires_grad:
        out = out.clone() if out._is_view() else out
        out.register_hook(lambda g: g * factor)
    return out


class _Identity(torch.autograd.Function):
    """y = x r, of which r is held fast."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, func: Callable[..., Tensor], args: Any, kwargs: Any) -> Tensor:
        if func is functional.gelu and kwargs.get("approximate", "none") == "none":
            ratio = torch.erf(x * 0.5**0.5).add_(1).mul_(0.5)
            y = x * ratio
        else:
            y = func(x, *args, **kwargs)
            # Where x is 0 nothing has come in that could be passed on.
            ratio = torch.where(x == 0, 0, y / x)
        ctx.save_for_backward(ratio)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return grads[0] * ctx.saved_tensors[0], None, None, None


def _identity(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not _varies(x):
        return func(x, *args, **kwargs)
    # What is read later on the way back may not be written over.
    kwargs.pop("inplace", None)
    args = tuple(value for value in args if value is not True)
    return _Identity.apply(x, func, args, kwargs)


class _LayerNorm(torch.autograd.Function):
    """(x - mean) / deviation · w + b, of which the deviation is held fast."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float
    ) -> Tensor:
        y, _, rstd = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(rstd, weight)
        ctx.over = tuple(range(-len(shape), 0))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        rstd, weight = ctx.saved_tensors
        g = grads[0] if weight is None else grads[0] * weight
        return (g - g.mean(ctx.over, keepdim=True)) * rstd, None, None, None, None


def _layer_norm(
    func: Any, input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5, *more: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    if not _varies(input):
        return func(input, normalized_shape, weight, bias, eps, *more, **kwargs)
    return _LayerNorm.apply(input, list(normalized_shape), weight, bias, eps)


def _rms_norm(
    func: Any, input: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    if not _varies(input):
        return func(input, normalized_shape, weight, eps)
    fixed = input.detach()
    over = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    y = input * (fixed.square().mean(over, keepdim=True) + eps).rsqrt()
    return y if weight is None else y * weight


def _native_layer_norm(
    func: Any, input: Tensor, shape: Any, weight: Any, bias: Any, eps: float
) -> Any:
    if not _varies(input):
        return func(input, shape, weight, bias, eps)
    y = _LayerNorm.apply(input, list(shape), weight, bias, eps)
    return y, *func(input.detach(), shape, weight, bias, eps)[1:]


def _group_norm(
    func: Any, input: Tensor, num_groups: int, weight: Any = None, bias: Any = None,
    eps: float = 1e-5, *more: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    if not _varies(input):
        return func(input, num_groups, weight, bias, eps, *more, **kwargs)
    x = input.unflatten(1, (num_groups, -1))
    over = tuple(range(2, x.ndim))
    deviation = (x.detach().var(over, correction=0, keepdim=True) + eps).rsqrt()
    y = ((x - x.mean(over, keepdim=True)) * deviation).flatten(1, 2)
    each = (1, -1, *[1] * (input.ndim - 2))
    y = y if weight is None else y * weight.view(each)
    return y if bias is None else y + bias.view(each)


def _normalize(
    func: Any, input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None
) -> Any:
    if not _varies(input):
        return func(input, p, dim, eps, out)
    return input / input.detach().norm(p, dim, keepdim=True).clamp_min(eps)


def _held(func: Any, *args: Any, **kwargs: Any) -> Any:
    """The measure of a normalisation: what is multiplied by it takes all."""
    return func(*(a.detach() if isinstance(a, Tensor) else a for a in args), **kwargs)


# What a softmax that is written out is made of.
_EXP, _SUM_OF_EXP = "_camcli_exp", "_camcli_sum_of_exp"


def _exp(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    out = func(x, *args, **kwargs)
    if _varies(x):
        setattr(out, _EXP, True)
    return out


def _summed(func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    out = func(x, *args, **kwargs)
    if _varies(x) and getattr(x, _EXP, False):
        setattr(out, _SUM_OF_EXP, True)
    return out


def _divided(func: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    softmax = getattr(a, _EXP, False) and getattr(b, _SUM_OF_EXP, False)
    if _varies(a) and _varies(b) and not softmax:
        b = b.detach()
    return func(a, b, *args, **kwargs)


def _power(func: Any, x: Any, exponent: Any, *args: Any, **kwargs: Any) -> Any:
    """x^n passes its relevance on for n > 0; below that it is the measure of a normalisation."""
    if not _varies(x) or not isinstance(exponent, int | float) or exponent == 0:
        return func(x, exponent, *args, **kwargs)
    if exponent < 0:
        return func(x.detach(), exponent, *args, **kwargs)
    return _made(func(x, exponent, *args, **kwargs), 1 / exponent)


def _root(func: Any, x: Tensor) -> Any:
    return _made(func(x), 2)


# What a gate has gone through between its sigmoid and the product.
_GATE = "_camcli_gate"


def _gate(func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    out = func(x, *args, **kwargs)
    if _varies(x) and isinstance(out, Tensor):
        setattr(out, _GATE, True)
    return out


def _gate_or_not(func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Tanh and erf: an activation by themselves, and part of a gate in 1 + tanh(x)."""
    out = _identity(func, x, *args, **kwargs)
    if _varies(x):
        setattr(out, _GATE, True)
    return out


def _is_gate(value: Any) -> bool:
    return isinstance(value, Tensor) and getattr(value, _GATE, False)


def _added(func: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    out = func(a, b, *args, **kwargs)
    if (_is_gate(a) and not _varies(b)) or (_is_gate(b) and not _varies(a)):
        setattr(out, _GATE, True)
    return out


def _shaped(func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    out = func(x, *args, **kwargs)
    if _is_gate(x) and isinstance(out, Tensor):
        setattr(out, _GATE, True)
    return out


def _multiplied(func: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    if not (_varies(a) and _varies(b)):
        return _added(func, a, b, *args, **kwargs)
    if _is_gate(b) and not _is_gate(a):
        return func(a, b.detach(), *args, **kwargs)
    if _is_gate(a) and not _is_gate(b):
        return func(a.detach(), b, *args, **kwargs)
    return _made(func(a, b, *args, **kwargs), 0.5)


def _multiplied_in_place(func: Any, a: Any, b: Any) -> Any:
    if not (_varies(a) and _varies(b)):
        return func(a, b)
    # Of other products in place the factor that is written over takes all.
    return func(a, b.detach())


def _product(func: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    """Of matrices, or with weights that are made of the image."""
    out = func(a, *args, **kwargs)
    b = args[0] if args else kwargs.get("weight")
    return _made(out, 0.5) if _varies(a) and _varies(b) else out


def _added_product(func: Any, input: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    if _varies(a) and _varies(b):
        a, b = _scaled(a, 0.5), _scaled(b, 0.5)
    return func(input, a, b, *args, **kwargs)


def _einsum(func: Any, equation: Any, *operands: Any, **kwargs: Any) -> Any:
    values = operands[0] if len(operands) == 1 and not _is_tensor(operands[0]) else operands
    among = sum(map(_varies, values))
    out = func(equation, *operands, **kwargs)
    return _made(out, 1 / among) if among > 1 else out


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _attention(func: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kw: Any) -> Any:
    """softmax(q kᵀ) v: half to v, and of the other half what the softmax leaves, q and k alike.

    All between is linear in each of the three, so the halves are taken off where they come in, and
    whatever computes attention fastest may do so. Projections before it are linear, too.
    """
    weights, both = _varies(query) or _varies(key), _varies(query) and _varies(key)
    half = 0.5 if weights and _varies(value) else 1.0
    quarter = half * (0.5 if both else 1.0)
    return func(
        _scaled(query, quarter), _scaled(key, quarter), _scaled(value, half), *args, **kw
    )  # fmt: skip


def _glu(func: Any, input: Tensor, dim: int = -1) -> Any:
    if not _varies(input):
        return func(input, dim)
    a, b = input.chunk(2, dim)
    return a * b.detach().sigmoid()


_RULES: dict[str, Rule] = {
    # ReLU and its leaky kin are not among them: f(x)/x is their derivative.
    **dict.fromkeys(
        ("gelu", "silu", "mish", "hardswish", "relu6", "elu", "selu", "celu", "hardtanh",
         "softsign", "tanhshrink", "softshrink"),
        _identity,
    ),
    **dict.fromkeys(("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_"), _gate),
    **dict.fromkeys(("tanh", "erf"), _gate_or_not),
    **dict.fromkeys(
        ("view", "reshape", "expand", "expand_as", "unsqueeze", "squeeze", "transpose", "permute",
         "flatten", "unflatten", "contiguous", "view_as"),
        _shaped,
    ),
    **dict.fromkeys(("add", "__add__", "__radd__", "sub", "__sub__", "rsub", "__rsub__"), _added),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "multiply"), _multiplied),
    **dict.fromkeys(("mul_", "multiply_"), _multiplied_in_place),
    **dict.fromkeys(
        ("div", "__truediv__", "true_divide", "divide", "div_"), _divided
    ),
    **dict.fromkeys(("pow", "__pow__"), _power),
    "exp": _exp,
    "sum": _summed,
    "square": lambda func, x: _made(func(x), 0.5),
    "sqrt": _root,
    **dict.fromkeys(("rsqrt", "reciprocal"), _held),
    **dict.fromkeys(
        ("matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "linear", "conv1d", "conv2d",
         "conv_transpose2d"),
        _product,
    ),
    **dict.fromkeys(("baddbmm", "addmm", "addcmul"), _added_product),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _attention,
    "layer_norm": _layer_norm,
    "native_layer_norm": _native_layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "normalize": _normalize,
    "glu": _glu,
}  # fmt: skip
"""What each function does to the gradient, by torch's name of it."""
