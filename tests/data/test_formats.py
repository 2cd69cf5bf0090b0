"""One table says what is found in folders, what is read, and what is said of the rest."""

import base64
import io
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import pillow
from camcli.data.decode.images import decode, header_size
from camcli.data.picture_formats import EXTENSIONS, HEIC, RAW, TABLE
from camcli.data.sources.find import find_images
from camcli.data.sources.finders import is_image_name
from camcli.errors import ImageError

y, x = np.mgrid[0:48, 0:64]
PHOTO = Image.fromarray(np.stack([x * 4, y * 5, 255 - x * 4], -1).astype(np.uint8))
# PHOTO, written by pillow-heif 1.8.
HEIC_FILE = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAJ0AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEA"
    "GEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAA"
    "AwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAAB"
    "AAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAKVt"
    "ZGF0AAAAmSgBrwngPg6bnk4QdLDGLT7BfoBkW8ROdVc3R0U3je9RSmCK+YzNnopmcbkX6hrcOQKm5Qc5QaJ+hUXBVJYO"
    "/qLowGjSDLZ70pbmwssqxfR66DmOweV16Uoteg/sogeE9SYVLH5wxQcVIL1Yo/dehjTSuxAjfjiFQYC8+O6LewyM2jKJ"
    "JMw7ypd3CJhRE+MXaV0D+cn1bWo7wA=="
)
WRITERS = {".jfif": "JPEG", ".dib": "DIB", ".pnm": "PPM", ".pgm": "PPM", ".pbm": "PPM"}


def encoded(kind: str, image: Image.Image = PHOTO, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def message(data: bytes, name: str = "photo.xyz") -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("extension", "kind", "options"),
    [
        (".jpg", "JPEG", {}), (".mpo", "MPO", {"save_all": True, "append_images": [PHOTO]}),
        (".png", "PNG", {}), (".apng", "PNG", {"save_all": True, "append_images": [PHOTO]}),
        (".webp", "WEBP", {}), (".gif", "GIF", {}), (".bmp", "BMP", {}), (".dib", "DIB", {}),
        (".tif", "TIFF", {}), (".ppm", "PPM", {}), (".pnm", "PPM", {}),
        (".jp2", "JPEG2000", {}), (".jpx", "JPEG2000", {}), (".j2k", "JPEG2000", {"no_jp2": True}),
        (".tga", "TGA", {}), (".tga", "TGA", {"compression": "tga_rle"}), (".avif", "AVIF", {}),
    ],
)  # fmt: skip
def test_what_is_found_is_read(extension, kind, options):
    if extension == ".avif" and "AVIF" not in pillow._readers():
        pytest.skip("this Pillow has no AVIF")
    assert extension in EXTENSIONS
    data = encoded(kind, **options)
    rgb = decode(data, f"photo{extension}")
    assert np.abs(rgb.astype(int) - np.asarray(PHOTO)).mean() < 12
    assert header_size(data) == (64, 48) or extension == ".tga"


def test_netpbm_of_all_kinds():
    grey, line = PHOTO.convert("L"), PHOTO.convert("1")
    assert np.array_equal(decode(encoded("PPM", grey), "x.pgm")[..., 0], np.asarray(grey))
    assert np.array_equal(decode(encoded("PPM", line), "x.pbm")[..., 0] > 0, np.asarray(line))
    unit = Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert decode(encoded("PPM", unit), "x.pfm")[2, 3, 0] == 255


def test_a_folder_gives_all_of_them_and_heic_is_not_silent(tmp_path):
    names = [f"cat{extension}" for extension in sorted(EXTENSIONS - {*RAW.extensions.split()})]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name.upper()).write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "film.mp4").write_text("x")
    found = {ref.rel for ref in find_images(tmp_path)}
    assert found == {*names, *(name.upper() for name in names)}


def test_every_reader_of_the_table_is_one_of_pillow():
    Image.init()
    readers = {reader for each in TABLE for reader in each.readers} - {"HEIF"}
    if "AVIF" not in pillow._readers():
        readers -= {"AVIF"}
    assert readers <= set(Image.OPEN)
    assert "EPS" not in readers


# -- what is not read ---------------------------------------------------------------------------


