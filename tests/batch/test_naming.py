from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.naming import Namer
from camcli.data.sources import ImageRef
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
