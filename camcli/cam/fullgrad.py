"""FullGrad: what the input and every bias of the network add to the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from camcli.cam.method_input import Evidence
from camcli.models.cutting.tokens import TensorLayout, layout_of, to_maps

_CHANNELS_FIRST = TensorLayout("maps", (0, 0, 0))


def fullgrad(e: Evidence) -> Tensor:
    """FullGrad: M = ψ(x ⊙ ∂S/∂x) + Σ_l Σ_k ψ(b_lk ∂S/∂y_lk). Srinivas 2019, arXiv 1905.00780.

    y_l are the outputs of the layers with a bias b_l; ψ takes the absolute value, scales a layer's
    to [0, 1] and upsamples it, as the authors' code does. One image at a time: the gradients at all
    layers are held at once.

    Args:
        e: with images and the whole network.

    Returns:
        (B, H, W), of the images' size, nowhere negative.
    """
    images, forward = e.differentiable()
    maps = []
    for b, of in enumerate(torch.arange(len(images), device=images.device).split(1)):

        def score(logits: Tensor, of: Tensor = of) -> Tensor:
            return e.scored(logits, of)

        maps.append(_map(images[b : b + 1], forward, score))
    return torch.cat(maps).to(e.A.dtype)


def full_gradients(
    images: Tensor, forward: Callable[[Tensor], Tensor], score: Callable[[Tensor], Tensor]
) -> list[tuple[Tensor, bool]]:
    """The decomposition: x ⊙ ∂S/∂x, and b_l ⊙ ∂S/∂y_l for every layer with a bias.

    For a network of layers with biases, ReLUs and maxima they sum to S exactly (Prop. 1).

    Args:
        images: (n, 3, H, W).
        forward: images -> logits (n, C), differentiable.
        score: logits -> S (n,).

    Returns:
        Pairs of a contribution and whether its channels come first, the input's at the beginning.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = images.clone().requires_grad_(True)
        with _Biases() as found:
            S = score(forward(x)).sum()
        # Not what the image has no part in: a table of positions, or the pass of a network that is
        # run as a whole with one layer's output replaced.
        layers = [layer for layer in found.layers if layer[0].requires_grad]
        outputs = [y for y, _, _ in layers]
        gradients = torch.autograd.grad(S, [x, *outputs], allow_unused=True)
    parts = [(torch.zeros_like(x) if gradients[0] is None else gradients[0] * x.detach(), True)]
    for g, (_, bias, first) in zip(gradients[1:], layers, strict=True):
        if g is not None:
            shape = (-1, *[1] * (g.ndim - 2)) if first else (-1,)
            parts.append((g * bias.detach().view(shape), first))
    return parts


def _map(
    image: Tensor, forward: Callable[[Tensor], Tensor], score: Callable[[Tensor], Tensor]
) -> Tensor:
    """(1, H, W)."""
    total = torch.zeros_like(image[:, 0])
    for part, channels_first in full_gradients(image, forward, score):
        layout = (
            _CHANNELS_FIRST
            if channels_first
            else layout_of(part.shape, (image.shape[2], image.shape[3]))
        )
        # What has no places (the last layer's bias, a squeezed map) or another number of rows (a
        # window's tokens) cannot be drawn.
        if layout is None or len(part) != 1 or (channels_first and part.ndim != 4):
            continue
        size = to_maps(part, layout)[0].abs()
        size = size - size.amin()
        high = size.amax()
        size = (size / torch.where(high > 0, high, 1)).sum(1, keepdim=True)
        total += functional.interpolate(size, image.shape[2:], mode="bilinear")[:, 0]
    return total


class _Biases(TorchFunctionMode):
    """Notes the outputs and biases of layers while a network runs in this thread.

    Attributes:
        layers: for each, its output, its bias, and whether the output's channels come first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[Tensor, Tensor, bool]] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        if func in _BIAS_AT:
            place, first = _BIAS_AT[func]
            bias = given.get("bias", args[place] if len(args) > place else None)
        elif func is functional.batch_norm:
            bias, first = _norm_bias(*args, **given), True
        else:
            return out
        if bias is None:
            return out
        self.layers.append((out, bias, first))
        return out.clone()  # what follows may write over its input


# Place of the bias among the arguments, and whether the result's channels come first.
_BIAS_AT = {
    functional.conv2d: (2, True),
    functional.linear: (2, False),
    functional.layer_norm: (3, False),
    functional.group_norm: (3, True),
}


def _norm_bias(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    """β - γ μ / σ: what a BatchNorm in eval mode adds, as `functional.batch_norm` is called."""
    if running_mean is None or running_var is None:
        return bias
    scale = (running_var + eps).rsqrt() * (1 if weight is None else weight)
    return (0 if bias is None else bias) - running_mean * scale
