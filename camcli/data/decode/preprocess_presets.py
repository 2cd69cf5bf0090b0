"""Preprocessing that has a name, and any preprocessing in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camcli.data.decode.preprocess import Preprocess

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # torchvision's references, timm's IMAGENET_DEFAULT_MEAN; Keras' mode "torch".
    "imagenet": {**IMAGENET, "bgr": False},
    # Values from -1 to 1: TensorFlow's Inception and MobileNet, timm's IMAGENET_INCEPTION_MEAN.
    "inception": {**_HALF, "bgr": False},
    # Keras' mode "tf", which is the same.
    "tf": {**_HALF, "bgr": False},
    # openai/CLIP, clip.py: OPENAI_DATASET_MEAN; bicubic.
    "clip": {
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
        "bgr": False,
        "interpolation": "bicubic",
    },
    # The VGG authors' mean pixel; Keras' mode "caffe": blue first, values to 255, not divided.
    "caffe": {
        "mean": (103.939 / 255, 116.779 / 255, 123.68 / 255),
        "std": (1 / 255, 1 / 255, 1 / 255),
        "bgr": True,
    },
    # Values from 0 to 1, and nothing more.
    "none": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "bgr": False},
}
"""What each preset says; size, fit and filter stay the network's own where it says nothing."""


def described(preprocess: Preprocess) -> str:
    """A preprocessing in a few words, for a line that says what is assumed.

    Example:
        >>> described(Preprocess())
        '224x224, the centre of 256, bilinear, ImageNet mean and std'
    """
    height, width = preprocess.size, preprocess.width or preprocess.size
    parts = [f"{height}x{width}", _fitted(preprocess)]
    parts.append(preprocess.interpolation + ("" if preprocess.antialias else " without antialias"))
    if preprocess.grey:
        parts.append("luminance")
    elif preprocess.alpha:
        parts.append("RGB and an opaque alpha" if not preprocess.bgr else "BGR and an opaque alpha")
    elif preprocess.bgr:
        parts.append("BGR")
    parts.append(normalised(preprocess))
    return ", ".join(parts)


def _fitted(preprocess: Preprocess) -> str:
    if preprocess.fit == "squash":
        return "the whole photograph squashed"
    if preprocess.fit == "pad":
        return "the whole photograph between margins"
    if preprocess.fit == "whole":
        return "the whole photograph as a rectangle"
    if isinstance(preprocess.resize, tuple):
        return f"the centre of {preprocess.resize[0]}x{preprocess.resize[1]}"
    side = preprocess.resize or max(preprocess.size, int(preprocess.size / preprocess.crop_pct))
    return f"the centre of {side}"


def normalised(preprocess: Preprocess) -> str:
    """How its values are normalised, in a few words."""
    mean, std = preprocess.mean, preprocess.std
    for name, preset in (("ImageNet", "imagenet"), ("CLIP", "clip"), ("Caffe", "caffe")):
        if (mean, std) == (PRESETS[preset]["mean"], PRESETS[preset]["std"]):
            return f"{name} mean and std"
    if (mean, std) == (_HALF["mean"], _HALF["std"]):
        return "values from -1 to 1"
    if not any(mean) and set(std) == {1.0}:
        return "values from 0 to 1"
    if not any(mean) and set(std) == {1 / 255}:
        return "values from 0 to 255"
    one = len(set(mean)) == len(set(std)) == 1
    mean, std = (mean[:1], std[:1]) if one else (mean, std)
    return f"mean {' '.join(f'{x:.4g}' for x in mean)} and std {' '.join(f'{x:.4g}' for x in std)}"
