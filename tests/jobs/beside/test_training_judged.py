"""The page tells how good a trained head really is, and takes no harm from what is broken."""

from __future__ import annotations

import json

import pytest

from camcli.jobs.beside.training import read_training

FOLDS = {
    "of": "the head", "images": 850, "folds": 5, "groups": 850, "accuracy": 0.98, "low": 0.97,
    "high": 0.99,
}  # fmt: skip


def facts(folder, judged):
    info = {"command": "train", "config": {"data": "d", "backbone": "b"}, "judged": judged}
    (folder / "run.json").write_text(json.dumps(info))
    return dict(read_training(folder)["facts"])


def test_what_was_judged_is_among_the_facts(tmp_path):
    twice = {"twice": {"gain": 0.015, "low": 0.004, "high": 0.026}}
    found = facts(tmp_path, {"out_of_fold": FOLDS, "learning_curve": twice})
    assert found["Out of fold"].startswith("accuracy 0.9800 (0.970 to 0.990) on 850")
    assert "+1.5 points" in found["More data"]


@pytest.mark.parametrize("broken", [3, [], {}, {"images": "x"}, {**FOLDS, "accuracy": None}])
def test_what_is_broken_is_left_out(tmp_path, broken):
    found = facts(tmp_path, {"out_of_fold": broken, "controls": broken, "temperature": broken,
                             "learning_curve": broken})  # fmt: skip
    assert not found.keys() & {"Out of fold", "Controls", "Calibration", "More data"}
    assert facts(tmp_path, broken) is not None


def test_the_curve_of_sizes_and_what_is_in_two_splits_are_told(tmp_path):
    facts(tmp_path, {})
    sizes = (
        "images,error,low,high,law\n50,0.2,0.1,0.3,0.19\n100,x,,,0.15\n0,1,1,1,1\nx,,,,\n200,,,,\n"
    )
    (tmp_path / "learning_curve.csv").write_text(sizes)
    columns = "path,split,copy_of,copy_split,kind,score,same_labels"
    copies = f"{columns}\na b.jpg,val,c.jpg,train,same file,1,0\n"
    (tmp_path / "crossing.csv").write_text(copies)
    found = read_training(tmp_path)
    assert found["sizes"] == [
        {"images": 50.0, "error": 0.2, "law": 0.19}, {"images": 100.0, "law": 0.15},
    ]  # fmt: skip
    assert found["copies"] == [["a b.jpg", "val", "c.jpg", "train", "same file", "0"]]
    (tmp_path / "learning_curve.csv").write_bytes(b"\xff\x00broken")
    (tmp_path / "crossing.csv").unlink()
    found = read_training(tmp_path)
    assert found["sizes"] == found["copies"] == []
