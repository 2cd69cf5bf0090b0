"""What a folder of findings says, as plain values; whoever wrote it may have meant harm."""

import copy
import json
import os
import random

import pytest

from camcli.errors import CamcliError
from camcli.evaluate.audit.for_report import audit_values
from camcli.evaluate.check.for_report import check_values
from camcli.evaluate.findings.files import as_dicts, finding_files
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.for_report import MOST, open_record, page_values, records_in


def same(rel):
    return rel


@pytest.fixture
def folder(tmp_path, findings):
    """An audit of hostile and of ordinary findings, as `camcli audit` leaves it."""
    return write(tmp_path / "audit", findings)


def write(folder, findings, **more):
    folder.mkdir()
    for name, content in finding_files(findings).items():
        (folder / name).parent.mkdir(exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        (folder / name).write_bytes(data)
    record = {"kind": "audit", "source": "/x", "findings": as_dicts(findings), **more}
    (folder / "audit.json").write_text(json.dumps(record))
    return folder


def opened(folder):
    record = open_record(folder, "audit.json", "audit")
    assert record is not None
    return record


def test_findings_are_in_the_order_in_which_they_are_shown_under_their_own_numbers(folder):
    values = page_values(opened(folder), same)
    assert [(f["number"], f["verdict"]) for f in values["findings"]] == [
        (2, "used"), (1, "not used"), (3, "unproved"),
    ]  # fmt: skip
    used = values["findings"][0]
    assert used["mark"]["url"].startswith("data:image/png;base64,")
    assert len(used["photographs"]) == used["sightings"] == 51
    assert used["photographs"][0]["region"] == [700, 900, 940, 960]
    assert used["effects"][0]["rows"][0][1] == {"value": 86.0, "low": 74.0, "high": 93.0}
    json.dumps(values, allow_nan=False)


def test_texts_can_be_shown_on_a_line_and_odd_regions_are_none(folder):
    record = json.loads((folder / "audit.json").read_text())
    sightings = record["findings"][0]["sightings"]
    for region in ([None, 0, 1, 1], [-5, -1, 1e300, 9], [0.5, 0.5, 0.5, 0.6]):
        sightings.append({**sightings[0], "region": region})
    record["findings"][0]["title"] = "a\x1b[31m\n" + "b" * 10_000
    (folder / "audit.json").write_text(json.dumps(record))
    card = page_values(opened(folder), same)["findings"][1]
    assert [p["region"] for p in card["photographs"]] == [
        [100, 100, 200, 300], None, [0, 0, 1000, 1000], None,
    ]  # fmt: skip
    assert card["title"].isprintable()
    assert len(card["title"]) < 5000


def test_photographs_of_elsewhere_have_no_path_and_keep_their_name(folder):
    card = page_values(opened(folder), lambda rel: None)["findings"][0]
    assert {p["path"] for p in card["photographs"]} == {None}
    assert card["photographs"][0]["name"] == "a/0.jpg"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("findings", "x"), ("findings", [3]), ("findings", [{}]), ("findings", None),
        ("verdict", "mine"), ("sightings", 5), ("sightings", [{"path": 1}]), ("present", "many"),
        ("heat", {"share": {}}), ("remove", []), ("title", None), ("looked", 1e999),
    ],
)  # fmt: skip
def test_a_broken_record_is_named(folder, key, value):
    record = json.loads((folder / "audit.json").read_text())
    target = record if key == "findings" else record["findings"][0]
    target[key] = value
    (folder / "audit.json").write_text(json.dumps(record))
    with pytest.raises(CamcliError, match=r"audit\.json"):
        page_values(opened(folder), same)


@pytest.mark.parametrize("key", ["classes", "clusters", "looked_for", "not_looked", "photographs"])
@pytest.mark.parametrize("value", [None, 3, "x", [None, 3, {"label": 4}], {"a": 5, "b": [6, {}]}])
def test_what_is_beside_the_findings_may_be_anything(folder, key, value):
    record = json.loads((folder / "audit.json").read_text())
    record[key] = value
    (folder / "audit.json").write_text(json.dumps(record))
    json.dumps(audit_values(opened(folder), same), allow_nan=False)


def test_a_picture_outside_of_the_folder_is_not_read(folder, tmp_path):
    record = json.loads((folder / "audit.json").read_text())
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / record["findings"][1]["picture"]).read_bytes())
    for name in ("../secret.png", str(secret)):
        record["findings"][1]["picture"] = name
        (folder / "audit.json").write_text(json.dumps(record))
        assert page_values(opened(folder), same)["findings"][0]["mark"] is None


