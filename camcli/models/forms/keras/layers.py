"""Layers of Keras as torch's own, with maps (B, K, h, w) where Keras has (B, h, w, K).

Only where the two are the same function. What has no entry here, or settings that torch's layer
has not, is run by Keras (`camcli.models.forms.keras.graph`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6, "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU, "swish": nn.SiLU, "tanh": nn.Tanh, "gelu": nn.GELU, "elu": nn.ELU,
    "selu": nn.SELU, "softplus": nn.Softplus, "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish, "hard_swish": nn.Hardswish, "softsign": nn.Softsign,
    "softmax": lambda: nn.Softmax(1), "log_softmax": lambda: nn.LogSoftmax(1),
}  # fmt: skip
# Nothing at inference.
_NOTHING = {
    "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation",
    "RandomContrast", "RandomBrightness", "InputLayer", "StochasticDepth",
}  # fmt: skip


class SamePad(nn.Module):
    """Margins as Keras' padding ``same`` has them: the odd pixel on the right and below.

    Attributes:
        in_one_piece: they depend on the size of the map, which tracing is not to look at.
    """

    in_one_piece = True

    def __init__(
        self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
        value: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.value = value

    def forward(self, A: Tensor) -> Tensor:
        """(B, K, h, w) with margins."""
        margins: list[int] = []
        for axis in (1, 0):  # the width first
            side, k, s = int(A.shape[2 + axis]), self.kernel[axis], self.stride[axis]
            span = (k - 1) * self.dilation[axis] + 1
            missing = max(0, (math.ceil(side / s) - 1) * s + span - side)
            margins += [missing // 2, missing - missing // 2]
        return functional.pad(A, margins, value=self.value)


class Pool(nn.Module):
    """Global pooling, (B, K, h, w) -> (B, K)."""

    def __init__(self, greatest: bool, keep: bool) -> None:
        super().__init__()
        self.greatest, self.keep = greatest, keep

    def forward(self, A: Tensor) -> Tensor:
        """(B, K), or (B, K, 1, 1)."""
        if self.greatest:
            return A.amax((2, 3), keepdim=self.keep)
        return A.mean((2, 3), keepdim=self.keep)


class Flat(nn.Module):
    """Keras' flatten: places first, then channels."""

    def forward(self, A: Tensor) -> Tensor:
        """(B, K, h, w) -> (B, h·w·K)."""
        return A.permute(0, 2, 3, 1).flatten(1)


class Scaled(nn.Module):
    """A · scale + offset."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, A: Tensor) -> Tensor:
        """The same shape."""
        return A * self.scale + self.offset


class Joined(nn.Module):
    """Several maps as one: their sum, product, or one after the other."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, *maps: Tensor) -> Tensor:
        """Of one shape each, but for what broadcasts or is put side by side."""
        if self.kind == "Concatenate":
            return torch.cat(maps, 1)
        out = maps[0]
        for each in maps[1:]:
            out = out + each if self.kind == "Add" else out * each
        return out


def torchs(layer: Any, ranks: list[int]) -> nn.Module | None:
    """The same as a module of torch's; None where there is none.

    Args:
        layer: of Keras, built.
        ranks: of its inputs.
    """
    kind = type(layer).__name__
    # Not operations in a graph, of which some have the same names and take numbers, too.
    if not type(layer).__module__.startswith(("keras.src.layers.", "keras.layers.")):
        return None
    if kind in _NOTHING:
        return nn.Identity()
    if kind in ("Add", "Multiply", "Concatenate"):
        return _joined(layer, kind, ranks)
    make = _MAKERS.get(kind)
    if make is None or len(ranks) != 1:
        return None
    if getattr(layer, "data_format", "channels_last") not in (None, "channels_last"):
        return None
    return make(layer, ranks[0])


def _tensor(variable: Any) -> Tensor:
    import keras

    return torch.as_tensor(keras.ops.convert_to_numpy(variable)).float().clone()


def _activation(function: Any) -> nn.Module | None:
    name = getattr(function, "__name__", "")
    if not str(getattr(function, "__module__", "")).startswith("keras."):
        return None
    made = _ACTIVATIONS.get(name)
    return made() if made else None


