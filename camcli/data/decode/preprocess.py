"""From RGB pixels to the tensor that a network was trained on, and back to the photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from camcli.data.decode.fit import FITS, INTERPOLATIONS, Fit
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
ALL_PIXELS = 1 << 30
"""More than any picture has."""
View = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an image becomes the network's input. It belongs to the weights.

    Attributes:
        size: side of the square input in pixels; its height, where it is no square.
        fit: ``crop`` resizes the shorter side to ``round(size / crop_pct)`` and takes the centre,
            as ImageNet models are evaluated; ``squash`` squeezes the whole picture into the
            square, so that every pixel of the photograph is seen; ``pad`` puts the whole picture,
            undistorted, into the middle of the square, between margins of one colour; ``whole``
            resizes as ``crop`` does and takes everything, as a rectangle: undistorted and
            complete, but inputs of different shapes do not share a forward pass and cost more.
        crop_pct: share of the resized shorter side that ``crop`` keeps.
        interpolation: the filter.
        mean: per channel, in the order in which the network takes them, of pixel values in [0, 1].
        std: likewise.
        width: of an input that is no square, in pixels; None for a square. ``crop`` then takes
            the middle of the photograph resized until it covers the rectangle.
        grey: the network takes one channel, the luminance (ITU-R 601, as Pillow's ``L``),
            normalised by the means of `mean` and of `std`.
        bgr: the network takes blue first and red last.
        alpha: the network takes a fourth channel: how opaque a pixel is, which is 1 everywhere,
            since transparent pixels have been laid over white. `mean` and `std` may have a fourth
            value; by default it is the mean of the three.
        antialias: whether a smaller picture is made of all pixels of the larger, as Pillow does.
        resize: what ``crop`` resizes to, instead of what `crop_pct` says: the shorter side, or
            (height, width), whatever the photograph's shape.
        pad: (red, green, blue), the colour of the margins of ``pad``, of values to 255; None for
            `mean`, which is 0 for the network.
        round_down: whether the corner of what ``crop`` takes, where it falls between two pixels,
            is the upper left one, as in transformers; torchvision takes the even one.
    """

    size: int = 224
    fit: Fit = "crop"
    crop_pct: float = 0.875
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    width: int | None = None
    grey: bool = False
    bgr: bool = False
    alpha: bool = False
    antialias: bool = True
    resize: int | tuple[int, int] | None = None
    pad: tuple[int, int, int] | None = None
    round_down: bool = False

    @property
    def channels(self) -> int:
        """Of the network's input: 1, 3 or 4."""
        return 1 if self.grey else 4 if self.alpha else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the network's input, where `fit` is not ``whole``."""
        return self.channels, self.size, self.width or self.size

    def view(self, width: int, height: int) -> View:
        """The part of a width x height photograph that the network sees.

        Returns:
            (x0, y0, x1, y1) in pixels of the photograph, as floats; beyond its edges where the
            margins of ``pad`` are.
        """
        if self.fit in ("squash", "whole"):
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
        if self.fit not in ("whole", "pad"):
            window = self._window(resized_w, resized_h)
        seen = resized(rgb, (resized_w, resized_h), self.interpolation, window, self.antialias)
        return self._padded(seen) if self.fit == "pad" else seen

    def enough(self) -> int:
        """Pixels of a photograph's shorter side from which more make no visible difference.

        A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Down to four times the side that it
        is resized to, probabilities move less than from storing the file anew with quality 90: by
        0.003 in the median and 0.02 at most (benchmarks/RESULTS.md).
        """
        if not self.antialias or self.interpolation == "nearest":
            return ALL_PIXELS  # those that are looked at must be the photograph's own
        sides = self._resized(self.size, self.size)
        return _SPARE * (max if self.width or self.fit == "pad" else min)(sides)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Bytes to what the network wants.

        Args:
            pixels: (B, 3, size, size) uint8, on any device.

        Returns:
            (B, 3, size, size) float32; one channel where `grey`, four where `alpha`.
        """
        import torch

        if self.grey:
            r, g, b = pixels.float().unbind(1)
            light = (0.299 * r + 0.587 * g + 0.114 * b)[:, None] / 255
            return (light - sum(self.mean[:3]) / 3) / (sum(self.std[:3]) / 3)
        if self.bgr:
            pixels = pixels.flip(1)
        # Whole numbers, as 0 and 1 are often written, would make tensors of whole numbers.
        mean, std = (
            torch.tensor(each[:3], dtype=torch.float32, device=pixels.device).mul_(255)
            for each in (self.mean, self.std)
        )
        scale = std.reciprocal_()
        # Whole rows of a channels-last batch: a loop over three channels is ten times slower.
        B, C, h, w = pixels.shape
        rows = pixels.permute(0, 2, 3, 1).reshape(B, h, w * C).float()
        rows.sub_(mean.repeat(w)).mul_(scale.repeat(w))
        colours = rows.view(B, h, w, C).permute(0, 3, 1, 2)
        if not self.alpha:
            return colours
        mean4, std4 = (
            each[3] if len(each) > 3 else sum(each) / 3 for each in (self.mean, self.std)
        )
        opaque = torch.full_like(colours[:, :1], (1 - mean4) / std4)
        return torch.cat([colours, opaque], 1)

    def tensor(self, rgb: np.ndarray) -> Tensor:
        """(H, W, 3) uint8 to a batch of one, (1, 3, size, size) float32."""
        return self.normalise(self.pixels(rgb)[None])

    def with_(self, **changes: Any) -> Preprocess:
        """A copy with some fields changed; what is None stays as it is.

        Another `size` of an input that is no square keeps its shape; and what is cut out of a
        resized photograph stays the same share of it.
        """
        given = {name: x for name, x in changes.items() if x is not None}
        if "size" in given:
            ratio = given["size"] / self.size
            if self.width and "width" not in given:
                given["width"] = round(self.width * ratio)
            if self.resize and "resize" not in given:
                sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
                scaled = tuple(max(1, round(side * ratio)) for side in sides)
                given["resize"] = scaled if len(scaled) == 2 else scaled[0]
        return replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint or ``run.json``."""
        # What is usual is left out, as it was when there was nothing else.
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in LATER or v != LATER[k]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """The inverse of `to_dict`.

        Raises:
            ValueError: a value is not of its kind, or beyond what pictures can have; also
                KeyError or TypeError, where one is missing or unknown.
        """
        values = dict(values)
        for key in ("mean", "std", "resize", "pad"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        for each in fields(cls):
            if each.name not in LATER and each.name not in values:
                raise KeyError(each.name)
        made = cls(**values)
        made.check()
        return made

    def check(self) -> None:
        """Refuse what no picture can be.

        Raises:
            ValueError: a value is not of its kind, or beyond what pictures can have.
        """
        for name, each in (("mean", self.mean), ("std", self.std)):
            if not isinstance(each, tuple) or not all(map(_is_number, each)):
                raise ValueError(f"{name} must be numbers")
            if len(each) != 3 and not (len(each) == 4 and self.alpha):
                raise ValueError(f"{name} must be three numbers")
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")
        if not _is_side(self.size):
            raise ValueError(f"size must be 1 to {MAX_SIZE} pixels")
        if self.width is not None and not _is_side(self.width):
            raise ValueError(f"width must be 1 to {MAX_SIZE} pixels")
        for name in ("grey", "bgr", "alpha", "antialias", "round_down"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be true or false")
        if self.grey and (self.bgr or self.alpha):
            raise ValueError("grey has one channel: neither bgr nor alpha go with it")
        if self.fit not in FITS or self.interpolation not in INTERPOLATIONS:
            raise ValueError("fit or interpolation is unknown")
        if not _is_number(self.crop_pct) or not 0.01 <= self.crop_pct <= 10:
            raise ValueError("crop_pct must be a share")
        self._check_resize()
        if self.pad is not None and not (
            isinstance(self.pad, tuple)
            and len(self.pad) == 3
            and all(type(x) is int and 0 <= x <= 255 for x in self.pad)
        ):
            raise ValueError("pad must be three whole numbers from 0 to 255")

    def _check_resize(self) -> None:
        if self.resize is None:
            return
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,) * 2
        if len(sides) != 2 or not all(map(_is_side, sides)):
            raise ValueError(f"resize must be one or two numbers from 1 to {MAX_SIZE} pixels")
        if sides[0] < self.size or sides[1] < (self.width or self.size):
            raise ValueError(
                f"resize must be at least size: {self.size}x{self.width or self.size} pixels are "
                "cut out of it"
            )

    def _padded(self, seen: Tensor) -> Tensor:
        """Between margins: (3, size, width) uint8, channels last in memory."""
        import torch

        colour = self.pad
        if colour is None:
            mean = self.mean[:3][::-1] if self.bgr else self.mean[:3]
            if self.grey:
                mean = (sum(mean) / 3,) * 3
            colour = tuple(min(255, max(0, round(255 * x))) for x in mean)  # type: ignore[assignment]
        wide = self.width or self.size
        out = torch.tensor(colour, dtype=torch.uint8).repeat(self.size, wide, 1)
        height, width = seen.shape[1:]
        left, top = _centre(wide, width), _centre(self.size, height)
        out[top : top + height, left : left + width] = seen.permute(1, 2, 0)
        return out.permute(2, 0, 1)

    def _window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the centre that is kept of a resized picture.

        Of ``pad`` it is larger than the picture, with the margins.
        """
        wide = self.width or self.size
        if self.fit == "pad":
            left, top = -_centre(wide, width), -_centre(self.size, height)
        else:
            left, top = _centre(width, wide), _centre(height, self.size)
            if self.round_down:
                left, top = (width - wide) // 2, (height - self.size) // 2
        return left, top, left + wide, top + self.size

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize, before the crop; torchvision's rounding."""
        if self.fit == "squash":
            return self.width or self.size, self.size
        if self.fit == "pad":
            wide = self.width or self.size
            scale = min(wide / width, self.size / height)
            return (min(wide, max(1, round(width * scale))),
                    min(self.size, max(1, round(height * scale))))  # fmt: skip
        if isinstance(self.resize, tuple) and self.fit == "crop":
            return self.resize[1], self.resize[0]
        if self.width and self.fit == "crop" and self.resize is None:
            # The smallest that covers the rectangle, and its border.
            tall, wide = (max(s, int(s / self.crop_pct)) for s in (self.size, self.width))
            scale = max(wide / width, tall / height)
            return max(wide, int(width * scale)), max(tall, int(height * scale))
        size = min(self.size, self.width or self.size)
        short = max(size, int(size / self.crop_pct))
        if isinstance(self.resize, int):
            short = self.resize
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


# What there was not at first, and is left out where it is as it was then.
LATER: dict[str, Any] = {
    each.name: each.default
    for each in fields(Preprocess)
    if each.name in ("width", "grey", "bgr", "alpha", "antialias", "resize", "pad", "round_down")
}


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _is_side(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_SIZE


def _centre(length: int, size: int) -> int:
    """Where a centred window of `size` starts; torchvision's rounding."""
    return round((length - size) / 2.0)
