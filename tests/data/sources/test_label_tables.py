"""Tables of labels: one or several a picture, in a cell or in columns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.sources.label_tables import (
    Tabled,
    join_labels,
    read_label_table,
    split_labels,
    unknown_labels,
)
from camcli.errors import UsageError


def test_names_in_a_cell_come_back():
    for names in (("a", "b c"), ("a|b", "c"), (), ("x",), ("a\\", "b")):
        assert split_labels(join_labels(names)) == tuple(n.strip() for n in names)
    assert split_labels(" edema |mass|| edema") == ("edema", "mass")


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.png,edema|mass\nd/b.png,mass\nc.png,\n",
        "Image;Finding Labels\n./a.png;edema | mass\nd\\b.png;mass\nc.png;\n",
        "path,edema,mass\na.png,1,1\nd/b.png,0,1\nc.png,0,0\n",
        "split\tfile\tedema\tmass\ntrain\ta.png\t1.0\tTrue\nval\td/b.png\tf\t1\nval\tc.png\t0\t\n",
    ],
)
def test_both_forms(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    table = read_label_table(file)
    assert table.labels == {"a.png": ("edema", "mass"), "d/b.png": ("mass",), "c.png": ()}
    assert table.classes == ("edema", "mass")
    assert table.several
    label = Tabled(table, "/photos")
    assert [label(rel) for rel in ("a.png", "d/b.png", "c.png", "x.png")] == [
        "edema|mass", "mass", "", None,
    ]  # fmt: skip


def test_one_label_each(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("path,label\na.png,cat\nb.png,dog\n")
    assert not read_label_table(file).several


def test_paths_of_somewhere_else_are_found_by_their_ends(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(
        "path,label\n/data/set/a/1.png,x\nset/b/1.png,y\n2.png,z\na/3.png,p\nb/3.png,q\n"
    )
    label = Tabled(read_label_table(file), "/data/set")
    assert [label(rel) for rel in ("a/1.png", "b/1.png", "deep/2.png", "3.png", "c/1.png")] == [
        "x", "y", "z", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("photo,label\na.png,cat\n", "names no column of paths"),
        ("path\na.png\n", "no column of labels beside 'path'"),
        ("path,cat,dog\na.png,1,maybe\n", "line 2: 'maybe' is neither 0 nor 1"),
        ("path,label\na.png,cat\na.png,dog\n", "line 3: 'a.png' has other labels"),
        ("path,label\n,cat\n", "line 2: no path"),
        ("path,label\n", "no rows"),
        ('path,label\n"a.png,cat\n', "not well-formed CSV"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, said):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        read_label_table(file)


names = st.lists(
    st.text(st.sampled_from("ab?|\\ é"), min_size=1, max_size=5).map(str.strip).filter(bool),
    unique=True, max_size=5,
)  # fmt: skip


@given(names, st.data())
def test_whatever_is_known_and_unknown_comes_back(every, data):
    cut = data.draw(st.integers(0, len(every)))
    known, unknown = tuple(every[:cut]), tuple(n for n in every[cut:] if n.strip("? "))
    text = join_labels(known, unknown)
    # A space beside a question mark belongs to no name.
    assert split_labels(text) == known
    assert unknown_labels(text) == unknown


def test_a_question_mark_alone_is_a_name():
    assert split_labels("a|?|??") == ("a", "?", "??")
    assert unknown_labels("a|?|??") == ()
    assert split_labels("\\?a") == ("?a",)
    assert (split_labels("a|?a"), unknown_labels("a|?a")) == (("a",), ())


@pytest.mark.parametrize(
    ("cell", "means"),
    [
        *((each, True) for each in ("1", "1.0", "TRUE", "yes", "x")),
        *((each, False) for each in ("0", "0.0", "False", "no")),
        *((each, None) for each in ("-1", "-1.0", "?", "NaN", "n/a", "unknown", "Uncertain", "")),
    ],
)
def test_what_a_cell_of_a_column_means(tmp_path, cell, means):
    file = tmp_path / "labels.csv"
    file.write_text(f"path,edema,mass\na.png,{cell},1\nb.png,0,0\nc.png,1,0\n")
    table = read_label_table(file)
    assert table.labels["a.png"] == (("edema", "mass") if means else ("mass",))
    assert table.unknown == ({"a.png": ("edema",)} if means is None else {})
    assert table.empty == (cell == "")
    assert table.several


def test_an_empty_cell_is_absence_where_absence_is_not_written_down(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("path,edema,mass,none\na.png,x,,1\nb.png,,0,\nc.png,,1,\n")
    table = read_label_table(file)
    assert table.unknown == {"a.png": ("mass",)}
    assert table.labels == {"a.png": ("edema", "none"), "b.png": (), "c.png": ("mass",)}
    assert table.empty == 1


def test_unknown_ones_of_a_cell(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("path,label\na.png,edema|?mass\nb.png,\nc.png,? nodule\n")
    table = read_label_table(file)
    assert table.labels == {"a.png": ("edema",), "b.png": (), "c.png": ()}
    assert table.unknown == {"a.png": ("mass",), "c.png": ("nodule",)}
    assert table.classes == ("edema", "mass", "nodule")
    label = Tabled(table)
    assert [label(rel) for rel in ("a.png", "b.png", "c.png")] == ["edema|?mass", "", "?nodule"]
    assert label.every() == ["edema|?mass", "", "?nodule"]


def test_rows_that_differ_in_what_is_unknown_contradict_each_other(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("path,edema,mass\na.png,1,-1\na.png,1,0\n")
    with pytest.raises(UsageError, match=r"line 3: 'a\.png' has other labels"):
        read_label_table(file)
    file.write_text("path,edema,mass\na.png,1,-1\na.png,1,-1\nb.png,0,1\n")
    assert read_label_table(file).unknown == {"a.png": ("mass",)}
