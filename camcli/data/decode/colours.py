"""Any kind of pixels to 8-bit RGB: grey, palette, inks, 16 bits, transparency."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from camcli.data.decode.copied import copied
from camcli.errors import ImageError

# A large picture is converted in bands of so many pixels: all of it would be in memory three times.
_BAND = 1 << 22
_PHOTOMETRIC = 262


def rgb_pixels(
    image: Image.Image,
    name: str,
    transparent: np.ndarray | None = None,
    *,
    negative: bool = False,
) -> np.ndarray:
    """8-bit RGB of a decoded picture; transparency is laid over white, 16 bits are scaled.

    Args:
        image: with its pixels loaded.
        name: what to call it in an error message.
        transparent: (H, W) bool, pixels to make white, beside what `image` itself says.
        negative: 16-bit greys for which 0 is white.

    Returns:
        (H, W, 3) uint8, C-contiguous and writable.

    Raises:
        ImageError: its values have no agreed range.
    """
    width, height = image.size
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips these to 255 when it converts, which turns a 16-bit photograph white.
        grey = _eight_bits(np.asarray(image), name)
        grey = 255 - grey if negative else grey
        out = np.repeat(grey[:, :, None], 3, 2)
    elif width * height <= _BAND:
        out = copied(_rgb(image, name))
    else:
        out = np.empty((height, width, 3), np.uint8)
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):
            part = image.crop((0, top, width, min(top + rows, height)))
            copied(_rgb(part, name), out[top : top + rows])
    if transparent is not None:
        out[transparent] = 255
    return out


def is_negative(image: Image.Image) -> bool:
    """Whether this is a TIFF of 16-bit greys for which 0 is white: Pillow turns 8 bits only."""
    return (
        image.format == "TIFF"
        and image.mode.startswith("I;16")
        and image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    )


def transparent_pixels(image: Image.Image, data: bytes) -> np.ndarray | None:
    """The pixels of the colour that a PNG without a palette declares transparent.

    Pillow compares 8-bit or clipped values with that colour, which is given in the depth of the
    file: a photograph of 16 bits came out white. So this is done here, on the file's own values.

    Args:
        image: opened from `data`, with its pixels loaded; what it says of transparency is taken
            away where it is answered here.
        data: the whole file.

    Returns:
        (H, W) bool; None where there is no such colour.
    """
    colour = image.info.get("transparency")
    if image.format != "PNG" or image.mode == "P" or not isinstance(colour, int | tuple):
        return None
    del image.info["transparency"]
    depth = data[24]  # of IHDR, which comes first
    if isinstance(colour, tuple):
        if depth == 16:
            high, low = np.asarray(image), _low_bytes(data)
            return np.logical_and.reduce(
                [
                    (high[..., c] == value >> 8) & (low[..., c] == value & 255)
                    for c, value in enumerate(colour)
                ]
            )
        return np.logical_and.reduce(
            [np.asarray(image)[..., c] == value & 255 for c, value in enumerate(colour)]
        )
    if depth < 16:
        most = (1 << depth) - 1
        colour = (colour & most) * 255 // most
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    return np.asarray(values == colour)


def _low_bytes(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8, the half of a 16-bit RGB PNG that Pillow leaves out."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        # Taken for little-endian, the second byte of each value is the high one.
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
        return np.asarray(image)


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    if image.mode == "LAB":
        raise ImageError(f"{name}: its colours are stored as Lab; save it as RGB.")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey: np.ndarray, name: str) -> np.ndarray:
    """(H, W) of 16- or 32-bit whole numbers or floats to uint8, by the range of its type."""
    low, high = grey.min(), grey.max()
    if grey.dtype.kind == "f":
        if low >= 0 and high <= 1:
            return np.rint(grey * 255).astype(np.uint8)
        raise ImageError(
            f"{name}: floating-point pixels from {low:g} to {high:g} have no agreed range; save "
            "it with 8 or 16 bits, or scaled to [0, 1]."
        )
    if low >= 0 and high <= 65535:
        return ((grey.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    raise ImageError(
        f"{name}: 32-bit pixels from {low} to {high} have no agreed range; save it with 8 or 16 "
        "bits."
    )
