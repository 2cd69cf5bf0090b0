"""What a network of one's own takes: how many channels, and which size; it does not say itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor, nn

from camcli.data.decode.fit import Fit
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.scores.answers import scores_in
from camcli.models.loading.builder import reason
from camcli.models.outputs import rows_of, what_else

# Sides that networks are built for, the usual first.
SIDES = (224, 256, 32, 64, 96, 128, 299, 384, 28, 48, 112, 160, 192, 288, 320, 448, 512)
_OBLONG = (32, 48, 64, 80, 96, 100, 112, 120, 128, 144, 160, 192, 200, 224, 240, 256, 300, 320, 384,
           448, 480, 512, 640)  # fmt: skip
_SECONDS = 10.0  # for trying out sizes
# Cells a side that the last map has for pictures of the size that a network was trained on: 7 to
# 14, up to 24 for large pictures. More, and those pictures were smaller.
_MOST_CELLS = 32
_MOST_CELLS_OF_SMALL = 28  # where the first layer leaves out no pixel, as for CIFAR's
_CHANNELS = re.compile(r"to have (\d+) channels, but got \d+ channels")
_MATMUL = re.compile(r"\((\d+)x(\d+) and (\d+)x(\d+)\)")


@dataclass(frozen=True)
class Answer:
    """What a network does with black pictures.

    Attributes:
        outputs: C.
        preprocess: with the channels, and where it was free the size, that it takes.
        sized: whether the size was found because the network takes no other.
        cells: (h, w) of the last map that a convolution makes; None where there is none.
        whole: whether the first convolution leaves out no pixel.
        part: which part of what it returns are the scores; empty for all of it.
    """

    outputs: int
    preprocess: Preprocess
    sized: bool = False
    cells: tuple[int, int] | None = None
    whole: bool = False
    part: str = ""

    def doubt(self) -> str:
        """A sentence where the size can hardly be the one of training; empty if it can."""
        if self.cells is None:
            return ""
        _, height, width = self.preprocess.shape
        most = _MOST_CELLS_OF_SMALL if self.whole else _MOST_CELLS
        if min(self.cells) < most or height < 96:
            return ""
        h, w = self.cells
        stride = max(1, round(height / h))
        small = 32 if 32 // stride >= 4 else 64
        return (
            f"Its last map has {h}x{w} cells at {height}x{width} pixels, where networks for "
            f"pictures of that size have 7 to 14 a side: it was probably trained on smaller ones, "
            f"and its answers at this size mean little. At --input-size {small} it has "
            f"{small // stride}x{small // stride}."
        )


def answers_of(
    module: nn.Module, preprocess: Preprocess, model: str, size: int | None = None
) -> tuple[int, Preprocess]:
    """C, the number of outputs, and the preprocessing with the channels that the network takes.

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
    found = try_out(module, preprocess, model, size)
    return found.outputs, found.preprocess


def try_out(
    module: nn.Module,
    preprocess: Preprocess,
    model: str,
    size: int | None = None,
    *,
    free: bool = False,
) -> Answer:
    """What a network does with black pictures.

    Args:
        module: in eval mode afterwards.
        preprocess: the network's own, as far as it is known.
        model: its name, for errors.
        size: side of the input that the user asked for; None for the one of `preprocess`.
        free: nobody said a size: where it takes one only, that is found.

    Raises:
        UsageError: it takes neither colours nor luminance, or another size.
        CamcliError: it fails, or what it returns is not logits (B, C).
    """
    module.eval()
    first = next((m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)), None)
    asked = preprocess.with_(size=size)
    out, watched = _tried(module, asked)
    channels = first.in_channels if first is not None else _wanted(out)
    if isinstance(out, Exception) and channels != asked.channels and channels in (1, 4):
        other = _of_channels(preprocess, channels)
        trial, seen = _tried(module, other.with_(size=size))
        # Of another size, too, it fails in another place.
        if not isinstance(trial, Exception) or not asked.grey:
            out, watched, preprocess, asked = trial, seen, other, other.with_(size=size)
    sized = False
    if isinstance(out, Exception):
        if channels not in (1, 3, 4):
            raise UsageError(
                f"{model} takes {channels} channels, and a picture has three, or as luminance one, "
                "or four, of which the last says that it is opaque: give it a first layer of its "
                "own that makes them of these."
            ) from out
        fitting = list(_sizes(module, asked, out))
        if not (free and len(fitting) == 1):
            raise _refused(asked, model, out, fitting) from out
        preprocess, sized = fitting[0], True
        out, watched = _tried(module, preprocess)
    scores, part = scores_in(out, 2)
    logits = rows_of(scores, 2)
    if logits is None:
        raise CamcliError(
            f"{model} should return logits of shape BxC for B pictures, not {what_else(out)}."
        )
    whole = first is not None and max(first.stride) == 1
    return Answer(logits.shape[1], preprocess, sized, watched, whole, part)


