"""The file of marks, as the page writes it, as spreadsheets save it, and as people edit it."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from camcli.data.marked.marks_file import WORDS, PhotoMark, read_marks
from camcli.errors import UsageError

ROWS = [
    ["path", "mark", "label", "note", "source"],
    ["cat/1.jpg", "drop", "", "blurred, and dark", "/photos"],
    ["cat/2, the second.jpg", "relabel", "dog", "", "/photos"],
    ["käse/ü 猫.jpg", "note", "", 'says "cheese"\nin two lines', "/photos"],
    ["dog/3.jpg", "mark", "", "", "/photos"],
]
WANTED = [
    ("cat/1.jpg", "drop", "", "blurred, and dark"),
    ("cat/2, the second.jpg", "relabel", "dog", ""),
    ("käse/ü 猫.jpg", "note", "", 'says "cheese"\nin two lines'),
    ("dog/3.jpg", "mark", "", ""),
]


def text(rows, delimiter=",", end="\r\n"):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return file.getvalue()


def written(tmp_path, data):
    path = tmp_path / "marks.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape"))
    return path


def read(tmp_path, data):
    return read_marks(written(tmp_path, data)).marks


@pytest.mark.parametrize(
    "data",
    [
        text(ROWS),
        text(ROWS, end="\n"),
        "\ufeff" + text(ROWS),
        text(ROWS, ";"),
        "\ufeff" + text(ROWS, ";"),
        text(ROWS, "\t").encode("utf-16"),  # "Unicode text" of a spreadsheet
        "sep=;\r\n" + text(ROWS, ";"),
        "\r\n" + text(ROWS) + ",,,,\r\n\r\n",  # empty lines that a spreadsheet leaves
        text([[" Path ", "MARK", "New Label", "Note", "Source"], *ROWS[1:]]),
        text([[*row[::-1]] for row in ROWS]),
        text([[*row, "extra"] for row in ROWS]),
    ],
    ids=["plain", "lf", "bom", "semicolons", "bom-semicolons", "utf16", "sep", "empty-lines",
         "capitals", "other-order", "more-columns"],
)  # fmt: skip
def test_whatever_a_spreadsheet_makes_of_it_says_the_same(tmp_path, data):
    found = read(tmp_path, data)
    assert [(m.path, m.mark, m.label, m.note) for m in found] == WANTED
    assert {mark.source for mark in found} == {"/photos"}


def test_columns_that_are_not_read_are_named(tmp_path):
    file = read_marks(written(tmp_path, "path,mark,who,when\na.jpg,drop,me,now\n"))
    assert file.notes == (f"Columns of {file.path} that are not read: who, when.",)
    assert file.sources == ()


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("'=SUM(1).jpg", "=SUM(1).jpg"),
        ("'+1.jpg", "+1.jpg"),
        ("'-x", "-x"),
        ("'@home", "@home"),
        ("''=x", "'=x"),
        ("'007", "007"),
        ("''007", "'007"),
        ("'1e5", "1e5"),
        ("'2-1", "2-1"),
        ("'Mar-1", "Mar-1"),
        ("'SEPT2", "SEPT2"),
        ("'TRUE", "TRUE"),
        ("'tis.jpg", "'tis.jpg"),
        ("007", "007"),
        ("cat 007", "cat 007"),
    ],
)
def test_cells_that_a_spreadsheet_would_run_or_change_come_back(tmp_path, cell, meant):
    data = text([["path", "mark", "label"], ["a.jpg", "relabel", cell], [cell, "drop", ""]])
    one, other = read(tmp_path, data)
    assert (one.label, other.path) == (meant, meant)


def test_names_of_any_bytes_are_kept(tmp_path):
    (mark,) = read(tmp_path, b'path,mark\n"a\xff,\n b.jpg ",drop\n')
    assert mark.path == "a\udcff,\n b.jpg "


def test_words_are_read_as_people_write_them(tmp_path):
    found = read(
        tmp_path, "path,mark,label,note\na,Drop ,,\nb, RELABEL, dog ,\nc,,,look\n./d,mark\n"
    )
    assert [(m.path, m.mark, m.label) for m in found] == [
        ("a", "drop", ""), ("b", "relabel", "dog"), ("c", "note", ""), ("d", "mark", ""),
    ]  # fmt: skip
    # What was relabelled before and is dropped now is dropped.
    assert read(tmp_path, "path,mark,label\na,drop,dog\n") == (PhotoMark("a", "drop", line=2),)
    # Once is enough.
    assert len(read(tmp_path, "path,mark,note\na,drop,x\na,drop,y\n")) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("path,mark\na,delete\n", "line 2: 'delete' is no mark. There are drop"),
        ("path,mark\na,\n", "line 2: 'a' has no mark"),
        ("path,mark,label\na,,dog\n", "line 2: 'a' has no mark"),
        ("path,mark,label\na,relabel,\n", "'a' cannot be relabelled to '': there is none"),
        ("path,mark\na,relabel\n", "there is none"),
        ('path,mark,label\na,relabel,"d\nog"\n', "a line break"),
        ("path,mark,label\na,mark,dog\n", "has the label 'dog' and the mark mark"),
        ("path,mark\n,drop\n", "line 2: no path"),
        ("path,mark\na,drop\na,mark\n", "line 3: 'a' has another mark than in line 2"),
        ("path,mark,label\na,relabel,x\na,relabel,y\n", "line 3: 'a' has another mark"),
        ("path,label\na,dog\n", "names no column mark; it names path, label"),
        ("a.jpg\nb.jpg\n", "names no column path and no column mark"),
        ('"path,mark,label"\n"a.jpg,drop,"\n', "whole lines into single cells"),
        ("path,mark,mark\na,drop,note\n", "the column mark more than once"),
        ("path,mark\n", "no marks"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ('path,mark\n"a,drop\n', "not well-formed CSV"),
        ("path,mark\na\0b,drop\n", "NUL bytes"),
        (b"PK\x03\x04 xlsx", "save the sheet as CSV UTF-8"),
        (b"\xff\xfea", "not UTF-8 text"),
    ],
)
def test_what_nobody_can_do_is_refused_with_its_line(tmp_path, data, said):
    with pytest.raises(UsageError) as error:
        read(tmp_path, data)
    assert said in str(error.value)
    assert "marks.csv" in str(error.value)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.csv cannot be read \(No such file"):
        read_marks(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match="it is a folder"):
        read_marks(tmp_path)


@given(
    st.binary(max_size=60)
    | st.text("path,mrkdolbe;\t\n\r\"'=\0é\u2028", max_size=60).map(str.encode)
)
@example(b"path,mark\na,drop")
def test_any_bytes_are_marks_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        found = read_marks(path).marks
    except UsageError:
        return
    assert found
    assert all(mark.mark in WORDS and mark.path for mark in found)


def test_all_lines_that_are_wrong_are_named_at_once(tmp_path):
    lines = ["a,delete", "b,drop", "c,", "b,mark", ",drop"]
    with pytest.raises(UsageError) as error:
        read(tmp_path, "path,mark\n" + "\n".join(lines))
    assert "line 2: 'delete' is no mark" in str(error.value)
    assert str(error.value).endswith("Wrong as well: line 4, 5, 6.")
