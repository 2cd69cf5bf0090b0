"""One entry is a column: in new tables, in old ones that go on, in merged ones and in others."""

import csv
import json
import shutil

import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.merge import merge
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables import columns as module
from camcli.batch.tables.columns import COLUMNS, Column, columns_of, goes_on, joined, kind_of
from camcli.batch.tables.export import export
from camcli.batch.tables.journal import read_rows
from camcli.data.sources.find import find_images

MARGIN = Column(
    "margin", "probability over that of the second", lambda r, h: (
        None if len(r.top) < 2 else round(r.top[0][1] - r.top[1][1], 5)
    ), "share", since="9.9",
)  # fmt: skip


@pytest.fixture
def with_margin(monkeypatch):
    """What a newcomer's entry does, from now on: in the middle of the table."""

    def add():
        monkeypatch.setattr(module, "_AFTER_TOP", (MARGIN, *module._AFTER_TOP))
        monkeypatch.setattr(module, "_KINDS", module._KINDS | {"margin": "share"})
        monkeypatch.setattr(module, "_NEWER", module._NEWER | {"margin"})
        columns_of.cache_clear()

    yield add
    monkeypatch.undo()
    columns_of.cache_clear()


def run(bundled, images, out, shard=None, take=None, **prepare):
    one = Run(
        find_images(images), bundled, make_explanation(bundled), RunDirectory(out, shard),
        overlays=False,
    )  # fmt: skip
    one.prepare(**prepare)
    stream = iter(one)
    for _ in stream if take is None else range(take):
        if take is not None:
            next(stream)
    stream.close()


def header(path):
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def test_a_run_of_before_a_column_goes_on_without_it(bundled, folder, tmp_path, with_margin):
    run(bundled, folder, tmp_path / "old", take=3)
    shutil.copytree(tmp_path / "old", tmp_path / "whole")
    run(bundled, folder, tmp_path / "whole", resume=True)
    with_margin()
    run(bundled, folder, tmp_path / "old", resume=True)
    tables = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("old", "whole")]
    assert tables[0] == tables[1]
    run(bundled, folder, tmp_path / "new")
    names = header(tmp_path / "new/predictions.csv")
    assert names[names.index("top5_prob") + 1] == "margin"
    rows = list(read_rows(tmp_path / "new/predictions.csv"))
    for row in rows:
        if row["status"] == "ok":
            expected = float(row["prob"]) - float(row["top2_prob"])
            assert float(row["margin"]) == pytest.approx(expected, abs=2e-5)
        else:
            assert row["margin"] == ""
    lines = export(tmp_path / "new/predictions.csv", "jsonl").read_text().splitlines()
    assert [json.loads(line)["margin"] for line in lines] == [
        float(row["margin"]) if row["margin"] else None for row in rows
    ]


def test_shards_of_before_and_after_a_column_go_together(bundled, folder, tmp_path, with_margin):
    for n in (1, 2):
        if n == 2:
            with_margin()
        run(bundled, folder, tmp_path / "parts", Shard(n, 2))
    merge(tmp_path / "parts")
    rows = list(read_rows(tmp_path / "parts/predictions.csv"))
    assert header(tmp_path / "parts/predictions.csv") == [c.name for c in columns_of(5)]
    good = [row["status"] == "ok" for row in rows]
    assert [bool(row["margin"]) for row in rows] == [n % 2 == 1 and g for n, g in enumerate(good)]
    assert any(row["margin"] for row in rows)


def test_only_newer_columns_may_be_missing(with_margin):
    old = [column.name for column in columns_of(3)]
    with_margin()
    new = [column.name for column in columns_of(3)]
    assert goes_on(old, new)
    assert goes_on(new, new)
    assert not goes_on(new, old)  # an older camcli knows nothing of it
    assert not goes_on(old[:-1], new)
    assert not goes_on([c.name for c in columns_of(2)], new)
    assert not goes_on(old[::-1], new)
    assert joined([old, new, old]) == new
    assert joined([old, old[:-1]]) is None


def test_each_column_has_a_name_and_a_line():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert all(column.doc for column in COLUMNS)
    assert [kind_of(n) for n in ("prob", "top7_prob", "top7", "correct", "box_x1", "heat_x")] == [
        "share", "share", "text", "flag", "count", "number",
    ]  # fmt: skip
    assert [kind_of(n) for n in ("heat_of_old", "unknown")] == ["number", "text"]
