"""Linear layers that were quantised dynamically: they answer as they do, and have a gradient."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def with_gradients(module: nn.Module) -> nn.Module:
    """A network whose dynamically quantised linear layers can be differentiated; others as it is.

    Args:
        module: what ``torch.ao.quantization.quantize_dynamic`` made, say; it is left alone.
    """
    if not any(_is_quantised(part) for part in module.modules()):
        return module
    if _is_quantised(module):
        return DynamicLinear(module)
    shared = {id(t): t for t in (*module.parameters(), *module.buffers())}
    copied = copy.deepcopy(module, shared)
    for part in list(copied.modules()):
        for name, child in list(part.named_children()):
            if _is_quantised(child):
                setattr(part, name, DynamicLinear(child))
    return copied


def _is_quantised(module: nn.Module) -> bool:
    # By name: torch moves these from version to version, and importing them warns.
    kind = type(module)
    return kind.__name__ in ("Linear", "LinearReLU") and ".quantized.dynamic" in kind.__module__


class DynamicLinear(nn.Module):
    """A quantised layer with the gradient of its own weights.

    The answer is the quantised layer's to the last bit. Rounding has no gradient, so that of the
    layer with these weights and no rounding stands for it, as in training that is aware of
    quantisation.

    Attributes:
        own: the quantised layer.
        weight: its weights (out, in), as numbers again.
        bias: (out,), or None.
    """

    in_one_piece = True  # tracing does not look into it

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.own = own
        weight: Tensor = own.weight()
        self.weight = nn.Buffer(weight.dequantize().float() if weight.is_quantized else weight)
        bias = own.bias()
        self.bias = None if bias is None else nn.Buffer(bias.detach().float())
        self._relu = type(own).__name__ == "LinearReLU"

    def forward(self, x: Tensor) -> Tensor:
        """What the quantised layer says."""
        with torch.no_grad():
            answer: Tensor = self.own(x)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return answer
        smooth = functional.linear(x, self.weight, self.bias)
        smooth = torch.relu(smooth) if self._relu else smooth
        return smooth + (answer - smooth).detach()
