"""What an image processor of transformers does, from its ``preprocessor_config.json``.

Nothing of transformers is needed: what its classes do when a file says nothing is in `PROCESSORS`,
and what each does beside the usual steps stands here. What a `Preprocess` cannot say is refused:
other pixels than a network was trained on give other maps, and nobody would see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.printable import printable

# Pillow's numbers, as Hugging Face writes filters down.
RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}

_HALF = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_CLIP = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
_USUAL: dict[str, Any] = {
    "do_resize": True, "do_center_crop": None, "do_rescale": True, "do_normalize": True,
    "rescale_factor": 1 / 255, "resample": 3, "crop_size": None, "default_to_square": True,
}  # fmt: skip
_SHORTER = {"size": {"shortest_edge": 224}, "default_to_square": False}
_CROPPED = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


PROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "ViT": {**_USUAL, **_HALF, "size": _square(224), "resample": 2},
    "DeiT": {**_USUAL, **_HALF, **_CROPPED, "size": _square(256)},
    "Beit": {**_USUAL, **_HALF, **_CROPPED, "size": _square(224), "do_center_crop": False},
    "Bit": {**_USUAL, **_CLIP, **_SHORTER, **_CROPPED},
    "CLIP": {**_USUAL, **_CLIP, **_SHORTER, **_CROPPED},
    "ConvNext": {**_USUAL, **_HALF, "size": {"shortest_edge": 384}, "default_to_square": False,
                 "crop_pct": 224 / 256},
    "EfficientNet": {**_USUAL, **_HALF, "size": _square(346), "do_center_crop": False,
                     "crop_size": _square(289), "rescale_offset": False, "include_top": True},
    "Levit": {**_USUAL, **_IMAGENET, **_SHORTER, **_CROPPED},
    "MobileNetV1": {**_USUAL, **_HALF, **_SHORTER, **_CROPPED, "size": {"shortest_edge": 256},
                    "resample": 2},
    "MobileNetV2": {**_USUAL, **_HALF, **_SHORTER, **_CROPPED, "size": {"shortest_edge": 256},
                    "resample": 2},
    "MobileViT": {**_USUAL, **_HALF, **_SHORTER, **_CROPPED, "crop_size": _square(256),
                  "do_normalize": None, "do_flip_channel_order": True},
    "PoolFormer": {**_USUAL, **_IMAGENET, **_SHORTER, **_CROPPED, "crop_pct": 0.9},
    "Pvt": {**_USUAL, **_IMAGENET, "size": _square(224)},
    "Segformer": {**_USUAL, **_IMAGENET, "size": _square(512), "resample": 2},
    "Siglip": {**_USUAL, **_HALF, "size": _square(224), "default_to_square": False},
}  # fmt: skip
"""What each class does where a file says nothing, as in transformers 5.24; by its name, without
``ImageProcessor``."""

# Those whose steps are others, by what they do.
_OTHERWISE = {
    "Perceiver": "cuts the centre out of the photograph before it resizes it",
    "PPLCNet": "rounds the sides of the resized photograph in its own way",
    "TextNet": "rounds both sides of the photograph up to what its size_divisor divides",
    "Donut": "shrinks the photograph into a frame and fills up what is left",
    "ImageGPT": "makes colours of a palette out of pixels",
    "Siglip2": "gives patches, and as many as the photograph's shape asks for",
    "Gemma3": "may cut the photograph into several",
    "VideoMAE": "takes videos",
}


def of_hugging_face(values: Mapping[str, Any]) -> Preprocess:
    """What an image processor does.

    Args:
        values: what stands in its ``preprocessor_config.json``.

    Returns:
        What gives the network the same pixels, but for the rounding of its resize.

    Raises:
        UsageError: it asks for what cannot be done here.
        KeyError: something is missing; ValueError, TypeError or ArithmeticError: it is not of its
            kind.
    """
    told = _Told(values)
    made = Preprocess(crop_pct=1.0, **_sizes(told), **_colours(told))
    made.check()
    return made


def colours_of_hugging_face(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the same what is not about sizes: `Preprocess`'s mean, std, bgr and interpolation.

    Raises:
        UsageError, KeyError, ValueError, TypeError, ArithmeticError: as `of_hugging_face`.
    """
    return _colours(_Told(values))


def class_of(values: Mapping[str, Any]) -> str:
    """The class of a processor, without what tells its variants apart; empty where it is not said.

    Example:
        >>> class_of({"image_processor_type": "ViTImageProcessorFast"})
        'ViT'
    """
    kind = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "")
    kind = kind.removesuffix("Fast").removesuffix("Pil")
    return kind.removesuffix("ImageProcessor").removesuffix("FeatureExtractor")


