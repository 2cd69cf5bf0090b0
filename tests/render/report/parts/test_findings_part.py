"""Findings on the page of a run: photographs become rows, and the first screen names the worst."""

import json

import pytest

from camcli.render.report.parts.findings import FIRST, choices, findings_part, flags

ROWS = {"a.jpg": 0, "b.jpg": 1, "c.jpg": 2}


def card(number=1, verdict="data", photographs=(), title="found", counts=()):
    return {
        "number": number, "kind": "mark", "title": title, "verdict": verdict,
        "counts": list(counts), "sightings": len(photographs), "photographs": list(photographs),
    }  # fmt: skip


def photo(path, other=None, *, pair=False, region=None, note=""):
    return {"path": path, "other": other, "pair": pair, "name": f"{path}", "region": region,
            "note": note, "suggestion": ""}  # fmt: skip


def part(tmp_path, *cards, **more):
    return findings_part({"findings": cards, **more}, ROWS.get, tmp_path / "report")


def test_photographs_that_are_not_in_the_run_are_named_and_counted(tmp_path):
    found = part(tmp_path, card(photographs=[
        photo("b.jpg", region=[1, 2, 3, 4]), photo("../../etc/passwd"), photo(None), photo("a.jpg"),
    ]))  # fmt: skip
    (one,) = found["findings"]
    assert (one["rows"], one["regions"], one["gone_count"]) == ([1, 0], [[1, 2, 3, 4], 0], 2)
    assert one["others"] == one["notes"] == 0
    assert choices({"audit": found}) == [
        {"key": "audit:1", "tab": "audit", "title": "found", "kind": "mark", "photographs": 2}
    ]


def test_of_a_pair_the_one_that_is_in_the_run_is_shown(tmp_path):
    found = part(tmp_path, card(photographs=[
        photo("a.jpg", "b.jpg", pair=True), photo("x.jpg", "c.jpg", pair=True),
        photo("b.jpg", "x.jpg", pair=True), photo("x.jpg", "y.jpg", pair=True),
    ]))  # fmt: skip
    (one,) = found["findings"]
    assert (one["rows"], one["others"], one["gone_count"]) == ([0, 2, 1], [1, -1, -1], 1)
    assert choices({"check": found})[0]["photographs"] == 3


def test_clusters_have_rows_and_the_audits_page_a_relative_link(tmp_path):
    found = part(
        tmp_path,
        clusters=[{"class": "x", "number": 0, "typical": ["b.jpg", None]}],
        members=[("a.jpg", "x", 0), ("gone.jpg", "x", 0), ("c.jpg", "y", 0)],
        page=str(tmp_path / "camcli audit" / "audit.html"),
    )
    assert found["clusters"] == [{"class": "x", "number": 0, "typical": [1], "rows": [0]}]
    assert found["page"] == "../camcli%20audit/audit.html"
    assert "members" not in found
    json.dumps(found)


def test_the_first_screen_names_what_is_used_and_what_is_wrong(tmp_path):
    audit = part(tmp_path, card(1, "used", [photo("a.jpg")], "a mark", [("a", 51, 60)]),
                 card(2, "not used", [photo("a.jpg")], "a frame"))  # fmt: skip
    check = part(tmp_path, card(1, "data", [photo("a.jpg"), photo("x.jpg")], "2 labels"))
    said = flags({"audit": audit, "check": check})
    assert [(one["tab"], one["number"], one["title"], one["words"]) for one in said["first"]] == [
        ("audit", 1, "a mark", "51 of 60"), ("check", 1, "2 labels", "1 of them in this run"),
    ]  # fmt: skip
    assert said["more"] == said["calm"] == []


def test_nothing_found_is_said_and_nobody_looked_is_not(tmp_path):
    assert flags({}) is None
    unused = flags({"audit": part(tmp_path, card(1, "not used", [photo("a.jpg")]))})
    assert unused["calm"][0][1].endswith("; 1 finding not used, or not proved.")
    said = flags({"audit": part(tmp_path), "check": part(tmp_path)})
    assert said["first"] == []
    assert [tab for tab, _ in said["calm"]] == ["audit", "check"]


@pytest.mark.parametrize(("audits", "checks"), [(9, 0), (0, 9), (9, 9), (1, 9), (9, 1), (3, 3)])
def test_of_many_both_have_a_word(tmp_path, audits, checks):
    parts = {
        "audit": part(tmp_path, *(card(n, "used") for n in range(1, audits + 1))),
        "check": part(tmp_path, *(card(n) for n in range(1, checks + 1))),
    }
    said = flags(parts)
    named = {name: sum(one["tab"] == name for one in said["first"]) for name in parts}
    assert sum(named.values()) == min(FIRST, audits + checks)
    assert all(named[name] for name, number in (("audit", audits), ("check", checks)) if number)
    assert dict(said["more"]) == {
        name: number - named[name]
        for name, number in (("audit", audits), ("check", checks))
        if number > named[name]
    }
