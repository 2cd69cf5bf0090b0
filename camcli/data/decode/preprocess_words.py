"""Preprocessing in a user's words: a preset, a file, or settings such as ``size=32 bgr``.

torch is not needed to read them, so that what is mistyped is told at once. See `applied`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from camcli.data.decode.fit import FITS, INTERPOLATIONS
from camcli.data.decode.preprocess import MAX_SIZE, Preprocess
from camcli.data.decode.preprocess_files import is_file_name, read_file, read_values
from camcli.data.decode.preprocess_presets import PRESETS as PRESETS
from camcli.data.decode.preprocess_presets import described as described
from camcli.data.decode.preprocess_presets import normalised as normalised
from camcli.errors import UsageError
from camcli.printable import printable

_FORMS = (
    f"a preset ({', '.join(PRESETS)}), a file (Hugging Face's preprocessor_config.json, timm's "
    "config.json, a TOML file of these settings, a run.json), or settings such as "
    "'size=32 mean=0.49,0.48,0.45 std=0.25,0.24,0.26 bgr'"
)
_KEYS = ("size", "mean", "std", "scale", "channels", "interpolation", "antialias", "resize",
         "crop_pct", "fit", "pad")  # fmt: skip
_FLAGS: Mapping[str, Mapping[str, Any]] = {
    **{fit: {"fit": fit} for fit in FITS},
    "bgr": {"bgr": True},
    "rgb": {"bgr": False},
    "grey": {"grey": True, "alpha": False, "bgr": False},
    "gray": {"grey": True, "alpha": False, "bgr": False},
}
_ALSO = {"area": "box", "linear": "bilinear", "cubic": "bicubic", "lanczos3": "lanczos"}
_LISTS = ("mean", "std", "pad")
_HOW = {"fit", "resize", "crop_pct"}
# Of values to 255, nobody's mean and std are all below the one; of values to 1, none is above the
# other.
_BELOW, _ABOVE = 1.5, 10


def applied(text: str | Path, own: Preprocess) -> Preprocess:
    """What a user says of the preprocessing, over what is known of the network.

    Args:
        text: words with spaces between: presets (`PRESETS`), ``crop``, ``squash``, ``whole``,
            ``pad``, ``bgr``, ``rgb``, ``grey``, and settings:

            - ``size=32`` or ``size=128x256``, height and width, into which the photograph is
              squeezed, as ``Resize((128, 256))`` does, unless it is said how it becomes them;
            - ``mean=...`` and ``std=...``, one number or one a channel, with commas, in the order
              in which the network takes the channels;
            - ``scale=255``: mean and std are of pixel values from 0 to 255, not to 1; alone, the
              network takes these values as they are;
            - ``resize=256``, the shorter side before the centre is cut out, or ``resize=256x256``;
              or ``crop_pct=0.875``;
            - ``interpolation=nearest|bilinear|bicubic|lanczos|box``, ``antialias=no``;
            - ``channels=1|3|4``;
            - ``fit=crop|squash|whole|pad``, and ``pad=114`` or ``pad=R,G,B``, the margins' colour.

            What is said later goes over what was said before. Or a file
            (`camcli.data.decode.preprocess_files.read_file`).
        own: the network's own; what is not said stays as it is there.

    Returns:
        The preprocessing.

    Raises:
        UsageError: a word that means nothing, a number out of range, settings that contradict each
            other, or a file that cannot be read.

    Example:
        >>> applied("inception size=299", Preprocess()).mean
        (0.5, 0.5, 0.5)
    """
    asked = str(text).strip()
    if not asked:
        raise UsageError(f"--preprocess is empty: give it {_FORMS}.")
    if asked not in PRESETS and (file := is_file_name(asked)) is not None:
        return _checked(read_file(file, own, words), text)
    return _checked(words(_settings(asked), own), text)


def of_values(values: Mapping[str, Any], own: Preprocess) -> Preprocess:
    """A preprocessing from a dict such as ``{"size": 224, "mean": [...], "std": [...]}``.

    Args:
        values: settings, or what Hugging Face's or timm's files hold.
        own: the network's own, for what is left open.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        made = read_values(dict(values), own, words)
        made.check()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else printable(str(error))
        raise UsageError(f"its values cannot be read ({what}).") from error
    return made


def check_words(text: str | Path, *, fit: str | None = None, input_size: int | None = None) -> None:
    """Refuse what cannot be meant, whatever the network.

    Args:
        text: as `applied` takes it.
        fit: what the user says of the fit besides.
        input_size: what the user says of the side of the input besides.

    Raises:
        UsageError: as `applied`; or it says something else than `fit` or `input_size`.
    """
    # What is the same over two networks that share nothing is said.
    one = applied(text, Preprocess(size=1, fit="crop"))
    two = applied(text, Preprocess(size=2, fit="pad"))
    if input_size is not None and one.size == two.size and one.shape[1:] != (input_size,) * 2:
        raise UsageError(
            f"--input-size {input_size} and --preprocess {_quoted(text)} name different sizes: "
            "leave one out."
        )
    if fit is not None and one.fit == two.fit and one.fit != fit:
        raise UsageError(
            f"--fit {fit} and --preprocess {_quoted(text)}, which says {one.fit}, contradict each "
            "other: leave one out."
        )


