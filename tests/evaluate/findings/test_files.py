"""Findings are written so that they are read back, and a spreadsheet runs none of their texts."""

import csv
import io
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.errors import CamcliError
from camcli.evaluate.findings.files import (
    COLUMNS,
    FOLDER,
    PHOTOGRAPHS,
    SIGHTING_COLUMNS,
    TABLE,
    as_dicts,
    finding_files,
    findings_csv,
    picture_names,
    read_findings,
    sightings_csv,
)
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.order import in_order
from camcli.files import write_whole
from camcli.spreadsheet import plain


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def written(folder, findings):
    files = {
        "audit.json": json.dumps({"findings": as_dicts(findings)}, allow_nan=False),
        **finding_files(findings),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        write_whole(folder / name, content)
    return folder / "audit.json"


def same(one, two):
    return one == two or (isinstance(one, float) and math.isnan(one) and math.isnan(two))


def test_what_is_written_is_read_back(tmp_path, findings):
    found = read_findings(written(tmp_path, findings))
    for one, two in zip(findings, found, strict=True):
        for name in (f.name for f in fields(Finding)):
            if name == "picture":
                continue
            if name == "retried":
                told = [[(r.rel, r.how, r.said_before, r.said_after) for r in f.retried]
                        for f in (one, two)]  # fmt: skip
                assert told[0] == told[1]
                for a, b in zip(one.retried, two.retried, strict=True):
                    assert a.before.shape == b.before.shape
                    assert np.abs(a.after.astype(int) - b.after).max() < 12  # JPEG
                continue
            if name == "add" and one.add:
                assert math.isnan(two.add.control_log_odds.value)
                assert replace(two.add, control_log_odds=one.add.control_log_odds) == one.add
                continue
            assert same(getattr(one, name), getattr(two, name)), name
        if one.picture is None:
            assert two.picture is None
        else:
            np.testing.assert_array_equal(one.picture, two.picture)  # small ones lose nothing


def test_pictures_have_names_that_every_disk_takes(findings):
    names = picture_names(findings)
    assert names == [f"{FOLDER}/be-ta-mark.png", f"{FOLDER}/alpha-mark.png", ""]
    twice = [findings[1], replace(findings[1], label="ALPHA"), replace(findings[1], label="..")]
    assert picture_names(twice) == [
        f"{FOLDER}/{name}.png" for name in ("alpha-mark", "ALPHA-mark-2", "mark")
    ]
    large = replace(findings[1], picture=np.zeros((300, 300, 3), np.uint8))
    assert picture_names([large]) == [f"{FOLDER}/alpha-mark.jpg"]
    assert finding_files([large])[f"{FOLDER}/alpha-mark.jpg"].startswith(b"\xff\xd8")


def test_a_row_a_finding(findings):
    found = rows(findings_csv(findings))
    assert tuple(found[0]) == COLUMNS
    assert [r["finding"] for r in found] == ["1", "2", "3"]
    alpha = found[1]
    assert (alpha["present"], alpha["looked"], alpha["elsewhere"]) == ("51", "60", "2")
    assert (alpha["removed_changed"], alpha["removed_low"], alpha["removed_high"]) == (
        "0.86", "0.74", "0.93",
    )  # fmt: skip
    assert (alpha["removed_control"], alpha["added_changed"]) == ("0.03", "0.6")
    assert alpha["added_control_log_odds"] == ""  # not known
    assert (alpha["heat_share"], alpha["sightings"]) == ("0.41", "51")
    assert found[2]["removed_changed"] == found[2]["effect"] == found[2]["picture"] == ""
    assert found[2]["words"].startswith("'=1+1")


def test_a_row_a_photograph(findings):
    found = rows(sightings_csv(findings))
    assert tuple(found[0]) == SIGHTING_COLUMNS
    assert [r["path"] for r in found if r["finding"] == "2"] == [f"a/{n}.jpg" for n in range(51)]
    assert [found[1][side] for side in ("left", "top", "right", "bottom")] == [
        "0.7", "0.9", "0.94", "0.96",
    ]  # fmt: skip
    last = found[-1]
    assert plain(last["path"]) == '=evil\n"\udce9.jpg'
    assert last["path"].startswith("'=")
    assert (last["other"], last["left"]) == ("other [red].jpg", "")


TEXT = st.text(st.characters(exclude_characters="\0"), max_size=12)


@given(TEXT, TEXT, TEXT.filter(bool), st.none() | TEXT)
def test_any_text_comes_back(title, label, path, other):
    finding = Finding(
        "mark", label, "used", title, label, path, (Sighting(path, None, title, 0.5, other),),
        picture=np.zeros((1, 1, 3), np.uint8),
    )  # fmt: skip
    assert json.loads(json.dumps(as_dicts([finding])))[0]["title"] == title
    (name,) = picture_names([finding])
    stem = name.removeprefix(f"{FOLDER}/").removesuffix(".png")
    assert stem.replace("-", "").isalnum()
    assert len(stem) <= 40
    for text in (findings_csv([finding]), sightings_csv([finding])):
        (row,) = rows(text)
        assert plain(row["label"]) == label
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert plain(rows(sightings_csv([finding]))[0]["path"]) == path


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "guilty"},
        {"title": 3},
        {"sightings": [{"path": "a"}]},
        {"sightings": [{"path": "a", "region": [1, 2], "note": "", "score": 0, "other": None}]},
        {"remove": {"how": "x"}},
        {"effect": "much"},
        {"present": None},
        {"retried": {"path": "a"}},
        {"retried": [3]},
        {"retried": [{"path": "a"}]},
        {"retried": [dict.fromkeys(("path", "how", "said_before", "said_after"), 1)]},
    ],
)
def test_a_record_that_says_something_else_is_refused(tmp_path, findings, change):
    record = tmp_path / "audit.json"
    record.write_text(json.dumps({"findings": [{**as_dicts(findings)[1], **change}]}))
    with pytest.raises(CamcliError, match="make it anew"):
        read_findings(record)


def test_no_record_is_told_and_pictures_outside_are_not_read(tmp_path, findings):
    with pytest.raises(CamcliError, match="holds no findings"):
        read_findings(tmp_path / "audit.json")
    inner = tmp_path / "inner"
    record = written(inner, findings)
    (inner / FOLDER / "alpha-mark.png").rename(tmp_path / "outside.png")
    told = record.read_text().replace(f"{FOLDER}/alpha-mark.png", "../outside.png")
    record.write_text(told)
    assert read_findings(record)[1].picture is None
    assert len(read_findings(record)[1].retried) == 1
    (inner / FOLDER / "after-2-1.jpg").rename(tmp_path / "after.jpg")
    for gone in (f"{FOLDER}/after-2-1.jpg", "../after.jpg", str(tmp_path / "after.jpg")):
        told = told.replace(f"{FOLDER}/after-2-1.jpg", gone)
        record.write_text(told)
        assert read_findings(record)[1].retried == ()
        told = told.replace(gone, f"{FOLDER}/after-2-1.jpg")


def test_what_is_used_comes_first(findings):
    assert [(v, [f.title for f in own]) for v, own in in_order(findings)] == [
        ("used", ["alpha rests on this mark"]),
        ("not used", ["be/ta carries a mark"]),
        ("unproved", [findings[2].title]),
    ]
    assert {TABLE, PHOTOGRAPHS} < set(finding_files(findings))
