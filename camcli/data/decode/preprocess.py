"""From RGB pixels to the tensor that a network was trained on, and back to the photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from camcli.data.decode.fit import FITS, Fit
from camcli.data.decode.resize import Interpolation, resized

# torch takes seconds to import, and who draws or reads a run needs `View` alone: it is imported
# where pixels become tensors.
if TYPE_CHECKING:
    from torch import Tensor

# Networks halve their input five times: sides that divide evenly lose no border.
STRIDE = 32
MAX_SIZE = 16_384
"""Pixels of an input's side: no network takes more, and one picture would take gigabytes."""
_SPARE = 4
View = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an image becomes the network's input. It belongs to the weights.

    Attributes:
        size: side of the square input in pixels; its height, where it is no square.
        fit: ``crop`` resizes the shorter side to ``round(size / crop_pct)`` and takes the centre,
            as ImageNet models are evaluated; ``squash`` squeezes the whole picture into the
            square, so that every pixel of the photograph is seen; ``whole`` resizes as ``crop``
            does and takes everything, as a rectangle: undistorted and complete, but inputs of
            different shapes do not share a forward pass and cost more.
        crop_pct: share of the resized shorter side that ``crop`` keeps.
        interpolation: ``bilinear`` or ``bicubic``, always antialiased.
        mean: per channel, of pixel values in [0, 1].
        std: per channel, of pixel values in [0, 1].
        width: of an input that is no square, in pixels; None for a square. ``crop`` then takes
            the middle of the photograph resized until it covers the rectangle.
        grey: the network takes one channel, the luminance (ITU-R 601, as Pillow's ``L``),
            normalised by the means of `mean` and of `std`.
    """

    size: int = 224
    fit: Fit = "crop"
    crop_pct: float = 0.875
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    width: int | None = None
    grey: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the network's input, where `fit` is not ``whole``."""
        return 1 if self.grey else 3, self.size, self.width or self.size

    def view(self, width: int, height: int) -> View:
        """The part of a width x height photograph that the network sees.

        Returns:
            (x0, y0, x1, y1) in pixels of the photograph, as floats.
        """
        if self.fit != "crop":
            return 0.0, 0.0, float(width), float(height)
        resized_w, resized_h = self._resized(width, height)
        left, top, right, bottom = self._window(resized_w, resized_h)
        sx, sy = width / resized_w, height / resized_h
        return left * sx, top * sy, right * sx, bottom * sy

    def pixels(self, rgb: np.ndarray, size: tuple[int, int] | None = None) -> Tensor:
        """Resize and crop, still in bytes: cheap to hand from a decoding thread to the model.

        What is not seen is not made: memory goes by `size`, whatever the photograph's shape.

        Args:
            rgb: (H, W, 3) uint8.
            size: (width, height) of the photograph, where `rgb` is a smaller copy of it: what is
                seen is then what would have been seen of the photograph, to the pixel.

        Returns:
            (3, size, width) uint8, channels last in memory; (3, h, w) when `fit` is ``whole``.
        """
        height, width = rgb.shape[:2]
        resized_w, resized_h = self._resized(*(size or (width, height)))
        window = 0, 0, resized_w, resized_h
        if self.fit != "whole":
            window = self._window(resized_w, resized_h)
        return resized(rgb, (resized_w, resized_h), self.interpolation, window)

    def enough(self) -> int:
        """Pixels of a photograph's shorter side from which more make no visible difference.

        A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Down to four times the side that it
        is resized to, probabilities move less than from storing the file anew with quality 90: by
        0.003 in the median and 0.02 at most (benchmarks/RESULTS.md).
        """
        sides = self._resized(self.size, self.size)
        return _SPARE * (max if self.width else min)(sides)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Bytes to what the network wants.

        Args:
            pixels: (B, 3, size, size) uint8, on any device.

        Returns:
            (B, 3, size, size) float32; one channel where `grey`.
        """
        import torch

        if self.grey:
            r, g, b = pixels.float().unbind(1)
            light = (0.299 * r + 0.587 * g + 0.114 * b)[:, None] / 255
            return (light - sum(self.mean) / 3) / (sum(self.std) / 3)
        # Whole numbers, as 0 and 1 are often written, would make tensors of whole numbers.
        mean, std = (
            torch.tensor(each, dtype=torch.float32, device=pixels.device).mul_(255)
            for each in (self.mean, self.std)
        )
        scale = std.reciprocal_()
        # Whole rows of a channels-last batch: a loop over three channels is ten times slower.
        B, C, h, w = pixels.shape
        rows = pixels.permute(0, 2, 3, 1).reshape(B, h, w * C).float()
        rows.sub_(mean.repeat(w)).mul_(scale.repeat(w))
        return rows.view(B, h, w, C).permute(0, 3, 1, 2)

    def tensor(self, rgb: np.ndarray) -> Tensor:
        """(H, W, 3) uint8 to a batch of one, (1, 3, size, size) float32."""
        return self.normalise(self.pixels(rgb)[None])

    def with_(self, **changes: Any) -> Preprocess:
        """A copy with some fields changed; what is None stays as it is.

        Another `size` of an input that is no square keeps its shape.
        """
        given = {name: x for name, x in changes.items() if x is not None}
        if self.width and "size" in given and "width" not in given:
            given["width"] = round(given["size"] * self.width / self.size)
        return replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint or ``run.json``."""
        # What is usual is left out, as it was when there was nothing else.
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in ("width", "grey") or v}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """The inverse of `to_dict`.

        Raises:
            ValueError: a value is not of its kind, or beyond what pictures can have; also
                KeyError or TypeError, where one is missing or unknown.
        """
        values = dict(values)
        for key in ("mean", "std"):
            values[key] = tuple(values[key])
            if len(values[key]) != 3 or not all(map(_is_number, values[key])):
                raise ValueError(f"{key} must be three numbers")
        if min(values["std"]) <= 0:
            raise ValueError("std must be above 0")
        made = cls(**values)
        if type(made.size) is not int or not 1 <= made.size <= MAX_SIZE:
            raise ValueError(f"size must be 1 to {MAX_SIZE} pixels")
        if made.width is not None and (
            type(made.width) is not int or not 1 <= made.width <= MAX_SIZE
        ):
            raise ValueError(f"width must be 1 to {MAX_SIZE} pixels")
        if type(made.grey) is not bool:
            raise ValueError("grey must be true or false")
        if made.fit not in FITS or made.interpolation not in ("bilinear", "bicubic"):
            raise ValueError("fit or interpolation is unknown")
        if not _is_number(made.crop_pct) or not 0.01 <= made.crop_pct <= 10:
            raise ValueError("crop_pct must be a share")
        return made

    def _window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the centre that is kept of a resized picture."""
        wide = self.width or self.size
        left, top = _centre(width, wide), _centre(height, self.size)
        return left, top, left + wide, top + self.size

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize, before the crop; torchvision's rounding."""
        if self.fit == "squash":
            return self.width or self.size, self.size
        if self.width and self.fit == "crop":
            # The smallest that covers the rectangle, and its border.
            tall, wide = (max(s, int(s / self.crop_pct)) for s in (self.size, self.width))
            scale = max(wide / width, tall / height)
            return max(wide, int(width * scale)), max(tall, int(height * scale))
        size = min(self.size, self.width or self.size)
        short = max(size, int(size / self.crop_pct))
        if self.fit == "whole":
            # At most 4:1, or one panorama would take the memory of a whole batch.
            scale = short / min(width, height)
            sides = (min(4 * short, side * scale) for side in (width, height))
            w, h = (max(STRIDE, round(side / STRIDE) * STRIDE) for side in sides)
            return w, h
        if width <= height:
            return short, max(short, int(short * height / width))
        return max(short, int(short * width / height)), short


def stacked(images: Sequence[Tensor]) -> Tensor:
    """What `Preprocess.pixels` returned for several images, as a batch.

    Args:
        images: (3, h, w) uint8 each, of one shape.

    Returns:
        (B, 3, h, w) uint8, channels last in memory (`torch.stack` would move the channels first).
    """
    import torch

    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _centre(length: int, size: int) -> int:
    """Where a centred window of `size` starts; torchvision's rounding."""
    return round((length - size) / 2.0)
