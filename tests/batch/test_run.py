import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.rows import columns
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError
from camcli.render.style import Style


def rows_of(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make(bundled, folder, out, **kw):
    what = make_explanation(bundled, kw.pop("method", "gradcam"), topk=kw.pop("topk", 1))
    limit = kw.pop("limit", None)
    return Run(find_images(folder, limit=limit), bundled, what, RunDirectory(out), **kw)


def test_a_run_leaves_rows_overlays_and_its_description(bundled, folder, tmp_path):
    out = tmp_path / "run"
    run = make(bundled, folder, out)
    run.prepare()
    results = list(run)
    rows = rows_of(out)
    assert list(rows[0]) == columns(5)
    assert [r["path"] for r in rows] == [r.ref.rel for r in results]
    for row in rows:
        if row["status"] == "error":
            assert row["error"]
            assert row["overlay"] == ""
        else:
            picture = cv2.imread(str(out / row["overlay"]))
            assert picture.shape[1] == 300  # of 120: small photographs are drawn enlarged
            assert picture.shape[0] > 225  # the strip is below the photograph
    info = json.loads((out / "run.json").read_text())
    assert info["state"] == "finished"
    assert info["counts"]["done"] == 9
    assert info["counts"]["failed"] == 2
    assert not (out / ".tmp").exists()


def test_numbers_in_the_table_are_those_of_the_result(bundled, folder, tmp_path):
    run = make(bundled, folder, tmp_path / "run")
    run.prepare()
    for result, row in zip(list(run), rows_of(tmp_path / "run"), strict=True):
        if result.status == "error":
            continue
        assert row["pred"] == result.pred == result.top[0][0]
        assert float(row["prob"]) == pytest.approx(result.prob, rel=1e-4)
        assert row["top3"] == result.top[2][0]
        heat = result.heats[0]
        if heat.box:
            assert tuple(int(row[f"box_{k}"]) for k in ("x0", "y0", "x1", "y1")) == heat.box


def test_not_empty_is_refused_and_foreign_folders_are_never_deleted(bundled, folder, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError):
            make(bundled, folder, out).prepare(**options)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_overwrite_removes_only_what_camcli_made(bundled, folder, tmp_path):
    out = tmp_path / "run"
    run = make(bundled, folder, out)
    run.prepare(files=["predictions.jsonl"])
    list(run)
    (out / "notes.txt").write_text("mine")
    (out / "predictions.jsonl").write_text("the old rows")
    again = make(bundled, folder, out, limit=2)
    again.prepare(overwrite=True)
    list(again)
    assert len(rows_of(out)) == 2
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "predictions.jsonl").exists()
    assert len(list((out / "overlays").rglob("*.jpg"))) <= 2


def test_resume_with_another_method_is_refused_naming_both(bundled, folder, tmp_path):
    run = make(bundled, folder, tmp_path / "run", limit=2)
    run.prepare()
    list(run)
    with pytest.raises(UsageError, match=r"method 'gradcam'.*'layercam'"):
        make(bundled, folder, tmp_path / "run", method="layercam").prepare(resume=True)
    with pytest.raises(UsageError, match="style"):
        make(bundled, folder, tmp_path / "run", style=Style(alpha=0.1)).prepare(resume=True)


def test_what_was_left_to_camcli_is_recorded_beside_what_it_was(bundled, folder, tmp_path):
    """And a run of before, by Grad-CAM, is gone on with, and the other way round."""
    for first, then in (("auto", "gradcam"), ("gradcam", "auto")):
        out = tmp_path / first
        run = make(bundled, folder, out, method=first, limit=2)
        run.prepare()
        assert {r.method for r in run if r.status != "error"} == {"gradcam"}
        info = run.directory.read_info()
        assert info["config"]["method"] == "gradcam"
        assert info.get("asked") == ("auto" if first == "auto" else None)
        again = make(bundled, folder, out, method=then, limit=2)
        again.prepare(resume=True)
        assert not list(again)


