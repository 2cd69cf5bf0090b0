"""Whether a network's tail is piecewise linear, read off its graph."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

# Exact types only: a subclass may compute anything.
_MODULES = {
    nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d, nn.Identity, nn.Flatten, nn.Dropout,
    nn.Dropout2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.Hardtanh, nn.MaxPool2d,
    nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d,
}  # fmt: skip
_FUNCTIONS = {
    operator.add, operator.sub, operator.neg, operator.getitem, operator.floordiv, getattr,
    torch.add, torch.sub,
    torch.cat, torch.flatten, torch.mean, torch.relu, torch.squeeze, torch.unsqueeze,
    torch.permute, torch.transpose, torch.reshape, torch.chunk, torch.split, torch.clamp,
    functional.relu, functional.relu6, functional.leaky_relu, functional.hardtanh,
    functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d,
    functional.dropout,
}  # fmt: skip
# timm's convolution that pads by itself, and its BatchNorm with an activation, a child of its own.
_TIMMS = {"Conv2dSame", "BatchNormAct2d"}
_SCALINGS = {operator.mul, operator.truediv, torch.mul, torch.div}
_METHODS = {
    "add", "sub", "mean", "sum", "relu", "clamp", "flatten", "view", "reshape", "permute",
    "transpose", "squeeze", "unsqueeze", "contiguous", "chunk", "split", "size", "expand",
}  # fmt: skip


def is_piecewise_linear(run: Any) -> bool:
    """Whether A -> logits is linear around almost every A, so that it has no second derivative.

    Convolutions, batch normalisation in eval mode, ReLU and its like, pooling, sums and linear
    layers are. What is not known to be is taken not to be: another runtime's network, say, or one
    that is run with hooks.

    Args:
        run: a tail; anything.
    """
    return isinstance(run, fx.GraphModule) and all(_is_known(run, n) for n in run.graph.nodes)


def _is_known(whole: fx.GraphModule, node: fx.Node) -> bool:
    if node.op in ("placeholder", "get_attr", "output"):
        return True
    if node.op == "call_method":
        return node.target in _METHODS
    if node.op == "call_function":
        if node.target in _SCALINGS:  # by a number: a product of two maps bends
            return isinstance(node.args[0], fx.Node) and isinstance(node.args[1], int | float)
        return node.target in _FUNCTIONS
    return node.op == "call_module" and _is_linear_layer(whole.get_submodule(str(node.target)))


def _is_linear_layer(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
        module.training or module.running_mean is None
    ):
        return False  # the batch's own statistics
    kind = type(module)
    if kind.__module__.startswith("timm.layers.") and kind.__name__ in _TIMMS:
        return all(_is_linear_layer(child) for child in module.children())
    return kind in _MODULES
