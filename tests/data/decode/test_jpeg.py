"""Plain JPEGs go the short way and have the same pixels, or the same error, as on the long one."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import images, jpeg
from camcli.data.decode.images import Enough, decode_picture
from camcli.errors import ImageError


def _picture(size: tuple[int, int] = (150, 100)) -> Image.Image:
    rough = np.random.default_rng(1).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize(size)


def _jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or _picture()).save(file, "JPEG", **options)
    return file.getvalue()


def _outcome(data: bytes, enough: Enough | None = None) -> tuple[object, ...]:
    try:
        found = decode_picture(data, "x.jpg", enough)
    except ImageError as error:
        return (str(error),)
    return found.rgb.tobytes(), found.rgb.shape, found.width, found.height


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[object, ...]]:
    """The outcome where no JPEG is plain."""

    def outcome(data: bytes, enough: Enough | None = None) -> tuple[object, ...]:
        with monkeypatch.context() as patch:
            patch.setattr(images, "decoded", lambda jpeg: None)
            return _outcome(data, enough)

    return outcome


def _is_plain(data: bytes) -> bool:
    return jpeg.looked_at(data, "x.jpg").plain is not None


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PLAIN = {
    **{
        f"{quality} {subsampling} {progressive}": {
            "quality": quality, "subsampling": subsampling, "progressive": progressive,
        }
        for quality in (20, 95) for subsampling in (0, 1, 2) for progressive in (False, True)
    },
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "RGB inside": {"keep_rgb": True},
    "profile in two": {"icc_profile": b"p" * 70_000},
    "comment": {"comment": b"by nobody"},
}  # fmt: skip


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_plain_ones_have_the_pixels_of_the_long_way(
    long_way: Callable[..., tuple[object, ...]], options: dict[str, Any]
) -> None:
    data = _jpeg(**options)
    assert _is_plain(data)
    assert _outcome(data) == long_way(data)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(decode_picture(data, "x.jpg").rgb, np.asarray(image))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_ones_are_turned(
    long_way: Callable[..., tuple[object, ...]], orientation: int, mode: str
) -> None:
    data = _jpeg(_picture().convert(mode), exif=_exif(orientation))
    assert _is_plain(data)
    assert _outcome(data) == long_way(data)
    shape = (150, 100, 3) if 5 <= orientation <= 8 else (100, 150, 3)
    assert _outcome(data)[1] == shape


ODD = {
    "EXIF and XMP": lambda: _with_xmp(_jpeg(exif=_exif(1))),
    "EXIF twice": lambda: _twice(_jpeg(exif=_exif(6)), b"\xff\xe1"),
    "inks": lambda: _jpeg(_picture().convert("CMYK")),
    "fill byte": lambda: _jpeg()[:2] + b"\xff" + _jpeg()[2:],
    "two frames": lambda: _twice(_jpeg(), b"\xff\xc0"),
    "unknown segment": lambda: _jpeg()[:2] + b"\xff\xe5\0\x04ab" + _jpeg()[2:],
    "several pictures": lambda: _several(),
}


def _with_xmp(data: bytes) -> bytes:
    """That says to turn it; Pillow writes such a segment since 11 only."""
    content = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    return data[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


def test_xmp_alone_turns_nothing(long_way: Callable[..., tuple[object, ...]]) -> None:
    data = _with_xmp(_jpeg())
    assert _is_plain(data)
    assert _outcome(data) == long_way(data) == _outcome(_jpeg())


def _twice(data: bytes, mark: bytes) -> bytes:
    """With one segment twice."""
    at = data.index(mark)
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[:end] + data[at:end] + data[end:]


def _several() -> bytes:
    file = io.BytesIO()
    image = _picture()
    image.save(file, "MPO", save_all=True, append_images=[image.rotate(90)])
    return file.getvalue()


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_odd_ones_go_the_long_way(
    long_way: Callable[..., tuple[object, ...]], make: Callable[[], bytes]
) -> None:
    data = make()
    assert not _is_plain(data)
    assert _outcome(data) == long_way(data)


@pytest.mark.parametrize("kind", ["cut", "cut and closed", "header", "body", "zeros"])
def test_broken_ones_say_what_the_long_way_says(
    long_way: Callable[..., tuple[object, ...]], kind: str
) -> None:
    random = np.random.default_rng(2)
    for options in ({}, {"progressive": True}, {"exif": _exif(6)}):
        whole = _jpeg(quality=90, **options)
        for _ in range(40):
            data, at = bytearray(whole), int(random.integers(2, len(whole)))
            if kind.startswith("cut"):
                data = data[:at] + (b"\xff\xd9" if kind == "cut and closed" else b"")
            elif kind == "zeros":
                data[at : at + 40] = bytes(40)
            else:
                place = int(random.integers(2, 640)) if kind == "header" else at
                data[min(place, len(data) - 1)] = int(random.integers(256))
            assert _outcome(bytes(data)) == long_way(bytes(data)), (kind, at)


def test_larger_ones_than_needed_are_decoded_smaller(
    long_way: Callable[..., tuple[object, ...]],
) -> None:
    data, enough = _jpeg(_picture((640, 480))), Enough(100, 0)
    assert _outcome(data, enough) == long_way(data, enough)
    assert _outcome(data, enough)[1] == (120, 160, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (2200, 2000)])
def test_sizes(long_way: Callable[..., tuple[object, ...]], size: tuple[int, int]) -> None:
    data = _jpeg(_picture(size))
    assert _outcome(data) == long_way(data)


def test_pillows_own_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):  # its own size is named
        file = io.BytesIO()
        _picture((640, 480)).save(file, kind)
        with pytest.raises(ImageError, match=r"x: 307,200 pixels exceed the limit of 2,000 pixels"):
            decode_picture(file.getvalue(), "x")


@pytest.mark.parametrize("before", [0, 1, 7, 10, 11, 12])
def test_first_end_mark(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    monkeypatch.setattr(jpeg, "_PIECE", 4)  # marks across two pieces, too
    for start in range(4):
        data = b"\xd9\xff" + b"\xff\0" * before + b"\xff\xd9" + b"\xff\xd9"
        for cut in range(len(data) + 1):
            assert jpeg._end_mark(data[:cut], start) == data[:cut].find(b"\xff\xd9", start)
