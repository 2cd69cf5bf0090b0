import io
import os
import shutil
import tarfile
import zipfile

import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.merge import merge
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables.journal import read_rows
from camcli.data.sources.find import find_images


def run(bundled, images, out, *, take=None, **prepare):
    one = Run(find_images(images), bundled, make_explanation(bundled), RunDirectory(out))
    one.prepare(**prepare)
    stream = iter(one)
    for _ in stream if take is None else range(take):
        if take is not None:
            next(stream)
    stream.close()
    return list(read_rows(out / "predictions.csv"))


def as_zips(shards, to):
    """The same shards as zip files."""
    to.mkdir(parents=True)
    for path in shards.glob("*.tar"):
        with (
            tarfile.open(path) as old,
            zipfile.ZipFile(to / f"{path.stem}.zip", "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for info in old:
                new.writestr(info.name, old.extractfile(info).read())
    return to


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_shards_give_the_rows_and_overlays_of_the_folder(bundled, folder, shards, tmp_path, kind):
    if kind == "zip":
        shards = as_zips(shards, tmp_path / "zips" / "shards")
    expected = run(bundled, folder, tmp_path / "folder")
    assert len(run(bundled, shards, tmp_path / "tars", take=4)) == 4
    rows = run(bundled, shards, tmp_path / "tars", resume=True)
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    assert [row["status"] for row in rows] == [row["status"] for row in expected]
    assert [row["pred"] for row in rows] == [row["pred"] for row in expected]
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert list(errors) == ["a/frame_0001.jpg", "b/frame_0002.jpg"]
    assert f"shards/b.{kind}/frame_0002.jpg: cut short" in errors["b/frame_0002.jpg"]
    pictures = [
        sorted(p.relative_to(out).as_posix() for p in (out / "overlays").rglob("*.jpg"))
        for out in (tmp_path / "tars", tmp_path / "folder")
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 7


def test_a_folder_and_a_tar_of_its_name_and_names_that_no_disk_takes(bundled, folder, tmp_path):
    """Each image has a row, and each row a picture of its own: whole, resumed, and in shards."""
    data = (folder / "a" / "frame_0000.jpg").read_bytes()
    source = tmp_path / "both"
    source.mkdir()
    shutil.copytree(folder / "a", source / "a")
    names = ["frame_0000.jpg", "frame_0000.jpg/x.jpg", "y" * 300 + ".jpg", "frame_0000.1.jpg",
             "z.png", "z.png.jpg", "b/" * 3000 + "w.jpg"]  # fmt: skip
    with tarfile.open(source / "a.tar", "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    images = [source / "a", source / "a.tar"]
    rows = run(bundled, images, tmp_path / "whole")
    assert len(rows) == 4 + len(names)
    assert sum(row["status"] == "error" for row in rows) == 1
    pictures = [row["overlay"] for row in rows if row["overlay"]]
    assert len(set(pictures)) == len(pictures) == 3 + len(names)
    assert all((tmp_path / "whole" / picture).is_file() for picture in pictures)
    assert [row["path"] for row in rows[:2]] == ["a/frame_0000.jpg", "a/frame_0001.jpg"]
    assert rows[4]["path"] == "a/frame_0000~2.jpg"
    run(bundled, images, tmp_path / "cut", take=5)
    again = run(bundled, images, tmp_path / "cut", resume=True)
    for n in (1, 2):
        part = Run(
            find_images(images), bundled, make_explanation(bundled),
            RunDirectory(tmp_path / "parts", Shard(n, 2)),
        )  # fmt: skip
        part.prepare()
        list(part)
    merge(tmp_path / "parts")
    joined = list(read_rows(tmp_path / "parts" / "predictions.csv"))
    for other in (again, joined):
        assert [(r["path"], r["overlay"]) for r in other] == [
            (r["path"], r["overlay"]) for r in rows
        ]
    found = {p.relative_to(tmp_path / "parts").as_posix()
             for p in (tmp_path / "parts" / "overlays").rglob("*.jpg") if p.is_file()}  # fmt: skip
    assert found == set(pictures)
    assert max(len(os.fsencode(row["path"])) for row in rows) < 1100
