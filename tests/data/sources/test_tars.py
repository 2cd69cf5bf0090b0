import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.errors import ImageError, UsageError


def jpeg(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).resize((50, 40)).save(data, "JPEG")
    return data.getvalue()


def shard(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def found(spec, **options):
    return [(ref.rel, ref.label) for ref in find_images(spec, **options)]


def test_a_member_is_read_where_it_lies(tmp_path):
    data = [jpeg(n) for n in range(3)]
    shard(tmp_path / "s-000.tar", [(f"{n}.jpg", d) for n, d in enumerate(data)])
    refs = list(find_images(tmp_path / "s-000.tar"))
    assert [ref.rel for ref in refs] == ["s-000/0.jpg", "s-000/1.jpg", "s-000/2.jpg"]
    for ref, one in zip(refs, data, strict=True):
        assert ref.path == tmp_path / "s-000.tar" / ref.rel.split("/")[1]
        with Image.open(io.BytesIO(one)) as image:
            assert np.array_equal(load_image(ref), np.asarray(image))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s-000.tar"]


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ([("cls", b"1")], "dog"),
        ([("cls", b"cat\n")], "cat"),
        ([("cls", b"7")], "7"),  # no such class
        ([("json", json.dumps({"label": 0, "width": 3}).encode())], "cat"),
        ([("json", json.dumps({"label": "dog", "class_id": 0}).encode())], "dog"),
        ([("json", json.dumps({"caption": "a cat"}).encode())], None),
        ([("json", b"{")], None),
        ([("txt", b"a cat")], None),
        ([], None),
    ],
)
def test_labels_before_or_after_the_image(tmp_path, files, label):
    beside = [(f"x/1.{extension}", data) for extension, data in files]
    shard(tmp_path / "s-0.tar", [*beside, ("x/1.jpg", jpeg()), ("x/2.jpg", jpeg())])
    shard(tmp_path / "s-1.tar", [("x/1.jpg", jpeg()), *beside, ("x/2.jpg", jpeg())])
    refs = list(find_images(tmp_path).numbered(("cat", "dog")))
    assert [(ref.rel, ref.label) for ref in refs] == [
        ("s-0/x/1.jpg", label), ("s-0/x/2.jpg", None),
        ("s-1/x/1.jpg", label), ("s-1/x/2.jpg", None),
    ]  # fmt: skip
    assert all(ref.label is None for ref in find_images(tmp_path, labels="none"))
    assert all(ref.label == "x" for ref in find_images(tmp_path, labels="folder"))


def test_a_samples_other_pictures_are_no_images_but_dotted_names_are(tmp_path):
    one = jpeg()
    shard(
        tmp_path / "a.tar",
        [("1.jpg", one), ("1.seg.png", one), ("cat.0.jpg", one), ("cat.1.jpg", one),
         ("._1.jpg", one), (".hid/1.jpg", one), ("1.txt", b"x")],
    )  # fmt: skip
    assert [rel for rel, _ in found(tmp_path)] == ["a/1.jpg", "a/cat.0.jpg", "a/cat.1.jpg"]


def test_names_stay_inside_and_apart(tmp_path):
    names = ["./x.jpg", "/etc/y.jpg", "../../x.jpg", "x.jpg", "a\\b.jpg"]
    shard(tmp_path / "a.tar", [(name, jpeg()) for name in names])
    assert [rel for rel, _ in found(tmp_path)] == [
        "a/x.jpg", "a/etc/y.jpg", "a/x~2.jpg", "a/x~3.jpg", "a/a/b.jpg",
    ]  # fmt: skip


def test_ways_to_name_shards(tmp_path, monkeypatch):
    for n in range(8, 12):
        shard(tmp_path / f"in/s-{n:03}.tar", [("1.jpg", jpeg())])
    expected = ["s-009/1.jpg", "s-010/1.jpg"]
    names = [str(tmp_path / f"in/s-{n:03}.tar") for n in (9, 10)]
    (tmp_path / "list.txt").write_text("\n".join(names))
    assert [rel for rel, _ in found(str(tmp_path / "in/s-{009..010}.tar"))] == expected
    assert [rel for rel, _ in found(str(tmp_path / "in/s-{009,010}.tar"))] == expected
    assert [rel for rel, _ in found(names)] == expected
    assert [rel for rel, _ in found(f"@{tmp_path / 'list.txt'}")] == expected
    assert len(found(str(tmp_path / "in/*.tar"))) == 4
    assert len(found(tmp_path)) == 4
    assert found(tmp_path)[0][0] == "in/s-008/1.jpg"
    assert len(found(str(tmp_path / "in/s-{8..11}.tar"))) == 4  # s-8.tar and s-9.tar are missing
    assert find_images(tmp_path, limit=3).count() == 3
    # The archive of a data set beside its pictures would double them.
    (tmp_path / "in/p.jpg").write_bytes(jpeg())
    assert found(tmp_path / "in") == [("p.jpg", None)]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd{1,2}.jpg").write_bytes(jpeg())
    assert found("odd{1,2}.jpg") == [("odd{1,2}.jpg", None)]
    with pytest.raises(UsageError, match="No file or folder"):
        find_images("none-{1..1}.tar")


