"""Mutated pictures of every format: a picture or an ImageError, soon, quietly, in little memory."""

import io
import random
import sys
import time

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import images
from camcli.data.decode.images import Enough, decode_picture, header_size
from camcli.data.decode.pillow import _readers
from camcli.errors import ImageError

SECONDS = 10.0
MEMORY = 1 << 30  # above what is taken before; with at most this many pixels:
PIXELS = 1 << 23

y, x = np.mgrid[0:48, 0:64]
PHOTO = Image.fromarray(np.stack([x * 4, y * 5, (x + y) * 2], -1).astype(np.uint8))


def encoded(kind: str, image: Image.Image = PHOTO, **options) -> bytes:
    out = io.BytesIO()
    # A copy, because an image remembers how it was encoded last.
    others = [other.copy() for other in options.pop("append_images", [])]
    image.copy().save(out, kind, **options, **({"append_images": others} if others else {}))
    return out.getvalue()


def seeds() -> dict[str, bytes]:
    """Small whole pictures, by a name that ends as a file of theirs would."""
    more = {"save_all": True, "append_images": [PHOTO.rotate(90)]}
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    found = {
        "plain.jpg": encoded("JPEG"),
        "progressive.jpg": encoded("JPEG", progressive=True),
        "restarts.jpg": encoded("JPEG", restart_marker_blocks=1),
        "inks.jpg": encoded("JPEG", PHOTO.convert("CMYK")),
        "exif.jpg": encoded("JPEG", exif=exif),
        "stereo.mpo": encoded("MPO", **more),
        "plain.png": encoded("PNG"),
        "palette.png": encoded("PNG", PHOTO.convert("P"), transparency=3),
        "deep.png": encoded(
            "PNG", Image.fromarray(np.asarray(PHOTO.convert("L")) * np.uint16(257))
        ),
        "clear.png": encoded("PNG", PHOTO.convert("L"), transparency=40),
        "moving.apng": encoded("PNG", **more),
        "plain.webp": encoded("WEBP"),
        "lossless.webp": encoded("WEBP", lossless=True, exif=exif),
        "moving.webp": encoded("WEBP", **more),
        "moving.gif": encoded("GIF", **more),
        "plain.bmp": encoded("BMP"),
        "palette.bmp": encoded("BMP", PHOTO.convert("P")),
        "plain.dib": encoded("DIB"),
        "plain.ppm": encoded("PPM"),
        "plain.pbm": encoded("PPM", PHOTO.convert("1")),
        "text.pgm": b"P2 3 2 255\n1 2 3\n# words\n4 5 6\n",
        "plain.jp2": encoded("JPEG2000"),
        "stream.j2k": encoded("JPEG2000", no_jp2=True),
        "plain.tga": encoded("TGA"),
        "packed.tga": encoded("TGA", compression="tga_rle"),
        "plain.tif": encoded("TIFF", exif=exif),
        "pages.tif": encoded("TIFF", **more),
        "float.tif": encoded("TIFF", PHOTO.convert("F").point(lambda v: v / 255)),
    }
    if "AVIF" in _readers():
        found["plain.avif"] = encoded("AVIF")
    for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"{how}.tif"] = encoded("TIFF", compression=how)
    for how in ("group3", "group4", "tiff_ccitt"):
        found[f"{how}.tif"] = encoded("TIFF", PHOTO.convert("1"), compression=how)
    return found


def mutated(data: bytes, draw: random.Random) -> bytes:
    """One to four kinds of damage; half of it near the header, where it tells most."""
    out = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = draw.randrange(min(len(out), draw.choice([32, 200, 1 << 20])))
        kind = draw.randrange(7)
        if kind == 0:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            out[at] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:  # a length, a size or an offset
            out[at : at + 4] = draw.choice(
                [b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", draw.randbytes(4)]
            )
        elif kind == 3:
            del out[at : at + draw.choice([1, 4, 40])]
        elif kind == 4:
            out[at:at] = draw.randbytes(draw.choice([1, 4, 40]))
        elif kind == 5:  # a part of it twice
            out[at:at] = out[at : at + draw.choice([8, 64])]
        else:
            del out[max(1, draw.randrange(len(out))) :]
        if not out:
            return b"\0"
    return bytes(out)


def with_random_exif(draw: random.Random) -> bytes:
    head = draw.choice([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""])
    body = bytearray(draw.randbytes(draw.choice([4, 40, 400])))
    if draw.random() < 0.5:  # a tag of orientation, of some type and count
        body[:2] = b"\x02\0"
        body[2:4] = b"\x12\x01"
    return encoded("JPEG", exif=b"Exif\0\0" + head + bytes(body))


def attack(count: int, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Decode so many mutated pictures, as the batch does."""
    draw = random.Random(seed)
    whole = list(seeds().items())
    capfd.readouterr()
    unit = 1 if sys.platform == "darwin" else 1024
    resource = pytest.importorskip("resource")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    passed = refused = 0
    for number in range(count):
        name, data = whole[number % len(whole)]
        if name == "exif.jpg" and draw.random() < 0.7:
            data = with_random_exif(draw)
        else:
            data = mutated(data, draw)
        enough = draw.choice([None, Enough(10, 0)])
        case = f"seed {seed}, number {number}: {name}"
        began = time.process_time()
        try:
            size = header_size(data)
            picture = decode_picture(data, name, enough)
        except ImageError as error:
            told, refused = str(error), refused + 1
            right = told.startswith(f"{name}: ") and told.isprintable() and told.endswith(".")
            if not right:
                pytest.fail(f"{case}: {told!r}")
        else:
            passed += 1
            h, w, channels = picture.rgb.shape
            assert picture.rgb.dtype == np.uint8, case
            assert channels == 3, case
            assert 1 <= h <= picture.height, case
            assert 1 <= w <= picture.width, case
            assert picture.width * picture.height <= images.MAX_PIXELS, case
            if size is not None:  # TGA is known by its name only
                assert sorted(size) == sorted((picture.width, picture.height)), case
        assert time.process_time() - began < SECONDS, case
    assert passed > count / 20
    assert refused > count / 20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
    assert grown < MEMORY
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def few_pixels(monkeypatch):
    """The limit is what bounds memory: a low one shows that nothing goes past it."""
    monkeypatch.setattr(images, "MAX_PIXELS", PIXELS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("few_pixels")
@pytest.mark.parametrize("seed", range(4))
def test_mutated_pictures_are_pictures_or_errors(seed, capfd):
    """Two thousand of them; they take two seconds."""
    attack(500, seed, capfd)


@pytest.mark.parametrize("name", sorted(seeds()))
def test_the_seeds_are_whole_pictures(name):
    assert decode_picture(seeds()[name], name).width in (64, 48, 3)
