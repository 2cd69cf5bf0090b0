from camcli.batch.explain import make_explanation
from camcli.batch.journal import read_rows
from camcli.batch.run import Run
from camcli.batch.rundir import RunDirectory
from camcli.data.sources import find_images


def run(bundled, images, out, *, take=None, **prepare):
    one = Run(find_images(images), bundled, make_explanation(bundled), RunDirectory(out))
    one.prepare(**prepare)
    stream = iter(one)
    for _ in stream if take is None else range(take):
        if take is not None:
            next(stream)
    stream.close()
    return list(read_rows(out / "predictions.csv"))


def test_shards_give_the_rows_and_overlays_of_the_folder(bundled, folder, shards, tmp_path):
    expected = run(bundled, folder, tmp_path / "folder")
    assert len(run(bundled, shards, tmp_path / "tars", take=4)) == 4
    rows = run(bundled, shards, tmp_path / "tars", resume=True)
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    assert [row["status"] for row in rows] == [row["status"] for row in expected]
    assert [row["pred"] for row in rows] == [row["pred"] for row in expected]
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert list(errors) == ["a/frame_0001.jpg", "b/frame_0002.jpg"]
    assert "shards/b.tar/frame_0002.jpg: cut short" in errors["b/frame_0002.jpg"]
    pictures = [
        sorted(p.relative_to(out).as_posix() for p in (out / "overlays").rglob("*.jpg"))
        for out in (tmp_path / "tars", tmp_path / "folder")
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 7
