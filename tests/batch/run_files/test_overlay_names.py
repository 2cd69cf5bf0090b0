import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.run_files.disk_names import DiskNames
from camcli.batch.run_files.overlay_names import Namer
from camcli.data.sources.refs import Blob, ImageRef
from camcli.errors import ImageError, UsageError
from camcli.result import Result


def result(rel, pred="cat", label=None):
    return Result(ref=ImageRef(Path("/nowhere") / rel, rel, label), pred=pred, prob=0.5)


def test_default_mirrors_the_tree_and_keeps_jpg():
    namer = Namer()
    assert namer.name(result("a/b/frame_0001.jpg")) == "a/b/frame_0001.jpg"
    assert namer.name(result("a/x.png")) == "a/x.png.jpg"
    assert namer.name(result("a/x.JPEG")) == "a/x.JPEG.jpg"


def test_png_beside_a_photograph_of_the_resulting_name(tmp_path):
    for name in ("x.png", "x.png.jpg"):
        (tmp_path / name).touch()
    namer = Namer()
    got = {
        namer.name(Result(ref=ImageRef(tmp_path / n, n), pred="cat"))
        for n in ("x.png", "x.png.jpg")
    }
    assert len(got) == 2


NAMES = ["x.jpg", "x.png", "x.jpeg", "x.JPG", "x.png.jpg", "x.png.jpg.jpg", "x.jpg.jpg",
         "x.JPG.jpg", "x.jpg.png", "x.dat", "x.dat.jpg", "x.overlay.jpg", "x.png.overlay.jpg", "x",
         ".x.png", ".x.png.jpg", "cat.0.jpg", "cat.0.png"]  # fmt: skip


@pytest.mark.parametrize("inside", [False, True])
def test_no_two_images_share_a_picture_and_nobody_need_know_the_others(tmp_path, inside):
    blob = Blob("s.tar", 0, 1) if inside else None
    for name in NAMES:
        (tmp_path / name).touch()
    one_by_one = [
        Namer().name(Result(ref=ImageRef(tmp_path / n, n, blob=blob), pred="cat")) for n in NAMES
    ]
    assert len(set(one_by_one)) == len(NAMES)
    assert one_by_one[:3] == ["x.jpg", "x.png.jpg", "x.jpeg.jpg"]
    assert one_by_one[-2:] == ["cat.0.jpg", "cat.0.png.jpg"]


@pytest.mark.parametrize("alone", [True, False])
def test_where_case_tells_no_names_apart(alone):
    rels = ["a.jpg", "A.jpg", "A.JPG", "b/É.png", "b/é.png", "b/E\u0301.png", "c.jpg"]
    disk = DiskNames(folds=True)
    namer = Namer(disk=disk)
    names = [(namer if alone else Namer(disk=disk, alone=False)).name(result(rel)) for rel in rels]
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in names}) == len(rels)
    assert names[0] == "a.jpg"
    assert names[-1] == "c.jpg"
    assert Namer().name(result("A.jpg")) == "A.jpg"


def test_long_parts_of_a_template_stay_apart():
    namer = Namer("{stem}")
    names = [namer.name(result("é" * 125 + end + ".png")) for end in ("a", "b")]
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 255 for name in names)


def test_template_with_prediction():
    namer = Namer("{parent}/{stem}_pred_{pred}_{prob}")
    assert namer.name(result("a/x.png", "tabby, tabby cat")) == (
        "a/x_pred_tabby, tabby cat_0.500.jpg"
    )
    assert namer.name(result("b.png", "a/b:c\n")) == "b_pred_a_b_c__0.500.jpg"


def test_second_image_of_one_name_is_refused_and_the_first_kept():
    namer = Namer("{stem}_{pred}")
    assert namer.name(result("a/f.jpg")) == "f_cat.jpg"
    assert namer.name(result("b/f.jpg", "dog")) == "f_dog.jpg"
    with pytest.raises(ImageError, match="already taken"):
        namer.name(result("b/f.jpg"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{nope}{stem}", "unknown field"),
        ("{stem", "malformed"),
        ("{stem:Q}", "malformed"),
        ("{stem.x}", "unknown field"),
        ("same", "many images one name"),
        ("{pred}", "many images one name"),
        ("/etc/{stem}", "inside the run directory"),
        ("../{stem}", "inside the run directory"),
        ("{}{stem}", "unknown field"),
    ],
)
def test_bad_templates(template, message):
    with pytest.raises(UsageError, match=message):
        Namer(template)


@given(st.text(min_size=1, max_size=300).filter(lambda s: "\0" not in s and "/" not in s))
def test_hostile_class_names_stay_one_file_name(pred):
    name = Namer("{stem}_{pred}").name(result("x.jpg", pred))
    assert "/" not in name
    assert "\\" not in name
    assert len(name.encode("utf-8", "surrogatepass")) <= 255
    assert name.endswith(".jpg")


def test_name_at_the_limit_of_the_file_system_stays_writable(tmp_path):
    a, b = "é" * 120 + "ab.png", "é" * 120 + "ac.png"
    names = [Namer().name(result("d/" + n)) for n in (a, b)]
    assert len(set(names)) == 2
    for name in names:
        assert len(name.split("/")[1].encode()) <= 255
        (tmp_path / name.split("/")[1]).touch()


@pytest.mark.parametrize("template", ["{stem:99999999}", "{stem:.1000000}", "{stem:{name}}"])
def test_a_template_does_not_take_memory(template):
    with pytest.raises(UsageError, match="--name-template formats"):
        Namer(template)
