import io
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import load_image
from camcli.data.sources import refs
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import Blob
from camcli.errors import ImageError, UnavailableError, UsageError

fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")


def jpeg():
    data = io.BytesIO()
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture
def bucket(tmp_path):
    """A folder in memory, with the name that nobody else's has."""
    system, root = fsspec.filesystem("memory"), f"/{tmp_path.name}"
    for name in ("z.jpg", "b/2.JPG", "b/10.jpeg", "a/c/x y.png", "a/ü.jpg", "n.txt", ".g/x.jpg"):
        system.pipe_file(f"{root}/photos/{name}", jpeg())
    system.pipe_file(f"{root}/photos/b/cut.jpg", jpeg()[:300])
    yield f"memory:/{root}"
    system.rm(root, recursive=True)


def rels(spec, **options):
    return [ref.rel for ref in find_images(spec, **options)]


def test_a_remote_folder_is_walked_like_a_local_one(bucket):
    source = find_images(f"{bucket}/photos", labels="folder")
    expected = ["z.jpg", "a/ü.jpg", "a/c/x y.png", "b/10.jpeg", "b/2.JPG", "b/cut.jpg"]
    assert [ref.rel for ref in source] == expected == [ref.rel for ref in source]
    assert [ref.label for ref in source][3:] == ["b"] * 3
    assert source.count() == 6
    assert source.finder.root == f"{bucket}/photos"
    for ref in source:
        if ref.rel == "b/cut.jpg":
            with pytest.raises(ImageError, match=r"photos/b/cut\.jpg: cut short"):
                load_image(ref)
        else:
            assert load_image(ref).shape == (40, 50, 3)
    assert rels(f"{bucket}/photos", recursive=False) == ["z.jpg"]
    assert rels(f"{bucket}/photos/", limit=2) == expected[:2]


def test_other_ways_to_name_remote_images(bucket, tmp_path):
    assert rels(f"{bucket}/photos/b/2.JPG") == ["2.JPG"]
    assert rels(f"{bucket}/photos/*") == ["z.jpg"]
    assert rels(f"{bucket}/photos/*/*.j*g") == ["a/ü.jpg", "b/10.jpeg", "b/cut.jpg"]
    assert rels(f"{bucket}/photos/{{z,a/ü}}.jpg") == ["z.jpg", "a/ü.jpg"]
    (tmp_path / "list").write_text(f"{bucket}/photos/a/ü.jpg\n{bucket}/photos/b/2.JPG\n")
    source = find_images(f"@{tmp_path / 'list'}")
    assert [ref.rel for ref in source] == ["a/ü.jpg", "b/2.JPG"]
    assert source.finder.root == f"{bucket}/photos"
    assert all(load_image(ref).shape == (40, 50, 3) for ref in source)
    (tmp_path / "x.jpg").write_bytes(jpeg())
    mixed = list(find_images([tmp_path / "x.jpg", f"{bucket}/photos/z.jpg"]))
    assert len({ref.rel for ref in mixed}) == 2
    assert all(load_image(ref).shape == (40, 50, 3) for ref in mixed)


def test_remote_shards_are_read_in_place(bucket):
    system, root = fsspec.core.url_to_fs(f"{bucket}/shards")
    for n in range(2):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for name, content in [("1.jpg", jpeg()), ("1.cls", b"3"), ("2.jpg", jpeg()[:99])]:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        system.pipe_file(f"{root}/s-{n}.tar", data.getvalue())
    system.pipe_file(f"{root}/s-2.tar", data.getvalue()[:1000])
    source = find_images(f"{bucket}/shards")
    found = list(source)
    assert [ref.rel for ref in found] == [
        "s-0/1.jpg", "s-0/2.jpg", "s-1/1.jpg", "s-1/2.jpg", "s-2/1.jpg", "s-2.tar",
    ]  # fmt: skip
    assert found[0].label == "3"
    assert load_image(found[2]).shape == (40, 50, 3)
    for ref in (found[1], *found[4:]):
        with pytest.raises(ImageError):
            load_image(ref)
    assert source.count() is None  # counting would download them
    assert rels(f"{bucket}/shards/s-{{0..1}}.tar") == [ref.rel for ref in found[:4]]


def test_nothing_there(bucket, tmp_path):
    for url in (f"{bucket}/none", f"{bucket}/none.jpg"):
        with pytest.raises(UsageError, match=f"nothing at {url}"):
            find_images(url)
    with pytest.raises(UsageError, match="No images"):
        find_images(f"{bucket}/photos/*.gif")
    (tmp_path / "list").write_text(f"{bucket}/photos/gone.jpg\n")
    (ref,) = find_images(f"@{tmp_path / 'list'}")
    with pytest.raises(ImageError, match=r"gone\.jpg: there is no such object"):
        load_image(ref)


def test_what_is_not_installed_is_named(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UnavailableError, match=r"pip install 'camcli\[remote\]'"):
        find_images("s3://bucket/photos")


@pytest.mark.parametrize("scheme", ["nosuchscheme", "ftp", "FTP", "sftp", "foo+bar"])
def test_urls_that_nothing_reads(scheme):
    with pytest.raises(UsageError, match=rf"{re.escape(scheme)}://.* read"):
        find_images(f"{scheme}://host/photos")


def test_a_driver_that_cannot_connect_is_one_sentence(monkeypatch):
    def fail(url):
        raise OSError("no route to host")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    with pytest.raises(UsageError, match=r"could not be opened \(OSError: no route to host\)"):
        find_images("http://host/photos")


def test_a_file_url_is_a_path(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "1.jpg").write_bytes(b"x")
    url = (tmp_path / "a b").as_uri()
    assert "%20" in url
    assert rels(url) == ["1.jpg"]
    (tmp_path / "list").write_text(f"{url}/1.jpg\n")
    (ref,) = find_images(f"@{tmp_path / 'list'}")
    assert ref.path == tmp_path / "a b" / "1.jpg"
    with pytest.raises(UsageError, match="another machine"):
        find_images("file://server/photos")
    with pytest.raises(UsageError, match="No file or folder"):
        find_images("file:///no/such/folder")


def test_a_read_that_fails_for_a_moment_is_repeated(bucket, monkeypatch):
    system, _ = fsspec.core.url_to_fs(bucket)
    blob, slept, outcomes = Blob(f"{bucket}/photos/z.jpg"), [], [OSError("reset"), TimeoutError()]
    monkeypatch.setattr(refs.time, "sleep", slept.append)
    read = type(system).cat_file

    def flaky(self, path, **options):
        if outcomes:
            raise outcomes.pop(0)
        return read(self, path, **options)

    monkeypatch.setattr(type(system), "cat_file", flaky)
    assert blob.read() == jpeg()
    assert slept == [1.0, 4.0]
    outcomes += [OSError("reset")] * 3
    with pytest.raises(ImageError, match="OSError: reset"):
        blob.read()
