"""Which files are pictures: by their names, for walking folders, and by their first bytes.

One table, so that what a folder gives and what the decoder reads never differ. Imports nothing
heavy: a walk over a million names should not wait for a decoder.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class PictureFormat(NamedTuple):
    """One kind of picture.

    Attributes:
        name: as people call it.
        extensions: of its files, lower case, in one line.
        readers: Pillow's names of what opens it, in this process and without other programs; none
            where it is not read, but found, so that nobody wonders where it went.
        advice: what to do where it cannot be read.
    """

    name: str
    extensions: str
    readers: tuple[str, ...] = ()
    advice: str = ""


HEIC = PictureFormat(
    "HEIC", ".heic .heif .hif", ("HEIF",),
    "pip install 'camcli[heif]' reads it, or convert it to JPEG",
)  # fmt: skip
AVIF = PictureFormat(
    "AVIF", ".avif .avifs", ("AVIF",), "pip install -U pillow reads it, from 11.3 on"
)
RAW = PictureFormat(
    "camera raw",
    ".3fr .arw .cr2 .cr3 .crw .dng .erf .kdc .mrw .nef .nrw .orf .pef .raf .rw2 .sr2 .srf "
    ".srw .x3f",
    (),
    "develop it to JPEG or TIFF",
)
JPEG_XL = PictureFormat("JPEG XL", ".jxl", (), "convert it to JPEG or PNG")
# It has no mark by which to know it: it is opened by its name only.
TARGA = PictureFormat("TGA", ".tga", ("TGA",))

# EPS is not among them, which Pillow would hand to Ghostscript. MPO, several JPEGs in a file, is
# opened by the JPEG reader.
TABLE: tuple[PictureFormat, ...] = (
    PictureFormat("JPEG", ".jpg .jpeg .jpe .jfif .jif .mpo", ("JPEG",)),
    PictureFormat("PNG", ".png .apng", ("PNG",)),
    PictureFormat("WebP", ".webp", ("WEBP",)),
    PictureFormat("GIF", ".gif", ("GIF",)),
    PictureFormat("BMP", ".bmp .dib", ("BMP", "DIB")),
    PictureFormat("TIFF", ".tif .tiff", ("TIFF",)),
    PictureFormat("PPM", ".ppm .pgm .pbm .pnm .pfm", ("PPM",)),
    PictureFormat("JPEG 2000", ".jp2 .j2k .jpx .jpf .jpc .j2c", ("JPEG2000",)),
    AVIF,
    HEIC,
    TARGA,
    JPEG_XL,
    RAW,
)

EXTENSIONS = frozenset(extension for each in TABLE for extension in each.extensions.split())
"""Of the files that a folder gives. A file that is named is read whatever it is called."""

_OTHERS = ".svg .svgz .psd .psb .xcf .ico .icns .dds .qoi .exr .hdr .dcm .dicom .fits .eps .wmf"
OTHERS = frozenset(_OTHERS.split())
"""Of pictures that are not read, and not taken from a folder."""

READ = ", ".join(each.name for each in TABLE if each.readers)

# What else is taken for a picture now and then: where in the file, its mark, and what it is.
_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document; save its pages as pictures"),
    (0, b"%!PS", "a PostScript document, which would have to be run; save it as PNG"),
    (0, b"8BPS", "a Photoshop document; save it as JPEG, PNG or TIFF"),
    (0, b"gimp xcf", "a GIMP document; export it as PNG"),
    (0, b"\0\0\1\0", "an icon; save it as PNG"),
    (0, b"DDS ", "a DDS texture; save it as PNG"),
    (0, b"qoif", "a QOI picture; convert it to PNG"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture, without an agreed range; save it as PNG"),
    (0, b"#?RADIANCE", "a Radiance picture, without an agreed range; save it as PNG"),
    (128, b"DICM", "a DICOM file; save its picture as PNG, windowed as a doctor would see it"),
    (0, b"SIMPLE  =", "a FITS file; save its picture as PNG"),
    (0, b"\x93NUMPY", "a NumPy array; save it as PNG"),
    (0, b"\x89HDF", "an HDF5 file; save its pictures as PNG"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (8, b"AVI ", "a video; save its frames as pictures"),
    (0, b"\x1aE\xdf\xa3", "a video; save its frames as pictures"),
)  # fmt: skip
_RAW_MARKS = (
    (8, b"CR\x02"), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIRS"), (0, b"MMOR"),
    (0, b"IIU\0"), (6, b"HEAPCCDR"), (0, b"FOVb"), (0, b"\0MRM"),
)  # fmt: skip
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# How the files of formats that are read begin.
_BEGINS = (
    (b"\xff\xd8", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"),
    (b"RIFF", "WebP"), (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x4f\xff\x51", "JPEG 2000"),
)  # fmt: skip


def known(data: bytes) -> PictureFormat | None:
    """The format of a file, of those that need something, by its first bytes.

    Args:
        data: the whole file.

    Returns:
        HEIC, AVIF, JPEG XL or camera raw; None for any other.
    """
    brand = data[8:12]
    if data[4:8] == b"ftyp":
        if brand in (b"avif", b"avis"):
            return AVIF
        if brand == b"crx ":
            return RAW
        # What any image may be called at first: the list behind it says more.
        others = data[16 : min(int.from_bytes(data[:4], "big"), 512)]
        if brand in (b"mif1", b"msf1") and (b"avif" in others or b"avis" in others):
            return AVIF
        return HEIC if brand in _HEIF_BRANDS else None
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return JPEG_XL
    if any(data[at : at + len(mark)] == mark for at, mark in _RAW_MARKS):
        return RAW
    return None


def is_image_name(name: str) -> bool:
    """Whether a visible file of this name is called like an image."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")  # noqa: PTH122


def named(name: str, each: PictureFormat) -> bool:
    """Whether a file is called like one of a format."""
    return name.lower().endswith(tuple(each.extensions.split()))


def not_read(each: PictureFormat) -> str:
    """What is wrong with a file of a format that is not read here."""
    return f"{_a_picture(each.name)}; {each.advice}."


def _a_picture(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name} picture"


def _broken(name: str) -> str:
    return f"{_a_picture(name)} whose header is cut short or damaged; copy or download it again."


def what_instead(data: bytes) -> str:
    """Say what a file that no decoder recognised looks like.

    Args:
        data: the whole file.

    Returns:
        The end of a sentence that names the file.
    """
    if each := known(data):
        return _broken(each.name) if each.readers else not_read(each)
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page saved under a picture's name; download the picture itself."
    if b"<svg" in start:
        return "an SVG drawing, which has no pixels; save it as PNG."
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the picture; run `git lfs pull`."
    if not data.strip(b"\0"):
        return "nothing but zero bytes; copy or download it again."
    for at, mark, what in _MARKS:
        if data[at : at + len(mark)] == mark:
            return f"{what}."
    if data[4:8] == b"ftyp":
        return "a video, or a picture of a kind that is not read here; save its frames as pictures."
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return (
            "a TIFF of a kind that is not read here, or its header is damaged; save it with 8 or "
            "16 bits a channel, grey or RGB."
        )
    for begin, name in _BEGINS:
        if data.startswith(begin):
            return _broken(name)
    return f"not a picture in a format that is read here ({READ})."
