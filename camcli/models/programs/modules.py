"""The layers that operations of `torch.ops.aten` with weights are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_ATEN = torch.ops.aten
Given = Mapping[str, Any]
Held = Mapping[str, Tensor | None]
Layered = tuple[nn.Module, Any] | None


def _conv(given: Given, held: Held) -> Layered:
    weight, bias = held["weight"], held["bias"]
    if weight is None or weight.ndim != 4 or (bias is None and given["bias"] is not None):
        return None
    if given.get("transposed"):
        return None
    groups = given["groups"]
    module = nn.Conv2d(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),  # type: ignore[arg-type]
        _pair(given["stride"]), _padding(given["padding"]), _pair(given["dilation"]), groups,
        bias=bias is not None, device="meta",
    )  # fmt: skip
    return _filled(module, weight=weight, bias=bias), given["input"]


def _linear(given: Given, held: Held) -> Layered:
    weight, bias = held.get("weight"), held.get("bias")
    if weight is None or weight.ndim != 2 or (bias is None and given["bias"] is not None):
        return None
    rows, columns = weight.shape
    module = nn.Linear(columns, rows, bias=bias is not None, device="meta")
    return _filled(module, weight=weight, bias=bias), given["input"]


def _norm(given: Given, held: Held) -> Layered:
    mean, var = held["running_mean"], held["running_var"]
    if given.get("training") or mean is None or var is None:
        return None
    weight, bias = held["weight"], held["bias"]
    module = nn.BatchNorm2d(len(mean), given["eps"], affine=weight is not None, device="meta")
    module = _filled(module, weight=weight, bias=bias, running_mean=mean, running_var=var)
    module.num_batches_tracked = None
    return module, given["input"]


def _filled(module: Any, **tensors: Tensor | None) -> Any:
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if name.startswith("running"):
            module._buffers[name] = tensor.detach()
        else:
            setattr(module, name, nn.Parameter(tensor.detach(), requires_grad=False))
    return module.eval()


def _pair(value: Any) -> tuple[int, int]:
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


def _padding(value: Any) -> Any:
    return value if isinstance(value, str) else _pair(value)


LAYERS: dict[Any, Callable[[Given, Held], Layered]] = {
    _ATEN.conv2d.default: _conv,
    _ATEN.conv2d.padding: _conv,
    _ATEN._convolution.default: _conv,
    _ATEN.convolution.default: _conv,
    _ATEN.linear.default: _linear,
    _ATEN.addmm.default: _linear,
    _ATEN.mm.default: _linear,
    _ATEN.batch_norm.default: _norm,
    _ATEN._native_batch_norm_legit_no_training.default: _norm,
}
