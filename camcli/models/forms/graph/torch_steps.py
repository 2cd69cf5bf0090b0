"""OpenVINO's operations in torch, for gradients through the rest of a graph.

Shapes of a part of a graph are fixed, so what only changes a shape is one reshape here. An
operation that is not listed has no gradient, and what needs one is refused then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Step = Callable[..., Any]
"""The values that it is computed from -> its value, or several."""


class UnknownStepError(Exception):
    """An operation that is not known in torch."""


def step_of(node: Any, fixed: Callable[[int], Tensor | None]) -> Step:
    """An operation as a function of its inputs that are no constants.

    Args:
        node: of OpenVINO's graph.
        fixed: the constant that it takes in a place; None where it is none.

    Raises:
        UnknownStepError: there is no such function.
    """
    kind = node.get_type_name()
    about = node.get_attributes()
    if kind in _UNARY:
        return _UNARY[kind]
    if kind in _BINARY:
        return _BINARY[kind]
    if kind in ("Reshape", "Squeeze", "Unsqueeze"):
        shape = _shape(node)
        return lambda x, *_: x.reshape(shape)
    if kind == "Broadcast":
        shape = _shape(node)
        return lambda x, *_: torch.broadcast_to(x, shape)
    make = _WITH_SETTINGS.get(kind)
    if make is None:
        raise UnknownStepError(kind)
    return make(node, about, fixed)


def _shape(node: Any, number: int = 0) -> tuple[int, ...]:
    return tuple(node.output(number).get_partial_shape().to_shape())


def _ints(fixed: Callable[[int], Tensor | None], place: int) -> list[int]:
    value = fixed(place)
    if value is None:
        raise UnknownStepError("settings that are computed")
    return [int(n) for n in value.reshape(-1).tolist()]


def _hard_swish(x: Tensor) -> Tensor:
    return x * functional.relu6(x + 3) / 6


_UNARY: dict[str, Step] = {
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Exp": torch.exp,
    "Log": torch.log, "Sqrt": torch.sqrt, "Abs": torch.abs, "Negative": torch.neg,
    "Erf": torch.erf, "Sin": torch.sin, "Cos": torch.cos, "HSwish": _hard_swish,
    "HSigmoid": lambda x: functional.relu6(x + 3) / 6, "SoftPlus": functional.softplus,
    "Mish": functional.mish, "Identity": lambda x: x,
}  # fmt: skip
_BINARY: dict[str, Step] = {
    "Add": torch.add, "Subtract": torch.sub, "Multiply": torch.mul, "Divide": torch.div,
    "Power": torch.pow, "Maximum": torch.maximum, "Minimum": torch.minimum,
    "SquaredDifference": lambda a, b: (a - b) ** 2,
    "PRelu": lambda x, slope: torch.where(
        x > 0, x, x * slope.reshape([1, -1] + [1] * (x.ndim - 2) if x.ndim > 1 else [-1])
    ),
    "Swish": lambda x, beta=1.0: x * torch.sigmoid(beta * x),
}  # fmt: skip


def _convert(node: Any, about: Any, fixed: Any) -> Step:
    if not node.get_output_element_type(0).is_real():
        return lambda x: x.long()
    return lambda x: x.float()


def _softmax(node: Any, about: Any, fixed: Any) -> Step:
    axis = int(about["axis"])
    run = torch.log_softmax if node.get_type_name() == "LogSoftmax" else torch.softmax
    return lambda x: run(x, axis)


def _matmul(node: Any, about: Any, fixed: Any) -> Step:
    first, second = bool(about["transpose_a"]), bool(about["transpose_b"])

    def run(a: Tensor, b: Tensor) -> Tensor:
        a = a.transpose(-1, -2) if first and a.ndim > 1 else a
        return a @ (b.transpose(-1, -2) if second and b.ndim > 1 else b)

    return run


def _transpose(node: Any, about: Any, fixed: Any) -> Step:
    order = _ints(fixed, 1) or list(range(len(_shape(node))))[::-1]
    return lambda x, *_: x.permute(order)


def _reduce(node: Any, about: Any, fixed: Any) -> Step:
    axes, keep = _ints(fixed, 1), bool(about["keep_dims"])
    kind = node.get_type_name().removeprefix("Reduce")
    if kind not in ("Mean", "Sum", "Max", "Min", "L2"):
        raise UnknownStepError(kind)
    if kind == "L2":
        return lambda x, *_: torch.linalg.vector_norm(x, dim=axes, keepdim=keep)
    ways: dict[str, Step] = {
        "Mean": torch.mean, "Sum": torch.sum, "Max": torch.amax, "Min": torch.amin,
    }  # fmt: skip
    run = ways[kind]
    return lambda x, *_: run(x, dim=axes, keepdim=keep)


def _padded(x: Tensor, about: Any, value: float = 0.0) -> Tensor:
    begin, end = about["pads_begin"], about["pads_end"]
    pads = [int(n) for pair in zip(reversed(begin), reversed(end), strict=True) for n in pair]
    return functional.pad(x, pads, value=value) if any(pads) else x


def _explicit(about: Any) -> None:
    if str(about.get("auto_pad", "explicit")).lower() not in ("explicit", "valid", "notset"):
        raise UnknownStepError("padding by itself")


def _convolution(node: Any, about: Any, fixed: Any) -> Step:
    _explicit(about)
    grouped = node.get_type_name() == "GroupConvolution"
    strides, dilations = list(about["strides"]), list(about["dilations"])
    if len(strides) != 2:
        raise UnknownStepError("a convolution that is not of pictures")

    def run(x: Tensor, weight: Tensor) -> Tensor:
        groups = len(weight) if grouped else 1
        weight = weight.flatten(0, 1) if grouped else weight
        x = _padded(x, about)
        return functional.conv2d(x, weight, None, strides, 0, dilations, groups)

    return run


def _pool(node: Any, about: Any, fixed: Any) -> Step:
    _explicit(about)
    kernel, strides = list(about["kernel"]), list(about["strides"])
    up = "ceil" in str(about.get("rounding_type", "floor")).lower()
    if len(kernel) != 2:
        raise UnknownStepError("a pooling that is not of pictures")
    if node.get_type_name() == "MaxPool":
        dilations = list(about.get("dilations", (1, 1)))
        low = -math.inf
        return lambda x: functional.max_pool2d(
            _padded(x, about, low), kernel, strides, 0, dilations, up
        )
    inside = bool(about["exclude-pad"] if "exclude-pad" in about else about["exclude_pad"])
    begin, end = list(about["pads_begin"]), list(about["pads_end"])
    if inside and begin != end:
        raise UnknownStepError("a mean over an uneven border")
    pads = begin if inside else [0, 0]
    return lambda x: functional.avg_pool2d(
        x if inside else _padded(x, about), kernel, strides, pads, up, not inside
    )


def _adaptive(node: Any, about: Any, fixed: Any) -> Step:
    size = _shape(node)[2:]
    mean = node.get_type_name() == "AdaptiveAvgPool"
    if len(size) != 2 or (not mean and node.output(1).get_target_inputs()):
        raise UnknownStepError("a pooling that is not of pictures")
    run = functional.adaptive_avg_pool2d if mean else functional.adaptive_max_pool2d
    return lambda x, *_: run(x, size)


def _concat(node: Any, about: Any, fixed: Any) -> Step:
    axis = int(about["axis"])
    return lambda *parts: torch.cat(parts, axis)


def _split(node: Any, about: Any, fixed: Any) -> Step:
    (axis,) = _ints(fixed, 1)
    lengths = [_shape(node, n)[axis] for n in range(node.get_output_size())]
    return lambda x, *_: torch.split(x, lengths, axis)


def _gather(node: Any, about: Any, fixed: Any) -> Step:
    if int(about.get("batch_dims", 0)):
        raise UnknownStepError("Gather by rows")
    indices, (axis,) = _ints(fixed, 1), _ints(fixed, 2)
    shape = _shape(node)

    def run(x: Tensor, *_: Tensor) -> Tensor:
        places = torch.tensor(indices, device=x.device)
        places = torch.where(places < 0, places + x.shape[axis], places)
        return x.index_select(axis, places).reshape(shape)

    return run


def _slice(node: Any, about: Any, fixed: Any) -> Step:
    start, stop, steps = (_ints(fixed, n) for n in (1, 2, 3))
    axes = _ints(fixed, 4) if node.get_input_size() > 4 else list(range(len(start)))
    if min(steps) < 1:
        raise UnknownStepError("Slice backwards")

    def run(x: Tensor, *_: Tensor) -> Tensor:
        cuts = [slice(None)] * x.ndim
        for axis, begin, end, by in zip(axes, start, stop, steps, strict=True):
            cuts[axis] = slice(begin, end, by)
        return x[tuple(cuts)]

    return run


def _strided(node: Any, about: Any, fixed: Any) -> Step:
    begin, end = _ints(fixed, 1), _ints(fixed, 2)
    by = _ints(fixed, 3) if node.get_input_size() > 3 else [1] * len(begin)
    masks = {
        name: list(about.get(name, ()))
        for name in ("begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask", "ellipsis_mask")
    }
    if any(masks["new_axis_mask"]) or any(masks["ellipsis_mask"]) or min(by) < 1:
        raise UnknownStepError("StridedSlice with new axes")
    shape = _shape(node)

    def masked(name: str, place: int) -> bool:
        return place < len(masks[name]) and bool(masks[name][place])

    cuts = []
    for place, (first, last, step) in enumerate(zip(begin, end, by, strict=True)):
        if masked("shrink_axis_mask", place):
            cuts.append(slice(first, first + 1 or None))
        else:
            cuts.append(
                slice(
                    None if masked("begin_mask", place) else first,
                    None if masked("end_mask", place) else last, step,
                )
            )  # fmt: skip
    return lambda x, *_: x[tuple(cuts)].reshape(shape)


def _clamp(node: Any, about: Any, fixed: Any) -> Step:
    low, high = float(about["min"]), float(about["max"])
    return lambda x: x.clamp(low, high)


def _gelu(node: Any, about: Any, fixed: Any) -> Step:
    way = "tanh" if "tanh" in str(about.get("approximation_mode", "erf")).lower() else "none"
    return lambda x: functional.gelu(x, approximate=way)


def _elu(node: Any, about: Any, fixed: Any) -> Step:
    alpha = float(about["alpha"])
    return lambda x: functional.elu(x, alpha)


def _batch_norm(node: Any, about: Any, fixed: Any) -> Step:
    eps = float(about["epsilon"])
    return lambda x, gamma, beta, mean, var: functional.batch_norm(
        x, mean, var, gamma, beta, False, 0.0, eps
    )


def _mvn(node: Any, about: Any, fixed: Any) -> Step:
    axes, eps = _ints(fixed, 1), float(about["eps"])
    scaled = bool(about["normalize_variance"])
    outside = "out" in str(about["eps_mode"]).lower()

    def run(x: Tensor, *_: Tensor) -> Tensor:
        x = x - x.mean(axes, keepdim=True)
        if not scaled:
            return x
        var = (x * x).mean(axes, keepdim=True)
        return x / (var.sqrt() + eps if outside else (var + eps).sqrt())

    return run


def _attention(node: Any, about: Any, fixed: Any) -> Step:
    causal = bool(about.get("causal", False))
    if node.get_input_size() > 5:
        raise UnknownStepError("attention with a sink")

    def run(q: Tensor, k: Tensor, v: Tensor, *more: Tensor) -> Tensor:
        scale = float(more[1]) if len(more) > 1 else None
        mask = more[0] if more and more[0].ndim else None
        return functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=scale)

    return run


def _fake_quantize(node: Any, about: Any, fixed: Any) -> Step:
    """Rounded to levels; gradients pass straight through what lies within their range."""
    steps = int(about["levels"]) - 1

    def run(x: Tensor, low: Tensor, high: Tensor, least: Tensor, most: Tensor) -> Tensor:
        inside = torch.minimum(torch.maximum(x, low), high)
        share = (inside - low) / (high - low)
        even = share * (most - least) + least
        rounded = (share * steps).round() / steps * (most - least) + least
        return even + (rounded - even).detach()

    return run


_WITH_SETTINGS: dict[str, Callable[[Any, Any, Any], Step]] = {
    "Convert": _convert, "Softmax": _softmax, "LogSoftmax": _softmax, "MatMul": _matmul,
    "Transpose": _transpose, "Convolution": _convolution, "GroupConvolution": _convolution,
    "MaxPool": _pool, "AvgPool": _pool, "AdaptiveAvgPool": _adaptive,
    "AdaptiveMaxPool": _adaptive, "Concat": _concat, "Split": _split, "VariadicSplit": _split,
    "Gather": _gather, "Slice": _slice, "StridedSlice": _strided, "Clamp": _clamp, "Gelu": _gelu,
    "Elu": _elu, "BatchNormInference": _batch_norm, "MVN": _mvn,
    "ScaledDotProductAttention": _attention, "FakeQuantize": _fake_quantize,
    **{f"Reduce{kind}": _reduce for kind in ("Mean", "Sum", "Max", "Min", "L2")},
}  # fmt: skip
