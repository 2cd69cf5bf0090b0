"""What the image processor in a folder of transformers gives its network.

It is read into a `Preprocess`, and what that gives is held against what the library's own processor
gives, on pictures made for it: another version of the library, or a class that does something of
its own, is seen here and not in maps that are wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_hugging_face import (
    PROCESSORS,
    class_of,
    colours_of_hugging_face,
    of_hugging_face,
)
from camcli.data.decode.preprocess_said import Said, read_said
from camcli.data.decode.preprocess_words import described
from camcli.errors import UsageError
from camcli.models.forms.hub.folder import PROCESSOR, HubFolder
from camcli.models.loading.sources import AskedModel

log = logging.getLogger(__name__)

# (height, width) of the pictures that are tried, and how far a pixel may be off, in steps of 1/255:
# Pillow and torchvision round differently, by 2 at most on photographs and noise.
_TRIED = ((97, 150), (201, 130))
_MOST, _MEAN = 6.0, 1.0
_WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)


def preprocess_of(
    found: HubFolder, config: Any, asked: AskedModel
) -> tuple[Preprocess, tuple[int, int], str]:
    """What a network is given.

    Args:
        found: its folder.
        config: transformers' configuration of it.
        asked: what the user says goes over what the folder says.

    Returns:
        It, (height, width) of what the folder itself gives, and what was assumed, as a sentence;
        empty where nothing was.

    Raises:
        UsageError: the folder asks for what cannot be done here, and the user does not say what
            else the network shall be given.
    """
    values: dict[str, Any] | None = found.json(PROCESSOR)
    own, assumed = _assumed(config)
    if values is not None:
        assumed = ""
        try:
            own = _fitted_to(config, _read(found, values))
        except UsageError as error:
            if asked.preprocess is None:
                raise
            return _said_instead(own, asked.preprocess, values, error), own.shape[1:], ""
    if asked.preprocess is not None:
        return asked.preprocessed(own), own.shape[1:], ""
    return own, own.shape[1:], assumed


def _fitted_to(config: Any, made: Preprocess) -> Preprocess:
    """For a network of one channel, which is its luminance here."""
    one = getattr(config, "num_channels", 3) == 1
    return replace(made, grey=True, bgr=False) if one else made


def _assumed(config: Any) -> tuple[Preprocess, str]:
    """What networks of its kind are usually given, and that it was assumed."""
    size = getattr(config, "image_size", None) or 224
    height, width = tuple(size) if isinstance(size, list | tuple) else (size, size)
    usual, why = _usual_of(config), ""
    if usual is not None:
        why = f", as networks of the kind {config.model_type} usually have it"
    made = usual or Preprocess(fit="crop" if height == width else "squash")
    made = replace(made.with_(size=height), width=None if height == width else width)
    made = _fitted_to(config, made)
    return made, (
        f"It has no {PROCESSOR}: {described(made)} ASSUMED{why}; --preprocess says otherwise."
    )


def _read(found: HubFolder, values: Mapping[str, Any]) -> Preprocess:
    """What the file says, held against what the library does.

    Raises:
        UsageError: it cannot be read, or asks for what cannot be done here.
    """
    from transformers import AutoImageProcessor

    path, processor = found.path / PROCESSOR, None
    try:  # the library knows what older files leave out
        processor = AutoImageProcessor.from_pretrained(
            _holding(found), local_files_only=True, trust_remote_code=False
        )
        values = {**processor.to_dict(), **_settings_of(processor)}
    except Exception as error:
        log.debug("transformers cannot take %s (%s)", PROCESSOR, error)
    kind = class_of(values)
    if processor is not None and kind not in PROCESSORS and _usual_steps(processor):
        values = {**values, "image_processor_type": "", "feature_extractor_type": ""}
    try:
        made = of_hugging_face(values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except _WRONG as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{path} cannot be read ({what}): --preprocess says what the network takes."
        ) from error
    if processor is not None and (off := _difference(processor, made)):
        raise UsageError(
            f"{path}: transformers' {type(processor).__name__} makes something else of a picture "
            f"than is done here ({off}), and maps would be of other pixels than it was trained on: "
            "say with --preprocess what the network shall be given, such as 'size=224 resize=256 "
            "mean=... std=...'."
        )
    return made


def _usual_steps(processor: Any) -> bool:
    """Whether a processor takes the steps of its library's base class, with its own settings."""
    base = [kind for kind in type(processor).__mro__ if kind.__name__.endswith("Backend")]
    steps = ("_preprocess", "resize", "center_crop", "rescale", "normalize", "process_image")
    own = type(processor)
    return bool(base) and all(
        getattr(own, step, None) is getattr(base[0], step, None) for step in steps
    )


