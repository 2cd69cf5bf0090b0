"""JPEGs as most photographs are: told by their header, and decoded with little of Python's lock.

Pillow reads a header in Python, at about a third of what a photograph costs under the lock. Where
the header holds nothing but what every JPEG has, libjpeg itself is given the file, through Pillow
all the same: it is the same decoder. Whatever is odd goes the long way, and so does whatever fails,
for the sake of the message.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from camcli.errors import ImageError

# Bytes of a file that are searched at a time.
_PIECE = 1 << 18

_BASELINE, _EXTENDED, _PROGRESSIVE, _HUFFMAN = 0xC0, 0xC1, 0xC2, 0xC4
_SCAN, _TABLES, _RESTARTS, _COMMENT = 0xDA, 0xDB, 0xDD, 0xFE
_APP1, _EXIF, _XMP = 0xE1, b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# Of a table of 64 bytes, with its number.
_TABLE = 65


class Jpeg(NamedTuple):
    """What is known of a JPEG before it is decoded.

    Attributes:
        data: what to decode; a cut picture fails in it.
        plain: (width, height) where the header holds nothing odd: 8 bits, one or three components,
            no second picture. None for all others.
        mode: Pillow's, of one that is plain.
        exif: of one that is plain, the segment that may say how to turn it.
    """

    data: bytes
    plain: tuple[int, int] | None = None
    mode: str = "RGB"
    exif: bytes | None = None


def looked_at(data: bytes, name: str) -> Jpeg:
    """Read the header of a JPEG, and make libjpeg notice where it was cut and closed again.

    When libjpeg meets the end mark too early, or zeros in place of data, it paints the rest grey
    and only warns, and Pillow does not see the warning. So an end mark is demanded after the first
    scan, and in a baseline JPEG of one scan it is replaced by a few bytes of padding: enough for
    the last block of a complete picture, while a cut one runs out of data, which Pillow reports.

    Args:
        data: the whole file.
        name: what to call it in an error message.

    Raises:
        ImageError: there is no end mark.
    """
    at, baseline, components = 2, False, 0
    plain: tuple[int, int] | None = None
    exif: bytes | None = None
    odd = xmp = False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return Jpeg(data)  # not as the standard says: libjpeg may still make sense of it
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at, odd = at + 1, True
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN:
            end = _end_mark(data, at)
            if end < 0:
                raise ImageError(
                    f"{name}: cut short (the JPEG has no end mark); copy or download it again."
                )
            # Within a scan 0xFF is followed by 0 or a restart mark: the first end mark is the end.
            if baseline and data[at + 4] == components:
                data = b"".join((memoryview(data)[:end], b"\xff\x00" * 8))
            if odd or plain is None or (exif and xmp):  # where Pillow asks both
                return Jpeg(data)
            return Jpeg(data, plain, "L" if components == 1 else "RGB", exif)
        if marker in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            components = data[at + 9] if at + 9 < len(data) else 0
            baseline |= marker != _PROGRESSIVE
            odd |= plain is not None or length != 8 + 3 * components
            plain = _size(data, at + 4)
        else:
            content = data[at + 4 : at + 2 + length]
            odd |= not _is_usual(marker, content, length - 2)
            if marker == _APP1 and content.startswith(_EXIF):
                odd |= exif is not None
                exif = content
            xmp |= marker == _APP1 and content.startswith(_XMP)
        at += 2 + length
    return Jpeg(data)


def decoded(jpeg: Jpeg) -> Image.Image | None:
    """The picture, with its pixels, of a JPEG that is plain.

    Returns:
        With its EXIF in `info`; None where it is not whole, or larger than Pillow's own limit.
    """
    if jpeg.plain is None:
        return None
    width, height = jpeg.plain
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        return None
    image = Image.new(jpeg.mode, jpeg.plain, None)  # whose memory is not filled, as None says
    try:
        image.frombytes(jpeg.data, "jpeg", jpeg.mode, "")
    except (ValueError, OSError):  # it is cut or damaged
        return None
    if jpeg.exif is not None:
        image.info["exif"] = jpeg.exif
    return image


def _size(data: bytes, at: int) -> tuple[int, int] | None:
    """(width, height) by a frame's header; None where it is not of 8 bits, grey or RGB."""
    try:
        bits, height, width, components = struct.unpack_from(">BHHB", data, at)
    except struct.error:
        return None
    return (width, height) if bits == 8 and components in (1, 3) and width and height else None


def _is_usual(marker: int, content: bytes, length: int) -> bool:
    """Whether a segment is one that Pillow, too, would read without a complaint or a use."""
    if len(content) != length:
        return False
    if marker == _TABLES:
        return length % _TABLE == 0 and all(content[n] < 4 for n in range(0, length, _TABLE))
    if marker in (_HUFFMAN, _RESTARTS, _COMMENT):
        return True
    if marker == 0xE0:
        return length == 14 and content[:5] == b"JFIF\0"
    if marker == _APP1:
        return content.startswith((_EXIF, _XMP))
    if marker == 0xE2:  # and not that of several pictures in one file
        return length > 14 and content[:12] == b"ICC_PROFILE\0"
    return marker == 0xEE and length == 12 and content[:5] == b"Adobe"


def _end_mark(data: bytes, start: int) -> int:
    """Where the first end mark is, from `start` on; -1 where there is none.

    As `bytes.find`, which would take 0.1 ms and hold Python's lock all the while.
    """
    for at in range(start, len(data) - 1, _PIECE):
        piece = np.frombuffer(data, np.uint8, min(_PIECE + 1, len(data) - at), at)
        marks = (piece[:-1] == 0xFF) & (piece[1:] == 0xD9)
        first = int(marks.argmax())
        if marks[first]:
            return at + first
    return -1
