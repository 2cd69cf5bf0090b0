"""Boxes of pictures of another size, by the photographs' own headers; and edges as people write."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.measured.annotations import read_boxes, truth_of
from camcli.evaluate.measured.box_files import NamedBox
from camcli.evaluate.measured.box_sizes import fitted
from camcli.evaluate.measured.square_canvas import SIDE
from camcli.train.fitting.localizer import within


def voc(size, corners, name="dog"):
    """A VOC file; corners as edges."""
    width, height = size
    x0, y0, x1, y1 = corners
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size><object>"
        f"<name>{name}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object></annotation>"
    )


def picture(folder, name, size, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size).save(folder / name, exif=exif)
    return ImageRef(folder / name, name)


def boxes_of(folder, refs):
    told = []
    return fitted(read_boxes(folder / "boxes").match(refs), refs, told.append), told


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "boxes").mkdir()
    return tmp_path


@pytest.mark.parametrize("size", [(250, 150), (1000, 600), (167, 100), (84, 50)])
def test_boxes_go_with_a_photograph_that_was_scaled(folder, size):
    (folder / "boxes" / "a.xml").write_text(voc((500, 300), (50, 30, 250, 150)))
    found, told = boxes_of(folder, [picture(folder, "a.jpg", size)])
    (box,) = found["a.jpg"]
    assert np.allclose(box, np.array([0.1, 0.1, 0.5, 0.5]) * [*size, *size])
    assert box.name == "dog"
    (line,) = told
    assert "boxes of 1 photograph (a.jpg) were drawn on pictures of another size" in line


def test_another_shape_is_told_and_the_same_size_is_not(folder):
    for name, of in (("a", (500, 300)), ("b", (500, 300)), ("c", (0, 0)), ("d", ("?", "nan"))):
        (folder / "boxes" / f"{name}.xml").write_text(voc(of, (50, 30, 250, 150)))
    sizes = {"a": (500, 300), "b": (300, 300), "c": (99, 77), "d": (99, 77)}
    refs = [picture(folder, f"{name}.jpg", size) for name, size in sizes.items()]
    found, told = boxes_of(folder, refs)
    assert all(own == ((50, 30, 250, 150),) for own in found.values())
    (line,) = told
    assert "b.jpg is 300x300 pixels, and its annotation is of a picture of 500x300" in line


def test_a_photograph_lies_as_it_is_shown(folder):
    """A turned one, whose boxes were drawn on what a person saw."""
    (folder / "boxes" / "a.xml").write_text(voc((300, 500), (30, 50, 150, 250)))
    found, told = boxes_of(folder, [picture(folder, "a.jpg", (500, 300), orientation=6)])
    assert found["a.jpg"] == ((30, 50, 150, 250),)
    assert not told
    found, told = boxes_of(folder, [picture(folder, "a.jpg", (500, 300))])
    assert "a.jpg is 500x300 pixels" in told[0]


def test_coco_tells_sizes_as_well(tmp_path):
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
        "annotations": [{"image_id": 1, "bbox": [20, 10, 100, 50]}],
    }
    (tmp_path / "b.json").write_text(json.dumps(data))
    ref = picture(tmp_path, "a.jpg", (100, 50))
    found = fitted(read_boxes(tmp_path / "b.json").match([ref]), [ref], lambda text: None)
    assert found["a.jpg"] == ((10, 5, 60, 30),)
    broken = ImageRef(tmp_path / "none.jpg", "a.jpg")  # which says so when it is looked at
    boxes = {"a.jpg": (NamedBox((1, 2, 3, 4), "", (9, 9)),)}
    assert fitted(boxes, [broken], pytest.fail) == boxes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "path,x0,y0,x1,y1\na.jpg,0.1,0.2,0.5,0.75\n", "between 0 and 1"),
        ("a.txt", "a.jpg,0,0,1,1\na.jpg,0.1,0.2,0.5,0.75\n", "multiply them by the width"),
        ("a.csv", "path,x0,y0,x1,y1\na.jpg,30,2,5,75\n", "line 2: the box .* ends before it begin"),
        ("a.txt", "a.jpg,1,80,5,75\n", "line 1: the box .* ends before it begins"),
        ("a.csv", "path,x,y,w,h\na.jpg,30,2,0,75\n", "has no area"),
        ("a.txt", "0 0.5 0.5 0.2 0.3\n", "YOLO's files"),
        ("a.csv", "path,x0,y0,x1,y1\n", "there is none in the annotations"),
        ("a.csv", "", "needs a header"),
        ("a.csv", "a.jpg,1,2,30,40\n", "Its first line is 'a.jpg,1,2,30,40'"),
        ("a.csv", "path,x0,y0,x1,y1\na.jpg,nan,2,5,75\n", "is not a finite number"),
        ("a.csv", "path,x,y,w,h\na.jpg,1,2,inf,75\n", "is not a finite number"),
        ("a.xml", "<annotation></annotation>", "there is none in the annotations"),
        ("a.json", '{"images": [], "annotations": []}', "there is none in the annotations"),
    ],
)
def test_what_people_give_for_boxes_is_refused_with_the_reason(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        read_boxes(tmp_path / name).match([ImageRef(tmp_path / "a.jpg", "a.jpg")])


def test_a_folder_of_yolo_is_told_from_an_empty_one(tmp_path):
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.3\n")
    with pytest.raises(UsageError, match="YOLO"):
        read_boxes(tmp_path)


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_table_may_have_other_signs_between_its_columns(tmp_path, between):
    rows = [["path", "x0", "y0", "x1", "y1", "class"], ["a.jpg", "1", "2", "3", "5", "dog"]]
    (tmp_path / "a.csv").write_text("\n".join(between.join(row) for row in rows))
    assert read_boxes(tmp_path / "a.csv").by_file == {"a.jpg": ((1, 2, 3, 5),)}


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize(
    "header",
    [
        "filename width height class xmin ymin xmax ymax",  # TensorFlow's, of Roboflow
        "img_path x_min y_min x_max y_max width height label_name",
        "image_name x1 y1 x2 y2 label width height",
        "ImageID XMin XMax YMin YMax LabelName width height",  # Open Images, in pixels
        "FilePath left top right bottom class width height",
    ],
)
def test_tables_of_other_programs_as_pandas_writes_them(tmp_path, header, suffix):
    value = {"xmin": 1, "x1": 1, "left": 1, "ymin": 2, "y1": 2, "top": 2, "xmax": 3, "x2": 3,
             "right": 3, "ymax": 5, "y2": 5, "bottom": 5, "width": 640, "height": 480}  # fmt: skip
    names = header.split()
    row = {n: value.get(n.lower().replace("_", ""), "dog") for n in names}
    row[next(n for n in names if "im" in n.lower() or "file" in n.lower())] = "a.jpg"
    file = tmp_path / f"a.{suffix}"
    pd = pytest.importorskip("pandas")
    pd.DataFrame([row]).to_csv(file, index=False, sep="," if suffix == "csv" else "\t")
    (box,) = read_boxes(file).match([ImageRef(tmp_path / "a.jpg", "a.jpg")])["a.jpg"]
    assert tuple(box) == (1, 2, 3, 5)
    assert isinstance(box, NamedBox)
    assert (box.name, box.of) == ("dog", (640, 480))


EDGES = st.tuples(*[st.integers(-300, 600)] * 4).filter(lambda b: b[0] < b[2] and b[1] < b[3])


@given(EDGES, st.tuples(st.integers(1, 400), st.integers(1, 400)))
@example((0, 95, 1, 96), (1, 95))
def test_what_teaches_and_what_measures_cut_boxes_the_same(box, size):
    """At the photograph's edges, and nothing is left of what lies outside."""
    cut = within([box], size)
    placed = truth_of(size, [box]).boxes
    assert len(cut) == len(placed)
    if len(cut):
        assert np.allclose(placed[0], np.array(cut[0]) * SIDE / np.array([*size, *size]))


def test_every_form_says_the_same_of_one_box(tmp_path):
    """One box written in all forms, as their programs count."""
    (tmp_path / "voc").mkdir()
    (tmp_path / "voc" / "a.xml").write_text(voc((99, 99), (10, 20, 30, 60)))
    (tmp_path / "a.csv").write_text("image,xmin,ymin,xmax,ymax\na.jpg,10,20,30,60\n")
    (tmp_path / "b.csv").write_text("image,x,y,width,height\na.jpg,10,20,20,40\n")
    (tmp_path / "a.txt").write_text("a.jpg,10,20,30,60\n")
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "images": [{"id": "7", "file_name": "a.jpg"}],
                "annotations": [{"image_id": "7", "bbox": [10, 20, 20, 40], "iscrowd": 0}],
            }
        )
    )
    ref = ImageRef(tmp_path / "a.jpg", "a.jpg")
    for name in ("voc", "a.csv", "b.csv", "a.txt", "a.json"):
        assert read_boxes(tmp_path / name).match([ref]) == {"a.jpg": ((10, 20, 30, 60),)}, name