def _difference(processor: Any, made: Preprocess) -> str:
    """What is different between what both make of pictures; empty where they are the same."""
    noise = np.random.default_rng(0)
    for height, width in _TRIED:
        # Slow waves with noise: what is cut elsewhere shows, and so does a filter.
        rows, columns = np.mgrid[:height, :width] / 9.0
        waves = np.stack([np.sin(rows + 1), np.cos(columns), np.sin(rows - columns)], 2)
        picture = waves * 70 + noise.normal(128, 15, (height, width, 3))
        rgb = picture.clip(0, 255).astype(np.uint8)
        try:
            values = processor(images=rgb, return_tensors="pt")["pixel_values"]
            theirs = torch.as_tensor(values).float()
        except Exception as error:  # it cannot do what its settings say: there is nothing to hold
            log.debug("transformers' %s fails (%s)", type(processor).__name__, error)
            return ""
        ours = made.tensor(rgb)
        if ours.shape != theirs.shape:
            return f"{_shape(theirs)} instead of {_shape(ours)}"
        steps = (ours - theirs).abs() * (255 * torch.tensor(made.std)[:, None, None])
        most = np.inf if made.interpolation == "nearest" else _MOST  # a tie is another pixel
        if not (steps.max() <= most and steps.mean() <= (_MEAN if most == _MOST else 4 * _MEAN)):
            return f"up to {float(steps.max()):.0f}/255 apart"
    return ""


def _shape(pixels: torch.Tensor) -> str:
    return "x".join(map(str, pixels.shape[1:]))


def _said_instead(
    assumed: Preprocess, said: Said, values: Mapping[str, Any], error: UsageError
) -> Preprocess:
    """What the user says, where what the folder says cannot be done.

    Raises:
        UsageError: not all that the folder leaves open is said.
    """
    base, known = assumed, False
    try:
        colours = colours_of_hugging_face(values)
        base = replace(base, **{**colours, "bgr": colours["bgr"] and not base.grey})
        known = True
    except (UsageError, *_WRONG):
        log.debug("nor can its colours be read", exc_info=True)
    reading = read_said(said, base)
    missing = [] if reading.sized else ["size"]
    if not (known or reading.coloured):
        missing += ["mean", "std"]
    if missing:
        raise UsageError(
            f"{error} What --preprocess says has no {' and no '.join(missing)}."
        ) from error
    return reading.preprocess


# Kinds whose processor's own defaults are those of the weights that everybody starts from. Others'
# published weights have settings of their own: Swin, for one, ImageNet's mean with ViT's processor.
_AS_THEIR_PROCESSOR = ("vit", "beit", "deit", "mobilenet_v1", "mobilenet_v2")


def _usual_of(config: Any) -> Preprocess | None:
    """What the processor of its kind does by default, where that says how it was trained."""
    if config.model_type not in _AS_THEIR_PROCESSOR:
        return None
    try:
        from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

        kinds = IMAGE_PROCESSOR_MAPPING[type(config)]
        found = kinds.values() if isinstance(kinds, Mapping) else kinds
        processor = next(kind for kind in found if kind is not None)()
        return of_hugging_face({**processor.to_dict(), **_settings_of(processor)})
    except Exception as error:  # another version of the library keeps them elsewhere
        log.debug("the usual processor of %s is not found (%s)", config.model_type, error)
        return None


def _holding(found: HubFolder) -> Path:
    """The folder as transformers reads it, by the usual names."""
    file = found.file(PROCESSOR)
    return file.parent if file is not None and file.name == PROCESSOR else found.path


_SETTINGS = ("do_resize", "size", "resample", "do_center_crop", "crop_size", "crop_pct",
             "do_rescale", "rescale_factor", "rescale_offset", "do_normalize", "image_mean",
             "image_std", "do_flip_channel_order", "include_top", "default_to_square", "do_pad",
             "use_square_size")  # fmt: skip


def _settings_of(processor: Any) -> dict[str, Any]:
    """What a processor was made with, its class's own defaults among it."""
    found: dict[str, Any] = {}
    for name in _SETTINGS:
        if not hasattr(processor, name):
            continue
        value = getattr(processor, name)
        plain = value is None or isinstance(value, int | dict | list)
        if name in ("size", "crop_size") and not plain:
            value = {key: side for key, side in dict(value).items() if side is not None}
        found[name] = value if not hasattr(value, "value") else value.value
    kind = type(processor).__name__.removesuffix("Fast").removesuffix("Pil")
    return {**found, "image_processor_type": kind}
