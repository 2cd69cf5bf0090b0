"""Moving originals: whatever ends the process, every photograph is still there, and it goes on."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

import camcli
from camcli.data.datasets.load import load_dataset
from camcli.errors import CamcliError, UsageError
from camcli.locks import lock
from camcli.train.progress import Listener

RECORD = "camcli-apply.json"
NAMES = [f"{c}/{n}.jpg" for c in ("cat", "dog") for n in range(4)]
MARKS = "path,mark,label\ncat/0.jpg,drop,\ncat/1.jpg,relabel,dog\ndog/2.jpg,relabel,fox\n"
MOVED = {
    "cat/2.jpg": "cat/2.jpg", "cat/3.jpg": "cat/3.jpg", "dog/0.jpg": "dog/0.jpg",
    "dog/1.jpg": "dog/1.jpg", "dog/3.jpg": "dog/3.jpg", "fox/2.jpg": "dog/2.jpg",
}  # fmt: skip


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    Path("marks.csv").write_text(MARKS)
    return tmp_path / "photos"


def content(root):
    return {
        p.relative_to(root).as_posix(): p.read_text()
        for p in Path(root).rglob("*")
        if p.is_file() and p.suffix == ".jpg"
    }


def everything():
    """What all photographs below here say, however they are called."""
    return Counter(content(".").values())


def move(**options):
    return camcli.apply("marks.csv", "moved", data="photos", move=True, **options)


def undo(data="photos"):
    return camcli.apply("marks.csv", "moved", data=data, undo=True)


def is_moved():
    found = content("moved")
    (other,) = (name for name in found if name not in MOVED)
    return (
        {name: text for name, text in found.items() if name != other} == MOVED
        and other.startswith("dog/1~") and found[other] == "cat/1.jpg"
        and content("photos") == {"cat/0.jpg": "cat/0.jpg"}
    )  # fmt: skip


def is_back():
    return content("photos") == {name: name for name in NAMES} and not Path("moved").exists()


class Killed(BaseException):
    pass


@pytest.fixture
def killed_after(monkeypatch):
    """The process ends when so many files were moved."""

    def after(count):
        rename, left = Path.rename, [count]

        def once(self, target):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", once)
        return lambda: monkeypatch.setattr(Path, "rename", rename)

    return after


def test_originals_move_and_come_back(photos):
    result = move()
    assert is_moved()
    assert (result.photographs, result.dropped, result.relabelled) == (7, 1, 2)
    found = load_dataset("moved", val=0.0)
    assert Counter(found.classes[item.target] for item in found.items) == {
        "dog": 4, "cat": 2, "fox": 1,
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"was done before. To undo it: camcli apply marks.csv"):
        move()
    with pytest.raises(UsageError, match=r"holds originals that were moved there"):
        camcli.apply("marks.csv", "moved", data="photos", overwrite=True)
    back = undo()
    assert is_back()
    assert (back.out, back.photographs) == (None, 7)
    with pytest.raises(UsageError, match=r"nothing to undo"):
        undo()


def test_undoing_needs_no_marks(photos):
    move()
    Path("marks.csv").unlink()
    undo()
    assert is_back()


def test_who_interrupts_is_told_how_to_go_on(photos, monkeypatch):
    said = []

    class Ear(Listener):
        def warn(self, text):
            said.append(text)

    def interrupts(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupts)
        with pytest.raises(KeyboardInterrupt):
            move(listener=Ear())
    assert said == [
        "Some photographs have moved. The same command goes on; to bring them back: camcli apply "
        "marks.csv --data photos --to moved --undo"
    ]
    ear = Ear()
    ear.say = said.append
    move(listener=ear)
    assert is_moved()
    assert said[-1] == "Next: camcli train --data moved"


@pytest.mark.parametrize("count", range(8))
def test_killed_at_any_moment_it_goes_on(photos, killed_after, count):
    before = everything()
    alive = killed_after(count)
    if count < 7:
        with pytest.raises(Killed):
            move()
        assert everything() == before
        alive()
        move()
    else:
        move()
    assert is_moved()
    assert everything() == before


@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize("again", [0, 3])
def test_killed_at_any_moment_it_can_be_undone_which_can_be_killed_too(
    photos, killed_after, count, again
):
    alive = killed_after(count)
    with pytest.raises(Killed):
        move()
    alive()
    if again < count:
        alive = killed_after(again)
        with pytest.raises(Killed):
            undo()
        assert sum(everything().values()) == 8
        alive()
        with pytest.raises(UsageError, match=r"is being undone"):
            move()
    undo()
    assert is_back()


def test_a_move_with_other_marks_is_not_gone_on_with(photos, killed_after):
    alive = killed_after(2)
    with pytest.raises(Killed):
        move()
    alive()
    Path("marks.csv").write_text(MARKS + "cat/2.jpg,drop,\n")
    with pytest.raises(UsageError, match=r"begun with other marks. Undo it first: camcli apply"):
        move()
    undo()
    assert is_back()


def test_somebodys_files_are_not_moved_onto_nor_deleted(photos):
    move()
    (photos / "cat/2.jpg").write_text("mine")
    Path("moved/cat/notes.txt").write_text("mine")
    with pytest.raises(CamcliError, match=r"moved onto another file, so nothing was moved"):
        undo()
    assert content("photos") == {"cat/0.jpg": "cat/0.jpg", "cat/2.jpg": "mine"}
    (photos / "cat/2.jpg").unlink()
    undo()
    assert content("photos") == {name: name for name in NAMES}
    assert [p.name for p in Path("moved").rglob("*") if p.is_file()] == ["notes.txt"]


def test_what_is_gone_from_both_places_is_told(photos, killed_after):
    alive = killed_after(2)
    with pytest.raises(Killed):
        move()
    alive()
    (photos / "dog/3.jpg").unlink()
    with pytest.raises(CamcliError, match=r"neither where it was nor in moved"):
        move()


def test_the_data_set_must_be_named(photos):
    for options in ({"move": True}, {"undo": True}):
        with pytest.raises(UsageError, match=r"name the data set with --data DIR"):
            camcli.apply("marks.csv", "moved", **options)
    for to in ("moved.csv", "moved.txt"):
        with pytest.raises(UsageError, match=r"--move is for folders"):
            camcli.apply("marks.csv", to, data="photos", move=True)
    with pytest.raises(UsageError, match=r"--move takes a new folder"):
        move(overwrite=True)
    with pytest.raises(UsageError, match=r"give one of them"):
        move(undo=True)
    Path("copied").mkdir()
    camcli.apply("marks.csv", "copied", data="photos")
    with pytest.raises(UsageError, match=r"nothing to undo in copied"):
        camcli.apply("marks.csv", "copied", data="photos", undo=True)


@pytest.mark.parametrize(
    "change",
    [
        {"moves": [["../../secret.jpg", "cat/2.jpg"]]},
        {"moves": [["/tmp/secret.jpg", "cat/2.jpg"]]},
        {"moves": [["cat/2.jpg", "../photos/cat/9.jpg"]]},
        {"moves": [["cat/2.jpg"]]},
        {"moves": "all"},
        {"moves": [[1, 2]]},
        {"source": "/etc"},
        {"source": 7},
    ],
    ids=str,
)
def test_a_record_that_somebody_changed_moves_nothing(photos, change):
    move()
    before = content(".")
    record = Path("moved", RECORD)
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    with pytest.raises(UsageError, match=r"lies outside of|was moved there from"):
        undo()
    assert content(".") == before


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_record_does_not_move_through_links(photos, tmp_path):
    move()
    (tmp_path / "away").mkdir()
    (photos / "dog").rmdir()
    (photos / "dog").symlink_to(tmp_path / "away")
    with pytest.raises(UsageError, match=r"names what lies outside of"):
        undo()
    assert not list((tmp_path / "away").iterdir())


def test_two_at_a_time_do_not_move(photos):
    move()
    with Path("moved", f".{RECORD}.lock").open("ab") as file:
        assert lock(file)
        with pytest.raises(CamcliError, match=r"Another 'camcli apply' is moving"):
            undo()
    undo()
    assert is_back()


def test_nothing_moves_unless_it_would_be_read_as_it_is_meant(photos):
    Path("marks.csv").write_text("path,mark,label\ncat/1.jpg,relabel,__MACOSX\n")
    with pytest.raises(UsageError, match=r"would be read as another one"):
        move()
    assert is_back()
