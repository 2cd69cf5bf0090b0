import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.images import load_image
from camcli.data.sources import find_images
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
    shard(tmp_path / "a.tar", [*beside, ("x/1.jpg", jpeg()), ("x/2.jpg", jpeg())])
    shard(tmp_path / "b.tar", [("x/1.jpg", jpeg()), *beside, ("x/2.jpg", jpeg())])
    refs = list(find_images(tmp_path).numbered(("cat", "dog")))
    assert [(ref.rel, ref.label) for ref in refs] == [
        ("a/x/1.jpg", label), ("a/x/2.jpg", None), ("b/x/1.jpg", label), ("b/x/2.jpg", None),
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
