import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.measured.annotations import find_masks, read_boxes, read_mask

VOC = """<annotation><filename>other.jpg</filename>
<object><name>dog</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
</object></annotation>"""


def refusal(read):
    """What a reader says of a mistake; empty if there is none. Other exceptions pass."""
    try:
        read()
    except UsageError as error:
        return str(error)
    return ""


def ref(rel):
    return ImageRef(Path("/x") / rel, rel)


def test_voc_counts_from_one_and_parts_are_no_objects(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.xml").write_text(VOC)
    assert read_boxes(tmp_path).match([ref("a/1.jpg")]) == {"a/1.jpg": ((10, 20, 30, 40),)}
    assert read_boxes(tmp_path / "a" / "1.xml").match([ref("b/1.png")])["b/1.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(tmp_path, encoding):
    secret = tmp_path / "secret"
    secret.write_text("7")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>' + VOC.replace("11", "&x;")
    if encoding == "utf-16":
        text = '<?xml version="1.0" encoding="utf-16"?>' + text
    (tmp_path / "1.xml").write_text(text, encoding=encoding)
    with pytest.raises(UsageError, match="document type"):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1.xml", "<annotation>"),
        ("1.xml", VOC.replace("<xmin>11</xmin>", "")),
        ("1.xml", VOC.replace("30", "9")),
        ("1.xml", VOC.replace("30", "nan")),
        ("1.json", "[]"),
        ("1.json", '{"images": [], "annotations": [{"image_id": 3, "bbox": [0, 0, 1, 1]}]}'),
        ("1.csv", "path,a,b\nx,1,2"),
        ("1.csv", "path,x0,y0,x1,y1\nx.jpg,1,2,3"),
        ("1.csv", "path,x0,y0,x1,y1\n,1,2,3,4"),
        ("1.txt", "a.jpg,1,2,3"),
        ("1.txt", "a.jpg,1,2,3,x"),
        ("1.yaml", ""),
        ("1.csv", "\udcff"),
    ],
)
def test_broken_files_are_named(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"1\."):
        read_boxes(tmp_path / name)


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="no such"):
        read_boxes(tmp_path / "x")
    with pytest.raises(UsageError, match="xml"):
        read_boxes(tmp_path)
    with pytest.raises(UsageError, match="no such"):
        find_masks(tmp_path / "x", [])
    with pytest.raises(UsageError, match="has a mask"):
        find_masks(tmp_path, [ref("a.jpg")])


