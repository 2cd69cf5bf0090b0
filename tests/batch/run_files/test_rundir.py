"""A run's folder: one writer at a time, and nothing of anybody else's."""

import os
import sys

import pytest

from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables.rows import columns
from camcli.errors import CamcliError, ImageError, UsageError

CONFIG = {"method": "cam"}


def begun(path, shard=None, **options):
    run = RunDirectory(path, shard)
    run.prepare(CONFIG, **{"resume": False, "overwrite": False} | options)
    run.write_info({"kind": "batch", "state": "running", "config": CONFIG, "camcli": "",
                    "counts": {}, "provenance": {}})  # fmt: skip
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}], ids=str)
def test_one_writes_until_it_is_done(tmp_path, options):
    first = begun(tmp_path / "run")
    with pytest.raises(UsageError, match=r"Another camcli is writing to .*run "):
        begun(tmp_path / "run", **options)
    first.finish()
    second = begun(tmp_path / "run", **options)
    with pytest.raises(UsageError, match="Another camcli"):
        begun(tmp_path / "run", resume=True)
    second.finish()


def test_shards_write_beside_each_other(tmp_path):
    shards = [begun(tmp_path / "run", Shard(n, 3)) for n in (1, 2, 3)]
    names = {file.name for file in (tmp_path / "run").iterdir() if file.is_file()}
    assert names == {f"{name}.{n}-of-3.{kind}" for n in (1, 2, 3)
                     for name, kind in (("run", "json"), ("predictions", "csv"))}  # fmt: skip
    for shard in shards:
        shard.finish()


def test_a_picture_is_whole_or_not_there(tmp_path):
    run = begun(tmp_path / "run")
    target = run.overlays / "a" / "b.jpg"
    run.write_overlay(target, b"one")
    os.link(target, tmp_path / "kept")
    run.write_overlay(target, b"two")
    assert target.read_bytes() == b"two"
    assert (tmp_path / "kept").read_bytes() == b"one"
    assert [p.name for p in target.parent.iterdir()] == ["b.jpg"]
    with pytest.raises(ImageError, match="cannot be written"):
        run.write_overlay(run.overlays / ("x" * 300 + ".jpg"), b"")
    run.finish()
    assert not run.temporary.exists()


@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_written_into_a_folder_that_took_the_runs_place(tmp_path, again):
    """Its rows go on into the one that was renamed, and must not name a picture elsewhere."""
    run = begun(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    if again:
        (tmp_path / "run").mkdir()
    with pytest.raises(CamcliError, match="renamed meanwhile" if again else "Cannot write"):
        run.write_overlay(run.overlays / "a.jpg", b"one")
    run.finish()


def test_a_table_that_cannot_be_replaced_stays(tmp_path):
    run = begun(tmp_path / "run")
    header = ",".join(columns(1)).encode() + b"\r\n"
    table = header + b"a.jpg" + b"," * header.count(b",") + b"\r\n"
    run.csv.write_bytes(table)

    def full(part):
        part.write_bytes(b"path")
        raise OSError(28, "No space left on device")

    with pytest.raises(CamcliError, match="No space"):
        run.replace_table(full)
    assert run.csv.read_bytes() == table
    run.replace_table(lambda part: part.write_bytes(header))
    assert run.csv.read_bytes() == header
    if sys.platform != "win32":
        with pytest.raises(UsageError, match="Another camcli"):
            begun(tmp_path / "run", resume=True)
    run.finish()


def test_a_folder_of_somebodys_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="not a run of camcli"):
            begun(tmp_path, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
