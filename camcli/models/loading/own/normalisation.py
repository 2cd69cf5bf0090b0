"""Whether a network normalises its pictures itself, and from which pixel values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camcli.models.loading.own.reached import ReachedError, run_until_reached

_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def normalised_inside(
    module: nn.Module, shape: Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation that a network's own forward takes from its input, a channel each.

    From what reaches its first convolution or linear layer, of black pictures and of white ones: if
    that is a x + b in each channel, the mean is -b / a, the deviation 1 / a.

    Args:
        module: in eval mode; it is left as it is.
        shape: (channels, height, width) of its input.

    Returns:
        Both; None where pixels come as they are, or something else is done to them.
    """
    black, white = (_reaching(module, torch.full((1, *shape), value)) for value in (0.0, 1.0))
    if black is None or white is None or black.shape != (1, *shape):
        return None
    if not (_even(black) and _even(white)):
        return None
    b = black[0].mean((1, 2))
    a = white[0].mean((1, 2)) - b
    if not (a.isfinite().all() and b.isfinite().all() and (a > 1e-4).all()):
        return None
    if torch.allclose(a, torch.ones_like(a), atol=1e-3) and b.abs().max() < 1e-3:
        return None
    # Halfway between it must be halfway between, or it is no sum and product.
    half = _reaching(module, torch.full((1, *shape), 0.5))
    if half is None or not torch.allclose(half, (black + white) / 2, atol=1e-3, rtol=1e-3):
        return None
    return tuple((-b / a).tolist()), tuple((1 / a).tolist())


def _even(images: Tensor) -> bool:
    """Whether each channel has one value."""
    low, high = images.amin((0, 2, 3)), images.amax((0, 2, 3))
    return bool((high - low <= 1e-4 * (1 + high.abs())).all())


def _reaching(module: nn.Module, images: Tensor) -> Tensor | None:
    """What its first layer is given of a batch; None if none is reached."""
    seen: list[Tensor] = []

    def watch(layer: nn.Module, inputs: tuple[object, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            seen.append(inputs[0].detach().float())
        raise ReachedError

    layers = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    run_until_reached(module, images, hooks)
    return seen[0] if seen and seen[0].ndim == 4 else None


def expected_values(mean: Sequence[float], std: Sequence[float]) -> tuple[float, str] | None:
    """The largest pixel value that such a normalisation is made for.

    Args:
        mean: as `normalised_inside` gives it.
        std: likewise.

    Returns:
        1 or 255, and how the values are told; None where it is made for neither, but for pictures
        that have been normalised before, as torchvision's Inception is.
    """
    if min(mean) > -0.05 and max(mean) <= 1 and max(std) <= 1.05 and min(std) >= 1 / 300:
        return 1.0, "values from 0 to 1"
    if min(mean) >= -5 and max(mean) <= 255 and 20 <= max(std) <= 300:
        return 255.0, "values from 0 to 255"
    return None
