"""A run's table as a spreadsheet leaves it, and texts that it must not run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.tables.journal import Journal
from camcli.batch.tables.reading import header, is_as_written, read_rows
from camcli.batch.tables.rows import columns
from camcli.errors import CamcliError
from camcli.spreadsheet import plain, safe

COLUMNS = columns(2)
ROWS = [
    {"path": "a/é, x.jpg", "label": "cat", "pred": "=HYPERLINK(\"http://x\",\"y\")",
     "prob": 0.98124, "correct": 0, "target": "dog", "method": "gradcam", "layer": "bn2",
     "top2": "-x", "top2_prob": 1e-05, "heat_x": 0.5, "heat_y": 0.25, "box_x0": 1, "box_y0": 2,
     "box_x1": 30, "box_y1": 40,
     "heat_area": 0.125, "heat_border": 0.5, "overlay": "overlays/a/é, x.jpg", "width": 451,
     "height": 300, "status": "ok", "error": None},
    {**dict.fromkeys(COLUMNS), "path": "b;c.jpg", "status": "error", "error": "cut short;\nso"},
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "predictions.csv"
    with Journal(path, COLUMNS) as journal:
        for row in ROWS:
            journal.append(dict.fromkeys(COLUMNS) | row)
    return path


def saved(path, *, delimiter=",", encoding="utf-8", order=None, comma=False, drop=()):
    """As a spreadsheet does it, cell by cell."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    chosen = [n for n in (order or names) if n not in drop]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(chosen)
    for row in rows:
        cells = dict(zip(names, row, strict=True))
        if comma:
            for name in cells:
                if name == "prob" or name.startswith("heat_") or name.endswith("_prob"):
                    cells[name] = cells[name].replace(".", ",")
        writer.writerow([cells[name] for name in chosen])
    path.write_bytes(text.getvalue().encode(encoding))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"encoding": "utf-8-sig"},
        {"delimiter": ";"},
        {"delimiter": ";", "encoding": "utf-8-sig", "comma": True},
        {"delimiter": "\t", "encoding": "utf-16"},
        {"order": sorted(COLUMNS), "delimiter": "\t", "comma": True},
        {"drop": ("heat_x", "top2_prob")},
    ],
)  # fmt: skip
def test_what_is_unambiguous_is_read_as_it_was_written(table, how):
    expected = list(read_rows(table))
    assert expected[0]["pred"] == ROWS[0]["pred"]
    saved(table, **how)
    left_out = how.get("drop", ())
    got = list(read_rows(table, ("pred", "prob", "status")))
    assert got == [{k: v for k, v in row.items() if k not in left_out} for row in expected]
    assert is_as_written(table) is (how in ({}, {"drop": left_out}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("path,", "file,"), r"not the table of a run: .* path, label, pred"),
        (lambda t: t.replace(",status,", ",state,"), r"has no column status"),
        (lambda t: t.replace("label,", "pred,", 1), r"names the column 'pred' twice"),
        (lambda t: t.replace("0.98124", "98124"), r"line 2: prob is '98124', which no run writes"),
        (lambda t: t.replace("0.98124", "Jan 98"), r"line 2: prob is 'Jan 98', not a number"),
        (lambda t: t.replace(",451,", ",4.51,"), r"line 2: width is '4\.51'"),
        (lambda t: t.replace(",0,dog", ",TRUE,dog"), r"line 2: correct is 'TRUE'"),
        (lambda t: t.replace(",0,dog", ",2,dog"), r"line 2: correct is '2'"),
        (lambda t: t.replace(",451,", ",451,7,"), r"line 2: a row of \d+ cells"),
        (lambda t: t.replace(",451,300", ",451"), r"line 2: a row of \d+ cells"),
        (lambda t: "\0\1\2" + t, r"not the table of a run"),
        (lambda t: "PK\3\4", r"not the table of a run"),
        (lambda t: t.replace("a/é", "x" * 5_000_000), r"line 2: field larger"),
    ],
)  # fmt: skip
def test_what_is_not_is_refused_with_the_line(table, change, message):
    table.write_bytes(change(table.read_bytes().decode()).encode())
    with pytest.raises(CamcliError, match=message) as caught:
        list(read_rows(table, ("pred", "prob", "status")))
    assert str(table) in str(caught.value)


def test_numbers_that_are_none_are_nothing(table):
    text = table.read_text("utf-8")
    table.write_text(text.replace("0.98124", "nan").replace(",0.5,", ",-inf,"), "utf-8")
    row = next(read_rows(table))
    assert (row["prob"], row["heat_x"], row["heat_y"]) == ("", "", "0.25")


def test_a_torn_last_row_is_left_out_and_an_empty_table_has_none(table):
    data = table.read_bytes()
    table.write_bytes(data[: data.index(b"b;c.jpg") + 20])
    assert [row["path"] for row in read_rows(table)] == ["a/é, x.jpg"]
    table.write_bytes(data[: data.index(b"\r\n") + 2])
    assert list(read_rows(table)) == []
    table.write_bytes(b"")
    assert list(read_rows(table)) == []
    assert header(table) == []


@given(st.text(st.sampled_from("'=+-@\t\r\n＝a 1é"), max_size=6))
def test_texts_come_back_and_none_begins_a_formula(text):
    assert plain(safe(text)) == text
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert safe("it's -1") == "it's -1"


def test_names_that_a_spreadsheet_would_run(tmp_path):
    path = tmp_path / "x.csv"
    names = ["=1+1.jpg", "+x", "-x", "@x", "\tx", "\rx", "'=x", "''x", "'x", "-", "'"]
    with Journal(path, ["path", "pred", "prob", "heat_x"]) as journal:
        for name in names:
            journal.append({"path": name, "pred": name, "prob": 0.5, "heat_x": -0.25})
    with path.open(newline="") as file:
        cells = list(csv.reader(file))[1:]
    assert not any(cell[0] in "=+-@\t\r" for row in cells for cell in row[:2])
    assert {row[3] for row in cells} == {"-0.25"}
    assert [row["path"] for row in read_rows(path)] == names
    assert [row["pred"] for row in read_rows(path)] == names


def test_a_cell_of_very_many_labels_is_read(tmp_path):
    """20,000 labels in one cell are more than Python's csv takes by itself."""
    names = "|".join(f"class {n}" for n in range(20_000))
    path = tmp_path / "predictions.csv"
    path.write_text(f"path,positives\na.png,{names}\n")
    (row,) = read_rows(path, ("path", "positives"))
    assert row["positives"] == names
