"""An accuracy over photographs that trained the network is told as what it is."""

import hashlib
import json
import re
import shutil

import pytest

from camcli.batch.run_files.run_paths import INFO
from camcli.jobs import learnt
from camcli.jobs.learnt import learnt_of
from camcli.jobs.report import ReportJob
from camcli.train.progress import Listener

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


def with_files(tmp_path, trained, copies):
    """The photographs of the training, each of its own bytes and size, and copies elsewhere."""
    table = ["path,split,content"]
    for n, path in enumerate(PATHS):
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * (n + 1))
        table.append(f"{path},{path.split('/')[0]},{hashlib.sha256(file.read_bytes()).hexdigest()}")
    (trained.parent / "out_of_fold.csv").write_text("\n".join(table) + "\n")
    for name, data in copies.items():
        file = tmp_path / "clean" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "clean"


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


COPIES = {
    "1.jpg": b"x",
    "2.jpg": b"xx",
    "new.jpg": b"y",
    "val.jpg": b"xxxx",
    "large.jpg": b"z" * 99,
}


@pytest.mark.parametrize("there", [True, False], ids=["the originals are there", "they are gone"])
def test_copies_are_told_by_their_bytes(tmp_path, trained, there):
    """Of the same size is not the same; what was held out is no copy of what was learned."""
    clean = with_files(tmp_path, trained, COPIES)
    if not there:
        shutil.rmtree(tmp_path / "photos")
    run = run_over(
        tmp_path, trained, clean, [f"{p},a,0.9,{int(p != 'new.jpg')},ok" for p in COPIES]
    )
    assert learnt_of(run) == (
        "The network was trained on 2 of these 5 photographs, and may know them by heart; of the "
        "other 3 it has 0.6667 right (2 of 3)."
    )


def test_only_what_may_be_a_copy_is_read_and_not_without_end(tmp_path, trained, monkeypatch):
    clean = with_files(tmp_path, trained, COPIES)
    run = run_over(tmp_path, trained, clean, [f"{path},a,0.9,1,ok" for path in COPIES])
    read = []
    monkeypatch.setattr(learnt, "file_sha256", lambda path: read.append(path.name) or "")
    assert learnt_of(run) == ""
    assert sorted(read) == ["1.jpg", "2.jpg", "new.jpg"]
    monkeypatch.undo()
    monkeypatch.setattr(learnt, "_READ", 1)
    told = learnt_of(run)
    assert "trained on 1 of these 5 photographs" in told
    assert "Whether 2 photographs are copies of what it was trained on was not looked at" in told


def test_a_table_without_contents_or_members_of_containers_read_nothing(tmp_path, trained):
    rows = ["photos.tar/a/1.jpg,a,0.9,1,ok"]
    assert learnt_of(run_over(tmp_path, trained, tmp_path, rows)) == ""
    with_files(tmp_path, trained, {})
    assert learnt_of(run_over(tmp_path, trained, tmp_path, rows)) == ""


def test_who_judges_a_checkpoint_is_warned(tmp_path, trained):
    clean = with_files(tmp_path, trained, COPIES)

    class Heard(Listener):
        def __init__(self):
            self.told = []

        def warn(self, message):
            self.told.append(message)

    def warned(*files):
        heard = Heard()
        learnt.tell_learnt([trained, None, tmp_path / "other.pth"], files, heard)
        return heard.told

    assert warned(clean / "new.jpg", tmp_path / "photos/val/a/1.jpg") == []
    (told,) = warned(clean / "1.jpg", tmp_path / "photos/train/b/1.jpg", clean / "new.jpg")
    assert told == (
        f"{trained}: the network was trained on 2 of these 3 photographs, and may know them by "
        "heart; 1 other is new to it."
    )
    (told,) = warned(clean / "1.jpg")
    assert "trained on all of these photographs" in told


def test_the_page_of_a_run_tells_what_is_new_to_the_network(tmp_path, trained):
    """Beside the accuracy of all, which is never shown alone where some were trained on."""
    rows = [f"{path},a,0.9,{int(path != 'val/b/1.jpg')},ok,a" for path in PATHS]
    run = run_over(tmp_path, trained, tmp_path / "photos", rows)
    made = run / "predictions.csv"
    made.write_text(made.read_text().replace("correct,status", "correct,status,label"))
    page = ReportJob([run], thumbnails=0).run(Listener())
    text = " ".join(page.read_text("utf-8").split())
    assert "trained on 3 of these 5 photographs" in text
    tiles = re.findall(r"<strong>([\d.]+%)</strong> <span>([^<]*)</span>", text)
    assert ("50.0%", "accuracy, on what is new to the network") in tiles
    assert ("80.0%", "accuracy, with what it was trained on") in tiles
    assert "accuracy" not in [words for _, words in tiles]
    assert "trained on 3 of these 5" in (page.parent / "data" / "training.js").read_text()
    # Of others it is what it was.
    (run / "report").rename(tmp_path / "before")
    (trained.parent / "out_of_fold.csv").write_text("path,split\nelse.jpg,train\n")
    text = ReportJob([run], thumbnails=0).run(Listener()).read_text("utf-8")
    assert "<span>accuracy</span>" in text
    assert "by heart" not in text
