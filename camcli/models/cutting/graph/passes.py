"""Passes over a graph (`torch.fx`) that change how it computes and not what."""

from __future__ import annotations

import copy
import operator

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_SAFE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


_VIEWS = {"view": "reshape", "view_as": "reshape_as"}


def without_inplace(module: fx.GraphModule) -> fx.GraphModule:
    """A copy that writes over none of its values; it shares its tensors with `module`.

    Nor does it ask for values that lie in memory in one order: ``view`` fails on those whose
    channels lie last, ``reshape`` does the same with both.
    """
    tensors = {id(t): t for t in (*module.parameters(), *module.buffers())}
    own: fx.GraphModule = copy.deepcopy(module, tensors)
    for part in own.modules():
        if hasattr(part, "inplace"):
            setattr(part, "inplace", False)  # noqa: B010 - a plain flag, which nn.Module does not declare
    for node in own.graph.nodes:
        if node.op == "call_function":
            node.target = _SAFE.get(node.target, node.target)
            name = getattr(node.target, "__name__", "")
            if name.endswith("_") and not name.startswith("_") and hasattr(torch, name[:-1]):
                node.target = getattr(torch, name[:-1])
        elif node.op == "call_method" and node.target in _VIEWS:
            if not any(isinstance(arg, torch.dtype) for arg in node.args):  # other bits, no shape
                node.target = _VIEWS[str(node.target)]
        elif node.op == "call_method" and str(node.target).endswith("_"):
            plain = str(node.target)[:-1]
            if not plain.endswith("_") and hasattr(Tensor, plain):
                node.target = plain
        if node.kwargs.get("inplace") is True:
            node.kwargs = {**node.kwargs, "inplace": False}
    own.recompile()
    return own


def fold_batchnorm(module: fx.GraphModule) -> fx.GraphModule:
    """Fold each BatchNorm that follows a convolution into the convolution's weights.

    In eval mode the two are one affine map, so this changes nothing but the time: about 10% on
    ResNet-50 and more on depthwise networks. Convolutions are copied; the source is unchanged.
    """
    modules = dict(module.named_modules())
    calls: dict[str, int] = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    for node in list(module.graph.nodes):
        if node.op != "call_module":
            continue
        norm = modules[str(node.target)]
        before = node.args[0] if node.args else None
        if not isinstance(norm, nn.BatchNorm2d) or norm.training:
            continue
        if norm.running_mean is None or norm.running_var is None:
            continue
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        conv = modules[str(before.target)]
        if not isinstance(conv, nn.Conv2d) or calls[str(before.target)] > 1:
            continue
        _set(module, str(before.target), folded(conv, norm))
        # timm's BatchNormAct2d carries its activation with it.
        activation = getattr(norm, "act", None)
        if isinstance(activation, nn.Module) and not isinstance(activation, nn.Identity):
            _set(module, str(node.target), activation)
        else:
            node.replace_all_uses_with(before)
            module.graph.erase_node(node)
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    return module


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that does what `conv` and `norm` after it do, which are left as they are.

    Args:
        conv: frozen.
        norm: with running statistics, in eval mode.
    """
    own = {id(tensor): tensor for tensor in conv.parameters()}  # which need not be copied
    made = copy.deepcopy(conv, own)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    made.weight, made.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight,
        norm.bias,
    )  # fmt: skip
    made.requires_grad_(False)
    return made


def _set(root: nn.Module, target: str, module: nn.Module) -> None:
    parent, _, name = target.rpartition(".")
    setattr(root.get_submodule(parent), name, module)
