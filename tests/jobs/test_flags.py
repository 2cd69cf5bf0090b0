"""What an audit and a check found out before is told when a run is finished."""

import json

import pytest

from camcli.batch.run_files.run_paths import INFO
from camcli.evaluate.findings.files import as_dicts
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.jobs.flags import Flagged, flags_of


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run over ``photos`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "run" / "predictions.csv").write_text("path,pred,prob,status\n")
    info = {"config": {"source": str(tmp_path / "photos")}, "provenance": {"sha256": "00"}}
    (tmp_path / "run" / INFO).write_text(json.dumps(info))
    return tmp_path / "run"


def record(folder, kind, source, *titles, verdict="used"):
    folder.mkdir()
    found = [Finding("mark", "a", verdict, t, "", "", (Sighting("1.jpg"),)) for t in titles]
    content = {"kind": kind, "findings": as_dicts(found), "source": str(source)}
    (folder / f"{kind}.json").write_text(json.dumps(content))


def test_an_audit_and_a_check_beside_a_run_are_told(run, tmp_path):
    assert flags_of(run) == []
    record(tmp_path / "audited", "audit", run, "a rests on a tag", "b rests on snow")
    record(tmp_path / "checked", "check", tmp_path / "photos", "3 copies", verdict="data")
    assert flags_of(run) == [
        Flagged("audited", ["a rests on a tag", "b rests on snow"]),
        Flagged("checked", ["3 copies"]),
    ]


def test_what_does_no_harm_or_cannot_be_read_is_left_out(run, tmp_path):
    record(tmp_path / "audited", "audit", run, "a tag", verdict="not used")
    record(tmp_path / "checked", "check", tmp_path / "photos")
    record(tmp_path / "other", "check", tmp_path / "elsewhere", "3 copies")
    assert flags_of(run) == []
    (tmp_path / "audited" / "audit.json").write_text('{"kind": "audit", "findings": 3}')
    assert flags_of(run) == []
    (run / INFO).write_text("{")  # nobody asked for flags: the run is finished all the same
    assert flags_of(run) == []
