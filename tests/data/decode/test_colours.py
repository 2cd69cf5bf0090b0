"""Transparency, depth and inks against what other decoders, or the files' own numbers, say."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import colours
from camcli.data.decode.images import decode
from camcli.errors import ImageError

rng = np.random.default_rng(0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, depth: int, transparent: tuple[int, ...] = ()) -> bytes:
    """A PNG, grey (H, W) or RGB (H, W, 3), of any depth, with a transparent colour."""
    height, width = samples.shape[:2]
    entry = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        bits = (samples.reshape(height, -1)[..., None] >> np.arange(depth)[::-1]) & 1
        rows = [np.packbits(row.ravel()).tobytes() for row in bits.astype(np.uint8)]
    colour = 2 if samples.ndim == 3 else 0
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + (entry if transparent else b"")
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def over_white(data: bytes) -> np.ndarray:
    """What OpenCV decodes, laid over white in floats: (H, W, 3) in [0, 255]."""
    bgra = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    most = np.iinfo(bgra.dtype).max
    if bgra.ndim == 2:
        return np.repeat(bgra[..., None] * 255.0 / most, 3, 2)
    rgb, alpha = bgra[..., 2::-1] * 255.0 / most, np.ones((*bgra.shape[:2], 1))
    if bgra.shape[2] == 4:
        alpha = bgra[..., 3:] / most
    return rgb * alpha + 255 * (1 - alpha)


# -- a transparent colour -----------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_transparent_grey_of_any_depth(depth):
    """Only that grey is white; the others are what they are without the entry."""
    most = 2**depth - 1
    grey = rng.integers(0, most + 1, (20, 30))
    grey[0, :2] = 0, most
    plain = decode(png(grey, depth), "x")
    exact = grey[..., None] * 255 / most
    assert np.abs(plain - exact).max() <= 0.5
    for value in {0, 1, most, int(grey[5, 5])}:
        rgb = decode(png(grey, depth, (value,)), "x")
        assert np.array_equal(rgb[grey != value], plain[grey != value])
        assert (rgb[grey == value] == 255).all()


def test_a_16_bit_photograph_with_a_transparent_entry_is_not_white():
    ramp = np.linspace(0, 60_000, 300 * 300).reshape(300, 300).astype(int)
    rgb = decode(png(ramp, 16, (65_535,)), "x")
    assert np.abs(rgb[..., 0] - ramp * 255 / 65_535).max() <= 0.51


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_colour_of_any_depth(depth):
    """Of 16 bits all count: what differs in the low byte only is another colour."""
    most = 2**depth - 1
    samples = rng.integers(0, most + 1, (12, 9, 3))
    colour = (most // 3, 7, most - 1)
    samples[3, 4] = colour
    samples[5, 6] = colour
    samples[5, 6, 1] ^= 1
    data = png(samples, depth, colour)
    rgb = decode(data, "x").astype(float)
    assert (rgb[3, 4] == 255).all()
    assert rgb[5, 6, 1] < 255
    assert np.abs(rgb - over_white(data)).max() <= 1


def test_transparent_pixels_turn_with_the_picture():
    grey = np.zeros((2, 3), int)
    grey[0, 2] = 1000
    exif = Image.Exif()
    exif[0x0112] = 6
    at = 8 + 25  # after IHDR
    data = png(grey, 16, (1000,))
    data = data[:at] + chunk(b"eXIf", exif.tobytes()[6:]) + data[at:]
    rgb = decode(data, "x")[..., 0]
    assert rgb.shape == (3, 2)
    assert np.array_equal(rgb, np.rot90(np.where(grey == 1000, 255, 0), -1))


# -- colour modes against OpenCV -----------------------------------------------------------------


def picture(mode: str) -> Image.Image:
    y, x = np.mgrid[0:40, 0:56]
    rgba = np.stack([x * 4, y * 6, 255 - x * 4, x * 4], -1).astype(np.uint8)
    return Image.fromarray(rgba, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "1", {}), ("PNG", "L", {}), ("PNG", "LA", {}), ("PNG", "P", {}),
        ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {"transparency": 3}),
        ("TIFF", "1", {}), ("TIFF", "1", {"compression": "group4"}), ("TIFF", "L", {}),
        ("TIFF", "P", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("WEBP", "RGBA", {"lossless": True}), ("BMP", "P", {}),
        ("BMP", "1", {}), ("PPM", "1", {}), ("PPM", "L", {}), ("PPM", "RGB", {}),
        ("JPEG2000", "L", {}), ("JPEG2000", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "RGB", {}),
    ],
)  # fmt: skip
def test_colours_are_what_opencv_decodes(kind, mode, options):
    data = encoded(picture(mode), kind, **options)
    rgb = decode(data, "x").astype(float)
    assert np.abs(rgb - over_white(data)).max() <= 1


def test_cmyk_jpegs_are_what_opencv_decodes():
    """As Adobe writes them: four inks, inverted, told by a mark. OpenCV has its own formula."""
    data = encoded(picture("CMYK"), "JPEG", quality=95)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decode(data, "x").astype(int) - bgr[..., ::-1]).max() <= 4


def tiff(samples: np.ndarray, order: str, photometric: int = 1) -> bytes:
    """An uncompressed TIFF of one strip, written by hand."""
    height, width = samples.shape[:2]
    bits, channels = samples.itemsize * 8, samples.shape[2] if samples.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    body = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    tags = [
        (256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 400),
        (277, channels), (278, height), (279, len(body)), (339, kind),
    ]  # fmt: skip
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    out += struct.pack(order + "H", len(tags))
    for tag, value in tags:
        count = channels if tag in (258, 339) else 1
        if count > 2:  # three shorts do not fit into the entry
            out += struct.pack(order + "HHII", tag, 3, count, 300 if tag == 258 else 320)
        else:
            out += struct.pack(order + "HHII", tag, 4, 1, value)
    out = (out + bytes(4)).ljust(300, b"\0")
    out += struct.pack(order + "3H", bits, bits, bits).ljust(20, b"\0")
    out += struct.pack(order + "3H", kind, kind, kind)
    return out.ljust(400, b"\0") + body


@pytest.mark.parametrize("order", "<>")
def test_deep_tiffs(order):
    grey = rng.integers(0, 65_536, (7, 5)).astype(np.uint16)
    rgb = decode(tiff(grey, order), "x")
    assert np.abs(rgb[..., 0] - grey * (255 / 65_535)).max() <= 0.51
    white_is_zero = tiff(grey, order, 0)
    if order == ">":  # which Pillow does not read
        with pytest.raises(ImageError, match="a TIFF of a kind that is not read"):
            decode(white_is_zero, "x")
    else:
        rgb = decode(white_is_zero, "x")
        assert np.abs(rgb[..., 0] - (65_535 - grey) * (255 / 65_535)).max() <= 0.51
    colour = rng.integers(0, 65_536, (7, 5, 3)).astype(np.uint16)
    rgb = decode(tiff(colour, order, 2), "x")
    assert np.abs(rgb - colour * (255 / 65_535)).max() <= 1
    unit = rng.random((7, 5)).astype(np.float32)
    rgb = decode(tiff(unit, order), "x")
    assert np.abs(rgb[..., 1] - unit * 255).max() <= 0.51


def test_lab_is_refused_by_name():
    lab = Image.new("LAB", (4, 4), (50, 0, 0))
    with pytest.raises(ImageError, match="stored as Lab; save it as RGB"):
        decode(encoded(lab, "TIFF"), "x")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_large_pictures_are_converted_in_bands(monkeypatch, mode):
    """To the bit what they are at once, also with a band that is not full."""
    image = picture(mode)
    if mode == "P":
        image.info["transparency"] = 4
    whole = colours.rgb_pixels(image, "x")
    monkeypatch.setattr(colours, "_BAND", 56 * 7)
    bands = colours.rgb_pixels(image, "x")
    assert np.array_equal(whole, bands)
    assert bands.flags["C_CONTIGUOUS"]
    assert bands.flags["WRITEABLE"]
