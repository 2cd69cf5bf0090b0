"""What a picture's file says of itself: format, JPEG tables, camera, software, time.

Only headers are read, nothing is decoded. Whatever is missing, damaged or hostile is unknown.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from camcli.data.decode.images import read_bytes
from camcli.data.decode.pillow import opened
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError
from camcli.printable import printable

_MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _CHANGED = 271, 272, 274, 305, 306
_EXIF_IFD, _TAKEN = 0x8769, 36867
_LONGEST = 60  # letters of a camera's or a program's name
_TIME = re.compile(r"\s*(\d{4})[:\-/.](\d{2})[:\-/.]\d{2}(?:[ T](\d{2}):\d{2})?")
_CREATOR = re.compile(rb"CreatorTool(?:=[\"']|>)([^\"'<]{1,200})")

# The luminance table of the JPEG standard's example (ISO 10918-1, table K.1), which libjpeg scales.
_STANDARD = np.array(
    """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80
    62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98
    112 100 103 99""".split(),  # noqa: SIM905
    int,
)


def _scaled() -> np.ndarray:
    """The table for each quality from 1 to 100, (100, 64), as libjpeg scales it."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((_STANDARD * scale[:, None] + 50) // 100, 1, 255)


_TABLES = _scaled()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says of itself; None for what it does not say.

    Attributes:
        size: (width, height) upright, in the picture's own pixels.
        format: ``JPEG``, ``PNG`` ...
        quality: of a JPEG, as libjpeg counts it (1 to 100): that whose table is nearest.
        tables: of a JPEG, how it was written: ``quality 75, 4:2:0``, ``own tables near quality 92,
            4:2:2, progressive``.
        camera: make and model.
        software: that wrote it.
        year: when it was taken, or last changed.
        month: 1 to 12.
        hour: 0 to 23.
    """

    size: tuple[int, int] | None = None
    format: str | None = None
    quality: int | None = None
    tables: str | None = None
    camera: str | None = None
    software: str | None = None
    year: int | None = None
    month: int | None = None
    hour: int | None = None


def file_facts(ref: ImageRef, data: bytes | None = None) -> FileFacts:
    """What the file of a picture says.

    Args:
        ref: where it is.
        data: its bytes, where they are at hand; they are read otherwise.

    Returns:
        All unknown, where it cannot be read.
    """
    if data is None:
        try:
            _, data = read_bytes(ref)
        except ImageError:
            return FileFacts()
    try:
        with opened(data, ref.rel) as image:
            return _facts(image)
    # A hostile or broken file can make a reader raise nearly anything, see `decode_picture`.
    except Exception:
        return FileFacts()


def jpeg_quality(table: list[int]) -> tuple[int, bool]:
    """The quality of libjpeg whose luminance table is nearest to this one, and whether it is it.

    Args:
        table: 64 numbers, row by row.
    """
    apart = np.abs(_TABLES - np.asarray(table)).sum(1)
    nearest = int(len(apart) - 1 - apart[::-1].argmin())  # of equals, the highest: 1 to 100 differ
    return nearest + 1, not apart[nearest]


def _facts(image: Image.Image) -> FileFacts:
    quality, tables = _jpeg(image) if image.format == "JPEG" else (None, None)
    tags = _tags(image)
    size = image.size
    if tags.get(_ORIENTATION) in (5, 6, 7, 8):
        size = size[1], size[0]
    make, model = _text(tags.get(_MAKE)), _text(tags.get(_MODEL))
    if make and model and model.lower().startswith(make.lower()):
        make = None
    year, month, hour = _time(_text(tags.get(_TAKEN)) or _text(tags.get(_CHANGED)))
    return FileFacts(
        size=size,
        format=image.format,
        quality=quality,
        tables=tables,
        camera=" ".join(filter(None, (make, model))) or None,
        software=_text(tags.get(_SOFTWARE)) or _software(image.info),
        year=year,
        month=month,
        hour=hour,
    )


def _tags(image: Image.Image) -> dict[int, Any]:
    """EXIF; empty where there is none, or it is damaged."""
    if image.format == "JPEG" and "exif" not in image.info:
        return {}
    tags: dict[int, Any] = {}
    try:
        exif = image.getexif()
    except Exception:  # as in `file_facts`
        return tags
    for tag in (_MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _CHANGED):
        try:
            tags[tag] = exif.get(tag)
        except Exception:  # one damaged tag does not hide the others
            continue
    with contextlib.suppress(Exception):
        tags[_TAKEN] = exif.get_ifd(_EXIF_IFD).get(_TAKEN)
    return tags


def _jpeg(image: Image.Image) -> tuple[int | None, str | None]:
    """Quality, and how it was written in words."""
    table = list(getattr(image, "quantization", {}).get(0, ()))
    if len(table) != 64:
        return None, None
    quality, exact = jpeg_quality(table)
    words = [f"{'' if exact else 'own tables near '}quality {quality}"]
    layers = getattr(image, "layer", [])
    if len(layers) == 3:
        words.append(_subsampling([layer[1:3] for layer in layers]))
    if image.info.get("progressive"):
        words.append("progressive")
    return quality, ", ".join(words)


def _subsampling(factors: list[tuple[int, int]]) -> str:
    """J:a:b of three components' sampling factors (across, down)."""
    across = factors[0][0] / max(factors[1][0], 1)
    down = factors[0][1] / max(factors[1][1], 1)
    known = {"1x1": "4:4:4", "2x1": "4:2:2", "2x2": "4:2:0", "4x1": "4:1:1", "1x2": "4:4:0"}
    factor = f"{across:g}x{down:g}"
    return known.get(factor, f"colours sampled {factor}")


def _software(info: dict[Any, Any]) -> str | None:
    """What wrote a file, by what is no EXIF: XMP, a PNG's text, a JPEG's comment."""
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode("utf-8", "replace")
    if isinstance(xmp, bytes) and (found := _CREATOR.search(xmp)):
        return _text(found[1])
    return _text(info.get("Software")) or _text(info.get("comment"))


def _text(value: object) -> str | None:
    """A short text that can be shown; None where there is none."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    text = " ".join(printable(value.split("\0")[0][: 4 * _LONGEST]).split())
    return text[:_LONGEST].strip() or None


def _time(text: str | None) -> tuple[int | None, int | None, int | None]:
    """(year, month, hour) of EXIF's ``2024:05:31 14:03:59``."""
    found = _TIME.match(text) if text else None
    if found is None:
        return None, None, None
    year, month = int(found[1]), int(found[2])
    hour = int(found[3]) if found[3] else None
    if not (1800 <= year <= 2200 and 1 <= month <= 12 and (hour is None or hour < 24)):
        return None, None, None  # 0000:00:00 is what cameras write whose clock was never set
    return year, month, hour