def _with_activation(parts: list[nn.Module], function: Any) -> nn.Module | None:
    end = _activation(function)
    if end is None:
        return None
    if not isinstance(end, nn.Identity):
        parts.append(end)
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _padded(
    layer: Any,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    value: float = 0.0,
) -> tuple[list[nn.Module], Any] | None:
    """What comes before, and the convolution's own padding."""
    if layer.padding == "valid":
        return [], (0, 0)
    if layer.padding != "same":
        return None
    spans = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if stride == (1, 1) and not any(span % 2 for span in spans) and value == 0.0:
        return [], (spans[0] // 2, spans[1] // 2)
    return [SamePad(kernel, stride, dilation, value)], (0, 0)


def _convolution(
    layer: Any, weight: Tensor, groups: int, bias: Any, function: Any
) -> nn.Module | None:
    """A convolution with (out, in, kh, kw)."""
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = _pair(layer.strides), _pair(layer.dilation_rate)
    found = _padded(layer, kernel, stride, dilation)
    if found is None:
        return None
    before, padding = found
    conv = nn.Conv2d(
        weight.shape[1] * groups, weight.shape[0], kernel, stride, padding, dilation, groups,
        bias=bias is not None,
    )  # fmt: skip
    conv.weight = nn.Parameter(weight.contiguous())
    if bias is not None:
        conv.bias = nn.Parameter(_tensor(bias))
    return _with_activation([*before, conv], function)


def _conv(layer: Any, rank: int) -> nn.Module | None:
    weight = _tensor(layer.kernel).permute(3, 2, 0, 1)
    return _convolution(layer, weight, int(layer.groups), layer.bias, layer.activation)


def _depthwise_weight(kernel: Tensor) -> Tensor:
    kh, kw, channels, times = kernel.shape
    return kernel.permute(2, 3, 0, 1).reshape(channels * times, 1, kh, kw)


def _depthwise(layer: Any, rank: int) -> nn.Module | None:
    kernel = _tensor(layer.kernel)
    weight = _depthwise_weight(kernel)
    return _convolution(layer, weight, kernel.shape[2], layer.bias, layer.activation)


def _separable(layer: Any, rank: int) -> nn.Module | None:
    import keras

    kernel = _tensor(layer.depthwise_kernel)
    first = _convolution(
        layer, _depthwise_weight(kernel), kernel.shape[2], None, keras.activations.linear
    )
    if first is None:
        return None
    weight = _tensor(layer.pointwise_kernel).permute(3, 2, 0, 1)
    second = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=layer.bias is not None)
    second.weight = nn.Parameter(weight.contiguous())
    if layer.bias is not None:
        second.bias = nn.Parameter(_tensor(layer.bias))
    return _with_activation([first, second], layer.activation)


def _dense(layer: Any, rank: int) -> nn.Module | None:
    if rank != 2:
        return None
    weight = _tensor(layer.kernel).T
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=layer.bias is not None)
    linear.weight = nn.Parameter(weight.contiguous())
    if layer.bias is not None:
        linear.bias = nn.Parameter(_tensor(layer.bias))
    return _with_activation([linear], layer.activation)


def _batchnorm(layer: Any, rank: int) -> nn.Module | None:
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, rank - 1) or rank not in (2, 4):
        return None
    mean = _tensor(layer.moving_mean)
    norm = (nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d)(len(mean), eps=float(layer.epsilon))
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    with torch.no_grad():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(_tensor(layer.moving_variance))
        norm.weight.copy_(torch.ones_like(mean) if gamma is None else _tensor(gamma))
        norm.bias.copy_(torch.zeros_like(mean) if beta is None else _tensor(beta))
    return norm.eval()


def _relu(layer: Any, rank: int) -> nn.Module | None:
    if layer.threshold:
        return None
    if layer.max_value is None:
        slope = float(layer.negative_slope or 0)
        return nn.LeakyReLU(slope) if slope else nn.ReLU()
    plain = not layer.negative_slope
    return nn.Hardtanh(0.0, float(layer.max_value)) if plain else None


def _maxpool(layer: Any, rank: int) -> nn.Module | None:
    kernel, stride = _pair(layer.pool_size), _pair(layer.strides)
    found = _padded(layer, kernel, stride, (1, 1), -math.inf)
    if found is None:
        return None
    pool = nn.MaxPool2d(kernel, stride)
    return nn.Sequential(*found[0], pool) if found[0] else pool


def _averagepool(layer: Any, rank: int) -> nn.Module | None:
    # With margins Keras divides by what is inside; torch's own layer pads on both sides alike.
    if layer.padding != "valid":
        return None
    return nn.AvgPool2d(_pair(layer.pool_size), _pair(layer.strides))


def _rescaling(layer: Any, rank: int) -> nn.Module | None:
    if not isinstance(layer.scale, int | float) or not isinstance(layer.offset, int | float):
        return None
    return Scaled(float(layer.scale), float(layer.offset))


def _zeros(layer: Any, rank: int) -> nn.Module | None:
    (top, bottom), (left, right) = layer.padding
    return nn.ZeroPad2d((left, right, top, bottom))


def _softmax(layer: Any, rank: int) -> nn.Module | None:
    return nn.Softmax(1) if layer.axis in (-1, rank - 1) and rank in (2, 4) else None


def _joined(layer: Any, kind: str, ranks: list[int]) -> nn.Module | None:
    if len(set(ranks)) != 1 or ranks[0] not in (2, 4):
        return None
    if kind == "Concatenate" and layer.axis not in (-1, ranks[0] - 1):
        return None
    return Joined(kind)


def _plain_activation(layer: Any, rank: int) -> nn.Module | None:
    return _activation(layer.activation) if rank in (2, 4) else None


_MAKERS: dict[str, Callable[[Any, int], nn.Module | None]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batchnorm,
    "Activation": _plain_activation,
    "ReLU": _relu,
    "LeakyReLU": lambda layer, rank: nn.LeakyReLU(float(layer.negative_slope)),
    "Softmax": _softmax,
    "MaxPooling2D": _maxpool,
    "AveragePooling2D": _averagepool,
    "GlobalAveragePooling2D": lambda layer, rank: Pool(False, bool(layer.keepdims)),
    "GlobalMaxPooling2D": lambda layer, rank: Pool(True, bool(layer.keepdims)),
    "Flatten": lambda layer, rank: Flat() if rank == 4 else nn.Identity() if rank == 2 else None,
    "ZeroPadding2D": _zeros,
    "Rescaling": _rescaling,
}