def _wanted(out: object) -> int:
    """How many channels a network without layers, a program, takes: it says so where it fails."""
    said = _CHANNELS.search(str(out)) if isinstance(out, Exception) else None
    return int(said[1]) if said else 3


def _of_channels(preprocess: Preprocess, channels: int) -> Preprocess:
    return replace(
        preprocess, grey=channels == 1, alpha=channels == 4, bgr=preprocess.bgr and channels != 1
    )


def _tried(module: nn.Module, preprocess: Preprocess) -> tuple[object, tuple[int, int] | None]:
    """What it returns for two black pictures, or the error; and (h, w) of its last map."""
    cells: list[tuple[int, int]] = []

    def watch(layer: nn.Module, inputs: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim == 4 and min(out.shape[2:]) > 1:
            cells.append((out.shape[2], out.shape[3]))

    hooks = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            try:
                hooks.append(layer.register_forward_hook(watch))
            except RuntimeError:  # a scripted module has no hooks
                break
    try:
        with torch.inference_mode():
            out: object = module(torch.zeros(2, *preprocess.shape))
    except Exception as error:  # whatever is in the user's code
        out = error
    finally:
        for hook in hooks:
            hook.remove()
    return out, cells[-1] if cells else None


def _sizes(module: nn.Module, asked: Preprocess, error: Exception) -> Iterator[Preprocess]:
    """Those that it takes: a square, or else rectangles that fit its first linear layer."""
    until = time.monotonic() + _SECONDS
    for side in SIDES:
        trial = replace(asked, size=side, width=None, resize=None)
        if trial.shape != asked.shape and not isinstance(_tried(module, trial)[0], Exception):
            yield trial
            return
    for height, width in _oblong(asked, error):
        fit: Fit = "squash" if asked.fit == "crop" else asked.fit
        trial = replace(asked, size=height, width=width, resize=None, fit=fit)
        if not isinstance(_tried(module, trial)[0], Exception):
            yield trial
        if time.monotonic() > until:
            return


def _oblong(asked: Preprocess, error: Exception) -> Iterable[tuple[int, int]]:
    """(height, width) of rectangles, the usual shapes first."""
    pairs: Iterable[tuple[int, int]] = [
        (h, w) for h, w in product(_OBLONG, _OBLONG) if h != w and max(h, w) <= 4 * min(h, w)
    ]
    if found := _MATMUL.search(str(error)):
        # As many numbers as came out, to those that were wanted: so are the pictures' areas.
        _, _, height = asked.shape[0], asked.shape[1], asked.shape[1]
        area = height * asked.shape[2] * int(found[3]) / int(found[2])
        pairs = [(h, w) for h, w in pairs if 0.8 < h * w / area < 1.25]
    return sorted(pairs, key=lambda pair: max(pair) / min(pair))


def _refused(
    asked: Preprocess, model: str, error: Exception, fitting: list[Preprocess]
) -> CamcliError:
    """Why it fails, and what to do."""
    shape = "x".join(map(str, asked.shape))
    why = f"{model} fails on a picture of {shape}: {type(error).__name__}: {reason(error)}."
    if len(fitting) == 1 and fitting[0].width is None:
        side = fitting[0].size
        return UsageError(f"{why} It takes {side}x{side}: add --input-size {side}.")
    if fitting:
        sizes = [f"{each.size}x{each.width}" for each in fitting]
        return UsageError(
            f"{why} It takes {' or '.join(sizes[:4])} (height x width): add "
            f"--preprocess size={sizes[0]}."
        )
    return CamcliError(
        f"{why} If it takes pictures of another size, say which: --preprocess size=HEIGHTxWIDTH."
    )