def test_very_many_findings_are_counted(tmp_path):
    many = [Finding("mark", "a", "used", "a rests on it", "", "") for _ in range(MOST + 5)]
    values = page_values(opened(write(tmp_path / "audit", many)), same)
    assert (len(values["findings"]), values["left_out"]) == (MOST, 5)


def test_clusters_have_their_members_from_the_table(tmp_path, findings):
    clusters = {"a": [{"images": 2, "probability": 0.7, "typical": ["1.jpg", 3]}, {"images": -1}]}
    folder = write(tmp_path / "audit", findings, clusters=clusters)
    table = "path,label,pred,cluster\n1.jpg,a,a,0\n'=2.jpg,a,a,1\n3.jpg,a,a,\n4.jpg,a,a,x\n"
    (folder / "images.csv").write_text(table)
    values = audit_values(opened(folder), same)
    assert [(c["class"], c["number"], c["images"], c["typical"]) for c in values["clusters"]] == [
        ("a", 0, 2, ["1.jpg"]), ("a", 1, None, []),
    ]  # fmt: skip
    assert values["members"] == [("1.jpg", "a", 0), ("=2.jpg", "a", 1)]
    (folder / "images.csv").write_bytes(b"\xff\0")
    assert audit_values(opened(folder), same)["members"] == []


def test_a_check_has_all_photographs_of_its_table(tmp_path):
    found = Finding("suspect label", None, "data", "3 labels", "", "", (Sighting("1.jpg"),))
    folder = tmp_path / "check"
    folder.mkdir()
    (folder / "check.json").write_text(json.dumps({"kind": "check", "findings": as_dicts([found])}))
    (folder / "check.csv").write_text(
        "kind,path,label,score,other,suggestion,note\n"
        "suspect label,1.jpg,a,0.9,,b,looks like b\nsuspect label,'=2.jpg,a,x,,b,looks like b\n"
        "near duplicate,3.jpg,a,0.9,4.jpg,,\nsuspect label,,a,1,,,of a class\n"
    )
    record = open_record(folder, "check.json", "check")
    (card,) = check_values(record, same)["findings"]
    assert [(p["path"], p["suggestion"]) for p in card["photographs"]] == [
        ("1.jpg", "b"), ("=2.jpg", "b"),
    ]  # fmt: skip
    (folder / "check.csv").unlink()
    (card,) = check_values(record, same)["findings"]
    assert [p["path"] for p in card["photographs"]] == ["1.jpg"]


def test_only_records_of_their_kind_are_found(tmp_path, folder):
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "audit.json").write_text('{"kind": "check"}')
    (tmp_path / "no-json").mkdir()
    (tmp_path / "no-json" / "audit.json").write_text("[")
    (tmp_path / "pipe" / "audit.json").mkdir(parents=True)
    if hasattr(os, "mkfifo"):
        (tmp_path / "pipe" / "audit.json").rmdir()
        os.mkfifo(tmp_path / "pipe" / "audit.json")
    (tmp_path / "again").symlink_to("audit")
    found = list(records_in([tmp_path, tmp_path / "gone", tmp_path], "audit.json", "audit"))
    assert [record.folder.resolve() for record in found] == [folder.resolve()]


ODD = (None, True, -1, 1e308, float("nan"), 10**200, "", "\ud800", "../../etc/passwd", "\0", [],
       [[]], {"a": 1}, "x" * 9000, ["a", 3, None], [0, 0, 1, 1])  # fmt: skip


def places_in(value, at=()):
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(min(len(value), 3))
        for key in keys:
            yield (*at, key)
            yield from places_in(value[key], (*at, key))


def test_whatever_a_record_says_it_is_shown_or_refused_by_name(tmp_path, findings):
    clusters = {"a": [{"images": 2, "probability": 0.7, "typical": ["1.jpg"]}]}
    classes = [{"label": "a", "right": 1, "count": 2, "border": 0.5, "flags": ["mark"]}]
    folder = write(tmp_path / "audit", findings, clusters=clusters, classes=classes,
                   looked_for=["x"], not_looked=["y"], photographs=7)  # fmt: skip
    whole = json.loads((folder / "audit.json").read_text())
    places = list(places_in(whole))
    rng = random.Random(0)
    refused = []
    for _ in range(150):
        record = copy.deepcopy(whole)
        *above, last = rng.choice(places)
        inner = record
        for key in above:
            inner = inner[key]
        inner[last] = rng.choice(ODD)
        (folder / "audit.json").write_text(json.dumps(record))
        try:
            opened_now = open_record(folder, "audit.json", "audit")
            if opened_now is not None:
                json.dumps(audit_values(opened_now, same), allow_nan=False)
        except CamcliError as error:
            refused.append(str(error))
    assert all("audit.json" in message for message in refused)
    assert 20 < len(refused) < 130
