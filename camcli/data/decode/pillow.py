"""Pillow, held to the formats of `camcli.data.picture_formats` and kept quiet."""

from __future__ import annotations

import ctypes
import io
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from PIL import Image, ImageFile

from camcli.data.picture_formats import AVIF, HEIC, RAW, TABLE, TARGA, known, named, not_read
from camcli.errors import ImageError

_DNG_VERSION = 50706


def opened(data: bytes, name: str) -> ImageFile.ImageFile:
    """A picture of which only the header has been read.

    Raises:
        ImageError: it is of a format that is not read, or not here.
        Exception: whatever Pillow raises for a broken file.
    """
    each = known(data)
    if each is not None and each is not RAW and not set(each.readers) & set(_readers()):
        raise ImageError(f"{name}: {not_read(each)}")
    targa = TARGA.readers if named(name, TARGA) else ()
    image = Image.open(io.BytesIO(data), formats=(*_readers(), *targa))
    if image.format == "TIFF":
        # What a TIFF reader finds in a camera's raw file is a small preview.
        if each is RAW or named(name, RAW) or _DNG_VERSION in image.tag_v2:  # type: ignore[attr-defined]
            raise ImageError(f"{name}: {not_read(RAW)}")
        _hush_libtiff()
    return image


@cache
def _readers() -> tuple[str, ...]:
    """Pillow's names of what reads pictures here: all of the table's that are installed."""
    formats = [each for each in TABLE if each is not TARGA]
    if not find_spec("PIL.AvifImagePlugin"):  # since Pillow 11.3
        formats.remove(AVIF)
    if not _register_heif():
        formats.remove(HEIC)
    return tuple(reader for each in formats for reader in each.readers)


def _register_heif() -> bool:
    """Let Pillow open HEIC, by pi-heif (which only decodes) or pillow-heif, if one is installed."""
    for module in ("pi_heif", "pillow_heif"):
        try:
            import_module(module).register_heif_opener(thumbnails=False)
        except Exception:  # not there, or made for another Pillow
            continue
        return True
    return False


@cache
def _hush_libtiff() -> None:
    """Keep libtiff from writing about damage to stderr: what matters is raised, and told in a row.

    It writes from C, past `sys.stderr`, into the middle of the progress bar. Pillow brings no
    switch for that but is linked with the library. Does nothing where that is not to be had.
    """
    try:
        library = ctypes.CDLL(Image.core.__file__)
        for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (AttributeError, OSError, TypeError):
        return