class _Told:
    """What a file says, and its class where it is silent; null is said, as in transformers."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.kind = class_of(values)
        self.said = values
        if self.kind in _OTHERWISE:
            raise UsageError(
                f"transformers' {self.kind}ImageProcessor {_OTHERWISE[self.kind]}, which is not "
                f"done here: {_instead(self.said)}."
            )
        if self.kind and self.kind not in PROCESSORS:
            raise UsageError(
                f"it is not known here what an image processor {printable(self.kind)[:60]!r} does, "
                f"only what these do: {', '.join(PROCESSORS)}. If it does what one of them does, "
                f"write that as image_processor_type, as 'ViTImageProcessor'; else "
                f"{_instead(self.said)}."
            )
        usual = {**_USUAL, "resample": 2}
        if not self.kind:  # nobody's: what it has to say it says
            usual["do_center_crop"] = values.get("crop_size") is not None
        self._usual = PROCESSORS[self.kind] if self.kind else usual

    def get(self, key: str) -> Any:
        """A value, or what is usual; None where there is neither."""
        return self.said.get(key, self._usual.get(key))

    def does(self, key: str) -> bool:
        """Whether a step is taken.

        Raises:
            ValueError: it is not said with true or false.
        """
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{key} must be true or false")
        return bool(value)

    def instead(self) -> str:
        return _instead(self.said)


def _colours(told: _Told) -> dict[str, Any]:
    """Mean and std of pixel values from 0 to 1, the order of the channels, and the filter."""
    factor, offset = 1.0, 0.0
    if told.does("do_rescale"):
        factor = float(told.get("rescale_factor"))
        # Of the classes here one has it.
        if told.kind in ("", "EfficientNet") and told.does("rescale_offset"):
            offset = 1.0
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    # MobileViT has a mean and no step that takes it away.
    if told.does("do_normalize") and told.kind != "MobileViT":
        mean, std = (_three(told, key) for key in ("image_mean", "image_std"))
    if told.kind == "EfficientNet" and told.does("include_top"):  # it divides once more
        std = tuple(x * y for x, y in zip(std, _three(told, "image_std"), strict=True))
    if factor * 255 != 1 or offset:
        mean = tuple((x + offset) / (255 * factor) for x in mean)
        std = tuple(x / (255 * factor) for x in std)
    flipped = told.kind in ("", "MobileViT") and told.does("do_flip_channel_order")
    return {
        "mean": mean, "std": std, "bgr": flipped,
        "interpolation": filter_of(told.get("resample")),
    }  # fmt: skip


def _three(told: _Told, key: str) -> tuple[float, ...]:
    """One number a channel; of one three times the same."""
    values = told.get(key)
    if values is None:
        raise KeyError(key)
    numbers = [float(x) for x in (values if isinstance(values, list | tuple) else [values])]
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _sizes(told: _Told) -> dict[str, Any]:
    """`Preprocess`'s size, width, fit, resize and round_down."""
    if told.does("do_pad"):
        raise UsageError(
            f"it fills pictures up with margins (do_pad), which is not done here: {told.instead()}."
        )
    # Of CLIP, and Segformer for classes has no step that cuts.
    if told.does("use_square_size"):
        raise UsageError(f"use_square_size is not done here: {told.instead()}.")
    cuts = told.does("do_center_crop") and told.kind != "Segformer"
    if not told.does("do_resize"):
        raise UsageError(
            "it resizes nothing (do_resize is false), so that what the network takes would depend "
            f"on the size of each photograph: {told.instead()}."
        )
    resize, first = _resized(told, cuts)
    crops = [first] if first else []
    if cuts:
        crops.append(_pair("crop_size", told.get("crop_size")))
    if not crops and isinstance(resize, int):
        raise UsageError(
            f"it resizes the shorter side to {resize} and cuts nothing out, so that each "
            f"photograph would have a shape of its own: {told.instead()}."
        )
    target = (resize, resize) if isinstance(resize, int) else resize
    said = f"the shorter side to {resize}" if isinstance(resize, int) else f"to {_by(target)}"
    for crop in crops:
        if crop[0] > target[0] or crop[1] > target[1]:
            usual = "" if "crop_size" in told.said else ", as its class does where nothing is said"
            raise UsageError(
                f"it resizes {said} pixels, and then cuts {_by(crop)} out of the centre{usual}: "
                "more than there is, so that a photograph may end in a black frame, which is not "
                f"done here. Where the network takes {_by(target)} pixels, write that as "
                f"crop_size, too; else {told.instead()}."
            )
        # One cut after the other is the last one alone where no half pixel is rounded twice.
        if crop is not crops[0] and any((a - b) % 2 for a, b in zip(crops[0], crop, strict=True)):
            raise UsageError(
                f"it cuts {_by(crops[0])} pixels out of the centre and then {_by(crop)}, half a "
                f"pixel off, which is not done here: {told.instead()}."
            )
    size = crops[-1] if crops else target
    cropped = size != resize
    return {
        "size": size[0], "width": None if size[0] == size[1] else size[1],
        "resize": resize if cropped else None, "fit": "crop" if cropped else "squash",
        "round_down": cropped,
    }  # fmt: skip