def test_coco(tmp_path):
    data = {
        "images": [{"id": 3, "file_name": "val/a.jpg"}, {"id": 4, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 3, "bbox": [1, 2, 10, 20]},
            {"image_id": 3, "bbox": [5, 5, 1, 1]},
            {"image_id": 4, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(data))
    boxes = read_boxes(tmp_path / "a.json").match([ref("val/a.jpg"), ref("b.jpg")])
    assert boxes == {"val/a.jpg": ((1, 2, 11, 22), (5, 5, 6, 6))}


@pytest.mark.parametrize(
    "header",
    ["path,x0,y0,x1,y1", "image,xmin,ymin,xmax,ymax", "file,x,y,w,h", "\ufefffile,x,y,w,h"],
)
def test_csv(tmp_path, header):
    sized = header.endswith("h")
    (tmp_path / "a.csv").write_text(
        f"{header}\nü 1.jpg,1,2,{2 if sized else 3},{3 if sized else 5}\n", encoding="utf-8"
    )
    assert read_boxes(tmp_path / "a.csv").by_name == {"ü 1": ((1, 2, 3, 5),)}


def test_wsolevaluation(tmp_path):
    (tmp_path / "l.txt").write_text(
        "val/a, b.JPEG,1,2,30,40\nval/a, b.JPEG,5,5,9,9\n\nc.JPEG,0,0,1,1"
    )
    found = read_boxes(tmp_path / "l.txt").match([ref("val/a, b.JPEG")])
    assert found == {"val/a, b.JPEG": ((1, 2, 30, 40), (5, 5, 9, 9))}


def test_a_list_of_masks_is_sent_to_masks(tmp_path):
    (tmp_path / "l.txt").write_text("val/a/1.jpg,val/a/1_m.png,val/a/1_ignore.png\n")
    with pytest.raises(UsageError, match=r"line 1 names a mask.*--masks"):
        read_boxes(tmp_path / "l.txt")


@given(st.text(max_size=80))
def test_any_text_is_boxes_or_a_usage_error(tmp_path_factory, text):
    for suffix in (".txt", ".csv", ".json", ".xml"):
        file = tmp_path_factory.getbasetemp() / f"any{suffix}"
        file.write_text(text, encoding="utf-8")
        try:
            boxes = read_boxes(file)
        except UsageError:
            continue
        assert all(len(b) == 4 for found in boxes.by_name.values() for b in found)


def test_ambiguous_file_names_are_not_guessed(tmp_path):
    (tmp_path / "l.txt").write_text("c.jpg,1,2,30,40\nx/d.jpg,1,2,3,4")
    boxes = read_boxes(tmp_path / "l.txt")
    assert list(boxes.match([ref("a/c.jpg"), ref("b/x/d.jpg")])) == ["a/c.jpg", "b/x/d.jpg"]
    with pytest.raises(UsageError, match="None of the images"):
        boxes.match([ref("a/c.jpg"), ref("b/c.jpg")])
    assert list(boxes.match([ref("c.jpg"), ref("b/c.jpg")])) == ["c.jpg"]


def test_boxes_of_one_stem_are_not_mixed(tmp_path):
    (tmp_path / "l.txt").write_text(
        "a/x.jpg,1,2,30,40\na/x.png,5,6,7,8\na/y.jpg,0,0,1,1\nz.0.jpg,0,0,2,2"
    )
    boxes = read_boxes(tmp_path / "l.txt")
    found = boxes.match(
        [ref(f"a/{name}") for name in ("x.jpg", "x.png", "x.bmp", "y.png", "z.0.jpg")]
    )
    assert found == {
        "a/x.jpg": ((1, 2, 30, 40),),
        "a/x.png": ((5, 6, 7, 8),),
        "a/y.png": ((0, 0, 1, 1),),  # converted; no other y
        "a/z.0.jpg": ((0, 0, 2, 2),),
    }
    with pytest.raises(UsageError, match=r"a/x\.jpg and of a/x\.png could be that of a/x\.bmp"):
        boxes.match([ref("a/x.bmp")])
    (tmp_path / "voc").mkdir()
    (tmp_path / "voc/x.xml").write_text(VOC)
    with pytest.raises(UsageError, match=r"x could be that of x\.jpg or of x\.png"):
        read_boxes(tmp_path / "voc").match([ref("x.jpg"), ref("x.png")])
    assert list(read_boxes(tmp_path / "voc").match([ref("x.jpg"), ref("y.png")])) == ["x.jpg"]


def test_masks_of_one_stem_are_not_mixed(tmp_path):
    for name in ("x.jpg.png", "x.png.png", "y.png"):
        (tmp_path / name).touch()
    refs = [ref(name) for name in ("x.jpg", "x.png", "y.jpg")]
    found = {rel: file.name for rel, file in find_masks(tmp_path, refs).items()}
    assert found == {"x.jpg": "x.jpg.png", "x.png": "x.png.png", "y.jpg": "y.png"}
    (tmp_path / "y.gif").touch()
    with pytest.raises(UsageError, match=r"y\.gif and y\.png in .* are both masks of y"):
        find_masks(tmp_path, refs)


def test_masks_trimaps_and_borders(tmp_path):
    values = np.array([[1, 2, 3]], np.uint8)
    Image.fromarray(values).save(tmp_path / "pet.png")
    mask, ignore = read_mask(tmp_path / "pet.png", trimap=True)
    assert mask.tolist() == [[True, False, False]]
    assert ignore.tolist() == [[False, False, True]]
    mask, ignore = read_mask(tmp_path / "pet.png")
    assert mask.all()
    assert ignore is None
    voc = Image.fromarray(np.array([[0, 15, 255]], np.uint8), "P")
    voc.putpalette([0] * 768)
    voc.save(tmp_path / "voc.png")
    mask, ignore = read_mask(tmp_path / "voc.png")
    assert mask.tolist() == [[False, True, False]]
    assert ignore.tolist() == [[False, False, True]]
    with pytest.raises(UsageError, match="trimap"):
        read_mask(tmp_path / "voc.png", trimap=True)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"bad\.png"):
        read_mask(tmp_path / "bad.png")


def test_masks_of_the_drawn_scenes(tmp_path):
    from camcli.data.synthetic.scenes import draw_scene, write_scenes

    write_scenes(tmp_path / "s", counts={"test": 1}, classes=("apple", "pear"), size=64)
    refs = list(find_images(tmp_path / "s" / "test"))
    found = find_masks(tmp_path / "s" / "masks" / "test", refs)
    assert set(found) == {"apple/0000.jpg", "pear/0000.jpg"}
    mask, _ = read_mask(found["pear/0000.jpg"])
    assert (mask == draw_scene("pear", 0, split="test", size=64).mask).all()


def test_dog_boxes(test_data):
    refs = list(find_images(test_data / "dog-boxes" / "images"))
    boxes = read_boxes(test_data / "dog-boxes" / "boxes").match(refs)
    assert len(boxes) == len(refs) == 20
    assert boxes["000002.jpg"] == ((116, 10, 353, 365),)


GOOD = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["1", "a.jpg", "..", "x/", 10**400, float("nan")]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["id", "file_name", "bbox", "image_id"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
PLACES = [
    (), ("images",), ("images", 0), ("images", 0, "id"), ("images", 0, "file_name"),
    ("annotations",), ("annotations", 0), ("annotations", 0, "image_id"),
    ("annotations", 0, "bbox"), ("annotations", 0, "bbox", 2), ("annotations", 0, "iscrowd"),
]  # fmt: skip


@given(st.sampled_from(PLACES), JSON)
def test_any_nesting_of_coco_is_boxes_or_one_sentence_with_the_file(tmp_path_factory, place, value):
    data = copy.deepcopy(GOOD)
    if place:
        inner = data
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
    else:
        data = value
    file = tmp_path_factory.mktemp("coco", numbered=True) / "boxes.json"
    file.write_text(json.dumps(data))
    said = refusal(lambda: read_boxes(file).match([ref("a.jpg")]))
    assert "boxes.json" in said or "None of the images" in said or not said


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        ((), [], "images"),
        (("images",), {}, "images should be a list"),
        (("images", 0), "a.jpg", "images[0]"),
        (("images", 0, "file_name"), 7, "images[0]: file_name"),
        (("images", 0, "id"), [1], "images[0]: id"),
        (("annotations",), None, "annotations should be a list"),
        (("annotations", 0), 3, "annotations[0]"),
        (("annotations", 0, "image_id"), 2, "annotations[0]: image_id 2"),
        (("annotations", 0, "bbox"), "1234", "annotations[0], bbox"),
        (("annotations", 0, "bbox"), {"x": 1}, "annotations[0], bbox"),
        (("annotations", 0, "bbox"), [1, 2, 3], "annotations[0], bbox"),
        (("annotations", 0, "bbox"), [1, 2, [3], 4], "annotations[0], bbox"),
        (("annotations", 0, "bbox"), [1, 2, 10**400, 4], "annotations[0], bbox"),
        (("annotations", 0, "bbox"), [1, 2, True, 4], "annotations[0], bbox"),
    ],
)
def test_what_is_wrong_in_coco_is_named_with_its_place(tmp_path, place, value, named):
    data = copy.deepcopy(GOOD)
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    if place:
        inner[place[-1]] = value
    (tmp_path / "b.json").write_text(json.dumps(data if place else value))
    with pytest.raises(UsageError) as caught:
        read_boxes(tmp_path / "b.json")
    assert named in str(caught.value)
    assert "b.json" in str(caught.value)


