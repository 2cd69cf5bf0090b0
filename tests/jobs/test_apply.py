"""A data set after the marks: exactly what stays is what ``camcli train`` would read."""

import csv
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import camcli
from camcli.data.datasets.load import load_dataset
from camcli.errors import CamcliError, UsageError
from camcli.train.progress import Listener

RECORD = "camcli-apply.json"
ODD = ["cat/a,b.jpg", "cat/=x.jpg", "cat/ö 猫.jpg"]
if os.name != "nt":
    ODD += ["cat/line\nbreak.jpg", os.fsdecode(b"dog/\xff\xfe.jpg")]
NAMES = [*(f"{c}/{n}.jpg" for c in ("cat", "dog") for n in range(4)), *ODD]


class Ear(Listener):
    def __init__(self):
        self.said, self.warned = [], []

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)


def tree(root, names=NAMES):
    """Files whose bytes are their names; no image is opened."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


def content(root):
    """Every file below a folder, but for the record."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.name != RECORD
    }


def read(data, **options):
    """What training reads: file name -> class, and the bytes."""
    found = load_dataset(data, val=0.0, **options)
    return {os.fspath(item.ref.path): found.classes[item.target] for item in found.items}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tree(tmp_path / "photos")


def marks(*rows, source="photos", name="marks.csv"):
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["path", "mark", "label", "note", "source"])
    for path, mark, *label in rows:
        writer.writerow([path, mark, *(label or [""]), "", source and str(Path(source).absolute())])
    Path(name).write_bytes(file.getvalue().encode("utf-8", "surrogateescape"))
    return Path(name)


DROPS = [(name, "drop") for name in ("cat/0.jpg", "dog/3.jpg", ODD[0])]
MOVES = [("cat/1.jpg", "relabel", "dog"), ("dog/2.jpg", "relabel", "fox"),
         ("cat/2.jpg", "relabel", "Ünicorn (2)")]  # fmt: skip
LOOKS = [("cat/3.jpg", "note"), ("dog/0.jpg", "mark")]


def after(rows):
    """name -> class, by hand."""
    told = {row[0]: row[1:] for row in rows}
    return {
        name: told[name][1] if told.get(name, [""])[0] == "relabel" else name.split("/")[0]
        for name in NAMES
        if told.get(name, [""])[0] != "drop"
    }


def test_a_folder_holds_exactly_what_stays(photos):
    before = content(photos)
    rows = [*DROPS, *MOVES, *LOOKS]
    ear = Ear()
    result = camcli.apply(marks(*rows), "clean", listener=ear)
    assert content(photos) == before
    wanted = after(rows)
    got = {os.fsdecode(Path(path).read_bytes()): label for path, label in read("clean").items()}
    assert got == wanted
    assert Counter(content(Path("clean")).values()) == Counter(map(os.fsencode, wanted))
    # What was there keeps its name; what came to it makes room.
    assert Path("clean/dog/1.jpg").read_bytes() == b"dog/1.jpg"
    (name,) = result.renamed
    assert Path("clean", name).read_bytes() == b"cat/1.jpg"
    assert Path("clean/fox/2.jpg").read_bytes() == b"dog/2.jpg"
    assert (result.photographs, result.dropped, result.relabelled) == (
        len(wanted), len(DROPS), len(MOVES)
    )  # fmt: skip
    assert result.new_classes == ("fox", "Ünicorn (2)")
    assert result.command == "camcli train --data clean"
    assert ear.said[-1] == "Next: camcli train --data clean"
    assert "2 notes and marks changed nothing." in ear.said


def test_when_a_photograph_was_taken_is_kept(photos):
    os.utime(photos / "cat/1.jpg", (1e9, 1e9))
    camcli.apply(marks(("cat/0.jpg", "drop")), "clean")
    assert Path("clean/cat/1.jpg").stat().st_mtime == 1e9


def test_a_table_says_exactly_what_stays(photos):
    rows = [*DROPS, *MOVES, *LOOKS]
    result = camcli.apply(marks(*rows), "clean.csv")
    assert read("clean.csv") == {str(photos / name): label for name, label in after(rows).items()}
    assert result.command == "camcli train --data clean.csv"


