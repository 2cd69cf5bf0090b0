"""Preprocessing as other libraries write it down: files of Hugging Face, timm, OpenCLIP and camcli.

Each reader takes what stands in the file and gives a `Preprocess`; nothing needs torch.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from camcli.data.decode.preprocess import LATER, Preprocess
from camcli.data.decode.preprocess_hugging_face import filter_of, of_hugging_face
from camcli.errors import UsageError
from camcli.files import read_regular
from camcli.printable import printable

Words = Callable[[list[tuple[str, str]], Preprocess], Preprocess]
_LARGEST = 1 << 20
_IN_FOLDERS = ("preprocessor_config.json", "config.json", "open_clip_config.json", "run.json")
_FIELDS = {each.name for each in fields(Preprocess)}
_WHOLE = _FIELDS - set(LATER)  # what a record of all of them has; fewer are settings


def is_file_name(text: str) -> Path | None:
    """The file that a text names, or that it means to name; None if it is no name of one.

    Raises:
        UsageError: it is written as a file or folder, and there is none.
    """
    path = Path(text)
    try:
        path = path.expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            return _within(path)
    except (OSError, RuntimeError, ValueError):  # too long, ~somebody, a NUL
        return None
    meant = path.suffix.lower() in (".json", ".toml") and "=" not in text
    if meant or ("/" in text and "=" not in text):
        raise UsageError(f"--preprocess: there is no file {printable(path)}.")
    return None


def _within(folder: Path) -> Path:
    for name in _IN_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"--preprocess {printable(folder)}: a folder without {' or '.join(_IN_FOLDERS)}; name a "
        "file."
    )


def read_file(path: Path, own: Preprocess, words: Words) -> Preprocess:
    """A preprocessing from a file.

    Args:
        path: Hugging Face's ``preprocessor_config.json``; timm's ``config.json``; OpenCLIP's
            ``open_clip_config.json``; a ``run.json`` of camcli, or what `Preprocess.to_dict` gives,
            as JSON; or TOML with the settings that `camcli.data.decode.preprocess_words.applied`
            takes, at its top or as ``[preprocess]``, and presets as ``preset = "caffe"``.
        own: the network's own, for what the file leaves open.
        words: what reads settings.

    Raises:
        UsageError: it is none of these, or what it asks for cannot be done here.
    """
    name = printable(path)
    try:
        data = read_regular(path, _LARGEST)
        values = _parsed(data, path)
    except OSError as error:
        raise UsageError(
            f"--preprocess {name}: it cannot be read ({error.strerror or error})."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--preprocess {name}: neither JSON nor TOML ({printable(str(error))})."
        ) from error
    try:
        return read_values(values, own, words)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    except (
        KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError,
        ZeroDivisionError, RecursionError,
    ) as error:  # fmt: skip
        what = f"no {error}" if isinstance(error, KeyError) else printable(str(error))
        raise UsageError(f"--preprocess {name}: its values cannot be read ({what}).") from error


def _parsed(data: bytes, path: Path) -> Any:
    text = data.decode("utf-8-sig")
    if path.suffix.lower() == ".toml":
        return tomllib.loads(text)
    try:
        return json.loads(text)
    except ValueError:
        if text.lstrip()[:1] in ("{", "[") and "=" not in text:
            raise
        return tomllib.loads(text)


def read_values(values: Any, own: Preprocess, words: Words) -> Preprocess:
    """What stands in a file, or what would.

    Args:
        values: as `read_file` reads them.
        own: the network's own, for what is left open.
        words: what reads settings.

    Raises:
        UsageError: it asks for what cannot be done here.
        ValueError: it cannot be read; also KeyError, TypeError and their like.
    """
    if not isinstance(values, dict):
        raise ValueError("it is a list, not settings")
    recorded = values.get("config")
    if isinstance(recorded, dict) and isinstance(recorded.get("preprocess"), dict):
        return Preprocess.from_dict(recorded["preprocess"])
    if values.keys() <= _FIELDS and values.keys() >= _WHOLE:
        return Preprocess.from_dict(values)
    if isinstance(values.get("preprocess_cfg"), dict):
        return of_open_clip(values, own)
    timm = values.get("pretrained_cfg", values)
    if isinstance(timm, dict) and {"input_size", "mean", "std"} <= timm.keys():
        return of_timm(timm)
    if _is_hugging_face(values):
        return of_hugging_face(values)
    table = values.get("preprocess", values)
    if isinstance(table, str):
        table = {"preset": table}
    if not isinstance(table, dict):
        raise ValueError("preprocess is no table")
    return words(_settings(table), own)


def _settings(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings of a table as words."""
    found: list[tuple[str, str]] = []
    # What is said of single values goes over what a preset says, wherever it stands.
    for key, value in sorted(table.items(), key=lambda item: item[0] != "preset"):
        if key == "preset":
            found += [(word, "") for word in str(value).split()]
        elif isinstance(value, bool):
            if key == "antialias":
                found.append((key, "yes" if value else "no"))
            elif key not in ("bgr", "rgb", "grey", "gray"):
                raise UsageError(f"--preprocess: {key!r} is no switch.")
            elif value:
                found.append((key, ""))
        elif isinstance(value, (list, tuple)):  # Python's own; a file has lists
            joint = "x" if key in ("size", "resize") else ","
            found.append((key, joint.join(map(str, value))))
        else:
            found.append((key, str(value)))
    return found


