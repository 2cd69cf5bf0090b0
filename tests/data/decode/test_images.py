import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from camcli.data.decode import images
from camcli.data.decode.images import decode, load_image, printable
from camcli.errors import ImageError

SHARED = Path(
    os.environ.get("CAMCLI_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data")
)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo(width: int = 97, height: int = 61) -> Image.Image:
    """Smooth colours plus some texture: every block of the JPEG costs several bytes."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width))
    rgb = np.stack([x * 190 / width + noise, y * 190 / height + noise, 90 + noise], -1)
    return Image.fromarray(rgb.astype(np.uint8))


JPEG = encoded(photo(), "JPEG", quality=90)
PNG = encoded(photo(), "PNG")


def message(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, "x.jpg")
    text = str(caught.value)
    assert text.startswith("x.jpg: ")
    assert text.endswith(".")
    assert "\n" not in text
    return text


# -- colour modes ------------------------------------------------------------------------------


def test_rgb_is_what_pillow_decodes_and_fit_for_torch():
    rgb = decode(JPEG, "x")
    assert np.array_equal(rgb, np.asarray(Image.open(io.BytesIO(JPEG))))
    assert rgb.flags["C_CONTIGUOUS"]
    assert rgb.flags["WRITEABLE"]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_every_format_becomes_rgb_bytes(kind, mode):
    image = photo().convert(mode)
    try:
        data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    except OSError:
        pytest.skip(f"{kind} cannot hold {mode}")
    rgb = decode(data, "x")
    assert rgb.dtype == np.uint8
    assert rgb.shape == (61, 97, 3)
    if kind not in ("JPEG", "GIF"):  # lossless
        assert np.array_equal(rgb, np.asarray(image.convert("RGB")))


def test_transparency_is_laid_over_white():
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(200, 0, 0, 255), (200, 0, 0, 0), (200, 0, 0, 128)])
    rgb = decode(encoded(rgba, "PNG"), "x")[0]
    assert rgb[0].tolist() == [200, 0, 0]
    assert rgb[1].tolist() == [255, 255, 255]
    # 200*128/255 + 255*127/255 = 227.4, 127
    assert np.abs(rgb[2].astype(int) - [227, 127, 127]).max() <= 1


def test_grey_with_alpha():
    grey = Image.new("LA", (2, 1))
    grey.putdata([(40, 255), (40, 0)])
    assert decode(encoded(grey, "PNG"), "x")[0].tolist() == [[40] * 3, [255] * 3]


def test_palette_with_a_transparent_entry():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    for kind in ("PNG", "GIF"):
        rgb = decode(encoded(image, kind, transparency=1), "x")
        assert rgb[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_transparent_colour_of_an_rgb_png():
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (9, 9, 9)])
    rgb = decode(encoded(image, "PNG", transparency=(1, 2, 3)), "x")
    assert rgb[0].tolist() == [[255] * 3, [9] * 3]


def png16(samples: np.ndarray, colour: int) -> bytes:
    """A 16-bit PNG written by hand: Pillow writes none with colours."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_16_bit_png_is_scaled_not_clipped(colour):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    grey = np.array([[0, 257, 5000, 32768, 65535]])
    samples = np.repeat(grey[..., None], channels, -1)
    if channels in (2, 4):
        samples[..., -1] = 65535
    rgb = decode(png16(samples, colour), "x")
    exact = grey * 255 / 65535
    assert np.abs(rgb - exact[..., None]).max() <= 1


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff_is_scaled_not_clipped(order):
    grey = np.array([[0, 257, 5000, 32768, 65535]], dtype=order)
    tags = [(256, 5), (257, 1), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1), (278, 1)]
    tags.append((279, 10))
    end = order[0]
    body = struct.pack(end + "H", len(tags))
    for tag, value in tags:
        body += struct.pack(end + "HHI", tag, 4, 1) + struct.pack(end + "I", value)
    head = (b"II" if end == "<" else b"MM") + struct.pack(end + "HI", 42, 8)
    data = (head + body + struct.pack(end + "I", 0)).ljust(200, b"\0") + grey.tobytes()
    rgb = decode(data, "x")
    assert rgb[0, :, 0].tolist() == [0, 1, 19, 128, 255]
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_pgm_with_65535_greys():
    data = b"P5 3 1 65535\n" + np.array([0, 32768, 65535], ">u2").tobytes()
    assert decode(data, "x")[0, :, 0].tolist() == [0, 128, 255]


