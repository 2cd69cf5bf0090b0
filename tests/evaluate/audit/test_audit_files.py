"""The files of an audit: all that was found, and nothing of somebody else's is replaced."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.audit.audit import ClassSummary
from camcli.evaluate.audit.audit_files import FILES, check_out, save
from camcli.evaluate.audit.map_clusters import Grouping, group
from camcli.evaluate.audit.map_stats import THUMB, Fact
from camcli.evaluate.audit.result import AuditResult
from camcli.evaluate.findings.files import read_findings
from camcli.evaluate.findings.finding import Finding, Sighting


@pytest.fixture
def result(tmp_path):
    """Seven photographs of two classes, one of which is gone; one class rests on a mark."""
    facts = []
    for n in range(7):
        path = tmp_path / "photos" / f"{n}.png"
        path.parent.mkdir(exist_ok=True)
        if n != 3:
            Image.fromarray(np.full((40, 60, 3), 30 * n, np.uint8)).save(path)
        heat = np.zeros((THUMB, THUMB), np.float32)
        heat[n, 3] = 1
        pred = "ab"[n % 2]
        facts.append(Fact(f"{n}.png", pred, pred, 0.9, heat, False, math.nan, 0.1, -1, None, path))
    used = Finding(
        "mark", "b", "used", "b rests on this mark", "In 3 of 3.", "Crop it.",
        tuple(Sighting(f"{n}.png", (0.0, 0.0, 0.5, 0.5)) for n in (1, 3, 5)), 3, 3,
        picture=np.full((5, 8, 3), 200, np.uint8),
    )  # fmt: skip
    rows = tuple(ClassSummary(c, 4, 4, math.nan, 0.1, 0.0, ()) for c in "ab")
    alike = group(facts, Grouping())
    return AuditResult("photos", (used,), rows, tuple(facts), alike, False, not_looked=("Frames.",))


def test_all_is_written_and_listed(tmp_path, result):
    out = tmp_path / "out"
    names = save(out, result, Grouping(), "photos")
    assert set(names) == {*FILES, "findings/b-mark.png"}
    there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert there == set(names)
    record = json.loads((out / "audit.json").read_text("utf-8"))
    assert record["files"] == list(names)
    assert record["not_looked"] == ["Frames."]
    assert record["clusters"]["a"][0]["typical"]
    (found,) = read_findings(out / "audit.json")
    assert (found.title, found.picture.shape) == ("b rests on this mark", (5, 8, 3))
    with (out / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in "ab":
        for cluster in {row["cluster"] for row in rows}:
            own = [r["typical"] for r in rows if (r["pred"], r["cluster"]) == (name, cluster)]
            assert sorted(own) == [str(n) for n in range(1, len(own) + 1)]
    page = (out / "audit.html").read_text("utf-8")
    assert page.count("<article") == 1 + sum(map(len, result.alike.clusters.values()))
    assert "not readable" in page, "of the photograph that is gone"


def test_another_audit_takes_its_place_and_leaves_what_is_somebodys(tmp_path, result):
    out = tmp_path / "out"
    save(out, result, Grouping())
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="--overwrite"):
        check_out(out, overwrite=False)
    check_out(out, overwrite=True)
    clean = AuditResult("photos", (), result.classes, result.facts, result.alike, False)
    names = save(out, clean, Grouping())
    assert "flagged.jpg" not in names
    assert {p.name for p in out.iterdir()} == {*names, "mine.txt"}, "also the mark's folder is gone"


@pytest.mark.parametrize("overwrite", [False, True])
def test_pictures_of_somebody_are_not_replaced(tmp_path, overwrite):
    mine = tmp_path / "out" / "findings" / "b-mark.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"b-mark\.png"):
        check_out(tmp_path / "out", overwrite=overwrite)
