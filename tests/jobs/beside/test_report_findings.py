"""Which audit and which check the page of a run shows, without being told where they are."""

import json
import os
from pathlib import Path

import pytest

from camcli.errors import CamcliError, UsageError
from camcli.evaluate.findings.files import as_dicts
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.jobs.beside.findings import audit_of, check_of
from camcli.jobs.report import ReportJob
from camcli.render.report import RunData
from camcli.train.progress import Listener


class Heard(Listener):
    """Remembers what it is told."""

    def __init__(self):
        self.said, self.warned = [], []

    def say(self, message):
        self.said.append(message)

    def warn(self, message):
        self.warned.append(message)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run over ``photos``, made with the network 00, whose folder is not the current one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder = tmp_path / "work" / "run"
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text("path,pred,prob,status\n")
    (tmp_path / "photos").mkdir()
    info = {"config": {"source": str(tmp_path / "photos")}, "provenance": {"sha256": "00"},
            "written": "1970-01-01T00:16:40+00:00"}  # fmt: skip
    return RunData("run", folder, info, [])


def record(folder, kind="audit", path="1.jpg", time=2000, **more):
    folder.mkdir(parents=True, exist_ok=True)
    found = Finding("mark", "a", "used", folder.name, "", "", (Sighting(path),))
    file = folder / f"{kind}.json"
    file.write_text(json.dumps({"kind": kind, "findings": as_dicts([found]), **more}))
    os.utime(file, (time, time))
    return folder


def shown(found):
    """The finding's title, which is the folder's name, and what the run calls its photograph."""
    if found is None:
        return None
    (card,) = found["findings"]
    return card["title"], card["photographs"][0]["path"]


@pytest.mark.parametrize("place", ["work/camcli-audit", "work/run/mine", "elsewhere/camcli-audit"])
def test_an_audit_of_the_run_is_found_beside_it_inside_it_and_here(run, tmp_path, heard, place):
    folder = record(tmp_path / place, source=str(run.path))
    found = audit_of(run, None, heard)
    assert shown(found) == (folder.name, "1.jpg")
    assert folder.name in found["folder"]
    assert found["notes"] == []
    assert folder.name in heard.said[0]


def test_others_are_not_taken(run, tmp_path, heard):
    photos = str(tmp_path / "photos")
    record(tmp_path / "work" / "a", source=str(tmp_path / "work" / "another-run"))
    record(tmp_path / "work" / "b", source=photos, network={"sha256": "11"})
    record(tmp_path / "work" / "c", source=photos)  # nobody knows of which network
    record(tmp_path / "work" / "d")
    record(tmp_path / "work" / "e" / "deep", source=str(run.path))
    record(tmp_path / "work" / "f", source=5)
    record(tmp_path / "work" / "g", source="a\0b")
    record(tmp_path / "work" / "i", source="\ud800", root="/" + "x" * 9000)
    record(tmp_path / "work" / "j", source=str(run.path) + "/" + "x/" * 3000, root=["\udc80"])
    record(tmp_path / "work" / "h", kind="check", source=str(tmp_path / "photos-2"))
    assert audit_of(run, None, heard) is None
    assert check_of(run, None, heard) is None
    assert heard.said == heard.warned == []


def test_of_several_the_runs_own_and_then_the_newest_is_taken_and_said(run, tmp_path, heard):
    photos = str(tmp_path / "photos")
    record(tmp_path / "work" / "a", source=photos, network={"sha256": "00"}, time=4000)
    record(tmp_path / "work" / "b", source=str(run.path), time=2000)
    record(tmp_path / "work" / "c", source=str(run.path), time=3000)
    found = audit_of(run, None, heard)
    assert shown(found)[0] == "c"
    assert "Others fit this run, too" in found["notes"][0]
    (said,) = heard.said
    places = [said.index(str(tmp_path / "work" / name)) for name in "cba"]
    assert places == sorted(places)
    assert "--audit DIR" in said


def test_an_audit_of_the_photographs_by_the_same_network_is_of_the_run(run, tmp_path, heard):
    record(tmp_path / "work" / "a", source=str(tmp_path / "photos" / "heldout"),
           root=str(tmp_path / "photos" / "heldout"), network={"sha256": "00"})  # fmt: skip
    assert shown(audit_of(run, None, heard)) == ("a", "heldout/1.jpg")


