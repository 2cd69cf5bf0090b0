"""What pictures a network was trained on, as far as its first BatchNorm remembers.

A BatchNorm keeps the mean and the variance of each channel that it saw in training. Behind the
first convolution these are sums over the input's channels, whose means can be solved for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camcli.data.decode.as_it_is import AsItIs
from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import applied
from camcli.models.loading.own.reached import ReachedError, run_until_reached

# Of the channels' means, so much may be left unexplained by those of the input.
_MOST_LEFT = 0.35
# Photographs' values from 0 to 1 have about this mean and deviation (seen through filters that
# smooth a little), and so these after a preset.
_MEAN, _DEVIATION = 0.45, 0.22
_GIVEN = {
    "imagenet": (0.0, _DEVIATION / 0.226),
    "inception": (2 * _MEAN - 1, 2 * _DEVIATION),
    "none": (_MEAN, _DEVIATION),
    "scale=255": (255 * _MEAN, 255 * _DEVIATION),
    "caffe": (0.0, 255 * _DEVIATION),
}
_FACTOR = 1.45  # half of the way from one deviation to the next, which is twice as large


@dataclass(frozen=True, slots=True)
class LearnedInputs:
    """What the first BatchNorm says of the network's input.

    Attributes:
        mean: of its three channels together.
        deviation: likewise; to a factor of two.
    """

    mean: float
    deviation: float

    def preset(self) -> str:
        """The words of ``--preprocess`` that give such inputs; empty where none do.

        CLIP's are ImageNet's as far as this can tell, and red first is blue first.
        """
        for name, (mean, deviation) in _GIVEN.items():
            ratio = self.deviation / deviation
            if abs(self.mean - mean) < 0.5 * deviation and 1 / _FACTOR < ratio < _FACTOR:
                return name
        return ""


def given_inputs(preprocess: Preprocess) -> LearnedInputs:
    """What photographs become, about, by a preprocessing."""
    mean, std = (
        sum(preprocess.mean) / len(preprocess.mean),
        sum(preprocess.std) / len(preprocess.std),
    )
    return LearnedInputs((_MEAN - mean) / std, _DEVIATION / std)


def learned_inputs(module: nn.Module, shape: tuple[int, int, int]) -> LearnedInputs | None:
    """What its first BatchNorm says of the input that it was trained on.

    Args:
        module: in eval mode; it is left as it is.
        shape: (3, height, width) of its input.

    Returns:
        That; None where its first layers are others, or it was not trained, or what it remembers
        does not come from three channels' means.
    """
    if shape[0] != 3:
        return None
    pair = _first_two(module, shape)
    if pair is None:
        return None
    conv, norm = pair
    mean, var = norm.running_mean, norm.running_var
    if mean is None or var is None or not (mean.isfinite().all() and (var > 0).all()):
        return None
    if not mean.any() or bool((var == 1).all()):
        return None  # as it was made
    with torch.inference_mode():
        # What a channel of ones gives, and what none does: with the borders as they are.
        ones = torch.eye(3)[:, :, None, None].expand(3, 3, *shape[1:])
        given = conv(torch.cat([ones, torch.zeros(1, *shape)])).double().mean((2, 3))
    bias, weights = given[3], (given[:3] - given[3]).T  # (K,), (K, 3)
    scale = var.double().sqrt()
    wanted = (mean.double() - bias) / scale
    means = torch.linalg.lstsq(weights / scale[:, None], wanted[:, None]).solution[:, 0]
    left = (weights @ means / scale - wanted).norm()
    if not means.isfinite().all() or left > _MOST_LEFT * max(wanted.norm().item(), 1.0):
        return None
    # Filters that add up an area see a smooth picture's deviation, all of it; others see edges.
    kernel = conv.weight.double()
    summed = weights.sum(1).abs()
    smooth = summed / kernel.abs().sum((1, 2, 3)).clamp_min(1e-12)
    chosen = smooth >= smooth.quantile(0.75)
    deviation = (scale[chosen] / summed[chosen].clamp_min(1e-12)).median()
    return LearnedInputs(float(means.mean()), float(deviation))


def _first_two(
    module: nn.Module, shape: tuple[int, int, int]
) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    """The convolution that the input goes into, and the BatchNorm that its result goes into."""
    found: list[Any] = []
    given: list[Tensor] = []

    def before(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if found and isinstance(layer, nn.BatchNorm2d) and inputs[0] is given[-1]:
            found.append(layer)
        if found or not (isinstance(layer, nn.Conv2d) and torch.equal(inputs[0], images)):
            raise ReachedError
        found.append(layer)

    def after(layer: nn.Module, inputs: object, out: Tensor) -> None:
        given.append(out)

    images = torch.linspace(0, 1, shape[0] * shape[1] * shape[2]).view(1, *shape)
    hooks = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            hooks.append(layer.register_forward_pre_hook(before))
            if isinstance(layer, nn.Conv2d):
                hooks.append(layer.register_forward_hook(after))
    run_until_reached(module, images, hooks)
    return (found[0], found[1]) if len(found) == 2 else None


def as_learned(
    module: nn.Module, preprocess: Preprocess, size: int | None, said: bool
) -> tuple[Preprocess, str]:
    """A preprocessing with the values that the network was trained on, and what is said of them.

    Args:
        module: in eval mode; it is left as it is.
        preprocess: what would be done.
        size: side of the input that was asked for; None for that of `preprocess`.
        said: whether somebody said mean and std: then they stay, and are contradicted at most.
    """
    if isinstance(preprocess, AsItIs):
        return preprocess, ""
    learned = learned_inputs(module, preprocess.with_(size=size).shape)
    words = learned.preset() if learned is not None else ""
    given = given_inputs(preprocess).preset()
    if learned is None or not words or words == given or (said and not given):
        return preprocess, ""
    note = (
        f"Its first BatchNorm was trained on inputs of mean {learned.mean:.2g} and deviation "
        f"{learned.deviation:.2g}, as --preprocess {words!r} gives them"
    )
    if said:
        return preprocess, f"{note}, and it is given others ({given}): check what was said."
    blue = " (blue first ASSUMED)" if words == "caffe" else ""
    return applied(words, preprocess), f"{note}: it is given those{blue}."
