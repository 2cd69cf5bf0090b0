import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.batch.tables.journal import Journal, complete_bytes, drop_torn_row, read_rows
from camcli.errors import UsageError
from camcli.spreadsheet import cell

COLUMNS = ["path", "pred", "error"]
# Anything a file name may hold, lone surrogates of undecodable bytes included, except NUL.
names = st.text(
    st.one_of(
        st.sampled_from('",\n\r\t éß漢🙂'),
        st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=["Cs"]),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    ),
    min_size=1,
    max_size=20,
)


def encoded(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    ends = []
    for row in rows:
        writer.writerow(map(cell, row))
        ends.append(len(text.getvalue().encode("utf-8", "surrogateescape")))
    return text.getvalue().encode("utf-8", "surrogateescape"), ends


@given(st.lists(st.tuples(names, names, names), min_size=1, max_size=6), st.data())
@settings(max_examples=200, deadline=None)
def test_a_file_cut_anywhere_is_cut_back_to_whole_rows(tmp_path_factory, rows, data):
    whole, ends = encoded(rows)
    header = len(b"path,pred,error\r\n")
    cut = data.draw(st.integers(header, len(whole)))
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(whole[:cut])
    drop_torn_row(path)
    kept = [row for row, end in zip(rows, ends, strict=True) if end <= cut]
    got = [(r["path"], r["pred"], r["error"]) for r in read_rows(path)]
    # The csv module reads a lone \r inside quotes back unchanged, so rows must be identical.
    assert got == kept


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
def test_the_scan_does_not_depend_on_how_the_file_is_read(tmp_path, chunk):
    whole, ends = encoded([('a"b', "x\ny", ""), ("c,\r\n", '""', "e")])
    path = tmp_path / "x.csv"
    path.write_bytes(whole + b'torn,"half a\nline')
    assert complete_bytes(path, chunk) == ends[-1]


def test_append_is_on_disk_at_once_and_rereads(tmp_path):
    path = tmp_path / "x.csv"
    with Journal(path, COLUMNS) as journal:
        journal.append({"path": 'a "quoted",\nname', "pred": None, "error": "é"})
        with path.open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) == 2
    with Journal(path, COLUMNS) as journal:
        journal.append({"path": "b", "pred": "cat", "error": ""})
    assert [r["path"] for r in read_rows(path)] == ['a "quoted",\nname', "b"]
    assert path.read_bytes().count(b"path,pred,error") == 1


def test_another_header_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    with Journal(path, COLUMNS) as journal:
        journal.append(dict.fromkeys(COLUMNS, "x"))
    with pytest.raises(UsageError, match="other columns"):
        Journal(path, ["path", "something"])