def test_resume_after_an_early_stop_gives_the_rows_of_an_uninterrupted_run(
    bundled, folder, tmp_path
):
    whole = make(bundled, folder, tmp_path / "whole")
    whole.prepare()
    list(whole)
    part = make(bundled, folder, tmp_path / "part", batch_size=2)
    part.prepare()
    stream = iter(part)
    for _ in range(3):
        next(stream)
    stream.close()
    assert json.loads((tmp_path / "part" / "run.json").read_text())["state"] == "interrupted"
    # A torn row, as a kill in the middle of a write leaves it.
    with (tmp_path / "part" / "predictions.csv").open("ab") as file:
        file.write(b'b/frame_0003.jpg,,"tab')
    rest = make(bundled, folder, tmp_path / "part")
    rest.prepare(resume=True)
    assert rest.counts.before == 3
    list(rest)
    assert [r["path"] for r in rows_of(tmp_path / "part")] == [
        r["path"] for r in rows_of(tmp_path / "whole")
    ]
    assert rest.counts.done == 9
    assert rest.counts.failed == 2


def test_the_runs_own_pictures_are_not_its_input(bundled, folder):
    out = folder / "run"
    for options in ({}, {"resume": True}):
        run = make(bundled, folder, out)
        run.prepare(**options)
        list(run)
    assert len(rows_of(out)) == 9


def test_collisions_of_a_template_are_error_rows_and_stay_so_on_resume(bundled, folder, tmp_path):
    # a/frame_0000.jpg and b/frame_0000.jpg have one stem.
    out = tmp_path / "run"
    run = make(bundled, folder, out, name_template="{stem}")
    run.prepare()
    rows = [(r.ref.rel, r.status, r.overlay) for r in run]
    taken = [r for r in rows_of(out) if "already taken" in r["error"]]
    assert len(taken) >= 2
    overlays = [overlay for _, _, overlay in rows if overlay]
    assert len(set(overlays)) == len(overlays)


@pytest.mark.parametrize("topk", [1, 3])
@pytest.mark.parametrize("panel", [False, True])
def test_topk_and_panel_pictures(bundled, folder, tmp_path, topk, panel):
    out = tmp_path / "run"
    run = make(bundled, folder, out, topk=topk, style=Style(panel=panel), limit=1)
    run.prepare()
    (result,) = run
    assert len(result.heats) == topk
    picture = cv2.imread(str(out / result.overlay))
    assert picture.shape[1] >= 120 * (3 if panel else topk)


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(bundled, folder, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CamcliError, match="Cannot write"):
            make(bundled, folder, tmp_path / "run").prepare()
    finally:
        tmp_path.chmod(0o700)


def test_output_removed_under_the_run_is_one_message(bundled, folder, tmp_path):
    import shutil

    out = tmp_path / "run"
    run = make(bundled, folder, out, batch_size=1, workers=1)
    run.prepare()
    stream = iter(run)
    next(stream)
    # Renamed, because the workers may still write while a tree is being removed file by file.
    out.rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    with pytest.raises(CamcliError, match="Cannot write"):
        list(stream)


@pytest.mark.parametrize("name", ["predictions.csv", "heatmaps.jsonl"])
def test_a_table_removed_under_the_run_is_noticed_at_the_next_row(bundled, folder, tmp_path, name):
    """Or hours of rows would go into a file that no folder holds any more."""
    run = make(bundled, folder, tmp_path / "run")
    run.prepare()
    stream = iter(run)
    next(stream)
    (tmp_path / "run" / name).unlink()
    with pytest.raises(CamcliError, match=rf"Cannot write .*{name}: it was removed"):
        list(stream)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_message(bundled, folder, tmp_path):
    out = tmp_path / "run"
    run = make(bundled, folder, out)
    run.prepare()
    (out / "predictions.csv").unlink()
    (out / "predictions.csv").symlink_to("/dev/full")
    with pytest.raises(CamcliError, match=r"Cannot write .*predictions\.csv.*--resume"):
        list(run)


