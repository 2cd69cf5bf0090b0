"""What --overwrite may delete: what the run's own record lists, and nothing else."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from camcli import ours
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files import rundir
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError
from camcli.jobs.report import ReportJob


def make(bundled, folder, out, **kw):
    return Run(find_images(folder), bundled, make_explanation(bundled), RunDirectory(out), **kw)


@pytest.fixture(scope="module")
def done(bundled, tmp_path_factory):
    """A finished run over three pictures, with a page, and its source."""
    import numpy as np
    from PIL import Image

    base = tmp_path_factory.mktemp("done")
    draw = np.random.default_rng(0)
    for name in ("a/1.jpg", "a/2.jpg", "b/1.png"):
        path = base / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (48, 64, 3), np.uint8)).save(path)
    run = make(bundled, base / "in", base / "run")
    run.prepare(files=["contact_sheet.jpg", "predictions.jsonl"])
    list(run)
    for name in ("contact_sheet.jpg", "predictions.jsonl"):
        (base / "run" / name).write_bytes(b"x")
    ReportJob([base / "run"]).run()
    return base


@pytest.fixture
def run(done, tmp_path):
    shutil.copytree(done / "in", tmp_path / "in")
    shutil.copytree(done / "run", tmp_path / "run")
    info = json.loads((tmp_path / "run/run.json").read_text())
    info["config"]["source"] = str(tmp_path / "in")
    (tmp_path / "run/run.json").write_text(json.dumps(info))
    return tmp_path / "run"


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


FOREIGN = (
    "notes.txt", "report/thesis.pdf", "report/data/mine.js", "overlays/map.tif", "overlays/a/3.jpg",
    "overlays/c/deep/x.jpg", ".tmp/mine.txt", "predictions.parquet",
)  # fmt: skip


def put(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")


def kept(folder, names):
    return all((folder / name).read_text() == f"mine: {name}" for name in names)


def test_somebodys_files_in_a_run_stay_and_the_runs_own_go(bundled, run):
    own = files(run)
    put(run, FOREIGN)
    again = make(bundled, run.parent / "in", run, overlays=False)
    again.prepare(overwrite=True)
    assert files(run) - set(FOREIGN) == {"predictions.csv", "run.json"}
    assert kept(run, FOREIGN)
    assert len(own) > 20
    list(again)
    assert kept(run, FOREIGN)


def test_a_run_alone_leaves_no_trace(bundled, run):
    again = make(bundled, run.parent / "in", run, overlays=False)
    again.prepare(overwrite=True)
    list(again)
    assert {p.name for p in run.iterdir()} == {"predictions.csv", "run.json"}


@pytest.mark.parametrize("option", ["overwrite", "resume"])
@pytest.mark.parametrize(
    "content",
    [
        {"run.json": "{}"},
        {"run.json": '{"steps": 4, "config": {"lr": 1}, "command": ["python", "x.py"]}'},
        {"run.json": "[1]", "overlays/map.tif": "", "report/thesis.pdf": ""},
        {"run.json": json.dumps({"command": "train", "config": {}}), "best.safetensors": ""},
        {"run.json": json.dumps({"kind": "train", "command": "train"}), "predictions.csv": ""},
        {"run.json": "torn", "predictions.csv": "path,label,pred\r\nmine,too,x\r\n"},
        {"predictions.csv": "path,label,pred\r\nmine,too,x\r\n"},
        {"predictions.csv": "my,own\r\n1,2\r\n", "heatmaps.jsonl": ""},
        {"overlays/map.tif": ""},
        {".tmp/work.txt": "", "work.txt": ""},
        {"report/thesis.pdf": "", "contact_sheet.jpg": ""},
        {"run.1-of-2.json": "{}", "overlays/1.jpg": ""},
        {"photos.1-of-2.rar": ""},
    ],
)  # fmt: skip
def test_what_is_no_run_is_refused_whatever_its_files_are_called(
    bundled, done, tmp_path, content, option
):
    out = tmp_path / "run"
    for name, text in content.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(text.encode())
    with pytest.raises(UsageError, match="another --out"):
        make(bundled, done / "in", out).prepare(**{option: True})
    assert {name: (out / name).read_bytes().decode() for name in files(out)} == content


def test_a_training_run_is_named(bundled, done, tmp_path):
    (tmp_path / "run.json").write_text('{"command": "train"}')
    with pytest.raises(UsageError, match=r"a run of 'camcli train', not of 'batch'"):
        make(bundled, done / "in", tmp_path).prepare(overwrite=True)


@pytest.mark.parametrize("name", ["predictions.csv", "heatmaps.jsonl"])
def test_somebodys_file_under_a_runs_name_is_not_written_to(bundled, run, name):
    (run / name).write_text("x;y\n1;2\n")
    with pytest.raises(UsageError, match=name):
        make(bundled, run.parent / "in", run).prepare(overwrite=True)
    assert (run / name).read_text() == "x;y\n1;2\n"
    assert (run / "overlays/a/1.jpg").is_file()


def test_somebodys_file_in_the_place_of_a_contact_sheet(bundled, run):
    (run / "predictions.parquet").write_text("mine")
    again = make(bundled, run.parent / "in", run)
    with pytest.raises(UsageError, match=r"predictions\.parquet.*no file of that run"):
        again.prepare(overwrite=True, files=["predictions.parquet"])
    again.prepare(overwrite=True, files=["contact_sheet.jpg"])  # the run's own
    list(again)
    assert not (run / "predictions.jsonl").exists()


def test_a_table_does_not_lead_out_of_the_overlays(bundled, run, tmp_path):
    for name in ("secret.jpg", "run/mine.jpg", "elsewhere/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (run / "overlays/link").symlink_to(tmp_path / "elsewhere")
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index("overlay")
    named = ["overlays/../../secret.jpg", str(tmp_path / "secret.jpg"), "mine.jpg",
             "overlays/link/x.jpg", "overlays/a", "overlays/../mine.jpg", "run.json"]  # fmt: skip
    for overlay in named:
        rows.append([*rows[1][:at], overlay, *rows[1][at + 1 :]])
    with (run / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    make(bundled, run.parent / "in", run).prepare(overwrite=True)
    for name in ("secret.jpg", "run/mine.jpg", "elsewhere/x.jpg"):
        assert (tmp_path / name).read_text() == "mine"


def test_overlays_on_another_disk(bundled, run, tmp_path):
    """Through a link, which somebody made: its pictures go, the rest stays."""
    (run / "overlays").rename(tmp_path / "disk")
    (run / "overlays").symlink_to(tmp_path / "disk")
    put(tmp_path / "disk", ["mine.jpg"])
    make(bundled, run.parent / "in", run).prepare(overwrite=True)
    assert files(tmp_path / "disk") == {"mine.jpg"}


@pytest.mark.parametrize("option", ["overwrite", "resume"])
@pytest.mark.parametrize("stop", range(1, 60, 4))
def test_killed_while_it_is_replaced(bundled, run, monkeypatch, option, stop):
    """At each deletion; then it is known as a run that was to be replaced, and becomes one."""
    steps = []

    def counted(real):
        def step(*args, **kw):
            steps.append(args)
            if len(steps) == stop:
                raise KeyboardInterrupt
            return real(*args, **kw)

        return step

    put(run, ["notes.txt", "report/thesis.pdf"])
    again = make(bundled, run.parent / "in", run)
    with monkeypatch.context() as patch:
        for owner, name in ((Path, "unlink"), (Path, "rmdir"), (rundir.os, "truncate")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        try:
            again.prepare(overwrite=True)
        except KeyboardInterrupt:
            pass
        else:
            again.directory._let_go()
    with pytest.raises(UsageError, match="not empty"):
        make(bundled, run.parent / "in", run).prepare()
    once_more = make(bundled, run.parent / "in", run)
    once_more.prepare(**{option: True})
    assert not once_more.counts.before
    assert files(run) == {"predictions.csv", "run.json", "notes.txt", "report/thesis.pdf"}
    once_more.directory.finish()
    assert kept(run, ["notes.txt", "report/thesis.pdf"])


def test_runs_of_before_there_were_kinds(bundled, run):
    info = json.loads((run / "run.json").read_text())
    del info["kind"], info["files"]
    info["command"] = ["camcli", "batch", "in", "--contact-sheet", "4x6", "--format", "jsonl"]
    (run / "run.json").write_text(json.dumps(info))
    for name in ("files.txt", "places.js", "near.js"):  # which pages of then had not
        (run / "report/data" / name).unlink()
    assets = run / "report/assets"
    for script in assets.glob("*/*.js"):  # and whose scripts lay beside each other
        script.rename(assets / f"{script.parent.name}_{script.name}")
    for folder in filter(Path.is_dir, assets.iterdir()):
        folder.rmdir()
    put(run, ["predictions.parquet", "report/thesis.pdf"])
    again = make(bundled, run.parent / "in", run, overlays=False)
    again.prepare(overwrite=True)
    assert files(run) == {
        "predictions.csv", "run.json", "predictions.parquet", "report/thesis.pdf",
    }  # fmt: skip


def test_a_page_is_made_anew_around_somebodys_files(run):
    put(run, ["report/thesis.pdf", "report/thumbs/000/mine.jpg"])
    before = files(run / "report")
    (run / "report/index.html").write_text('<meta content="camcli report">old')
    ReportJob([run], thumbnails=1).run()
    after = files(run / "report")
    assert before - after == {"thumbs/000/000001.jpg", "thumbs/000/000002.jpg"}
    assert "old" not in (run / "report/index.html").read_text("utf-8")[:60]
    assert kept(run, ["report/thesis.pdf", "report/thumbs/000/mine.jpg"])
    assert not list(run.glob(".camcli-*"))
    # A name that the page has not had, and somebody has.
    put(run, ["report/thumbs/000/000001.jpg"])
    with pytest.raises(UsageError, match=r"000001\.jpg is no file of that page"):
        ReportJob([run]).run()
    assert kept(run, ["report/thumbs/000/000001.jpg"])


def test_a_record_of_another_kind_is_none():
    assert ours.files_of({"kind": "audit", "files": ["a", 1]}, "audit", ()) == ["a"]
    assert ours.files_of({"kind": "audit"}, "evaluate", ()) is None
    assert ours.files_of({"rows": []}, "evaluate", ("rows",)) == []
    assert ours.files_of({"row": []}, "evaluate", ("rows",)) is None
    assert ours.files_of(None, "evaluate", ()) is None


def test_files_that_no_record_lists_are_not_replaced(tmp_path):
    def check(**kw):
        ours.check_replaceable(
            tmp_path, ("r.json", "a.csv", "b.png"), record="r.json", kind="audit",
            older=("classes",), **kw,
        )  # fmt: skip

    check(overwrite=False)
    (tmp_path / "a.csv").touch()
    with pytest.raises(UsageError, match=r"a\.csv exists\. Add --overwrite"):
        check(overwrite=False)
    with pytest.raises(UsageError, match=r"a\.csv was not written by 'camcli audit'"):
        check(overwrite=True)
    (tmp_path / "r.json").write_text('{"kind": "evaluate", "files": ["r.json", "a.csv"]}')
    with pytest.raises(UsageError, match=r"r\.json was not written by"):
        check(overwrite=True)
    (tmp_path / "r.json").write_text('{"kind": "audit", "files": ["r.json", "a.csv"]}')
    check(overwrite=True)
    (tmp_path / "b.png").touch()
    with pytest.raises(UsageError, match=r"b\.png was not"):
        check(overwrite=True)
    (tmp_path / "r.json").write_text('{"classes": []}')  # an older one lists none
    check(overwrite=True)
    with pytest.raises(CamcliError, match="is a file"):
        ours.check_replaceable(tmp_path / "a.csv", (), record="", kind="", older=(), overwrite=True)


def test_a_run_that_is_read_is_not_overwritten(bundled, run, tmp_path):
    before = files(run)
    (tmp_path / "link").symlink_to(run / "overlays")
    (tmp_path / "one.jpg").symlink_to(run / "overlays/a/1.jpg")
    sources = [run, run / "overlays", run / "contact_sheet.jpg", tmp_path / "link",
               tmp_path / "one.jpg", str(run / "overlays/a/*.jpg")]  # fmt: skip
    for source in sources:
        with pytest.raises(UsageError, match="was made by the run"):
            make(bundled, source, run).prepare(overwrite=True)
        assert files(run) == before


def test_a_new_overlay_is_not_written_over_somebodys_picture(bundled, run, tmp_path):
    put(run / "overlays", ["c/1.jpg"])
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path / "elsewhere", ["2.jpg"])
    (run / "overlays/d").symlink_to(tmp_path / "elsewhere")
    for name in ("c/1.jpg", "c/2.jpg", "d/2.jpg"):
        (run.parent / "in" / name).parent.mkdir(exist_ok=True)
        shutil.copy(run.parent / "in/a/1.jpg", run.parent / "in" / name)
    # What a killed run had drawn and not listed yet is the run's own.
    shutil.copy(run / "overlays/a/1.jpg", run / "overlays/c/2.jpg")
    again = make(bundled, run.parent / "in", run)
    again.prepare(overwrite=True)
    failed = {result.ref.rel: str(result.error) for result in again if result.error}
    assert set(failed) == {"c/1.jpg", "d/2.jpg"}
    assert all("no picture of camcli's" in error for error in failed.values())
    for name in (run / "overlays/c/1.jpg", tmp_path / "elsewhere/2.jpg"):
        assert not name.read_bytes().startswith(b"\xff\xd8")


def test_a_record_has_no_nan(tmp_path):
    (tmp_path / "run").mkdir()
    directory = RunDirectory(tmp_path / "run")
    directory.prepare({}, resume=False, overwrite=False)
    directory.write_info({"state": "finished", "seconds": float("nan"), "a": [float("inf")]})
    text = (tmp_path / "run/run.json").read_text()
    assert json.loads(text) == {"state": "finished", "seconds": None, "a": [None]}
