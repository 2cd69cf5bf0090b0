"""Photographs in zip files, read where they lie."""

import io
import pickle
import stat
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import load_image
from camcli.data.decode.isolate import Isolated
from camcli.data.sources.find import find_images
from camcli.errors import ImageError, UsageError


def jpeg(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).resize((50, 40)).save(data, "JPEG")
    return data.getvalue()


def zipped(path, members, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def problem(source):
    """What is wrong with the only image."""
    (ref,) = list(source)
    with pytest.raises(ImageError) as caught:
        load_image(ref)
    return str(caught.value)


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_where_it_lies(tmp_path, how):
    data = [jpeg(n) for n in range(3)]
    names = ["a/0.jpg", "ü 日本.jpg", "b\\2.jpg"]
    zipped(tmp_path / "p.zip", zip(names, data, strict=True), how)
    source = find_images(tmp_path / "p.zip")
    refs = list(source)
    assert [ref.rel for ref in refs] == ["p/a/0.jpg", "p/ü 日本.jpg", "p/b/2.jpg"]
    assert source.count() == 3
    for ref, one in zip(refs, data, strict=True):
        assert np.array_equal(load_image(pickle.loads(pickle.dumps(ref))), pixels(one))  # as Ray
    assert [p.name for p in tmp_path.iterdir()] == ["p.zip"]


def test_the_tool_that_made_it_does_not_matter(tmp_path):
    """Something before it (a program that unpacks itself), a comment, sizes after the data."""
    out = io.BytesIO()

    class Pipe:  # which cannot be gone back in, so sizes follow the data
        def write(self, data):
            return out.write(data)

        def flush(self):
            pass

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"holidays"
        with archive.open("1.jpg", "w", force_zip64=True) as file:
            file.write(jpeg())
        archive.writestr("2.jpg", jpeg(1))
    (tmp_path / "x.ZIP").write_bytes(b"#!/bin/sh\nexit\n" + out.getvalue())
    refs = list(find_images(tmp_path / "x.ZIP"))
    assert [ref.rel for ref in refs] == ["x/1.jpg", "x/2.jpg"]
    for n, ref in enumerate(refs):
        assert np.array_equal(load_image(ref), pixels(jpeg(n)))


def test_a_folder_of_zips_and_tars_and_what_is_left_out(tmp_path):
    zipped(
        tmp_path / "b.zip",
        [("__MACOSX/._1.jpg", b"x"), ("1.jpg", jpeg()), ("1.mask.png", jpeg()), (".DS_Store", b""),
         ("Thumbs.db", b""), ("more.zip", b""), ("raw.NEF", b""), ("../../../etc/2.jpg", jpeg())],
    )  # fmt: skip
    zipped(tmp_path / "a.zip", [("x.jpg", jpeg()), ("x.cls", b"cat"), ("y.jpg", jpeg())])
    source = find_images(tmp_path)
    assert [(ref.rel, ref.label) for ref in source] == [
        ("a/x.jpg", "cat"), ("a/y.jpg", None), ("b/1.jpg", None), ("b/etc/2.jpg", None),
    ]  # fmt: skip
    note = source.left_out.note()
    for what in ("__MACOSX folder in a zip", "1 hidden file in a zip", "Thumbs.db file in a zip",
                 "1 archive file in a zip", "camera raw file (.nef) in a zip"):  # fmt: skip
        assert what in note
    (tmp_path / "p.jpg").write_bytes(jpeg())  # the archive of a data set beside its pictures
    source = find_images(tmp_path)
    assert [ref.rel for ref in source] == ["p.jpg"]
    assert "2 zip files" in source.left_out.note()


def test_archives_in_archives_are_not_opened(tmp_path):
    zipped(tmp_path / "p.zip", [("1.zip", b""), ("2.tar", b""), ("a.txt", b"")])
    with pytest.raises(UsageError, match=r"2 archive files in a zip.*packed twice.*unpack it once"):
        find_images(tmp_path / "p.zip")


def encrypted(path):
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return data


def relabelled(path, field, value):
    """Another number in the list at the end: 10 the method, 16 checksum, 20 packed, 24 size."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") + field
    size = 2 if field == 10 else 4
    data[at : at + size] = value.to_bytes(size, "little")
    return data


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (encrypted, "it is encrypted; unpack the zip with its password"),
        (lambda p: relabelled(p, 10, 14), "packed with LZMA, which is not read; unpack the zip"),
        (lambda p: relabelled(p, 10, 77), "packed with method 77, which is not read"),
        (lambda p: relabelled(p, 16, 1), "not those that were put into the zip"),
        (lambda p: relabelled(p, 24, 100), "unpacks to more than the 100 bytes that the zip says"),
        (lambda p: relabelled(p, 24, 50_000), "not those that were put into the zip"),
        (lambda p: relabelled(p, 24, 3 << 29), "more than the limit of 1,073,741,824 for one"),
        (lambda p: relabelled(p, 24, 1 << 29), "bytes that unpack to 536,870,912 are hardly a"),
        (lambda p: relabelled(p, 20, 1 << 20), "shares bytes with another member"),
        (lambda p: p.read_bytes().replace(b"PK\x03\x04", b"XX\x03\x04"), "damaged where this"),
        (lambda p: p.read_bytes()[:60] + bytes(40) + p.read_bytes()[100:], "the zip"),
    ],
)
def test_what_is_wrong_with_a_member_is_said(tmp_path, harm, says):
    path = zipped(tmp_path / "p.zip", [("1.jpg", jpeg())])
    path.write_bytes(harm(path))
    assert says in (told := problem(find_images(path)))
    assert told.startswith(f"{tmp_path}/p.zip/1.jpg: ")
    assert "\n" not in told


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """As in bombs without nesting: one lump of zeros under a thousand names."""
    path = zipped(tmp_path / "p.zip", [("1.jpg", jpeg()), ("2.jpg", jpeg()), ("3.jpg", jpeg(1))])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", at + 1)
    data[second + 42 : second + 46] = data[at + 42 : at + 46]
    path.write_bytes(data)
    refs = list(find_images(path))
    for ref in refs[:2]:
        with pytest.raises(ImageError, match="shares bytes with another member"):
            load_image(ref)
    assert np.array_equal(load_image(refs[2]), pixels(jpeg(1)))


def test_a_link_is_not_followed(tmp_path):
    info = zipfile.ZipInfo("1.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "symbolic link" in problem(find_images(tmp_path / "p.zip"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the zip is empty"),
        (b"hello" * 99, "this is no zip file"),
        (b"PK\x03\x04" + bytes(99), "cut short or damaged"),
    ],
)
def test_what_is_wrong_with_a_zip_is_an_error_row(tmp_path, data, says):
    (tmp_path / "p.zip").write_bytes(data)
    assert says in problem(find_images(tmp_path / "p.zip"))
    assert says in problem(find_images(tmp_path))


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_is_an_error_or_the_picture(tmp_path, seed):
    random = np.random.default_rng(seed)
    data = bytearray(
        zipped(tmp_path / "p.zip", [(f"{n}.jpg", jpeg(n)) for n in range(3)]).read_bytes()
    )
    if seed % 3 == 0:
        del data[int(random.integers(1, len(data))) :]
    else:  # mostly the list at its end
        for _ in range(1 + seed % 5):
            low = 0 if seed % 3 == 1 else data.index(b"PK\x01\x02")
            data[int(random.integers(low, len(data)))] = int(random.integers(256))
    (tmp_path / "p.zip").write_bytes(data)
    right = [pixels(jpeg(n)) for n in range(3)]
    try:
        refs = list(find_images(tmp_path / "p.zip"))
    except UsageError:
        return
    for ref in refs:
        try:
            found = load_image(ref)
        except ImageError:
            continue
        else:
            assert any(np.array_equal(found, one) for one in right)


@pytest.mark.slow
def test_isolated_decoders_read_them_too(tmp_path):
    path = zipped(tmp_path / "p.zip", [("1.jpg", jpeg()), ("2.jpg", jpeg()[:300])])
    good, bad = find_images(path)
    with Isolated() as load:
        assert np.array_equal(load(good).rgb, pixels(jpeg()))
        with pytest.raises(ImageError, match=r"p\.zip/2\.jpg: cut short"):
            load(bad)


def test_remote_zips_are_read_in_place(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")
    data = zipped(tmp_path / "p.zip", [(f"{n}.jpg", jpeg(n)) for n in range(3)]).read_bytes()
    system, root = fsspec.filesystem("memory"), f"/{tmp_path.name}"
    system.pipe_file(f"{root}/zips/p.zip", data)
    try:
        for spec in (f"memory:/{root}/zips", f"memory:/{root}/zips/p.zip"):
            refs = list(find_images(spec))
            assert [ref.rel for ref in refs] == ["p/0.jpg", "p/1.jpg", "p/2.jpg"]
            for n, ref in enumerate(refs):
                assert np.array_equal(load_image(ref), pixels(jpeg(n)))
    finally:
        system.rm(root, recursive=True)


def test_a_zip_of_another_name_is_told_how_it_is_read(tmp_path):
    zipped(tmp_path / "p.jpg", [("1.jpg", jpeg())])
    assert "name it .zip and its pictures are read where they lie" in problem(
        find_images(tmp_path / "p.jpg")
    )


def test_a_list_with_a_number_that_is_none_is_no_traceback(tmp_path):
    path = zipped(tmp_path / "p.zip", [("1.jpg", jpeg())])
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    assert "the zip" in problem(find_images(path))