def _is_hugging_face(values: Mapping[str, Any]) -> bool:
    own = ("image_mean", "image_processor_type", "feature_extractor_type", "do_normalize",
           "do_rescale", "do_resize")  # fmt: skip
    return any(key in values for key in own)


def of_timm(values: Mapping[str, Any]) -> Preprocess:
    """What timm does, from the ``pretrained_cfg`` of a model or its ``config.json``.

    Args:
        values: ``input_size`` (channels, height, width), ``mean``, ``std``, and where they are
            told ``crop_pct``, ``crop_mode`` and ``interpolation``.

    Raises:
        UsageError: it asks for what cannot be done here.
        KeyError: something is missing; ValueError or TypeError: it is not of its kind.
    """
    channels, height, width = (int(x) for x in values["input_size"])
    if channels not in (1, 3, 4):
        raise UsageError(f"it takes {channels} channels, and a photograph has 3, 1 or 4.")
    share = float(values.get("crop_pct") or 0.875)
    mode = values.get("crop_mode") or "center"
    resize: tuple[int, int] | None = None
    if mode == "squash" and share < 1:
        resize = math.floor(height / share), math.floor(width / share)
    elif mode == "border" and share < 1:
        raise UsageError(
            "timm's crop_mode 'border' with a crop_pct below 1 is not done here: take "
            "--preprocess with fit=pad, or crop."
        )
    fit: Any = {"border": "pad", "squash": "crop" if resize else "squash"}.get(mode, "crop")
    # Several, of which training drew one, are written "random".
    filter_ = values.get("interpolation") or "bicubic"
    made = Preprocess(
        size=height,
        width=None if height == width else width,
        fit=fit,
        crop_pct=share,
        interpolation=filter_of("bicubic" if filter_ == "random" else filter_),
        mean=_three(values["mean"]),
        std=_three(values["std"]),
        grey=channels == 1,
        alpha=channels == 4,
        resize=resize,
    )
    made.check()
    return made


def of_open_clip(values: Mapping[str, Any], own: Preprocess) -> Preprocess:
    """What OpenCLIP does, from its ``open_clip_config.json``."""
    told = values["preprocess_cfg"]
    vision = values.get("model_cfg", {}).get("vision_cfg", {})
    size = _pair(told.get("size") or vision.get("image_size") or own.size)
    mode = told.get("resize_mode") or "shortest"
    fits: dict[str, Any] = {"shortest": "crop", "squash": "squash", "longest": "pad"}
    made = Preprocess(
        size=size[0],
        width=None if size[0] == size[1] else size[1],
        fit=fits[mode],
        crop_pct=1.0,
        interpolation=filter_of(told.get("interpolation") or "bicubic"),
        mean=_three(told["mean"]),
        std=_three(told["std"]),
    )
    made.check()
    return made


def _three(values: Any) -> tuple[float, ...]:
    """One number a channel; of one channel three times the same."""
    numbers = [float(x) for x in (values if isinstance(values, list | tuple) else [values])]
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) of a number or a list."""
    if isinstance(size, list | tuple):
        height, width = size if len(size) == 2 else (size[0], size[0])
        return int(height), int(width)
    return int(size), int(size)
