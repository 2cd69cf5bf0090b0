import json
from pathlib import Path

import pytest
from PIL import Image

from camcli.jobs.report import ReportJob


@pytest.fixture
def run(camcli, tmp_path):
    """A real run over three small pictures, one of them broken."""
    for n, colour in enumerate([(200, 30, 30), (30, 200, 30)]):
        path = tmp_path / "photos" / f"class{n}" / f"{n}.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (80, 60), colour).save(path)
    (tmp_path / "photos" / "class0" / "broken.jpg").write_bytes(b"")
    done = camcli("batch", "photos", "--out", "run", "--quiet", "--fail-on", "none")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "run"


def test_a_run_becomes_a_page(camcli, run):
    done = camcli("report", run)
    assert done.exit_code == 0, done.stderr
    page = Path(done.stdout.strip())
    assert page == run / "report" / "index.html"
    assert "efficientnet_lite0" in page.read_text("utf-8")
    # That the method was left to camcli, and why it is this one.
    recorded = json.loads((run / "run.json").read_text())
    assert (recorded["config"]["method"], recorded["asked"]) == ("gradcam", "auto")
    assert "Maps by gradcam, exact where" in recorded["chosen"]
    assert recorded["chosen"] in page.read_text("utf-8")
    detail = (page.parent / "data" / "detail-0.js").read_text()
    found = json.loads(detail[len("camcli.detail(0,") : -len(");\n")])
    assert found["size"].count([80, 60]) == 2
    assert any("empty" in str(error) for error in found["sides"][0]["error"])
    assert sum(bool(maps) for maps in found["sides"][0]["maps"]) == 2
    assert len(list((page.parent / "thumbs").rglob("*.jpg"))) == 2
    # Again: replaced without a question, it is camcli's own.
    assert camcli("report", run).exit_code == 0
    # And batch --overwrite takes it away with the run it showed.
    camcli("batch", "photos", "--out", "run", "--quiet", "--overwrite", "--no-overlays")
    assert not (run / "report").exists()


def test_open_starts_the_browser(camcli, run, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)) or True)
    assert camcli("report", run, "--open").exit_code == 0
    assert opened == [(run / "report" / "index.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert "open" in camcli("report", run, "--open").stderr


def test_two_runs_are_compared(camcli, run):
    camcli("batch", "photos", "--out", "other", "--quiet", "--method", "layercam")
    done = camcli("report", run, "other")
    assert done.exit_code == 0, done.stderr
    page = Path(done.stdout.strip())
    assert page == Path("camcli-comparison/index.html")
    text = page.read_text("utf-8")
    assert "layercam" in text
    assert "gradcam" in text


def test_self_contained(camcli, run):
    done = camcli("report", run, "--self-contained", "--out", "mail")
    assert done.exit_code == 0, done.stderr
    assert [p.name for p in Path("mail").iterdir()] == ["index.html"]
    assert "data:image/jpeg;base64," in Path("mail/index.html").read_text("utf-8")


def test_mistakes_are_explained(camcli, run, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, expected in [
        (["nowhere"], "not a folder"),
        (["empty"], "predictions.csv"),
        ([run, run, run], "two to compare"),
        ([run, "--out", "photos"], "not a page of camcli"),
    ]:
        done = camcli("report", *words)
        assert done.exit_code == 2, done.stderr
        assert expected in " ".join(done.stderr.split())
    assert (tmp_path / "photos" / "class0" / "0.jpg").is_file()
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "predictions.1-of-2.csv").write_text("path\r\n")
    assert "camcli merge" in " ".join(camcli("report", shards).stderr.split())


def test_a_folder_that_is_no_page_is_refused_before_anything_is_read(
    camcli, run, tmp_path, monkeypatch
):
    """Of a run, of two, and of the place that is taken if none is named."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "camcli-comparison").mkdir()
    (tmp_path / "camcli-comparison" / "notes.txt").write_text("mine")

    def read(*args, **more):
        raise AssertionError("it was read first")

    monkeypatch.setattr(ReportJob, "_beside", read)
    for name in ("audit_of", "check_of", "read_run"):
        monkeypatch.setattr(f"camcli.jobs.report.{name}", read)
    for words in ([run, "--out", "mine"], [run, run, "--out", "mine"], [run, run]):
        done = camcli("report", *words)
        assert done.exit_code == 2, done.stderr
        assert "not a page of camcli" in " ".join(done.stderr.split())
    with pytest.raises(AssertionError, match="read first"):  # where there is nothing to refuse
        ReportJob([run], out=tmp_path / "new").run()


@pytest.mark.slow  # several commands
def test_a_merged_run_has_the_maps_of_all_shards(camcli, run, tmp_path):
    for n in (1, 2):
        camcli("batch", "photos", "--out", "parts", "--quiet", "--shard", f"{n}/2")
    assert camcli("merge", "parts").exit_code == 0
    done = camcli("report", "parts")
    assert done.exit_code == 0, done.stderr
    whole = camcli("report", run)
    one, two = (
        (Path(d.stdout.strip()).parent / "data" / "detail-0.js").read_text() for d in (done, whole)
    )
    assert one == two


@pytest.mark.slow
def test_batch_makes_the_page_too(camcli, run):
    done = camcli("batch", "photos", "--out", "run", "--overwrite", "--report", "--fail-on", "none")
    assert done.exit_code == 0, done.stderr
    assert (run / "report" / "index.html").is_file()
    assert f"Page: {Path('run/report/index.html').absolute().as_uri()}" in done.stderr
    assert camcli("batch", "photos", "--out", "p", "--shard", "1/2", "--report").exit_code == 2
    assert not Path("p").exists()
