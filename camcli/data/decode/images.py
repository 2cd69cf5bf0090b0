"""From a file's bytes to RGB pixels, for the model and for the overlay alike.

One loader, so that both see the same picture. Whatever is wrong with a file ends as an
`ImageError` with one sentence: a batch turns it into an error row and goes on.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile

from camcli.data.decode.colours import is_negative, rgb_pixels, transparent_pixels
from camcli.data.decode.jpeg import Jpeg, decoded, looked_at
from camcli.data.decode.memory_budget import BUDGET, ask
from camcli.data.decode.pillow import opened
from camcli.data.picture_formats import what_instead
from camcli.data.sources.containers import registry as containers
from camcli.data.sources.refs import MAX_BYTES, Blob, ImageRef
from camcli.errors import TOO_MANY_FILES, CamcliError, ImageError, out_of_files, stage
from camcli.files import SpecialFileError, TooLargeError, read_regular
from camcli.printable import printable as printable

MAX_PIXELS = 178_956_970
"""Largest picture that is decoded (Pillow's own limit): 178.9 million pixels, 0.5 GB as RGB."""

# Bytes a pixel while a picture is decoded and resized: Pillow's own, ours, and some to spare.
_PLAIN, _OTHER = 8, 12
# Pixels of a picture that Pillow has in one piece, and that are not copied in bands.
_AT_ONCE = 1 << 22

_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = [_TRANSPOSE[turn] for turn in (5, 6, 7, 8)]

# Pillow warns about odd metadata and big pictures, and logs to stderr where no handler is set;
# from a decoding thread that would tear the progress bar. What matters is raised below. (Filters
# of `warnings` are process-wide, so a context manager around each decode would race.)
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class Enough(NamedTuple):
    """How many pixels are enough: a picture may be decoded smaller than it is, if no smaller.

    Attributes:
        short: pixels that the shorter side must keep.
        long: pixels that the longer side must keep.
    """

    short: int
    long: int


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        rgb: (h, w, 3) uint8, C-contiguous and writable, upright as its EXIF orientation says.
        width: of the picture as it was stored, upright; `rgb` has fewer pixels where fewer were
            enough.
        height: likewise.
    """

    rgb: np.ndarray
    width: int
    height: int


def load_image(image: Path | ImageRef) -> np.ndarray:
    """Read one picture.

    Args:
        image: the file, or a reference to it or to bytes elsewhere.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous and writable, upright as its EXIF orientation says.

    Raises:
        ImageError: the file is missing, not a regular file, unreadable, or no whole picture.

    Example:
        >>> load_image(Path("sample_images/cat.jpg")).shape  # doctest: +SKIP
        (300, 451, 3)
    """
    return load_picture(image).rgb


def load_picture(image: Path | ImageRef, enough: Enough | None = None) -> Picture:
    """Read one picture with as many pixels as are needed.

    Args:
        image: the file, or a reference to it or to bytes elsewhere.
        enough: a JPEG much larger than this is decoded at 1/2, 1/4 or 1/8 of its size, which is
            several times faster; None for all of its pixels.

    Raises:
        ImageError: as `load_image` does.
    """
    with stage("read"):
        name, data = read_bytes(image)
    with stage("decode"):
        return decode_picture(data, name, enough)


def read_bytes(image: Path | ImageRef) -> tuple[str, bytes]:
    """What to call an image in messages, and all of its bytes, undecoded.

    Raises:
        ImageError: the file is missing, not a regular file, too large, or cannot be read.
    """
    if isinstance(image, Path):
        path = image
    elif image.blob is None:
        path = image.path
    else:
        return str(image.path), _bytes(image.blob, str(image.path))
    try:
        return str(path), read_regular(path, MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unread(path, error) from error


def _unread(path: Path, error: OSError | ValueError) -> CamcliError:
    """Why a file could not be read."""
    name = printable(path)
    if isinstance(error, IsADirectoryError):
        if not os.access(path, os.R_OK | os.X_OK):  # which is why it was not walked
            return ImageError(f"{name}: a folder that you may not list; check its permissions.")
        return ImageError(
            f"{name}: this is a folder, not a picture; rename it, or pass it as a FOLDER to "
            "read what is inside."
        )
    if isinstance(error, SpecialFileError):
        return ImageError(
            f"{name}: not opened, for {error.strerror}; copy its content into a file first."
        )
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            target = printable(path.readlink())
            return ImageError(f"{name}: the link points to {target}, which is missing.")
        return ImageError(f"{name}: no such file.")
    if isinstance(error, PermissionError):
        return ImageError(f"{name}: not readable by you; check its permissions.")
    if out_of_files(error):  # which is no fault of this image
        return CamcliError(TOO_MANY_FILES)
    if isinstance(error, TooLargeError):
        return _too_many_bytes(name, error.size)
    return ImageError(f"{name}: could not be read ({_reason(error)}).")


def _bytes(blob: Blob, name: str) -> bytes:
    name = printable(name)
    if blob.size > MAX_BYTES:
        raise _too_many_bytes(name, blob.size)
    try:
        return blob.read()
    except ImageError as error:
        raise ImageError(f"{name}: {printable(str(error))}") from error


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode one picture that is already in memory.

    The first frame of an animation is taken; transparency is laid over white; 16-bit greys are
    scaled to 8 bits. Safe to call from many threads; Pillow releases the GIL while it decodes.

    Args:
        data: the whole file.
        name: what to call it in an error message.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous and writable, upright as its EXIF orientation says.

    Raises:
        ImageError: it is empty, of no known format, larger than `MAX_PIXELS`, cut or damaged.

    Example:
        >>> decode(open("sample_images/cat.jpg", "rb").read(), "cat.jpg")  # doctest: +SKIP
    """
    return decode_picture(data, name).rgb


def decode_picture(data: bytes, name: str, enough: Enough | None = None) -> Picture:
    """`decode`, with as many pixels as are needed.

    Args:
        data: the whole file.
        name: what to call it in an error message.
        enough: as for `load_picture`.

    Raises:
        ImageError: as `decode` does.
    """
    name = printable(name)
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy or download it again.")
    with BUDGET.held(), _strict:
        try:
            return _decode(data, name, enough)
        except ImageError:
            raise
        except Image.DecompressionBombError as error:
            raise _too_large(name, _told_pixels(error)) from error
        except Image.UnidentifiedImageError as error:
            what = containers.what_instead(data) or what_instead(data)
            raise ImageError(f"{name}: {what}") from error
        except MemoryError as error:
            raise ImageError(
                f"{name}: decoding it takes more memory than there is; scale it down first."
            ) from error
        # A hostile or broken file can make a decoder raise nearly anything (struct.error,
        # IndexError, SyntaxError, zlib.error); none of it may stop a run.
        except Exception as error:
            raise ImageError(
                f"{name}: cut short or damaged ({_reason(error)}); copy or download it again."
            ) from error


def header_size(data: bytes) -> tuple[int, int] | None:
    """How large a picture is, by its header alone: what decoding it will cost, before it is paid.

    Args:
        data: the whole file.

    Returns:
        (width, height) as stored, before any EXIF orientation; None where it cannot be told:
        decoding then says what is wrong.

    Example:
        >>> header_size(open("sample_images/cat.jpg", "rb").read())  # doctest: +SKIP
        (451, 300)
    """
    try:
        with opened(data, "") as image:
            return image.size
    except Exception:  # as in `decode_picture`: anything can be raised for a broken file
        return None


def _decode(data: bytes, name: str, enough: Enough | None) -> Picture:
    if data[:2] == b"\xff\xd8":
        jpeg = looked_at(data, name)
        if (picture := _plain(jpeg, name, enough)) is not None:
            return picture
        data = jpeg.data
    elif data[:4] == b"\x89PNG" and data.rfind(b"IEND") < 0:
        raise ImageError(f"{name}: cut short (no end mark); copy or download it again.")
    with opened(data, name) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageError(f"{name}: {width}x{height} pixels, there is nothing to see.")
        if width * height > MAX_PIXELS:  # known from the header: nothing is decoded yet
            raise _too_large(name, f"{width}x{height} pixels ")
        divisor = _divisor(width, height, enough) if enough and image.format == "JPEG" else 1
        if divisor > 1:
            image.draft(None, (width // divisor, height // divisor))
        ask(image.width * image.height * (_PLAIN if image.mode in ("L", "RGB") else _OTHER))
        image.load()
        upright: Image.Image = image
        transparent = transparent_pixels(image, data)
        fitting = round(width / divisor), round(height / divisor)
        if fitting != image.size:
            # Of a last pixel that lies mostly outside, libjpeg makes a whole one: all others
            # would be drawn too far to the left.
            upright = image.crop((0, 0, *fitting))
        if image.format != "JPEG" or "exif" in image.info:
            turn = _TRANSPOSE.get(_orientation(image))
            if turn is not None:
                upright = upright.transpose(turn)
                if transparent is not None:
                    transparent = np.asarray(Image.fromarray(transparent).transpose(turn))
            if turn in _SIDEWAYS:
                width, height = height, width
        rgb = rgb_pixels(upright, name, transparent, negative=is_negative(image))
        return Picture(rgb, width, height)


def _plain(jpeg: Jpeg, name: str, enough: Enough | None) -> Picture | None:
    """A JPEG with nothing odd in its header; None where it has to go the long way."""
    if jpeg.plain is None or (enough and _divisor(*jpeg.plain, enough) > 1):
        return None
    width, height = jpeg.plain
    if width * height > _AT_ONCE:
        return None
    ask(width * height * _PLAIN)
    image = decoded(jpeg)
    if image is None:
        return None
    turn = _TRANSPOSE.get(_orientation(image)) if "exif" in image.info else None
    if turn is not None:
        image = image.transpose(turn)
    if turn in _SIDEWAYS:
        width, height = height, width
    return Picture(rgb_pixels(image, name), width, height)


def _divisor(width: int, height: int, enough: Enough) -> int:
    """By how much libjpeg may divide both sides."""
    for divisor in (8, 4, 2):
        short, long = min(width, height) // divisor, max(width, height) // divisor
        if short >= max(1, enough.short) and long >= enough.long:
            return divisor
    return 1


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none; broken EXIF does not spoil a good picture."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _too_many_bytes(name: str, size: int) -> ImageError:
    return ImageError(
        f"{name}: {size:,} bytes are more than the limit of {MAX_BYTES:,} for one picture; scale "
        "it down first."
    )


def _told_pixels(error: Image.DecompressionBombError) -> str:
    """How many pixels Pillow says a picture has, which it refuses before its size can be asked."""
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"{int(found[1]):,} pixels " if found else ""


def _too_large(name: str, size: str) -> ImageError:
    limit = min(MAX_PIXELS, 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS))
    return ImageError(
        f"{name}: {size}exceed the limit of {limit:,} pixels for one picture; scale it down first."
        if size
        else f"{name}: larger than the limit of {limit:,} pixels for one picture; scale it down "
        "first."
    )


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text.strip().rstrip(".") or type(error).__name__)


class _Strict:
    """Pillow's switch LOAD_TRUNCATED_IMAGES off while any thread decodes here, then as it was.

    Other libraries turn it on for the whole process; half a picture would then pass as grey.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_strict = _Strict()