def test_numbers_may_be_texts_and_a_mark_may_begin_the_file(tmp_path):
    data = copy.deepcopy(GOOD)
    data["annotations"][0]["bbox"] = ["1", "2", "3", "4"]
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(data).encode())
    assert read_boxes(tmp_path / "b.json").match([ref("a.jpg")]) == {"a.jpg": ((1, 2, 4, 6),)}


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\xff",
        b"<a",
        b"<?xml version='1.0' encoding='x'?>",
        b"<?xml version='1.0' encoding='utf-7'?><a/>",
        b"path,x0,y0,x1,y1\n\x00,1,2,3,4\n",
        b"path,x0,y0,x1,y1\na,1,2\n",
        b"path,x0,y0,x1,y1\n..,1,2,3,4",
        b'path,x0,y0,x1,y1\n"' + b"a" * 200_000,
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("suffix", [".xml", ".json", ".csv", ".txt"])
def test_a_file_of_anything_is_boxes_or_a_sentence(tmp_path, suffix, content):
    file = tmp_path / f"odd{suffix}"
    file.write_bytes(content)
    said = refusal(lambda: read_boxes(file))
    assert "odd" in said or not said


def test_a_voc_box_without_a_corner_is_named(tmp_path):
    (tmp_path / "a.xml").write_text("<a><object><bndbox><xmin>1</xmin></bndbox></object></a>")
    with pytest.raises(UsageError, match=r"a\.xml, object 1: its bndbox has no ymin"):
        read_boxes(tmp_path)


def test_no_photograph_has_hundreds_of_thousands_of_boxes(tmp_path):
    rows = "a.jpg,1,2,3,4\n" * 300_000
    (tmp_path / "b.csv").write_text("path,x0,y0,x1,y1\n" + rows)
    with pytest.raises(UsageError, match=r"more than 10,000 boxes for the one photograph a\.jpg"):
        read_boxes(tmp_path / "b.csv")
