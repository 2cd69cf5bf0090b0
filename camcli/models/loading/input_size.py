"""What a network of one's own takes: how many channels, and which size; it does not say itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.loading.builder import reason
from camcli.models.outputs import rows_of, what_else

# Sides that networks are built for, the usual first.
SIDES = (224, 256, 32, 64, 96, 128, 299, 384, 28, 48, 112, 160, 192, 288, 320, 448, 512)


def answers_of(
    module: nn.Module, preprocess: Preprocess, model: str, size: int | None = None
) -> tuple[int, Preprocess]:
    """C, the number of outputs, and the preprocessing, grey if the network takes one channel.

    From a forward pass of black pictures.

    Args:
        module: in eval mode afterwards.
        preprocess: the network's own, as far as it is known.
        model: its name, for errors.
        size: side of the input that the user asked for; None for the one of `preprocess`.

    Raises:
        UsageError: it takes neither colours nor luminance, or another size.
        CamcliError: it fails, or what it returns is not logits (B, C).
    """
    module.eval()
    first = next((m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)), None)
    channels = first.in_channels if first is not None else 3
    asked = preprocess.with_(size=size)
    error = _tried(module, asked)
    if isinstance(error, Exception) and channels == 1 and not preprocess.grey:
        grey = _tried(module, replace(asked, grey=True))
        if not isinstance(grey, Exception):
            error, preprocess = grey, replace(preprocess, grey=True)
    if isinstance(error, Exception):
        raise _refused(module, asked, model, channels, error) from error
    out = error
    logits = rows_of(out, 2)
    if logits is None:
        raise CamcliError(
            f"{model} should return logits of shape BxC for B pictures, not {what_else(out)}."
        )
    return logits.shape[1], preprocess


def _tried(module: nn.Module, preprocess: Preprocess) -> object:
    """What it returns for two black pictures, or the error."""
    try:
        with torch.inference_mode():
            out: object = module(torch.zeros(2, *preprocess.shape))
        return out
    except Exception as error:  # whatever is in the user's code
        return error


def _refused(
    module: nn.Module, asked: Preprocess, model: str, channels: int, error: Exception
) -> CamcliError:
    """Why it fails, and what to do."""
    shape = "x".join(map(str, asked.shape))
    why = f"{model} fails on a picture of {shape}: {type(error).__name__}: {reason(error)}."
    if channels not in (1, 3):
        return UsageError(
            f"{model} takes {channels} channels, and a picture has three, or as luminance one: "
            "give it a first layer of its own that makes them of three."
        )
    if asked.width is None:
        for side in SIDES:
            trial = replace(asked, size=side, grey=channels == 1)
            if side != asked.size and not isinstance(_tried(module, trial), Exception):
                return UsageError(f"{why} It takes {side}x{side}: add --input-size {side}.")
    return CamcliError(why)
