"""``--threshold``: one probability, or a table of one a class."""

from __future__ import annotations

import re

import pytest

from camcli.errors import UsageError
from camcli.models.classes.thresholds import check_threshold, read_thresholds

CLASSES = ("edema", "mass", "pleural effusion", "nodule")


@pytest.mark.parametrize("asked", [0.3, "0.3", " 0.30 "])
def test_one_for_all(asked):
    check_threshold(asked)
    assert read_thresholds(asked, CLASSES) == ((0.3,) * 4, "")
    assert read_thresholds(asked, ("no", "yes"), exclusive=True)[0] == (0.7, 0.3)


@pytest.mark.parametrize(
    "text",
    [
        "class,threshold\nmass,0.2\nedema,0.9\npleural effusion,0.5\nnodule,0.4\n",
        "Class;Threshold\n1;0,2\n0;0,9\n2;0,5\n3;0,4\n",
        "\ufeffmass,0.2\nEdema,0.9\nPleural_Effusion,0.5\nnodule,0.4\n\n",
        "threshold\tlabel\n0.2\tmass\n.9\tedema\n0.5\t2\n4e-1\tnodule\n",
    ],
)
def test_one_a_class_by_name_or_index(tmp_path, text):
    file = tmp_path / "t.csv"
    file.write_text(text, "utf-8")
    check_threshold(str(file))
    assert read_thresholds(file, CLASSES) == ((0.9, 0.2, 0.5, 0.4), "")


def test_missing_classes_have_the_usual_one_and_it_is_said(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("class,threshold\nmass,0.2\n")
    found, told = read_thresholds(file, CLASSES)
    assert found == (0.5, 0.2, 0.5, 0.5)
    assert "edema, pleural effusion, nodule: 0.5" in told


def test_of_two_classes_that_exclude_each_other_one_says_both(tmp_path):
    file = tmp_path / "t.csv"
    for text in ("class,threshold\nill,0.2\n", "healthy,0.8\n", "healthy,0.8\nill,0.2\n"):
        file.write_text(text)
        found, told = read_thresholds(file, ("healthy", "ill"), exclusive=True)
        assert (found, told) == ((pytest.approx(0.8), pytest.approx(0.2)), "")
    file.write_text("healthy,0.8\nill,0.3\n")
    with pytest.raises(UsageError, match="exclude each other"):
        read_thresholds(file, ("healthy", "ill"), exclusive=True)


@pytest.mark.parametrize("asked", ["0", "1", "1.5", "-0.2", "nan", "inf", 2, 0.0])
def test_what_is_no_probability_is_refused(asked):
    with pytest.raises(UsageError, match="between 0 and 1"):
        check_threshold(asked)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class,threshold\nmass,high\n", "line 2: 'high' is no number"),
        ("class,threshold\nmass,1.2\n", "line 2: 1.2 is no threshold"),
        ("class,threshold\nmass\n", "line 2: 1 cell only"),
        ("class,threshold\nbird,0.2\n", "line 2: 'bird' is none of the network's 4 classes: edema"),
        ("mass,0.2\n1,0.3\n", "line 2: a second threshold of 'mass'"),
        ("class,threshold\n", "has no thresholds"),
        ("", "is empty"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(tmp_path, text, said):
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        read_thresholds(file, CLASSES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read \(No such file"):
        check_threshold(tmp_path / "t.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="not UTF-8"):
        check_threshold(tmp_path / "b.csv")
