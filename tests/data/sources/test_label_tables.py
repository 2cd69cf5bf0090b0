"""Tables of labels: one or several a picture, in a cell or in columns."""

from __future__ import annotations

import re

import pytest

from camcli.data.sources.label_tables import (
    Tabled,
    join_labels,
    read_label_table,
    split_labels,
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
        "split\tfile\tedema\tmass\ntrain\ta.png\t1.0\tTrue\nval\td/b.png\t\t1\nval\tc.png\t0\t\n",
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
