"""Whether a network ends in a linear layer: what that returns has no bounds.

Such numbers are no probabilities, wherever those of a few images happen to lie: the logits of a
network that was hardly trained are often a little above 0, all of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from camcli.models.cutting.graph.fx_graph import Traced

_LINEAR = (nn.Linear, nn.Conv2d)
LINEAR_FUNCTIONS = frozenset({
    functional.linear, functional.conv2d, torch.conv2d, torch.addmm, torch.matmul, torch.mm,
    Tensor.matmul, Tensor.mm, Tensor.__matmul__, torch.ops.aten.linear.default,
    torch.ops.aten.addmm.default, torch.ops.aten.mm.default,
})  # fmt: skip
_LINEAR_METHODS = frozenset({"matmul", "mm"})
# What leaves numbers as they are, takes their mean over places, adds a constant, scales by one.
_KEEPING_MODULES = (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d, nn.Unflatten,
                    nn.AdaptiveAvgPool2d, nn.AvgPool2d)  # fmt: skip
_KEEPING = frozenset({
    "flatten", "view", "reshape", "squeeze", "contiguous", "float", "to", "getitem", "permute",
    "transpose", "mean", "dropout", "adaptive_avg_pool2d", "avg_pool2d", "clone", "type_as",
    "add", "sub", "mul", "truediv",
})  # fmt: skip
_STEPS = 8


def ends_linear(traced: Traced) -> bool:
    """Whether what a network returns is what a linear layer or a convolution said."""
    node = traced.output.all_input_nodes[0]
    for _ in range(_STEPS):
        if _is_linear(traced.whole, node):
            return True
        inputs = [n for n in node.all_input_nodes if n in traced.shapes and n.op != "get_attr"]
        if len(inputs) != 1 or not _keeps(traced.whole, node):
            return False
        node = inputs[0]
    return False


def _is_linear(whole: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(whole.get_submodule(str(node.target)), _LINEAR)
    if node.op == "call_function" and _name(node.target) == "matmul" and not _of_weights(node):
        return False
    if node.op == "call_function":
        return node.target in LINEAR_FUNCTIONS or _name(node.target) == "matmul"
    return node.op == "call_method" and node.target in _LINEAR_METHODS and _of_weights(node)


def _of_weights(node: fx.Node) -> bool:
    """Whether one of two factors is a parameter; attention multiplies two that are not."""
    return any(n.op == "get_attr" for n in node.all_input_nodes)


def _keeps(whole: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(whole.get_submodule(str(node.target)), _KEEPING_MODULES)
    return node.op in ("call_function", "call_method") and _name(node.target) in _KEEPING


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target)).split(".")[0]