def test_a_list_names_exactly_what_stays(photos):
    rows = [*DROPS, *LOOKS]
    result = camcli.apply(marks(*rows), "clean.txt")
    wanted = {str(photos / name): label for name, label in after(rows).items()}
    assert read("clean.txt") == read("@clean.txt") == wanted
    assert result.command == "camcli train --data clean.txt"
    from camcli.data.sources.find import find_images

    assert {str(ref.path) for ref in find_images("@clean.txt")} == set(wanted)


def test_a_list_cannot_say_a_label(photos):
    with pytest.raises(UsageError, match=r"cannot say that 1 photograph has another label: write"):
        camcli.apply(marks(*MOVES[:1]), "clean.txt")
    assert not Path("clean.txt").exists()


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_splits_stay_what_they_are(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    names = [f"{s}/{c}/{n}.jpg" for s in ("train", "test") for c in "ab" for n in range(3)]
    tree(tmp_path / "photos", [*names, "extra/x.jpg"])
    rows = [
        ("train/a/0.jpg", "relabel", "b"),
        ("test/b/1.jpg", "drop"),
        ("test/b/0.jpg", "relabel", "a"),
    ]
    to = "clean" if kind == "folder" else "clean.csv"
    result = camcli.apply(marks(*rows), to)
    found = load_dataset(to, val=0.0)
    got = {
        Path(i.ref.path).read_bytes().decode(): (i.split, found.classes[i.target])
        for i in found.items
    }
    wanted = {name: tuple(name.split("/")[:2]) for name in names if name != "test/b/1.jpg"}
    wanted |= {"train/a/0.jpg": ("train", "b"), "test/b/0.jpg": ("test", "a")}
    assert got == wanted
    assert Path("clean/extra/x.jpg").exists() is (kind == "folder")
    assert result.unlabelled == (0 if kind == "folder" else 1)
    with pytest.raises(UsageError, match=r"lies in none of test, train"):
        camcli.apply(marks(("extra/x.jpg", "relabel", "b")), "other")


def test_labels_in_names_become_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "photos", [f"{c}.{n}.jpg" for c in ("cat", "dog") for n in range(3)])
    camcli.apply(marks(("cat.0.jpg", "relabel", "dog"), ("dog.1.jpg", "drop")), "clean")
    assert sorted(content(Path("clean"))) == [
        "cat/cat.1.jpg", "cat/cat.2.jpg", "dog/cat.0.jpg", "dog/dog.0.jpg", "dog/dog.2.jpg",
    ]  # fmt: skip


def test_photographs_without_labels_get_them_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "photos", [f"{n}.jpg" for n in "abcdef"])
    rows = [("a.jpg", "relabel", "x"), ("b.jpg", "relabel", "y"), ("c.jpg", "drop")]
    ear = Ear()
    result = camcli.apply(marks(*rows), "clean", listener=ear)
    assert sorted(content(Path("clean"))) == ["x/a.jpg", "y/b.jpg"]
    assert (result.unlabelled, result.dropped) == (3, 1)
    assert ear.warned == ["Left out, as they have no label: 3 photographs."]
    # Without a label at all the rest is still a folder, or a list.
    assert camcli.apply(marks(("c.jpg", "drop")), "rest").command == ""
    assert sorted(content(Path("rest"))) == ["a.jpg", "b.jpg", "d.jpg", "e.jpg", "f.jpg"]
    camcli.apply(marks(("c.jpg", "drop")), "rest.txt")
    assert len(Path("rest.txt").read_text().splitlines()) == 5
    with pytest.raises(UsageError, match=r"No photograph of .* has a label, which a table would"):
        camcli.apply(marks(("c.jpg", "drop")), "rest.csv")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_photographs_in_a_container_are_unpacked(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "photos")
    shard = f"p.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(shard, "w") as file:
            for name in NAMES[:8]:
                file.write(f"photos/{name}", name)
    else:
        with tarfile.open(shard, "w") as file:
            for name in NAMES[:8]:
                file.add(f"photos/{name}", name)
    rows = marks(("p/cat/0.jpg", "drop"), ("p/cat/1.jpg", "relabel", "dog"), source="elsewhere")
    result = camcli.apply(rows, "clean", data=shard)
    found = {Path(path).read_bytes().decode(): label for path, label in read("clean").items()}
    assert found == {name: "dog" if name == "cat/1.jpg" else name[:3] for name in NAMES[1:8]}
    assert result.photographs == 7
    for to, options in (("clean.csv", {}), ("clean.txt", {}), ("moved", {"move": True})):
        mine = rows if to != "clean.txt" else marks(("p/cat/0.jpg", "drop"), source="")
        with pytest.raises(UsageError, match=r"tar or zip files|files of a folder"):
            camcli.apply(mine, to, data=shard, **options)
        assert not Path(to).exists()


