"""Preprocessing that is code: torchvision's transforms are read, and what cannot be is run.

What is read becomes a `Preprocess`, which knows what part of a photograph the network saw. What is
not (any callable from a PIL picture to a tensor) becomes an `AsItIs`, whose maps are laid over the
whole photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from camcli.data.decode.as_it_is import AsItIs as AsItIs
from camcli.data.decode.as_it_is import as_tensor
from camcli.data.decode.fit import INTERPOLATIONS, Interpolation
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import ImageError, UsageError

if TYPE_CHECKING:  # see `camcli.data.decode.preprocess`
    pass

# Two shapes, so that a transform whose result follows the photograph's is known.
_TRIALS = ((320, 240), (200, 360))


class _UnreadableError(Exception):
    """It does what `Preprocess` does not."""


def is_transform(value: object) -> bool:
    """Whether it may make tensors of pictures: a transform of torchvision or timm, or its like."""
    return callable(value) and (
        hasattr(value, "transforms") or _is_preset(value) or bool(_name(value))
    )


def starts_from_pictures(value: object) -> bool:
    """Whether it is for PIL pictures, rather than a layer that works on tensors in a network."""
    names = {_name(step) for step in _steps(value)}
    return bool(names & _FROM_PICTURES) or _is_preset(value)


def of_transform(transform: Any, own: Preprocess | None = None) -> tuple[Preprocess, bool]:
    """A transform as camcli does it, or else to be run as it is.

    Args:
        transform: torchvision's (v1, v2, or ``weights.transforms()``), timm's, OpenCLIP's; or any
            callable from a PIL picture to a tensor (C, H, W).
        own: what is not said.

    Returns:
        The preprocessing; and whether it says the size of the input.

    Raises:
        UsageError: it is no callable, or makes no tensor of a picture.

    Example:
        >>> from torchvision import transforms as T
        >>> steps = [T.Resize(256), T.CenterCrop(224), T.ToTensor()]
        >>> of_transform(T.Compose(steps))[0].resize
        256
    """
    if not callable(transform):
        raise UsageError(f"a preprocess of type {type(transform).__name__} cannot be called.")
    try:
        return _read(list(_steps(transform)), own or Preprocess())
    except _UnreadableError:
        return _as_it_is(transform), True


def _as_it_is(transform: Callable[[Any], Any]) -> AsItIs:
    shapes = []
    for size in _TRIALS:
        try:
            made = as_tensor(transform(Image.new("RGB", size, (120, 130, 140))))
        except ImageError as error:
            raise UsageError(str(error)) from error
        except Exception as error:  # whatever is in the user's code
            raise UsageError(
                f"the preprocess fails on a PIL picture: {type(error).__name__}: {error}"
            ) from error
        shapes.append((made.shape[0], made.shape[1], made.shape[2]))
    shape = shapes[0]
    return AsItIs(size=shape[1], width=shape[2], transform=transform, made=shape)


def _steps(transform: Any) -> Iterator[Any]:
    """Of transforms within transforms, each by itself."""
    inner = getattr(transform, "transforms", None)
    if _name(transform) == "Compose" and isinstance(inner, list | tuple):
        for each in inner:
            yield from _steps(each)
    elif type(transform).__name__ == "Sequential":
        for each in transform:
            yield from _steps(each)
    else:
        yield transform


def _name(step: object) -> str:
    """The name of a transform of a library that is known; empty for others."""
    module = type(step).__module__ or ""
    known = module.partition(".")[0] in ("torchvision", "timm")
    return type(step).__name__ if known and "transforms" in module else ""


def _is_preset(step: object) -> bool:
    """``weights.transforms()``, or its like."""
    told = ("crop_size", "resize_size", "mean", "std", "interpolation")
    return _name(step) == "ImageClassification" and all(hasattr(step, each) for each in told)


@dataclass
class _Reader:
    """What has been read of the steps so far."""

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    tensor: bool = False
    largest: float = 255.0
    floats: bool = False
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    grey: bool = False
    interpolation: Interpolation = "bilinear"
    antialias: bool = True


def _read(steps: list[Any], own: Preprocess) -> tuple[Preprocess, bool]:
    """`of_transform`, of single steps.

    Raises:
        _UnreadableError: one of them is not known, or they do in their order what is not done here.
    """
    seen = _Reader()
    for step in steps:
        if _is_preset(step):
            _preset(step, seen)
        else:
            read = _READERS.get(_name(step))
            if read is None:
                if not _to_rgb(step):
                    raise _UnreadableError
                continue
            read(step, seen)
    if not seen.floats:
        raise _UnreadableError
    mean, std = seen.mean, seen.std
    if len(mean) == 1:
        mean, std = mean * 3, std * 3
    elif seen.grey or len(mean) != 3:
        raise _UnreadableError
    values = seen.largest  # of which mean and std are
    made = replace(
        own,
        mean=tuple(x / values for x in mean),
        std=tuple(x / values for x in std),
        grey=seen.grey,
        interpolation=seen.interpolation,
        antialias=seen.antialias,
        bgr=False,
        alpha=False,
    )
    sized = seen.crop is not None or isinstance(seen.resize, tuple)
    if seen.crop is None and isinstance(seen.resize, int):
        raise _UnreadableError  # as large as the photograph's shape makes it
    if seen.crop is not None:
        made = _cut(made, seen.resize, seen.crop)
    elif isinstance(seen.resize, tuple):
        height, width = seen.resize
        made = replace(
            made, size=height, width=None if width == height else width, fit="squash", resize=None
        )
    try:
        made.check()
    except ValueError as error:
        raise _UnreadableError from error
    return made, sized


def _cut(
    made: Preprocess, resize: int | tuple[int, int] | None, crop: tuple[int, int]
) -> Preprocess:
    sides = resize if isinstance(resize, tuple) else (resize or 0,) * 2
    if sides[0] < crop[0] or sides[1] < crop[1]:
        raise _UnreadableError  # nothing was resized, or what is missing is filled up
    return replace(
        made, size=crop[0], width=None if crop[0] == crop[1] else crop[1], fit="crop",
        resize=resize, crop_pct=1.0,
    )  # fmt: skip


def _preset(step: Any, seen: _Reader) -> None:
    side = step.resize_size
    _resized(seen, side[0] if len(side) == 1 else tuple(side), step.interpolation, None)
    seen.crop = _pair(step.crop_size)
    seen.tensor = seen.floats = True
    seen.largest = 1.0
    _normalised(seen, step.mean, step.std)


def _resize(step: Any, seen: _Reader) -> None:
    size = step.size
    if getattr(step, "max_size", None) is not None:
        raise _UnreadableError
    if isinstance(size, list | tuple):
        size = int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))
    _resized(seen, size, step.interpolation, getattr(step, "antialias", True))


def _resized(seen: _Reader, size: Any, interpolation: Any, antialias: object) -> None:
    if seen.resize is not None or seen.crop is not None or not isinstance(size, int | tuple):
        raise _UnreadableError
    name = getattr(interpolation, "value", interpolation)
    if name == "nearest" and seen.tensor:
        raise _UnreadableError  # torch's takes other pixels than Pillow's
    name = "nearest" if name == "nearest-exact" else name
    if name not in INTERPOLATIONS:
        raise _UnreadableError
    seen.resize, seen.interpolation = size, name
    # Pictures of Pillow are always antialiased, whatever is said.
    seen.antialias = antialias is not False or not seen.tensor


def _crop(step: Any, seen: _Reader) -> None:
    if seen.crop is not None:
        raise _UnreadableError
    seen.crop = _pair(step.size)


def _to_tensor(step: Any, seen: _Reader) -> None:
    seen.tensor = True
    if _name(step) in ("ToTensor", "MaybeToTensor"):
        seen.floats, seen.largest = True, 1.0


def _to_floats(step: Any, seen: _Reader) -> None:
    import torch

    dtype = step.dtype
    if isinstance(dtype, dict):  # of v2, for images and for what else there is
        dtype = dtype.get(torch.Tensor, next(iter(dtype.values()), None))
    if dtype not in (torch.float32, torch.float64, torch.float16):
        if dtype == torch.uint8 and not seen.floats:
            return
        raise _UnreadableError
    scales = getattr(step, "scale", True)
    if not seen.floats:
        seen.largest = 1.0 if scales else 255.0
    seen.floats = True


def _normalise(step: Any, seen: _Reader) -> None:
    if not seen.floats:
        raise _UnreadableError
    _normalised(seen, step.mean, step.std)


def _normalised(seen: _Reader, mean: Any, std: Any) -> None:
    """After what was done before: ((x - m) / s - mean) / std."""
    means, stds = (
        tuple(float(x) for x in np.asarray(each, np.float64).ravel()) for each in (mean, std)
    )
    count = max(len(means), len(stds), len(seen.mean))
    m, s = (each * count if len(each) == 1 else each for each in (seen.mean, seen.std))
    means, stds = (each * count if len(each) == 1 else each for each in (means, stds))
    if {len(m), len(s), len(means), len(stds)} != {count}:
        raise _UnreadableError
    seen.mean = tuple(a + b * c for a, b, c in zip(m, s, means, strict=True))
    seen.std = tuple(b * d for b, d in zip(s, stds, strict=True))


def _grey(step: Any, seen: _Reader) -> None:
    if step.num_output_channels != 1 or seen.floats:
        raise _UnreadableError
    seen.grey = True


def _nothing(step: Any, seen: _Reader) -> None:
    pass


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, list | tuple):
        return (int(size[0]), int(size[-1]))
    return int(size), int(size)


def _to_rgb(step: object) -> bool:
    """``_convert_to_rgb`` of OpenCLIP and CLIP, v2's RGB: pictures are RGB already."""
    name = getattr(step, "__name__", "").lower()
    return "rgb" in name and "convert" in name


_FROM_PICTURES = {"ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage"}
_READERS: dict[str, Callable[[Any, _Reader], None]] = {
    "Resize": _resize,
    "CenterCrop": _crop,
    "ToTensor": _to_tensor,
    "MaybeToTensor": _to_tensor,
    "PILToTensor": _to_tensor,
    "MaybePILToTensor": _to_tensor,
    "ToImage": _to_tensor,
    "ToPureTensor": _nothing,
    "Identity": _nothing,
    "RGB": _nothing,
    "ConvertImageDtype": _to_floats,
    "ToDtype": _to_floats,
    "Normalize": _normalise,
    "Grayscale": _grey,
}