def test_both_may_have_been_moved(run, tmp_path, heard):
    record(tmp_path / "work" / "a", source="/server/of/old/run", root="/server/photos",
           network={"sha256": "00"})  # fmt: skip
    assert shown(audit_of(run, None, heard)) == ("a", "1.jpg")
    record(tmp_path / "work" / "a", source="/server/of/old/run", network={"sha256": "11"})
    assert audit_of(run, None, heard) is None


@pytest.mark.parametrize("written", [None, 5, "yesterday", "0001-01-01T00:00:00+23:59"])
def test_a_run_that_does_not_say_when_it_was_written(run, tmp_path, heard, written):
    record(tmp_path / "work" / "a", source=str(run.path), time=500)
    run.info["written"] = written
    assert shown(audit_of(run, None, heard)) == ("a", "1.jpg")


def test_an_older_audit_and_one_of_another_network_say_so(run, tmp_path, heard):
    record(tmp_path / "work" / "a", source=str(run.path), time=500)
    assert audit_of(run, None, heard)["notes"] == ["It is older than this run."]
    other = record(tmp_path / "far", source="/x", network={"sha256": "11"})
    found = audit_of(run, other, heard)
    assert found["notes"] == ["It was made with another network than this run."]
    assert shown(found) == ("far", "1.jpg")


@pytest.mark.parametrize(
    ("source", "path", "name"),
    [
        ("photos", "a/1.jpg", "a/1.jpg"), (".", "photos/1.jpg", "1.jpg"), (".", "x/1.jpg", None),
        ("photos/sub", "1.jpg", "sub/1.jpg"),
    ],
)  # fmt: skip
def test_a_check_of_the_photographs_or_of_what_they_are_part_of(
    run, tmp_path, heard, source, path, name
):
    record(tmp_path / "elsewhere" / "camcli-check", "check", path, source=str(tmp_path / source),
           root=str(tmp_path / source))  # fmt: skip
    assert shown(check_of(run, None, heard)) == ("camcli-check", name)


def test_a_check_of_another_part_of_the_data_set_comes_last_and_says_so(run, tmp_path, heard):
    run.info["config"]["source"] = str(tmp_path / "set" / "heldout")
    train = record(tmp_path / "work" / "a", "check", time=9000, source=str(tmp_path / "set"),
                   root=str(tmp_path / "set" / "train"))  # fmt: skip
    found = check_of(run, None, heard)
    assert shown(found) == (train.name, None)
    (note,) = found["notes"]
    assert str(tmp_path / "set" / "train") in note
    record(tmp_path / "work" / "b", "check", "heldout/1.jpg", source=str(tmp_path / "set"),
           root=str(tmp_path / "set"))  # fmt: skip
    assert shown(check_of(run, None, heard)) == ("b", "1.jpg")


def test_a_broken_one_is_passed_over_and_said_unless_it_was_asked_for(run, tmp_path, heard):
    bad = record(tmp_path / "work" / "a", source=str(run.path), time=9000)
    content = json.loads((bad / "audit.json").read_text()) | {"findings": [{"kind": 3}]}
    (bad / "audit.json").write_text(json.dumps(content))
    record(tmp_path / "work" / "b", source=str(run.path))
    assert shown(audit_of(run, None, heard))[0] == "b"
    (warned,) = heard.warned
    assert "a/audit.json" in warned
    with pytest.raises(CamcliError, match=r"audit\.json"):
        audit_of(run, bad, heard)


def test_a_folder_that_holds_none_is_refused_before_anything_is_made(run, tmp_path):
    with pytest.raises(UsageError, match=r"--audit .*no audit\.json"):
        ReportJob([run.path], audit_dir=tmp_path).check()
    with pytest.raises(UsageError, match=r"--check .*no check\.json"):
        ReportJob([run.path], check_dir=Path("gone")).check()
    with pytest.raises(UsageError, match="page of two"):
        ReportJob([run.path, run.path], check_dir=tmp_path).check()
