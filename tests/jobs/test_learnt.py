"""An accuracy over photographs that trained the network is told as what it is."""

import hashlib
import json

import pytest

from camcli.batch.run_files.run_paths import INFO
from camcli.jobs.learnt import learnt_of

PATHS = ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg"]


@pytest.fixture
def trained(tmp_path):
    """A checkpoint, trained on what is in ``train`` of ``photos``, in its folder."""
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "best.safetensors").write_bytes(b"a network")
    info = {
        "command": "train",
        "config": {"data": "photos", "backbone": "efficientnet_lite0"},
        "data": {"root": str(tmp_path / "photos")},
    }
    (folder / INFO).write_text(json.dumps(info))
    rows = [f"{path},{path.split('/')[0]}" for path in PATHS]
    (folder / "out_of_fold.csv").write_text("\n".join(["path,split", *rows]) + "\n")
    return folder / "best.safetensors"


def run_over(tmp_path, checkpoint, source, rows):
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    (run / "predictions.csv").write_text("\n".join(["path,pred,prob,correct,status", *rows]) + "\n")
    provenance = {
        "source": "checkpoint",
        "weights": str(checkpoint),
        "sha256": hashlib.sha256(b"a network").hexdigest(),
    }
    info = {"config": {"source": str(source)}, "provenance": provenance}
    (run / INFO).write_text(json.dumps(info))
    return run


def test_accuracy_on_the_photographs_that_trained_is_told_apart(tmp_path, trained):
    rows = [f"{path},a,0.9,{int(path != 'val/b/1.jpg')},ok" for path in PATHS]
    told = learnt_of(run_over(tmp_path, trained, tmp_path / "photos", rows))
    assert "trained on 3 of these 5 photographs" in told
    assert "of the other 2 it has 0.5000 right (1 of 2)" in told


def test_a_run_over_a_part_of_the_data_set(tmp_path, trained):
    rows = ["a/1.jpg,a,0.9,1,ok", "a/2.jpg,a,0.9,1,ok", "b/9.jpg,,,,error"]
    told = learnt_of(run_over(tmp_path, trained, tmp_path / "photos/train", rows))
    assert "trained on all of these photographs" in told
    assert str(trained.parent) in told
    assert (
        learnt_of(run_over(tmp_path, trained, tmp_path / "photos/val", ["a/1.jpg,a,0.9,1,ok"]))
        == ""
    )


def test_nothing_is_said_where_it_is_not_known(tmp_path, trained):
    rows = [f"{path},a,0.9,1,ok" for path in PATHS]
    # Photographs of the same names elsewhere, ones without labels.
    assert learnt_of(run_over(tmp_path, trained, tmp_path / "others", rows)) == ""
    unlabelled = [f"{path},a,0.9,,ok" for path in PATHS]
    assert learnt_of(run_over(tmp_path, trained, tmp_path / "photos", unlabelled)) == ""
    run = run_over(tmp_path, trained, tmp_path / "photos", rows)
    assert learnt_of(run)
    # Another network lies there now.
    trained.write_bytes(b"another")
    assert learnt_of(run) == ""