def test_a_table_of_labels_is_a_data_set(photos):
    lines = [
        f"photos/{name},{label}"
        for name, label in after([]).items()
        if name.isascii() and "," not in name and "\n" not in name
    ]
    Path("truth.csv").write_text("path,label\n" + "\n".join(lines))
    rows = marks(("cat/0.jpg", "drop"), ("cat/1.jpg", "relabel", "dog|wolf"))
    camcli.apply(rows, "clean.csv", data="truth.csv")
    found = read("clean.csv")
    assert str(photos / "cat/0.jpg") not in found
    assert found[str(photos / "cat/1.jpg")] == "dog|wolf"  # one class, whose name has a |
    assert found[str(photos / "cat/2.jpg")] == "cat"
    camcli.apply(rows, "clean", data="truth.csv")
    assert sorted({path.split("/")[-2] for path in read("clean")}) == ["cat", "dog", "dog|wolf"]
    with pytest.raises(UsageError, match=r"is read, and so not written over"):
        camcli.apply(rows, "truth.csv", data="truth.csv", overwrite=True)


def test_several_labels_need_a_table(photos):
    Path("truth.csv").write_text(
        "path,label\nphotos/cat/0.jpg,a|b\nphotos/cat/1.jpg,b\nphotos/cat/2.jpg,a|c\n"
    )
    rows = marks(("cat/1.jpg", "relabel", "c | b"))
    camcli.apply(rows, "clean.csv", data="truth.csv")
    found = load_dataset("clean.csv", val=0.0)
    assert [[found.classes[n] for n in item.targets] for item in found.items] == [
        ["a", "b"],
        ["b", "c"],
        ["a", "c"],
    ]
    with pytest.raises(UsageError, match=r"several labels, which no folders say: write a table"):
        camcli.apply(rows, "clean", data="truth.csv")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("gone.jpg", "drop"), "marks 1 photograph that .* does not hold .line 2 on.: gone.jpg."),
        (("../secret.jpg", "drop"), r"\.\./secret\.jpg\. No path may leave the data set"),
        (("cat/../../secret.jpg", "relabel", "dog"), "No path may leave the data set"),
        (("/etc/passwd", "drop"), "does not hold"),
        (("cat/\ufffd.jpg", "drop"), "save it as CSV UTF-8"),
        (("cat/1.jpg", "relabel", "../dog"), "it is a path, and a class is one folder"),
        (("cat/1.jpg", "relabel", ".."), "it is a path, and a class is one folder"),
        (("cat/1.jpg", "relabel", ".hidden"), "folders of hidden names are passed over"),
        (("cat/1.jpg", "relabel", "x" * 300), "longer than the 255 bytes"),
        (("cat/1.jpg", "relabel", "__MACOSX"), "would be read as another one"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(photos, row, said):
    (photos.parent / "secret.jpg").write_bytes(b"x")
    before = content(photos.parent)
    file = marks(row)
    before |= {"marks.csv": file.read_bytes()}
    with pytest.raises(UsageError, match=said):
        camcli.apply(file, "clean")
    assert content(photos.parent) == before


def test_a_note_on_what_is_gone_is_no_fault(photos):
    assert camcli.apply(marks(("gone.jpg", "note"), ("cat/0.jpg", "drop")), "clean").dropped == 1


def test_nothing_left_is_refused(photos):
    with pytest.raises(UsageError, match=r"drops every photograph"):
        camcli.apply(marks(*((name, "drop") for name in NAMES)), "clean")
    with pytest.raises(UsageError, match=r"would be left in clean: .* one class only"):
        camcli.apply(marks(*((n, "drop") for n in NAMES if n.startswith("dog"))), "clean")
    assert not Path("clean").exists()


def test_whose_photographs_they_are_is_told_or_asked(photos):
    with pytest.raises(UsageError, match=r"does not say which photographs"):
        camcli.apply(marks(("cat/0.jpg", "drop"), source=""), "clean")
    assert (
        camcli.apply(marks(("cat/0.jpg", "drop"), source=""), "clean", data="photos").dropped == 1
    )
    with pytest.raises(UsageError, match=r"not there any more"):
        camcli.apply(marks(("cat/0.jpg", "drop"), source="gone"), "other")
    # Moved to another place as a whole.
    shutil.copytree("photos", "elsewhere")
    assert (
        camcli.apply(marks(("cat/0.jpg", "drop"), source="gone"), "other", data="elsewhere").dropped
        == 1
    )
    Path("marks.csv").write_text("path,mark,source\na,drop,/one\nb,drop,/two\n")
    with pytest.raises(UsageError, match=r"photographs in /one, /two: name one data set"):
        camcli.apply("marks.csv", "third")
    for source in ("s3://bucket/photos", "//server/share", "\\\\server\\share"):
        Path("marks.csv").write_text(f"path,mark,source\na,drop,{source}\n")
        with pytest.raises(UsageError, match=r"if you mean it, name it"):
            camcli.apply("marks.csv", "third")


def test_names_of_one_photograph_are_one(photos):
    """By the folder of a run, by an absolute path, and through a link to the folder."""
    if os.name != "nt":
        Path("link").symlink_to("photos")
        assert (
            camcli.apply(marks(("cat/0.jpg", "drop"), source="link"), "one", data="photos").dropped
            == 1
        )
    assert (
        camcli.apply(
            marks((str(photos / "cat/0.jpg"), "drop"), source=""), "two", data="photos"
        ).dropped
        == 1
    )
    assert (
        camcli.apply(
            marks(("photos/cat/0.jpg", "drop"), source="."), "three", data="photos"
        ).dropped
        == 1
    )
    Path("marks.csv").write_text("path,mark\ncat/0.jpg,drop\n" + f"{photos / 'cat/0.jpg'},note\n")
    with pytest.raises(UsageError, match=r"lines 2 and 3: both are about cat/0.jpg"):
        camcli.apply("marks.csv", "four", data="photos")


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links_are_copied_as_what_they_lead_to(photos):
    (photos.parent / "away.jpg").write_bytes(b"away")
    (photos / "cat/link.jpg").symlink_to(photos.parent / "away.jpg")
    camcli.apply(marks(("cat/0.jpg", "drop")), "clean")
    assert Path("clean/cat/link.jpg").read_bytes() == b"away"
    assert not Path("clean/cat/link.jpg").is_symlink()
    with pytest.raises(UsageError, match=r"--move takes no links.*link.jpg"):
        camcli.apply(marks(("cat/0.jpg", "drop")), "moved", data="photos", move=True)
    assert not Path("moved").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_what_cannot_be_read_is_told_before_anything_is_copied(photos):
    (photos / "cat/dangling.jpg").symlink_to("nowhere.jpg")
    (photos / "cat/folder.jpg").mkdir()
    os.mkfifo(photos / "dog/pipe.jpg")
    with pytest.raises(UsageError, match=r"3 photographs cannot be read.*Mark them with drop"):
        camcli.apply(marks(("cat/0.jpg", "drop")), "clean")
    assert not Path("clean").exists()
    bad = ("cat/dangling.jpg", "cat/folder.jpg", "dog/pipe.jpg")
    assert camcli.apply(marks(*((name, "drop") for name in bad)), "clean").dropped == 3


def test_an_earlier_copy_is_replaced_only_if_asked_and_only_if_it_is_one(photos):
    file = marks(("cat/0.jpg", "drop"))
    camcli.apply(file, "clean")
    with pytest.raises(UsageError, match=r"clean exists. Add --overwrite"):
        camcli.apply(file, "clean")
    camcli.apply(marks(("cat/1.jpg", "drop")), "clean", overwrite=True)
    assert Path("clean/cat/0.jpg").exists()
    assert not Path("clean/cat/1.jpg").exists()
    Path("clean/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"did not write .mine\.txt., so it will not be touched"):
        camcli.apply(file, "clean", overwrite=True)
    tree(Path("other"), ["a.jpg"])
    with pytest.raises(UsageError, match=r"other is not empty"):
        camcli.apply(file, "other", overwrite=True)
    Path("list.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"list.txt exists. Add --overwrite"):
        camcli.apply(file, "list.txt")
    camcli.apply(file, "list.txt", overwrite=True)
    assert "cat" in os.fsdecode(Path("list.txt").read_bytes())


@pytest.mark.parametrize("to", ["photos/clean", "photos", ".", "photos/cat/x"])
def test_the_copy_and_the_photographs_do_not_lie_in_each_other(photos, to):
    with pytest.raises(UsageError, match=r"lie in each other|is not empty"):
        camcli.apply(marks(("cat/0.jpg", "drop")), to)


def test_neither_the_marks_nor_a_photograph_is_written_over(photos):
    file = marks(("cat/0.jpg", "drop"))
    shutil.copy(file, "marks2.csv")
    with pytest.raises(UsageError, match=r"is read, and so not written over"):
        camcli.apply(file, file, overwrite=True)
    for to in ("x.zip", "x.xlsx", "x.tar"):
        with pytest.raises(UsageError, match=r"files are not made; name a folder, FILE.csv"):
            camcli.apply(file, to)
    with pytest.raises(UsageError, match=r"name a file in a folder that exists"):
        camcli.apply(file, "gone/x.csv")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("to", ["/proc/clean", "/proc/clean.csv", "marks.csv/clean"])
def test_where_nothing_can_be_written_is_told(photos, to):
    with pytest.raises(CamcliError, match=r"Cannot write /proc|is a file") as error:
        camcli.apply(marks(("cat/0.jpg", "drop")), to)
    assert "--out" not in str(error.value)


def test_a_failure_leaves_nothing(photos, monkeypatch):
    import camcli.data.marked.written as written

    copy = written._copy
    before = content(photos.parent)

    def fails(each, to):
        copy(each, to)
        if each.to == "dog/1.jpg":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(written, "_copy", fails)
    file = marks(("cat/0.jpg", "drop"))
    with pytest.raises(CamcliError, match=r"Cannot write clean: No space left on device. Nothing"):
        camcli.apply(file, "clean")
    assert content(photos.parent) == before | {"marks.csv": file.read_bytes()}
    monkeypatch.undo()
    monkeypatch.chdir(photos.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(CamcliError, match=r"The copy needs 0 MB, and clean has 0 MB of room"):
        camcli.apply(file, "clean")


def test_classes_are_called_as_the_data_set_calls_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wnids = ["n01440764", "n01443537"]  # tench, goldfish
    tree(tmp_path / "photos", [f"{wnid}/{n}.jpg" for wnid in wnids for n in range(3)])
    result = camcli.apply(marks(("n01440764/0.jpg", "relabel", "goldfish")), "clean")
    assert (result.classes, result.new_classes) == (tuple(wnids), ())


@pytest.mark.parametrize(
    ("classes", "label", "said"),
    [
        (("007", "x"), "7", "The new class '7' is written otherwise than '007'"),
        (("Cat", "Dog"), "cat", "The new class 'cat' is written otherwise than 'Cat'"),
        (("0", "1"), "tench", "are called by numbers .0, 1., and the marks give names: tench"),
        (("cat", "dog"), "fox", None),
    ],
)
def test_a_new_class_that_is_perhaps_a_slip_is_told(tmp_path, monkeypatch, classes, label, said):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "photos", [f"{name}/{n}.jpg" for name in classes for n in range(3)])
    ear = Ear()
    camcli.apply(marks((f"{classes[0]}/0.jpg", "relabel", label)), "clean.csv", listener=ear)
    assert f"New class: {label}." in ear.said
    import re

    assert bool(ear.warned) == bool(said)
    assert not said or re.search(said, ear.warned[0])


def test_a_class_that_is_only_tested_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"{s}/{c}/{n}.jpg" for s in ("train", "test") for c in "ab" for n in range(3)]
    tree(tmp_path / "photos", names)
    ear = Ear()
    camcli.apply(marks(("test/a/0.jpg", "relabel", "new")), "clean", listener=ear)
    assert "'camcli train' would not take it as it is: The test split has" in ear.warned[0]


def test_mistakes_are_told_without_torch(photos):
    import subprocess
    import sys

    file = marks(("gone.jpg", "drop"))
    code = (
        "import sys, camcli\n"
        f"try: camcli.apply({str(file)!r}, 'clean')\n"
        "except camcli.errors.UsageError as e: print('refused')\n"
        "print(*{'torch', 'timm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n\n"


def test_the_record_says_what_was_done(photos):
    camcli.apply(marks(("cat/0.jpg", "drop"), *MOVES), "clean")
    record = json.loads(Path("clean", RECORD).read_text())
    assert (record["kind"], record["source"]) == ("apply", os.path.realpath(photos))
    assert (record["dropped"], record["relabelled"]) == (1, 3)


def test_masks_go_where_their_photographs_go(tmp_path, monkeypatch):
    """Below the same names, in a folder beside; and nobody gets a name that another had."""
    monkeypatch.chdir(tmp_path)
    photos = [f"{s}/{c}/{n}.jpg" for s in ("train", "test") for c in "ab" for n in range(3)]
    tree(tmp_path / "photos", [*photos, *(f"masks/{p[:-4]}.png" for p in photos)])
    rows = [("train/a/0.jpg", "drop"), ("train/b/0.jpg", "relabel", "a"), ("test/b/1.jpg", "drop")]
    ear = Ear()
    result = camcli.apply(marks(*rows), "clean", listener=ear)
    told = "Left out as well: 2 pictures beside what is dropped, under the same names (masks, say)."
    assert told in ear.said
    found = {text.decode(): name for name, text in content(Path("clean")).items()}
    assert len(found) == result.photographs == 2 * (len(photos) - 2)
    assert not {"train/a/0.jpg", "masks/train/a/0.png", "masks/test/b/1.png"} & found.keys()
    for photo in set(photos) - {row[0] for row in rows}:
        assert found[photo] == photo
        assert found[f"masks/{photo[:-4]}.png"] == f"masks/{photo[:-4]}.png"
    moved = found["train/b/0.jpg"]
    assert moved.startswith("train/a/0~")
    assert found["masks/train/b/0.png"] == f"masks/{moved[:-4]}.png"
    # What is marked itself is not second-guessed.
    rows = [("train/a/0.jpg", "relabel", "b"), ("masks/train/a/0.png", "relabel", "a")]
    with pytest.raises(UsageError, match=r"lies in none of test, train"):
        camcli.apply(marks(*rows), "third")
    rows = [("masks/train/a/0.png", "drop"), ("train/a/0.jpg", "drop")]
    assert camcli.apply(marks(*rows), "other").dropped == 2


def test_masks_beside_one_folder_of_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = [f"images/{c}/{n}.jpg" for c in "ab" for n in range(3)]
    tree(tmp_path / "photos", [*photos, *(p.replace("images", "masks") for p in photos)])
    camcli.apply(marks(("images/a/0.jpg", "relabel", "b"), ("images/b/1.jpg", "drop")), "clean")
    found = {text.decode(): name for name, text in content(Path("clean")).items()}
    assert found["images/a/0.jpg"].startswith("images/b/0~")
    assert found["masks/a/0.jpg"] == found["images/a/0.jpg"].replace("images", "masks")
    assert "masks/b/1.jpg" not in found
    assert len(found) == 10
