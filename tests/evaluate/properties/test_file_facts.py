"""What files say of themselves: Pillow writes them, and knows the tables and tags that it wrote."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.data.sources.refs import Blob, ImageRef
from camcli.evaluate.properties.file_facts import FileFacts, file_facts, jpeg_quality

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))


def saved(form="JPEG", picture=PICTURE, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def facts(data, tmp_path, name="a"):
    path = tmp_path / name
    path.write_bytes(data)
    return file_facts(ImageRef(path, name))


def exif(**tags):
    made = Image.Exif()
    for tag, value in tags.items():
        made[int(tag[1:])] = value
    return made


PHOTOGRAPH = saved(
    exif=exif(t271="Canon\0", t272="Canon EOS 5D", t305="Lightroom 6.1", t306="2019:07:04 18:30:00")
)


def test_a_photograph_says_its_camera_its_program_and_its_time(tmp_path):
    assert facts(PHOTOGRAPH, tmp_path) == FileFacts(
        size=(30, 20),
        format="JPEG",
        quality=75,
        tables="quality 75, 4:2:0",
        camera="Canon EOS 5D",
        software="Lightroom 6.1",
        year=2019,
        month=7,
        hour=18,
    )


def test_the_time_at_which_it_was_taken_comes_before_that_of_a_change(tmp_path):
    tags = exif(t306="2024:01:01 00:00:00")
    tags.get_ifd(0x8769)[36867] = "2010:12:24 09:15:00"
    found = facts(saved(exif=tags), tmp_path)
    assert (found.year, found.month, found.hour) == (2010, 12, 9)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019:13:01", "x"])
def test_a_clock_that_was_never_set_says_nothing(text, tmp_path):
    assert facts(saved(exif=exif(t306=text)), tmp_path).year is None


def test_a_make_that_the_model_does_not_say_stands_before_it(tmp_path):
    found = facts(saved(exif=exif(t271="SONY", t272="DSC-W80")), tmp_path)
    assert found.camera == "SONY DSC-W80"


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_size_is_that_of_the_picture_upright(turn, tmp_path):
    expected = (20, 30) if turn >= 5 else (30, 20)
    assert facts(saved(exif=exif(t274=turn)), tmp_path).size == expected


def test_the_quality_is_what_pillow_was_asked_for():
    for quality in range(1, 101):
        tables = Image.open(io.BytesIO(saved(quality=quality))).quantization  # type: ignore[attr-defined]
        assert jpeg_quality(tables[0]) == (quality, True)


def test_tables_of_ones_own_are_said_to_be_near_a_quality(tmp_path):
    tables = Image.open(io.BytesIO(saved(quality=80))).quantization  # type: ignore[attr-defined]
    own = [[value + (n % 7 == 0) for n, value in enumerate(tables[k])] for k in (0, 1)]
    found = facts(saved(qtables=own, subsampling=0, progressive=True), tmp_path)
    assert found.quality in (79, 80, 81)
    assert found.tables == f"own tables near quality {found.quality}, 4:4:4, progressive"


@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_the_subsampling_is_what_pillow_was_asked_for(number, name, tmp_path):
    assert facts(saved(subsampling=number), tmp_path).tables == f"quality 75, {name}"


def test_a_grey_jpeg_has_no_subsampling(tmp_path):
    assert facts(saved(picture=PICTURE.convert("L")), tmp_path).tables == "quality 75"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_have_a_size_and_no_tables(form, tmp_path):
    found = facts(saved(form), tmp_path)
    assert found == FileFacts(size=(30, 20), format=form)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats_have_exif_as_well(form, tmp_path):
    found = facts(saved(form, exif=exif(t271="Nikon", t305="Gimp")), tmp_path)
    assert (found.camera, found.software) == ("Nikon", "Gimp")


def test_a_comment_says_what_wrote_a_file_without_exif(tmp_path):
    words = "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90"
    assert facts(saved(comment=words.encode()), tmp_path).software == words


def test_xmp_says_what_wrote_a_file(tmp_path):
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="Adobe Photoshop 22.0"/></x:xmpmeta>'
    assert facts(saved(xmp=xmp), tmp_path).software == "Adobe Photoshop 22.0"


def test_a_name_that_would_move_a_terminal_is_shown_harmlessly(tmp_path):
    found = facts(saved(exif=exif(t272="X\x1b[2J\n" + "long " * 40)), tmp_path)
    assert found.camera is not None
    assert found.camera.isprintable()
    assert len(found.camera) <= 60


def test_a_member_of_a_zip_is_read_like_a_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/one.jpg", PHOTOGRAPH)
        archive.writestr("a/two.jpg", saved("PNG"))
    cameras = [file_facts(ref).camera for ref in find_images([str(tmp_path / "photos.zip")])]
    assert cameras == ["Canon EOS 5D", None]


def test_an_object_behind_a_url_is_read_and_bytes_at_hand_are_not_asked_for_again(tmp_path):
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem().pipe("/props/one.jpg", PHOTOGRAPH)
    blob = Blob("memory://props/one.jpg")
    assert file_facts(ImageRef(tmp_path, "one.jpg", blob=blob)).camera == "Canon EOS 5D"
    gone = ImageRef(tmp_path, "one.jpg", blob=Blob("memory://props/none.jpg", problem="gone"))
    assert file_facts(gone, PHOTOGRAPH).camera == "Canon EOS 5D"


@pytest.mark.parametrize("name", ["missing.jpg", "folder"])
def test_what_cannot_be_read_says_nothing(name, tmp_path):
    (tmp_path / "folder").mkdir()
    assert file_facts(ImageRef(tmp_path / name, name)) == FileFacts()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
@example(b"")
@example(b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM\0*\0\0\0\x08\xff\xff")
@example(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
def test_random_bytes_say_nothing_and_raise_nothing(data):
    assert isinstance(file_facts(ImageRef(None, "a.jpg"), data), FileFacts)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8), st.sampled_from(["JPEG", "PNG"]))
def test_a_damaged_header_raises_nothing(at, wrong, form):
    tags = exif(t271="Canon", t272="EOS", t305="Gimp", t306="2019:07:04 18:30:00", t274=6)
    tags.get_ifd(0x8769)[36867] = "2010:12:24 09:15:00"
    data = bytearray(saved(form, exif=tags))
    data[at : at + len(wrong)] = wrong
    found = file_facts(ImageRef(None, "a.jpg"), bytes(data))  # type: ignore[arg-type]
    assert found.camera is None or found.camera.isprintable()
    assert found.month is None or 1 <= found.month <= 12