@pytest.mark.slow
@pytest.mark.posix
def test_kill_9_at_random_moments_then_resume(tmp_path):
    """The same rows as an uninterrupted run, no duplicates, no half overlay.

    The command itself; `test_faults` kills the run behind it fifty times.
    """
    from PIL import Image

    images = tmp_path / "in"
    images.mkdir()
    draw = np.random.default_rng(1)
    for n in range(150):
        noise = draw.integers(0, 255, (60, 80, 3), np.uint8)
        Image.fromarray(noise).save(images / f"{n:03}.jpg")
    (images / "077.jpg").write_bytes(b"not a jpeg")
    out = tmp_path / "run"
    command = [sys.executable, "-m", "camcli", "batch", str(images), "--out", str(out), "--quiet",
               "--batch-size", "4", "--resume"]  # fmt: skip
    when = random.Random(2)
    kills = 0
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        before = done = _finished(out)
        goal = before + when.randrange(1, 40)
        deadline = time.monotonic() + 120
        while process.poll() is None and done < goal and time.monotonic() < deadline:
            time.sleep(0.005)
            done = _finished(out)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    end = subprocess.run(command, capture_output=True, text=True, check=False)
    assert end.returncode == 3, end.stderr
    rows = rows_of(out)
    assert [r["path"] for r in rows] == [f"{n:03}.jpg" for n in range(150)]
    assert [r["path"] for r in rows if r["status"] == "error"] == ["077.jpg"]
    pictures = sorted(p.relative_to(out).as_posix() for p in (out / "overlays").rglob("*.*"))
    assert pictures == sorted(r["overlay"] for r in rows if r["overlay"])
    for name in pictures:
        data = (out / name).read_bytes()
        assert data.startswith(b"\xff\xd8")
        assert data.endswith(b"\xff\xd9")
    assert not (out / ".tmp").exists()


def _finished(out):
    try:
        return (out / "predictions.csv").read_bytes().count(b"\r\n")
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_a_run_killed_before_its_first_row_can_be_taken_up(bundled, folder, tmp_path, option):
    out = tmp_path / "run"
    (out / ".tmp").mkdir(parents=True)
    (out / ".tmp" / "half").write_bytes(b"x")
    (out / "overlays").mkdir()
    run = make(bundled, folder, out, limit=1)
    run.prepare(**{option: True})
    assert len(list(run)) == 1


def test_a_url_is_no_run_directory():
    with pytest.raises(UsageError, match="not a URL"):
        RunDirectory(Path("s3://bucket/run"))


def test_big_jpegs_are_decoded_no_larger_than_needed(bundled, photos, tmp_path, monkeypatch):
    """Neither the prediction nor the picture shows it."""
    from PIL import Image

    import camcli.data.decode.images as images

    bundled = replace(bundled, preprocess=bundled.preprocess.with_(size=160))
    folder = tmp_path / "in"
    folder.mkdir()
    for n, rgb in enumerate(photos):
        Image.fromarray(rgb).resize((2003, 1501)).save(folder / f"{n}.jpg", quality=90)
    whole = make(bundled, folder, tmp_path / "whole")
    sizes, decode = [], images._decode
    monkeypatch.setattr(
        images, "_decode", lambda *a: sizes.append((p := decode(*a)).rgb.shape[1]) or p
    )
    table = make(bundled, folder, tmp_path / "table", overlays=False)
    small = make(bundled, folder, tmp_path / "small", style=Style(max_size=800))
    for run, width in ((whole, {2003}), (table, {1002}), (small, {1002})):
        sizes.clear()
        run.prepare()
        list(run)
        assert set(sizes) == width
    assert not (tmp_path / "table" / "overlays").exists()
    expected = rows_of(tmp_path / "whole")
    for name in ("table", "small"):
        for one, row in zip(expected, rows_of(tmp_path / name), strict=True):
            assert (row["pred"], row["width"], row["height"]) == (one["pred"], "2003", "1501")
            assert float(row["prob"]) == pytest.approx(float(one["prob"]), abs=0.03)
            assert float(row["heat_x"]) == pytest.approx(float(one["heat_x"]), abs=0.02)
    picture = cv2.imread(str(tmp_path / "small" / "overlays" / "0.jpg"))
    assert picture.shape[1] == 800