def test_what_is_wrong_with_a_shard_is_an_error_row_after_what_is_right(tmp_path):
    good = shard(tmp_path / "good.tar", [(f"{n}.jpg", jpeg(n)) for n in range(4)]).read_bytes()
    header = 512 + -(-len(jpeg(0)) // 512) * 512  # where the second member starts

    def errors(data, name="x.tar"):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        rels, texts = [], []
        for ref in find_images([tmp_path / "good.tar", tmp_path / name]):
            rels.append(ref.rel)
            try:
                load_image(ref)
            except ImageError as error:
                texts.append(str(error))
        assert rels[:4] == [f"good/{n}.jpg" for n in range(4)]
        return rels[4:], texts

    rels, (text,) = errors(None)
    assert rels == ["x.tar"]
    assert text == f"{tmp_path}/x.tar: the shard could not be read (No such file or directory)."
    rels, (text,) = errors(b"")
    assert "is empty" in text
    rels, (text,) = errors(b"\x1f\x8b" + good)
    assert "is compressed" in text
    rels, (text,) = errors(b"hello" * 1000)
    assert "no tar" in text
    # Cut within a member's pixels, and exactly between two members.
    rels, texts = errors(good[: header + 700])
    assert rels == ["x/0.jpg", "x/1.jpg", "x.tar"]
    assert "ends within it" in texts[0]
    assert "damaged after 1.jpg" in texts[1]
    rels, (text,) = errors(good[:header])
    assert rels == ["x/0.jpg", "x.tar"]
    assert "damaged after 0.jpg (no end mark" in text
    broken = bytearray(good)
    broken[header + 100] ^= 0xFF
    rels, (text,) = errors(bytes(broken))
    assert rels == ["x/0.jpg", "x.tar"]
    assert "damaged after 0.jpg (damaged header)" in text
    # A damaged picture in a sound shard.
    shard(tmp_path / "x.tar", [("a.jpg", jpeg()[:200]), ("b.jpg", b""), ("c.jpg", jpeg())])
    rels, texts = errors(None)
    assert rels == ["x/a.jpg", "x/b.jpg", "x/c.jpg"]
    assert len(texts) == 2
    assert texts[0].startswith(f"{tmp_path}/x.tar/a.jpg: cut short")


def test_a_shard_without_images_is_nothing(tmp_path):
    shard(tmp_path / "a.tar", [("1.txt", b"x")])
    with pytest.raises(UsageError, match="No images"):
        find_images(tmp_path)


def told(spec):
    """Relative path -> what is wrong with it, or its pixels' checksum."""
    rows = {}
    refs = list(find_images(spec))
    assert len({ref.rel for ref in refs}) == len(refs)
    for ref in refs:
        try:
            rows[ref.rel] = int(load_image(ref).astype(int).sum())
        except ImageError as error:
            rows[ref.rel] = str(error).partition(": ")[2]
    return rows


def member(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def test_links_inside_a_shard_are_the_images_that_they_lead_to(tmp_path):
    hard, soft = {"type": tarfile.LNKTYPE}, {"type": tarfile.SYMTYPE}
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        member(archive, "early.jpg", linkname="./d/a.jpg", **soft)  # leads to what follows it
        member(archive, "d/a.jpg", jpeg(1))
        member(archive, "b.jpg", linkname="d/a.jpg", **hard)
        member(archive, "d/c.jpg", linkname="../b.jpg", **soft)
        member(archive, "b.cls", b"7")
        member(archive, "e/e.cls", linkname="../b.cls", **soft)
        member(archive, "e/e.jpg", jpeg(2))
        member(archive, "gone.jpg", linkname="nowhere.jpg", **hard)
        member(archive, "out.jpg", linkname="../../etc/passwd", **soft)
        member(archive, "abs.jpg", linkname="/etc/passwd", **soft)
        member(archive, "ring.jpg", linkname="ring2.jpg", **soft)
        member(archive, "ring2.jpg", linkname="ring.jpg", **soft)
        member(archive, "dev.jpg", type=tarfile.CHRTYPE)
        member(archive, "notes.txt", linkname="nowhere", **soft)
    rows = told(tmp_path / "s.tar")
    with Image.open(io.BytesIO(jpeg(1))) as image:
        one = int(np.asarray(image).astype(int).sum())
    for name in ("early", "d/a", "b", "d/c"):
        assert rows.pop(f"s/{name}.jpg") == one
    assert isinstance(rows.pop("s/e/e.jpg"), int)
    assert "hard link to 'nowhere.jpg', which is not in the shard" in rows.pop("s/gone.jpg")
    for name in ("out", "abs", "ring", "ring2"):
        assert "a symbolic link to" in rows.pop(f"s/{name}.jpg")
    assert "a device" in rows.pop("s/dev.jpg")
    assert not rows
    assert dict(found(tmp_path / "s.tar"))["s/e/e.jpg"] == "7"


def test_every_member_that_is_a_picture_gets_a_row_whatever_its_stem(tmp_path):
    names = ["cat.jpg", "cat.1.jpg", "cat.2.png", "cat.Mask.jpg", "d/2024.01.31.png", "d/2024.jpg",
             "x.seg.png", "y.jpg", "y.depth.png"]  # fmt: skip
    shard(tmp_path / "s.tar", [(name, jpeg()) for name in names])
    assert [rel for rel, _ in found(tmp_path)] == [f"s/{name}" for name in names[:-1]]


def test_labels_of_dotted_names_do_not_mix(tmp_path):
    shard(
        tmp_path / "s.tar",
        [("a.0.jpg", jpeg()), ("a.0.cls", b"cat"), ("a.1.jpg", jpeg()), ("a.1.cls", b"dog"),
         ("a.2.jpg", jpeg()), ("b.jpg", jpeg()), ("b.1.jpg", jpeg()),
         ("b.meta.json", b'{"label": "owl"}')],
    )  # fmt: skip
    assert [label for _, label in found(tmp_path)] == ["cat", "dog", None, "owl", "owl"]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_no_disk_takes(tmp_path, form):
    long = "x" * 300 + ".jpg"
    names = [long, "y" * 140_000 + ".jpg", "a/" * 70_000 + "z.jpg", "d/" + "é" * 200 + ".JPEG",
             "x" * 299 + "y.jpg", "a.jpg", "a.jpg/b.jpg", "a.jpg/c/d.jpg", "a.jpg", "a~2.jpg",
             "e/f.jpg", "e.jpg", "e", "line\nfeed.jpg", "\udcff.jpg"]  # fmt: skip
    with tarfile.open(tmp_path / "s.tar", "w", format=form) as archive:
        for n, name in enumerate(names):
            member(archive, name, jpeg(n))
    rows = told(tmp_path / "s.tar")
    assert len(rows) == len(names) - 1  # "e" is no picture
    assert all(isinstance(what, int) for what in rows.values())
    for rel in rows:
        assert all(len(os.fsencode(part)) <= 200 for part in rel.split("/"))
        assert len(os.fsencode(rel)) < 1100
        place = tmp_path / "out" / rel  # each is a file, and no other's folder
        place.parent.mkdir(parents=True, exist_ok=True)
        place.open("xb").close()
    assert list(rows)[5:10] == [
        "s/a.jpg", "s/a~2.jpg/b.jpg", "s/a~2.jpg/c/d.jpg", "s/a~3.jpg", "s/a~2~2.jpg",
    ]  # fmt: skip
    assert list(rows) == list(told(tmp_path / "s.tar"))


def test_a_name_with_a_nul(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member(archive, "plain.jpg", jpeg(), pax_headers={"path": "a\0b.jpg"})
    assert [type(what) for what in told(tmp_path / "s.tar").values()] == [int]


def test_a_sparse_member_is_an_error_row_and_the_rest_is_read(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member(archive, "a.jpg", jpeg())
        sparse = {"GNU.sparse.map": "0,512", "GNU.sparse.size": "4096", "GNU.sparse.name": "b.jpg"}
        member(archive, "GNUSparseFile.0/b.jpg", bytes(512), pax_headers=sparse)
        member(archive, "c.jpg", jpeg())
    rows = told(tmp_path / "s.tar")
    assert list(rows) == ["s/a.jpg", "s/b.jpg", "s/c.jpg"]
    assert "sparse file" in rows["s/b.jpg"]
    assert isinstance(rows["s/c.jpg"], int)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_skipped_unread(tmp_path, kind):
    """64 MB that are no name; the member behind it has its own."""
    import tracemalloc

    path = tmp_path / "s.tar"
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, 64 << 20
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.seek(64 << 20, 1)  # a hole
        with tarfile.open(fileobj=file, mode="w") as archive:
            member(archive, "a.jpg", jpeg())
    tracemalloc.start()
    rows = told(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(rows) == ["s/a.jpg"]
    assert isinstance(rows["s/a.jpg"], int)
    assert peak < 16 << 20


def test_a_size_that_is_a_lie_takes_no_memory(tmp_path):
    """Of 100 GB, and below 0, which would send a reader round in circles."""
    for name, size in (("big", 100 << 30), ("minus", -(1 << 40))):
        info = tarfile.TarInfo("a.jpg")
        info.size = size
        with (tmp_path / f"{name}.tar").open("wb") as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.write(bytes(4096))
        rows = told([tmp_path / f"{name}.tar", tmp_path / "nowhere.jpg"])
        assert len(rows) >= 2
        assert all(isinstance(what, str) for what in rows.values())


def test_many_members_of_one_name(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for _ in range(3000):
            member(archive, "a.jpg")
    rels = [rel for rel, _ in found(tmp_path)]
    assert rels[:3] == ["s/a.jpg", "s/a~2.jpg", "s/a~3.jpg"]
    assert len(set(rels)) == 3000


def test_images_of_a_folder_and_of_a_tar_never_share_a_name(tmp_path):
    for name in ("s/cat.jpg", "s/dog.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg())
    shard(tmp_path / "s.tar", [("cat.jpg", jpeg()), ("t/x.jpg", jpeg())])
    shard(tmp_path / "s/t.tar", [("x.jpg", jpeg())])
    names = [tmp_path / name for name in ("s", "s.tar", "s/t.tar")]
    expected = ["s/cat.jpg", "s/dog.jpg", "s/cat~2.jpg", "s/t/x.jpg", "s/t/x~2.jpg"]
    assert [rel for rel, _ in found(names)] == expected
    (tmp_path / "list.txt").write_text("s/cat.jpg\ns/dog.jpg\ns.tar\ns/t.tar")
    assert [rel for rel, _ in found(f"@{tmp_path / 'list.txt'}")] == expected
    assert [ref.path.name for ref in find_images(names)][2] == "cat.jpg"  # which it is called
    # Tars alone: one's name leads into the other.
    assert len({rel for rel, _ in found(names[1:])}) == 3
    assert find_images(names).count() == 5


@pytest.mark.parametrize("name", ["s.tar.gz", "s.TGZ", "s.tar.zst", "s.tar"])
def test_a_compressed_shard_is_one_row_that_says_so(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08" + bytes(100))
    (what,) = told(tmp_path / name).values()
    assert "decompress it first" in what


@pytest.mark.parametrize(
    ("name", "data"),
    [("b.json", b"[" * 100_000), ("b.cls", b"9" * 5000), ("b.json", b'{"label": 1e400}'),
     ("b.cls", b"\xff\0"), ("b.json", b'{"label": ' + b"9" * 5000 + b"}")],
)  # fmt: skip
def test_no_label_ends_a_shard(tmp_path, name, data):
    members = [("a.jpg", jpeg()), (name, data), ("b.jpg", jpeg()), ("c.jpg", jpeg())]
    shard(tmp_path / "s.tar", members)
    assert [rel for rel, _ in found(tmp_path / "s.tar")] == ["s/a.jpg", "s/b.jpg", "s/c.jpg"]


@pytest.mark.parametrize(
    "headers",
    [{"size": "9" * 20}, {"GNU.sparse.map": "0,1,x"},
     {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}],
)  # fmt: skip
def test_numbers_in_headers_that_are_none_are_damage_in_plain_words(tmp_path, headers):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(jpeg())
            info.pax_headers = headers if name == "b.jpg" else {}
            archive.addfile(info, io.BytesIO(jpeg()))
    *_, last = find_images(tmp_path / "s.tar")
    assert last.rel == "s.tar"
    with pytest.raises(ImageError, match=r"damaged after [ab]\.jpg \(damaged header\)"):
        load_image(last)


def test_leftovers_in_a_tar_are_left_out_and_counted(tmp_path):
    names = ["x/1.jpg", "x/@eaDir/1.jpg/M.jpg", "x/@eaDir/2.jpg/M.jpg", "__MACOSX/x/._1.jpg",
             "y/@eaDir/a.jpg", "._z.jpg", "x/1.NEF", "x/Thumbs.db", ".cache/q.jpg"]  # fmt: skip
    shard(tmp_path / "s.tar", [(name, jpeg()) for name in names])
    source = find_images(tmp_path / "s.tar")
    for _ in range(2):  # the same, however often it is walked
        assert [ref.rel for ref in source] == ["s/x/1.jpg"]
        assert source.left_out.note() == (
            "Left out: 2 @eaDir folders in a tar, 1 Thumbs.db file in a tar, 1 __MACOSX folder in "
            "a tar, 1 camera raw file (.nef) in a tar, 1 hidden file in a tar, 1 hidden folder in "
            "a tar (name one as the source to take it)."
        )
