"""The files that pictures are written as; a new kind is a function and an entry of `KINDS`.

What names overlays, writes them, finds them again on the page and knows them for its own reads this
table. OpenCV is imported when a picture is encoded.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.errors import UsageError
from camcli.files import open_regular

if TYPE_CHECKING:
    import numpy as np

QUALITY = 90
"""Of files that lose something, unless asked otherwise."""


@dataclass(frozen=True)
class PictureKind:
    """One kind of file.

    Attributes:
        name: as ``--overlay-format`` has it.
        suffixes: of its files; the first one is given, and by all of them it is asked for.
        side: most pixels of a side.
        encode: (H, W, 3) uint8 RGB and a quality of 1 to 100 -> the file, with `mark` within its
            first 64 bytes; raises `ImageError` for a picture that is too large.
        mark: bytes by which camcli knows its own files again.
        lossy: whether the quality means something.
    """

    name: str
    suffixes: tuple[str, ...]
    side: int
    encode: Callable[[np.ndarray, int], bytes]
    mark: bytes
    lossy: bool = True

    @property
    def suffix(self) -> str:
        """What the names of its files end in."""
        return self.suffixes[0]


def encode_jpeg(rgb: np.ndarray, quality: int = QUALITY) -> bytes:
    """A picture as a JPEG file's bytes, with camcli's mark in it.

    Args:
        rgb: (H, W, 3) uint8.
        quality: 1 to 100.

    Raises:
        ImageError: the picture is too large for a JPEG file (65,500 pixels a side).
    """
    import cv2

    data = _encoded(rgb, JPEG, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # A comment behind JFIF's own segment, which must be the first.
    at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    return data[:at] + JPEG.mark + data[at:]


def encode_png(rgb: np.ndarray, quality: int = QUALITY) -> bytes:
    """A picture as a PNG file's bytes, with camcli's mark in it.

    Args:
        rgb: (H, W, 3) uint8.
        quality: means nothing here.

    Raises:
        ImageError: it cannot be encoded.
    """
    data = _encoded(rgb, PNG, [])
    at = 8 + 12 + int.from_bytes(data[8:12], "big")  # behind the header, which must be the first
    check = zlib.crc32(PNG.mark).to_bytes(4, "big")
    chunk = (len(PNG.mark) - 4).to_bytes(4, "big") + PNG.mark + check
    return data[:at] + chunk + data[at:]


def encode_webp(rgb: np.ndarray, quality: int = QUALITY) -> bytes:
    """A picture as a WebP file's bytes, with camcli's mark in it.

    Args:
        rgb: (H, W, 3) uint8.
        quality: 1 to 100.

    Raises:
        ImageError: the picture is too large for a WebP file (16,383 pixels a side).
    """
    import cv2

    data = _encoded(rgb, WEBP, [cv2.IMWRITE_WEBP_QUALITY, quality])
    image = data[12:]
    if not image.startswith(b"VP8X"):  # only the extended form holds other chunks
        height, width = rgb.shape[:2]
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        image = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + size + image
    at = 8 + 10
    body = b"WEBP" + image[:at] + WEBP.mark + image[at:]
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _encoded(rgb: np.ndarray, kind: PictureKind, options: Sequence[int]) -> bytes:
    import cv2

    from camcli.render.sizes import too_large

    height, width = rgb.shape[:2]
    # Asked before OpenCV is, which writes its own words to stderr.
    if max(height, width) > kind.side:
        raise too_large(width, height, kind.name)
    try:
        done, data = cv2.imencode(kind.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        done = False
    if not done:
        raise too_large(width, height, kind.name)
    return data.tobytes()


JPEG = PictureKind("jpeg", (".jpg", ".jpeg"), 65_500, encode_jpeg, b"\xff\xfe\x00\x08camcli")
PNG = PictureKind("png", (".png",), 65_500, encode_png, b"tEXtSoftware\0camcli", lossy=False)
# A chunk of a name that no reader knows, which all have to skip.
WEBP = PictureKind("webp", (".webp",), 16_383, encode_webp, b"CAM \x06\0\0\0camcli")

KINDS: dict[str, PictureKind] = {kind.name: kind for kind in (JPEG, PNG, WEBP)}
"""By name; the first one is what nobody has to ask for."""

SUFFIXES: dict[str, PictureKind] = {s: kind for kind in KINDS.values() for s in kind.suffixes}
"""By what a file's name ends in, in lower case."""


def picture_kind(name: str) -> PictureKind:
    """The kind of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"--overlay-format is one of {', '.join(KINDS)}, not {name!r}.")
    return KINDS[name]


def check_quality(kind: PictureKind, quality: int) -> None:
    """Refuse a quality that changes nothing.

    Raises:
        UsageError: one was asked for of files that lose nothing.
    """
    if not kind.lossy and quality != QUALITY:
        lossy = " and ".join(each.name for each in KINDS.values() if each.lossy)
        raise UsageError(f"--quality is for {lossy}: {kind.name} loses nothing. Leave it out.")


def is_made_here(path: str) -> bool:
    """Whether a file is a picture that camcli wrote, a regular file and no link."""
    if os.path.islink(path):  # noqa: PTH114
        return False
    try:
        with open_regular(path) as file:
            start = file.read(64)
    except OSError:
        return False
    return any(kind.mark in start for kind in KINDS.values())
