import json

import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.tables.export import check_format, export
from camcli.batch.tables.journal import Journal, read_rows
from camcli.batch.tables.rows import columns, row
from camcli.data.sources.find import find_images
from camcli.errors import UsageError


@pytest.fixture
def table(bundled, folder, tmp_path):
    from camcli.batch.engine import stream

    path = tmp_path / "predictions.csv"
    odd = folder / "a" / "naïve \udcff\n.jpg"
    odd.write_bytes((folder / "a" / "frame_0000.jpg").read_bytes())
    with Journal(path, columns(5)) as journal:
        for result in stream(find_images(folder), bundled, make_explanation(bundled)):
            journal.append(row(result, 5))
    return path


def test_jsonl_has_the_same_values_with_their_types(table):
    target = export(table, "jsonl")
    records = [json.loads(line) for line in target.read_text("ascii").splitlines()]
    rows = list(read_rows(table))
    assert [r["path"] for r in records] == [r["path"] for r in rows]
    good = next(r for r in records if r["status"] == "ok")
    assert isinstance(good["prob"], float)
    assert isinstance(good["width"], int)
    assert isinstance(good["top2"], str)
    bad = next(r for r in records if r["status"] == "error")
    assert bad["prob"] is None
    assert bad["error"]


def test_parquet_reads_back(table):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra")
    target = export(table, "parquet")
    back = parquet.read_table(target).to_pylist()
    rows = list(read_rows(table))
    assert len(back) == len(rows)
    assert list(back[0]) == columns(5)
    for record, text in zip(back, rows, strict=True):
        if text["prob"]:
            assert record["prob"] == pytest.approx(float(text["prob"]), rel=1e-6)
    assert any("\\xff" in record["path"] for record in back)


def test_unknown_format():
    with pytest.raises(UsageError, match="csv, jsonl, parquet"):
        check_format("xlsx")


def test_a_number_that_is_none_is_null(tmp_path):
    table = tmp_path / "predictions.csv"
    table.write_text("path,prob,width\na.jpg,nan,5\nb.jpg,inf,6\nc.jpg,0.5,7\n")
    lines = export(table, "jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=pytest.fail)["prob"] for line in lines] == [
        None, None, 0.5,
    ]  # fmt: skip
