"""What is assumed of outputs that nobody has named, for a line that says so."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.loading.builder import BuiltModel

FEWEST_FEATURES = 64
"""Of a network without a head; fewer are classes, which a last convolution can make."""
_NORMS = (
    nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm,
)  # fmt: skip


def told(built: BuiltModel) -> str:
    """What a user should know of the names that a network of their own was given; else empty.

    A thousand outputs are ImageNet's classes by far the most often, and may be others. Hundreds of
    outputs of a network whose last layer with weights is a normalisation, or a convolution that
    looks at neighbours, are the features of a network whose head was taken off.

    Args:
        built: in eval mode.
    """
    if built.provenance.source != "user":
        return ""
    count = len(built.classes)
    if built.classes is imagenet_classes():  # that very tuple: what a file says is another one
        return (
            "Nobody has named the 1000 outputs: they are ASSUMED to be ImageNet's classes in its "
            "order; --classes FILE gives other names."
        )
    if count < FEWEST_FEATURES or built.classes != tuple(map(str, range(count))):
        return ""
    found = _last_with_weights(built.module, built.preprocess)
    if found is None:
        return ""
    name, layer = found
    wide = isinstance(layer, nn.modules.conv._ConvNd) and max(layer.kernel_size) > 1
    if not (isinstance(layer, _NORMS) or wide):
        return ""
    return (
        f"The {count} outputs look like FEATURES, not like classes: the last layer with weights is "
        f"{name!r}, a {type(layer).__name__}, and no head comes after it. Predictions are then "
        "the strongest feature and mean nothing; build the network with its head, or name the "
        "outputs with --classes if they are classes."
    )


def _last_with_weights(
    module: nn.Module | None, preprocess: Preprocess
) -> tuple[str, nn.Module] | None:
    """The layer that is done last of those with parameters of their own; None if it is not seen."""
    if not isinstance(module, nn.Module):
        return None
    seen: list[tuple[str, nn.Module]] = []
    hooks = []

    def watch(name: str) -> Any:
        return lambda layer, args, out: seen.append((name, layer))

    # What runs as one program shows none of its layers; then nothing is said.
    with suppress(Exception):
        for name, layer in module.named_modules():
            if next(layer.parameters(recurse=False), None) is not None:
                hooks.append(layer.register_forward_hook(watch(name)))
        with torch.inference_mode():
            module(torch.zeros(1, *preprocess.shape))
    for hook in hooks:
        hook.remove()
    return seen[-1] if seen else None