def _resized(told: _Told, cuts: bool) -> tuple[int | tuple[int, int], tuple[int, int] | None]:
    """What is resized to, the shorter side or (height, width), and what is cut out of it at once.

    Raises:
        UsageError: it is not said, or cannot be done.
    """
    size = told.get("size")
    if size is None:
        raise UsageError(f"it does not say which size the network takes: {told.instead()}.")
    if isinstance(size, int) and cuts and not told.kind:
        raise UsageError(
            f"it has a crop_size, and does not say whether its size {size} is the shorter side or "
            f'both: write {{"shortest_edge": {size}}} or {{"height": {size}, "width": {size}}}.'
        )
    if isinstance(size, int) and not told.does("default_to_square"):
        size = {"shortest_edge": size}
    if isinstance(size, Mapping):
        size = {key: side for key, side in size.items() if side is not None}
    short = size["shortest_edge"] if isinstance(size, Mapping) and set(size) == _SHORT else None
    if short is None:
        height, width = _pair("size", size)
        if told.kind == "ConvNext":
            raise UsageError(
                'transformers\' ConvNextImageProcessor wants a size such as {"shortest_edge": '
                f"{height}}}: {told.instead()}."
            )
        if told.kind == "PoolFormer" and told.get("crop_pct") is not None:
            share = _share(told)
            sides = int(height / share), int(width / share)
            return (sides[0] if height == width else sides), None
        return (height, width), None
    short = _side("size", short)
    if told.kind == "ConvNext":
        if short >= 384:
            return (short, short), None
        return int(short / _share(told)), (short, short)
    if told.kind == "PoolFormer":
        short = short if told.get("crop_pct") is None else int(short / _share(told))
    elif told.kind == "Levit":
        short = int(256 / 224 * short)
    return short, None


_SHORT = {"shortest_edge"}


def _share(told: _Told) -> float:
    share = float(told.get("crop_pct"))
    if not 0 < share < 100:
        raise ValueError("crop_pct must be a share")
    return share


def _pair(name: str, size: Any) -> tuple[int, int]:
    """(height, width) of a number, a list, or names.

    Raises:
        UsageError: it is said otherwise.
    """
    if isinstance(size, Mapping):
        size = {key: side for key, side in size.items() if side is not None}
        if set(size) != {"height", "width"}:
            keys = printable(", ".join(map(str, size)))[:80] or "nothing"
            raise UsageError(
                f"its {name} says {keys}; what is done here is height and width, or, as size, "
                "shortest_edge alone."
            )
        return _side(name, size["height"]), _side(name, size["width"])
    if isinstance(size, list | tuple):
        if len(size) != 2:
            raise ValueError(f"{name} must be height and width")
        return _side(name, size[0]), _side(name, size[1])
    return _side(name, size), _side(name, size)


def _side(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} must be whole numbers of pixels")
    return value


def filter_of(value: Any) -> Any:
    """The name of a filter, of Pillow's number or its name.

    Raises:
        UsageError: there is none of this name here.
    """
    name = RESAMPLE.get(value, value)
    if name not in RESAMPLE.values():
        raise UsageError(
            f"the filter {printable(repr(value))[:40]} is not one of "
            f"{', '.join(RESAMPLE.values())}."
        )
    return name


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _instead(said: Mapping[str, Any]) -> str:
    """What to do: settings, with those numbers of the file that are plain."""
    words = ["size=224", "resize=256"]
    for key, name in (("image_mean", "mean"), ("image_std", "std")):
        numbers = said.get(key)
        plain = isinstance(numbers, list | tuple) and len(numbers) == 3
        if plain and all(type(x) in (int, float) for x in numbers or ()):
            words.append(f"{name}={','.join(f'{x:g}' for x in numbers or ())}")
        else:
            words.append(f"{name}=...")
    return (
        f"say in settings what the network shall be given, such as --preprocess '{' '.join(words)}'"
    )