def test_heic_without_its_plugin_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pillow, "_register_heif", lambda: False)
    pillow._readers.cache_clear()
    try:
        for data in (HEIC_FILE, b"\0\0\0\x18ftypheic" + bytes(64)):
            text = message(data, "IMG_1.HEIC")
            assert "a HEIC picture; pip install 'camcli[heif]'" in text
            assert "convert it to JPEG" in text
    finally:
        pillow._readers.cache_clear()


@pytest.mark.skipif(
    not (find_spec("pi_heif") or find_spec("pillow_heif")), reason="pi-heif is not installed"
)
def test_heic_with_its_plugin():
    rgb = decode(HEIC_FILE, "x.heic")
    assert np.abs(rgb.astype(int) - np.asarray(PHOTO)).mean() < 12
    assert header_size(HEIC_FILE) == (64, 48)
    for data in (HEIC_FILE[:300], HEIC_FILE[:-60], b"\0\0\0\x18ftypheic" + bytes(64)):
        assert re.search("cut short or damaged", message(data))
        assert "pip install" not in message(data)


def test_the_plugin_that_only_decodes_comes_first(monkeypatch):
    asked = []

    def missing(name):
        asked.append(name)
        raise ImportError

    monkeypatch.setattr(pillow, "import_module", missing)
    assert pillow._register_heif() is False
    assert asked == ["pi_heif", "pillow_heif"]


def box(brand: bytes, *others: bytes) -> bytes:
    body = brand + bytes(4) + b"".join(others)
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body + bytes(64)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture; convert it"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL picture"),
        (box(b"crx ", b"isom"), "a camera raw picture; develop it"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "a camera raw picture"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(40), "a camera raw picture"),
        (b"IIRO\x08\0\0\0" + bytes(40), "a camera raw picture"),
        (box(b"qt  "), "a video"),
        (box(b"isom", b"mp42"), "a video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        (b"RIFF\x20\0\0\0AVI LIST", "a video"),
        (b"%PDF-1.7\n%\xe2", "a PDF document"),
        (b"8BPS\0\x01" + bytes(40), "a Photoshop document"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"\xef\xbb\xbf<svg/>", "an SVG drawing"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(40), "a gzip archive"),
        (bytes(128) + b"DICM" + bytes(40), "a DICOM file"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"\0\0\1\0\1\0" + bytes(40), "an icon"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "a TIFF of a kind that is not read"),
        (b"hello", "not a picture in a format that is read here (JPEG, PNG"),
    ],
)
def test_bytes_are_called_by_their_name(data, words):
    assert words in message(data)


def test_a_raw_file_is_not_its_preview():
    """NEF, DNG and others are TIFFs whose first picture is a thumbnail."""
    preview = encoded("TIFF")
    for name in ("DSC1.NEF", "DSC1.dng", "a/b.arw"):
        assert "a camera raw picture; develop it to JPEG" in message(preview, name)
    dng = encoded("TIFF", tiffinfo={50706: b"\1\4\0\0"})
    assert "a camera raw picture" in message(dng, "renamed.tif")
    assert decode(encoded("JPEG"), "misnamed.nef").shape == (48, 64, 3)


def test_targa_is_known_by_its_name_only():
    """It has no mark: many a file that is no picture could be taken for one."""
    data = encoded("TGA")
    assert decode(data, "A.TGA").shape == (48, 64, 3)
    assert "not a picture" in message(data, "a.jpg")


def test_names_are_known_without_a_decoder():
    code = (
        "import sys, camcli.data.picture_formats; "
        "print('PIL' in sys.modules, 'numpy' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert run.stdout.split() == ["False", "False"]
    assert is_image_name("IMG.HEIC")
    assert not is_image_name("film.mp4")
    assert HEIC in TABLE


# -- what libraries print -----------------------------------------------------------------------


def test_libtiff_does_not_write_into_the_progress_bar(capfd):
    """It writes to file descriptor 2 from C, once for each damaged row."""
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4", "group3", "packbits"):
        image = PHOTO.convert("1") if compression.startswith("group") else PHOTO
        data = bytearray(encoded("TIFF", image, compression=compression))
        for at in range(20, len(data) - 250, 7):
            data[at] ^= 0xFF
        try:
            decode(bytes(data), "x.tif")
        except ImageError:
            continue
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"]
)
def test_half_a_tiff_is_an_error(compression):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded("TIFF", noise, **({"compression": compression} if compression else {}))
    message(data[: len(data) // 2])
