"""Runs that somebody else made, changed or broke: no traceback, and nothing of the reader's."""

import base64
import csv
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from camcli.batch.tables.reading import read_rows
from camcli.cli.app import app

NAMES = ("predictions.csv", "heatmaps.jsonl", "run.json")


def camcli(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run in one shard, merged; three small photographs, one of which is broken."""
    base = tmp_path_factory.mktemp("made")
    for name, colour in (("a/1.jpg", (200, 30, 30)), ("b/2.jpg", (30, 200, 30))):
        (base / "in" / name).parent.mkdir(parents=True)
        Image.new("RGB", (80, 60), colour).save(base / "in" / name)
    (base / "in/a/broken.jpg").write_bytes(b"")
    shard = ("--shard", "1/1", "--quiet", "--fail-on", "none", "--runtime", "torch")
    done = camcli("batch", base / "in", "--out", base / "run", *shard)
    assert done.exit_code == 0, done.output
    assert camcli("merge", base / "run").exit_code == 0
    for file in (base / "run").glob("overlays/**/*.jpg"):
        assert file.stat().st_size
    return base


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def table(path, change):
    """Change cells of the two good rows."""
    text = path.read_text("utf-8")
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")


@pytest.mark.slow  # several commands
def test_a_page_takes_no_picture_from_outside_of_the_source(run, made, tmp_path):
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (80, 60), (1, 2, 3)).save(secret)
    (made / "in" / "link.jpg").symlink_to(secret)
    (made / "in" / "ring").symlink_to(tmp_path)
    (run / "overlays" / "link.jpg").symlink_to(secret)
    whole = camcli("report", run, "--self-contained", "--out", tmp_path / "ok")
    assert whole.exit_code == 0, whole.output
    assert (tmp_path / "ok/index.html").read_text("utf-8").count("data:image/jpeg") == 2
    up = "/".join([".."] * len((made / "in").parts)) + str(secret)
    for name in (str(secret), up, "link.jpg", "ring/secret.jpg", f"a/../{up}"):
        shutil.copytree(made / "run", tmp_path / "copy", symlinks=True)
        (tmp_path / "copy/overlays/link.jpg").symlink_to(secret)
        table(tmp_path / "copy/predictions.csv", {"a/1.jpg,": f"{name},"})
        table(tmp_path / "copy/predictions.csv", {f"overlays/{name},": "overlays/link.jpg,"})
        table(tmp_path / "copy/heatmaps.jsonl", {'"a/1.jpg"': json.dumps(name)})
        for option in ((), ("--self-contained",)):
            page = tmp_path / "page"
            done = camcli("report", tmp_path / "copy", "--out", page, *option)
            assert done.exit_code == 0, done.output
            text = (page / "index.html").read_text("utf-8")
            if option:
                assert text.count("data:image/jpeg") == 1  # of b/2.jpg
            else:
                thumbs = list((page / "thumbs").rglob("*.jpg"))
                assert len(thumbs) == 1
                detail = (page / "data/detail-0.js").read_text()
                side = json.loads(detail[len("camcli.detail(0,") : -len(");\n")])["sides"][0]
                at = side["outside"].index(1)
                assert side["outside"].count(1) == 1
                assert side["overlay"][at] == 0
            shutil.rmtree(page)
        audited = camcli("audit", tmp_path / "copy", "--out", tmp_path / "audit", "--overwrite")
        assert audited.exit_code == 0, audited.output
        shutil.rmtree(tmp_path / "copy")
    for name in ("link.jpg", "ring"):
        (made / "in" / name).unlink()


def test_a_run_that_says_no_source_shows_no_photographs(run, tmp_path):
    info = json.loads((run / "run.json").read_text())
    for source in (None, "", 7, ["a"], "a\0b"):
        info["config"]["source"] = source
        (run / "run.json").write_text(json.dumps(info))
        done = camcli("report", run, "--self-contained", "--out", tmp_path / "page")
        assert done.exit_code == 0, done.output
        assert "data:image/jpeg" not in (tmp_path / "page/index.html").read_text("utf-8")


def commands(run, made):
    """All that reads a run."""
    base = run.parent
    return [
        ("report", run, "--out", base / "page"),
        ("report", run, run, "--out", base / "compared"),
        ("audit", run, "--out", base / "audit", "--overwrite"),
        ("merge", run, "--format", "jsonl"),
    ]


def check(done):
    assert done.exit_code in (0, 1, 2, 3), done.output
    assert "mistake in camcli" not in done.output, done.output
    assert "Traceback" not in done.output


def resume(run, made):
    """Without a network: what is read of the run before anything is done."""
    from camcli.batch.run_files.rundir import RunDirectory
    from camcli.errors import CamcliError

    try:
        directory = RunDirectory(run)
        for each in list(run.glob("*.1-of-1.*")):
            each.unlink()
        directory.prepare(config_of(made), resume=True, overwrite=False)
        try:
            rows = list(directory.rows())
        finally:
            directory.finish()
    except CamcliError:
        return
    assert all({"path", "status", "overlay", "correct"} <= row.keys() for row in rows)


def config_of(made):
    return json.loads((made / "run/run.json").read_text())["config"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("predictions.csv", b"", 2),
        ("predictions.csv", b"path,pred,prob,status\r\n", 2),
        ("predictions.csv", b"a;b\n1;2\n", 1),
        ("predictions.csv", bytes(range(256)), 1),
        ("run.json", b"[]", 1),
        ("run.json", b"{", 1),
        ("run.json", b'{"config": []}', 1),
        ("run.json", b'{"counts": {"done": "7"}}', 1),
        ("run.json", b"[" * 100_000, 1),
        ("run.json", b"{}", 0),
        ("heatmaps.jsonl", b"nonsense\n[]\n{}\n", 0),
        ("heatmaps.jsonl", b"", 0),
        ("heatmaps.jsonl", b"[" * 100_000, 0),
    ],
)  # fmt: skip
def test_broken_files_are_one_sentence_or_do_not_matter(run, made, name, content, expected):
    (run / name).write_bytes(content)
    report = camcli("report", run, "--out", run.parent / "page")
    assert report.exit_code == expected, report.output
    if expected == 1:
        assert name in report.output
    for command in commands(run, made):
        check(camcli(*command))
    resume(run, made)


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -5, "x", None, [], {}, True])
def test_numbers_that_are_none_in_maps_and_tables(run, made, value):
    lines = []
    for line in (run / "heatmaps.jsonl").read_text().splitlines():
        for key in ("max", "prob", "shape", "values", "target", "empty"):
            record = json.loads(line)
            record["maps"][0][key] = value
            lines.append(json.dumps(record))
        for key in ("view", "path", "maps", "truth"):
            lines.append(json.dumps(json.loads(line) | {key: value}))
        lines.append(json.dumps(json.loads(line) | {"view": [0, value, 3, 4]}))
    (run / "heatmaps.jsonl").write_text("\n".join(lines))
    nan = base64.b64encode(b"\x00\x7e" * 49).decode()
    lines.append(line.replace(json.loads(line)["maps"][0]["values"], nan))
    for command in commands(run, made):
        check(camcli(*command))
    prob = next(read_rows(run / "predictions.csv"))["prob"]
    table(run / "predictions.csv", {prob: "nan"})
    for command in commands(run, made)[:3]:
        assert camcli(*command).exit_code == 0


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_a_byte_or_a_cell_is_told_in_a_sentence(made, tmp_path_factory, data):
    base = tmp_path_factory.mktemp("x")
    run = base / "run"
    run.mkdir()
    for name in (*NAMES, "predictions.1-of-1.csv", "heatmaps.1-of-1.jsonl", "run.1-of-1.json"):
        shutil.copy(made / "run" / name, run / name)
    name = data.draw(st.sampled_from(NAMES))
    text = (run / name).read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.sampled_from([0, 1, 2, 7, 40])))
        new = data.draw(st.binary(max_size=3) | st.sampled_from(
            [b",", b";", b'"', b"\n", b"\r\n", b"NaN", b"1e999", b"-1", b"null", b"[]", b"{}",
             b"\xef\xbb\xbf", b"'=", b"\0", b"true"]))  # fmt: skip
        text = text[:at] + new + text[end:]
    (run / name).write_bytes(text)
    stem, suffix = name.split(".")
    (run / f"{stem}.1-of-1.{suffix}").write_bytes(text)
    for command in commands(run, made):
        check(camcli(*command))
    resume(run, made)
    shutil.rmtree(base)


@pytest.mark.parametrize("gone", ["overlay", "width", "heat_area"])
def test_a_table_that_lost_a_column_is_not_appended_to(run, made, gone):
    for each in list(run.glob("*.1-of-1.*")):
        each.unlink()
    table = run / "predictions.csv"
    before = table.read_bytes().replace(f",{gone},".encode(), f",{gone[1:]},".encode(), 1)
    table.write_bytes(before)
    done = camcli("batch", made / "in", "--out", run, "--resume", "--quiet", "--runtime", "torch")
    assert done.exit_code == 2, done.output
    assert f"has no column '{gone}'" in " ".join(done.output.split())
    assert table.read_bytes() == before


def test_a_table_that_a_spreadsheet_saved_is_read_and_not_appended_to(run, made, tmp_path):
    whole = list(read_rows(run / "predictions.csv"))
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))
    with (run / "predictions.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows(cells)
    assert list(read_rows(run / "predictions.csv")) == whole
    for each in list(run.glob("*.1-of-1.*")):
        each.unlink()
    assert camcli("report", run).exit_code == 0
    before = (run / "predictions.csv").read_bytes()
    done = camcli("batch", made / "in", "--out", run, "--resume", "--quiet", "--runtime", "torch")
    assert done.exit_code == 2, done.output
    assert "saved by another program" in " ".join(done.output.split())
    assert (run / "predictions.csv").read_bytes() == before
    again = ("--overwrite", "--quiet", "--runtime", "torch", "--fail-on", "none")
    assert camcli("batch", made / "in", "--out", run, *again).exit_code == 0
    assert [row["path"] for row in read_rows(run / "predictions.csv")] == [
        row["path"] for row in whole
    ]
    assert Path(run / whole[0]["overlay"]).is_file()