def test_float_tiff_needs_an_agreed_range():
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert decode(encoded(unit, "TIFF"), "x")[0, :, 0].tolist() == [0, 128, 255]
    wild = Image.fromarray(np.array([[-3.0, 900.0]], np.float32))
    assert "no agreed range" in message(encoded(wild, "TIFF"))
    hole = Image.fromarray(np.array([[np.nan, 0.5]], np.float32))
    assert "no agreed range" in message(encoded(hole, "TIFF"))
    deep = Image.fromarray(np.array([[0, 1 << 20]], np.int32))
    assert "no agreed range" in message(encoded(deep, "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(kind):
    """Pillow writes CMYK JPEGs as Adobe does, inverted and marked."""
    inks = {
        (0, 255, 255, 0): (255, 0, 0),
        (255, 0, 255, 0): (0, 255, 0),
        (0, 0, 0, 0): (255, 255, 255),
        (0, 0, 0, 255): (0, 0, 0),
    }
    for ink, colour in inks.items():
        data = encoded(Image.new("CMYK", (16, 16), ink), kind)
        assert b"Adobe" in data or kind == "TIFF"
        rgb = decode(data, "x")[8, 8].astype(int)
        assert np.abs(rgb - colour).max() <= 3, ink


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decode(data, "x")[0, 0].tolist() == [255, 0, 0], kind


def test_two_pictures_in_one_jpeg():
    """MPO: what stereo cameras and phones write."""
    data = encoded(photo(), "MPO", save_all=True, append_images=[photo().rotate(180)])
    assert np.abs(decode(data, "x").astype(int) - np.asarray(photo())).mean() < 8


# -- EXIF --------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation, kind):
    image = photo(40, 24)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = encoded(image, kind, exif=exif, **options)
    plain = np.asarray(Image.open(io.BytesIO(encoded(image, kind, **options))).convert("RGB"))
    upright = {
        1: plain,
        2: plain[:, ::-1],
        3: plain[::-1, ::-1],
        4: plain[::-1],
        5: plain.transpose(1, 0, 2),
        6: np.rot90(plain, -1),
        7: plain[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(plain),
    }[orientation]
    rgb = decode(stored, "x")
    assert np.array_equal(rgb, upright)
    assert rgb.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("tag", [b"\xff" * 40, b"II*\0\xff\xff\xff\xff", b"", b"MM\0*\0\0\0\x08\0"])
def test_broken_exif_does_not_spoil_a_good_picture(tag):
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0" + tag)
    assert decode(data, "x").shape == (61, 97, 3)
    nonsense = Image.Exif()
    nonsense[0x0112] = 77
    assert decode(encoded(photo(), "JPEG", exif=nonsense), "x").shape == (61, 97, 3)


# -- what is wrong with a file ------------------------------------------------------------------


def test_contents_that_are_no_picture():
    assert "empty" in message(b"")
    assert "not a picture" in message(b"just some text\n")
    assert "web page" in message(b"  <!DOCTYPE html><html>404</html>")
    assert "git lfs pull" in message(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "zero bytes" in message(bytes(4096))
    assert "cut short or damaged" in message(JPEG[:10])


def test_postscript_is_never_run():
    """Pillow would start Ghostscript for it."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(eps)).format == "EPS"
    assert "PostScript document, which would have to be run" in message(eps)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("switch", [False, True])
def test_half_a_picture_is_an_error(monkeypatch, progressive, switch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", switch)
    data = encoded(photo(), "JPEG", quality=90, progressive=progressive)
    for share in (0.3, 0.5, 0.9, 0.99):
        message(data[: int(len(data) * share)])
        message(data[: int(len(data) * share)].ljust(len(data), b"\0"))  # a broken download
    for kind in ("PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM"):
        data = encoded(photo(), kind)
        message(data[: len(data) // 2])
    assert switch == ImageFile.LOAD_TRUNCATED_IMAGES
    decode(JPEG, "x")


def test_half_a_jpeg_that_was_closed_again_is_an_error():
    """libjpeg paints the rest grey and only warns; Pillow alone lets it pass."""
    closed = JPEG[: len(JPEG) // 2] + b"\xff\xd9"
    Image.open(io.BytesIO(closed)).load()
    message(closed)


def test_damaged_png_is_an_error():
    at = PNG.index(b"IDAT") + 40
    message(PNG[:at] + bytes([PNG[at] ^ 0xFF]) + PNG[at + 1 :])


@pytest.mark.parametrize("tail", [b"\0" * 100, b"trailing junk", JPEG, b"\xff\xd9", b"\n"])
@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_after_the_end_do_no_harm(tail, progressive):
    data = encoded(photo(), "JPEG", progressive=progressive)
    assert np.array_equal(decode(data + tail, "x"), decode(data, "x"))
    assert np.array_equal(decode(PNG + tail, "x"), decode(PNG, "x"))


def test_stray_bytes_before_a_marker_do_no_harm():
    """libjpeg: "extraneous bytes before marker"; a strict decoder would refuse these."""
    end = len(JPEG) - 2
    assert np.array_equal(decode(JPEG[:end] + b"\xff\xff" + JPEG[end:], "x"), decode(JPEG, "x"))
    assert np.array_equal(decode(JPEG[:2] + b"\xff\xff" + JPEG[2:], "x"), decode(JPEG, "x"))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 9), (16, 16), (500, 3)])
@pytest.mark.parametrize("optimize", [False, True])
def test_whole_jpegs_of_any_size_pass(subsampling, size, optimize):
    for image in (photo(*size), photo(*size).convert("L"), Image.new("RGB", size, "white")):
        for restart in (0, 1):
            data = encoded(
                image,
                "JPEG",
                subsampling=subsampling,
                optimize=optimize,
                restart_marker_blocks=restart,
            )
            plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            assert np.array_equal(decode(data, "x"), plain)


def test_no_pixels():
    png = png16(np.zeros((1, 1)), 0)
    at = png.index(b"IHDR") + 4
    body = struct.pack(">IIBBBBB", 0, 0, 16, 0, 0, 0, 0)
    empty = png[:at] + body + struct.pack(">I", zlib.crc32(b"IHDR" + body)) + png[at + 17 :]
    message(empty)
    message(b"GIF89a" + bytes(7) + b"\x3b")
    message(b"P6 0 0 255\n")
    sof = JPEG.index(b"\xff\xc0")
    message(JPEG[: sof + 5] + bytes(4) + JPEG[sof + 9 :])


def test_one_pixel_is_a_picture():
    assert decode(encoded(Image.new("RGB", (1, 1), "red"), "PNG"), "x").tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("side", [14_000, 60_000])
def test_a_bomb_is_refused_from_its_header(side):
    """Only a header: decoding it would fail for another reason."""
    bomb = b"P6 %d %d 255\n" % (side, side)
    text = message(bomb)
    assert "178,956,970 pixels" in text
    assert "limit" in text


def test_a_large_picture_below_the_limit_passes_without_warnings(recwarn):
    side = 9_500  # above Pillow's warning, below its error
    data = encoded(Image.new("1", (side, side)), "PNG")
    assert decode(data, "x").shape == (side, side, 3)
    assert not [w for w in recwarn if "Decompression" in str(w.message)]


def test_nothing_reaches_stderr_from_threads(tmp_path):
    """Pillow's warnings and its logger would tear a progress bar."""
    tiff = bytearray(encoded(photo(8, 8), "TIFF"))
    for name, data in {
        "bomb.ppm": b"P6 10000 10000 255\n",
        "exif.jpg": encoded(
            photo(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xee" * 80
        ),
        "cut.tif": bytes(tiff[:-40]),
        "odd.tif": bytes(tiff).replace(
            struct.pack("<HHI", 277, 3, 1), struct.pack("<HHI", 277, 3, 9)
        ),
        "samples.tif": bytes(tiff).replace(
            struct.pack("<HHIH", 277, 3, 1, 3), struct.pack("<HHIH", 277, 3, 1, 900)
        ),
        "cut.jpg": JPEG[:-90],
        "closed.jpg": JPEG[:-90] + b"\xff\xd9",
        "half.gif": encoded(photo(), "GIF")[:-200],
    }.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import sys, pathlib\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from camcli.data.decode.images import load_image\n"
        "from camcli.errors import ImageError\n"
        "def one(path):\n"
        "    try: load_image(path); return 0\n"
        "    except ImageError: return 1\n"
        "files = sorted(pathlib.Path(sys.argv[1]).iterdir())\n"
        "print(sum(ThreadPoolExecutor(4).map(one, files)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.stderr == ""
    assert int(run.stdout) >= 5


def test_strictness_is_restored_after_many_threads(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    outcomes = []

    def work():
        for _ in range(20):
            try:
                decode(PNG[:-600] + b"IEND", "x")
                outcomes.append("passed")
            except ImageError:
                outcomes.append("refused")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["refused"] * 120
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


# -- files -------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_load_image(tmp_path):
    for name in ("a b.jpg", "línea\nneue.jpg", "😀.jpg", os.fsdecode(b"\xff\xfe.jpg")):
        path = tmp_path / name
        path.write_bytes(JPEG)
        assert load_image(path).shape == (61, 97, 3)


@pytest.mark.posix
def test_paths_that_are_no_picture(tmp_path):
    assert "no such file" in refused(tmp_path / "gone.jpg")
    (tmp_path / "dir.jpg").mkdir()
    assert "folder" in refused(tmp_path / "dir.jpg")
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    assert "link points to nowhere.jpg" in refused(tmp_path / "link.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    refused(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe" in refused(tmp_path / "pipe.jpg")  # and does not wait for it
    (tmp_path / "text\n.jpg").write_text("hello")
    assert "text\\n.jpg" in refused(tmp_path / "text\n.jpg")
    refused(tmp_path / "x\0.jpg")
    refused(tmp_path / ("x" * 300 + ".jpg"))


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    """It was not walked for that, so nobody should be told to rename it."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not list; check its permissions" in refused(tmp_path)


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    (tmp_path / "secret.jpg").chmod(0)
    assert "permissions" in refused(tmp_path / "secret.jpg")


def test_unreadable_file_says_so(tmp_path, monkeypatch):
    """The same for whoever runs the tests as root."""
    (tmp_path / "secret.jpg").write_bytes(JPEG)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert "permissions" in refused(tmp_path / "secret.jpg")


def test_huge_file_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)  # sparse
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("was read"))
    assert "1,073,741,824" in refused(path)


def test_printable():
    assert printable("é 😀") == "é 😀"
    assert printable("a\nb\x1b[0m") == "a\\nb\\x1b[0m"
    assert printable(os.fsdecode(b"\xff")) == "\\udcff"


# -- hostile input -----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", JPEG[:180], PNG[:60], b"GIF89a", b"II*\0"]))
def test_random_bytes_raise_only_image_errors(tail, head):
    try:
        rgb = decode(head + tail, "x")
    except ImageError:
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), max_size=8),
    st.floats(0, 1),
)
def test_damage_raises_only_image_errors(kind, flips, share):
    data = bytearray(encoded(photo(40, 30), kind))
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    try:
        rgb = decode(bytes(data[: max(1, round(share * len(data)))]), "x")
    except ImageError:
        return
    assert rgb.shape[2] == 3


@settings(max_examples=200, deadline=None)
@given(st.data(), st.booleans(), st.booleans())
def test_a_cut_in_the_coded_data_always_raises(data, progressive, closed):
    jpeg = encoded(photo(), "JPEG", quality=80, progressive=progressive)
    start = jpeg.rindex(b"\xff\xda") + 14
    # 8 bytes of padding stand in for the end of a complete last block.
    cut = jpeg[: data.draw(st.integers(start, len(jpeg) - 2 - 9))]
    if closed and not progressive:
        cut += b"\xff\xd9"
    with pytest.raises(ImageError):
        decode(cut, "x")


def test_real_photographs_decode_as_pillow_decodes_them():
    folder = SHARED / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip(f"no sample photographs in {folder}")
    for path in sorted(folder.iterdir())[::10]:
        plain = np.asarray(Image.open(path).convert("RGB"))
        assert np.array_equal(load_image(path), plain)


# -- the header alone --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_the_size_by_the_header(monkeypatch, kind):
    data = encoded(photo(), kind)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("was decoded"))
    assert images.header_size(data) == (97, 61)


def test_a_broken_header_has_no_size():
    for data in (b"", b"text", JPEG[:10], PNG[:20], b"P6 60000 60000 255\n"):
        assert images.header_size(data) is None