def _checked(made: Preprocess, text: str | Path) -> Preprocess:
    try:
        made.check()
    except ValueError as error:
        raise UsageError(f"--preprocess {_quoted(text)}: {error}.") from error
    return made


def words(settings: list[tuple[str, str]], own: Preprocess) -> Preprocess:
    """Settings as (key, value), in order; the value of a single word is empty.

    Raises:
        UsageError: as `applied`.
    """
    said: dict[str, Any] = {}
    scale: float | None = None
    given: dict[str, tuple[float, ...]] = {}
    for key, value in settings:
        if not value and key in PRESETS:
            said.update(PRESETS[key])
            given = {}
        elif not value and key in _FLAGS:
            said.update(_FLAGS[key])
        elif not value:
            raise _unknown(key, value)
        elif key == "scale":
            scale = _number(key, value)
            if scale not in (1, 255):
                raise UsageError(
                    f"--preprocess scale={_quoted(value)}: scale is the largest value of a pixel, "
                    "of which mean and std are: 1, as by default, or 255."
                )
        elif key in ("mean", "std"):
            given[key] = _numbers(key, value)
        elif key in _READERS:
            said.update(_READERS[key](value))
        else:
            raise _unknown(key, value)
    said.update(_colours(given, scale, said, own))
    if "size" in said:
        said.setdefault("width", None)
        # A network whose pictures are no squares hardly saw their centres.
        if said["width"] and own.width is None and own.fit == "crop" and not _HOW & said.keys():
            said.update(fit="squash", resize=None)
        # Of the network's own size: of another, it would cut out another share.
        elif "resize" not in said and own.resize is not None:
            said["resize"] = own.with_(size=said["size"]).resize
    made = replace(own, **said)
    if made.grey and "bgr" not in said:
        made = replace(made, bgr=False, alpha=False)
    return made


def _colours(
    given: Mapping[str, tuple[float, ...]],
    scale: float | None,
    said: Mapping[str, Any],
    own: Preprocess,
) -> dict[str, Any]:
    """Mean and std as of values from 0 to 1."""
    if scale == 255 and not given and not any(said.get("mean", ())):  # alone, or with none
        given = {"mean": (0.0,), "std": (1.0,)}
    elif scale == 255 and not given:  # of a preset: its values are multiplied
        raise UsageError(
            "--preprocess scale=255 beside a preset: a preset has its own mean and std; give "
            "scale=255 with mean and std, or alone, for values from 0 to 255."
        )
    if len(given) == 1 and "mean" not in said:
        there, missing = ("mean", "std") if "mean" in given else ("std", "mean")
        raise UsageError(
            f"--preprocess has {there} and no {missing}: give both; std=1 divides by nothing and "
            "mean=0 takes nothing away."
        )
    largest = max((abs(x) for values in given.values() for x in values), default=0)
    if scale != 255 and largest > _ABOVE:
        raise UsageError(
            f"--preprocess: a mean or std of {largest:g} is of pixel values from 0 to 255: add "
            "scale=255."
        )
    if scale == 255 and any(given.get("mean", ())) and largest < _BELOW:
        raise UsageError(
            "--preprocess: with scale=255, mean and std are of pixel values from 0 to 255, and "
            f"{_listed(given['mean'])} is of values from 0 to 1: leave scale out, which divides "
            "pixels by 255."
        )
    found: dict[str, Any] = {}
    for key, values in given.items():
        if key == "std" and min(values) <= 0:
            raise UsageError(f"--preprocess std={_listed(values)}: it must be above 0.")
        if len(values) == 4 and not (said.get("alpha") or own.alpha):
            raise UsageError(
                f"--preprocess {key} has four numbers: add channels=4, if the network takes four."
            )
        spread = values * 3 if len(values) == 1 else values
        found[key] = tuple(x / 255 for x in spread) if scale == 255 else spread
    return found


def _size(value: str) -> dict[str, Any]:
    height, width = _sides("size", value)
    return {"size": height, "width": None if width in (None, height) else width}


def _resize(value: str) -> dict[str, Any]:
    height, width = _sides("resize", value)
    return {"resize": height if width is None else (height, width)}


def _channels(value: str) -> dict[str, Any]:
    if value not in ("1", "3", "4"):
        raise UsageError(
            f"--preprocess channels={_quoted(value)}: a photograph has 3 channels, or 1, its "
            "luminance, or 4, of which the last says that it is opaque. A network that takes more "
            "needs a first layer that makes them of these."
        )
    return {"grey": value == "1", "alpha": value == "4"} | ({"bgr": False} if value == "1" else {})


