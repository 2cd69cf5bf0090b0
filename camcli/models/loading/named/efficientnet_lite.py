"""EfficientNet-Lite as a network: inverted bottlenecks without squeezing, and ReLU6 throughout.

Tan and Le, "EfficientNet" (ICML 2019); the Lite variants are Google's for devices without fast
sigmoids. timm has the same networks as ``tf_efficientnet_lite0`` to ``2``: the names of modules and
tensors here are timm's, and so are their order and the numbers, to the bit, so layers, files and
checkpoints of one are the other's. It is here because timm takes more than a second to import,
which is most of what explaining one picture would cost.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from camcli.models.cutting.cut_sequence import MappedSequence

# Of each stage of Lite0: blocks, kernel, stride of the first block, and channels.
_STAGES = (
    (1, 3, 1, 16), (2, 3, 2, 24), (2, 5, 2, 40), (3, 3, 2, 80), (3, 5, 1, 112), (4, 5, 2, 192),
    (1, 3, 1, 320),
)  # fmt: skip
_STEM, _HEAD, _EXPANSION = 32, 1280, 6
_EPS = 1e-3
# Of each network, what multiplies the channels and the blocks of Lite0. Its stem and head stay as
# they are, and the first and last stage have one block in each.
_SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}


def stages_of(name: str) -> tuple[tuple[int, int, int, int], ...]:
    """Of each stage of a network: blocks, kernel, stride of the first block, and channels.

    Args:
        name: ``efficientnet_lite0`` to ``efficientnet_lite2``.
    """
    width, depth = _SCALES[name]
    last = len(_STAGES) - 1
    return tuple(
        (
            blocks if number in (0, last) else math.ceil(blocks * depth),
            kernel,
            stride,
            int(channels * width + 4) // 8 * 8,  # the nearest multiple of 8
        )
        for number, (blocks, kernel, stride, channels) in enumerate(_STAGES)
    )


class Conv2dSame(nn.Conv2d):
    """A convolution padded as TensorFlow does it: one more at the right and the bottom, if odd.

    Attributes:
        in_one_piece: what cuts a network on its graph keeps it as one node.
    """

    in_one_piece = True

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, ceil(H / stride), ceil(W / stride)); kernels cover strides."""
        down, right = (
            # No max(..., 0), which a tracer could not follow for any size: it is never negative.
            ((side + stride - 1) // stride - 1) * stride + kernel - side
            for side, stride, kernel in zip(
                input.shape[2:], self.stride, self.kernel_size, strict=True
            )
        )
        padded = functional.pad(
            input, (right // 2, right - right // 2, down // 2, down - down // 2)
        )
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class BatchNormAct2d(nn.BatchNorm2d):
    """Batch normalisation and the activation after it: one node of a network's graph."""

    def __init__(self, channels: int, *, active: bool = True) -> None:
        super().__init__(channels, eps=_EPS)
        self.drop = nn.Identity()
        self.act = nn.ReLU6(inplace=True) if active else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        """(B, K, h, w), normalised and clipped."""
        activated: Tensor = self.act(super().forward(input))
        return activated


class DepthwiseSeparableConv(nn.Module):
    """Filters each channel, then mixes channels: the first block, which expands nothing."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = _conv(channels, channels, kernel, groups=channels)
        self.bn1 = BatchNormAct2d(channels)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pw = _conv(channels, out, 1)
        self.bn2 = BatchNormAct2d(out, active=False)
        self.drop_path = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h, w)."""
        x = self.se(self.aa(self.bn1(self.conv_dw(x))))
        mixed: Tensor = self.bn2(self.conv_pw(x))
        return mixed


class InvertedResidual(nn.Module):
    """Expands channels, filters each, and projects them; what went in is added where it fits."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels * _EXPANSION
        self.has_skip = stride == 1 and channels == out
        self.conv_pw = _conv(channels, wide, 1)
        self.bn1 = BatchNormAct2d(wide)
        self.conv_dw = _conv(wide, wide, kernel, stride, groups=wide)
        self.bn2 = BatchNormAct2d(wide)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pwl = _conv(wide, out, 1)
        self.bn3 = BatchNormAct2d(out, active=False)
        self.drop_path = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        shortcut = x
        x = self.bn1(self.conv_pw(x))
        x = self.se(self.aa(self.bn2(self.conv_dw(x))))
        x = self.bn3(self.conv_pwl(x))
        return self.drop_path(x) + shortcut if self.has_skip else x


class EfficientNetLite(MappedSequence):
    """The whole network: images (B, 3, H, W) -> logits (B, outputs)."""

    last_map = "bn2"

    def __init__(self, outputs: int = 1000, name: str = "efficientnet_lite0") -> None:
        """Weights are drawn as the paper's code draws them.

        Args:
            outputs: the number of classes.
            name: which of the networks, as `stages_of` takes it.
        """
        stages, channels = [], _STEM
        stem = [("conv_stem", _conv(3, _STEM, 3, 2)), ("bn1", BatchNormAct2d(_STEM))]
        for number, (blocks, kernel, stride, out) in enumerate(stages_of(name)):
            stage: list[nn.Module] = []
            for block in range(blocks):
                if number == 0:
                    stage.append(DepthwiseSeparableConv(channels, out, kernel))
                else:
                    stage.append(InvertedResidual(channels, out, kernel, 1 if block else stride))
                channels = out
            stages.append(nn.Sequential(*stage))
        super().__init__(
            OrderedDict(
                stem,
                blocks=nn.Sequential(*stages),
                conv_head=_conv(channels, _HEAD, 1),
                bn2=BatchNormAct2d(_HEAD),
                global_pool=nn.Sequential(
                    OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1))
                ),
                classifier=nn.Linear(_HEAD, outputs),
            )
        )
        self.apply(_draw)


def _conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias whose output has 1 / stride of the input's side."""
    if stride > 1:
        return Conv2dSame(channels, out, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)


def _draw(module: nn.Module) -> None:
    """Initial weights: of He et al. by what leaves a convolution, and of 1 / sqrt(classes)."""
    if isinstance(module, nn.Conv2d):
        leaving = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0, math.sqrt(2 / leaving))
    elif isinstance(module, nn.Linear):
        spread = 1 / math.sqrt(module.weight.shape[0])
        nn.init.uniform_(module.weight, -spread, spread)
        nn.init.zeros_(module.bias)