def _interpolation(value: str) -> dict[str, Any]:
    name = _ALSO.get(value.lower(), value.lower())
    if name not in INTERPOLATIONS:
        raise UsageError(
            f"--preprocess interpolation={_quoted(value)}: choose one of "
            f"{', '.join(INTERPOLATIONS)}."
        )
    return {"interpolation": name}


def _antialias(value: str) -> dict[str, Any]:
    yes, no = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
    if value.lower() not in yes + no:
        raise UsageError(f"--preprocess antialias={_quoted(value)}: yes or no.")
    return {"antialias": value.lower() in yes}


def _crop_pct(value: str) -> dict[str, Any]:
    share = _number("crop_pct", value)
    if not 0.01 <= share <= 10:
        raise UsageError(
            f"--preprocess crop_pct={_quoted(value)}: it is the share of the resized photograph's "
            "shorter side that is kept, such as 0.875."
        )
    return {"crop_pct": share, "resize": None}


def _fit(value: str) -> dict[str, Any]:
    if value not in FITS:
        raise UsageError(f"--preprocess fit={_quoted(value)}: choose one of {', '.join(FITS)}.")
    return {"fit": value}


def _pad(value: str) -> dict[str, Any]:
    if value == "mean":
        return {"fit": "pad", "pad": None}
    levels = _numbers("pad", value)
    if len(levels) not in (1, 3) or any(x != int(x) or not 0 <= x <= 255 for x in levels):
        raise UsageError(
            f"--preprocess pad={_quoted(value)}: the colour of the margins, one whole number from "
            "0 to 255 or three (red, green, blue), or mean."
        )
    ints = tuple(int(x) for x in levels)
    return {"fit": "pad", "pad": ints * 3 if len(ints) == 1 else ints}


_READERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "size": _size,
    "resize": _resize,
    "channels": _channels,
    "interpolation": _interpolation,
    "antialias": _antialias,
    "crop_pct": _crop_pct,
    "fit": _fit,
    "pad": _pad,
}


def _settings(text: str) -> list[tuple[str, str]]:
    """The words of a text: ``mean=0.5, 0.5, 0.5 bgr`` are two."""
    # Brackets are how Python and JSON write lists; spaces about = and after commas are kept out.
    plain = re.sub(r"[\[\](){};]", " ", text)
    plain = re.sub(r"\s*=\s*", "=", plain)
    plain = re.sub(r"\s*,\s*", ",", plain)
    found: list[tuple[str, str]] = []
    for word in plain.split():
        word = word.strip(",")
        key, equals, value = word.partition("=")
        key = key.lower().replace("-", "_").lstrip("_")
        last = found[-1] if found else ("", "")
        if not equals and _is_number(word) and last[0] in _LISTS and last[1]:
            found[-1] = (last[0], f"{last[1]},{word}")  # mean=0.5 0.5 0.5
        elif equals and not value:
            raise UsageError(f"--preprocess {key}= has no value.")
        elif word:
            found.append((key, value))
    return found


def _sides(key: str, value: str) -> tuple[int, int | None]:
    """``32`` or ``128x256``."""
    sides = re.split(r"[x,×]", value.lower())
    whole = [int(side) if re.fullmatch(r"\d{1,6}", side) else 0 for side in sides]
    if len(whole) not in (1, 2) or not all(1 <= side <= MAX_SIZE for side in whole):
        raise UsageError(
            f"--preprocess {key}={_quoted(value)}: one number of pixels, or height and width, as "
            f"128x256, each from 1 to {MAX_SIZE}."
        )
    return whole[0], (whole[1] if len(whole) == 2 else None)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _number(key: str, value: str) -> float:
    if not _is_number(value):
        raise UsageError(f"--preprocess {key}={_quoted(value)}: a number is needed.")
    return float(value)


def _numbers(key: str, value: str) -> tuple[float, ...]:
    numbers = tuple(_number(key, each) for each in value.split(","))
    if len(numbers) not in (1, 3, 4):
        raise UsageError(
            f"--preprocess {key}={_quoted(value)}: one number for all channels, or one a channel, "
            "with commas between."
        )
    return numbers


def _unknown(key: str, value: str) -> UsageError:
    known = [*PRESETS, *_FLAGS, *_KEYS]
    near = difflib.get_close_matches(key, known, n=2, cutoff=0.6)
    if key in _KEYS:
        return UsageError(f"--preprocess {key}: it needs a value, {key}=...")
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    shown = _quoted(f"{key}={value}" if value else key)
    return UsageError(f"--preprocess: {shown} means nothing.{hint} It takes {_FORMS}.")


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{x:g}" for x in values)


def _quoted(value: object) -> str:
    text = printable(str(value))
    return repr(text if len(text) <= 60 else text[:57] + "...")
