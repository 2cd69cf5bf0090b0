"""What is left out while walking, and counted: leftovers of disks, hidden things, camcli's runs."""

import json
import os
from pathlib import Path

import pytest

from camcli.data.sources.find import find_images
from camcli.data.sources.finders import Glob
from camcli.data.sources.leftovers import LeftOut
from camcli.errors import UsageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def seen(spec, **options) -> tuple[list[str], dict[str, int]]:
    source = find_images(spec, **options)
    return [ref.rel for ref in source], dict(source.left_out.counts)


LEFTOVERS = {
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "@eaDir folder",
    "__MACOSX/cat/._1.jpg": "__MACOSX folder",
    ".ipynb_checkpoints/1-checkpoint.jpg": "hidden folder",
    "#recycle/old.jpg": "#recycle folder",
    "$RECYCLE.BIN/S-1-5/x.jpg": "$RECYCLE.BIN folder",
    "System Volume Information/x.jpg": "System Volume Information folder",
    "lost+found/x.jpg": "lost+found folder",
    "@Recycle/x.jpg": "@Recycle folder",
    "._1.jpg": "hidden file",
    ".hidden.png": "hidden file",
    "Thumbs.db": "Thumbs.db file",
    "desktop.ini": "desktop.ini file",
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_each_is_left_out_and_counted(tmp_path, name):
    root = touch(tmp_path, "cat/1.jpg", "dog/1.jpg", f"cat/{name}", f"dog/{name}", f"cat/{name}~")
    found, left = seen(root)
    assert found == ["cat/1.jpg", "dog/1.jpg"]
    assert left.get(LEFTOVERS[name], 0) >= 2
    source = find_images(root)
    assert source.count() == 2
    assert source.left_out.note().startswith("Left out: ")
    assert {ref.label for ref in source} == {"cat", "dog"}


@pytest.mark.parametrize("pattern", ["**/*.jpg", "*/*", "*/*/*.jpg", "**/SYNO*", "**"])
def test_for_patterns_too(tmp_path, pattern):
    root = touch(tmp_path, "cat/1.jpg", "cat/deep/2.jpg", *(f"cat/{name}" for name in LEFTOVERS))
    touch(root, "dog/SYNO.jpg")
    found, left = seen(f"{root}/{pattern}")
    assert set(found) <= {"cat/1.jpg", "cat/deep/2.jpg", "dog/SYNO.jpg"}
    if pattern != "*/*":  # which goes no deeper
        assert left["@eaDir folder"] == 1


def test_what_is_named_is_taken(tmp_path):
    root = touch(tmp_path, *LEFTOVERS)
    assert seen(root / "@eaDir" / "1.jpg")[0] == ["SYNOPHOTO_THUMB_M.jpg"]
    assert seen(root / "._1.jpg")[0] == ["._1.jpg"]
    assert seen(f"{root}/lost+found/*.jpg")[0] == ["x.jpg"]
    touch(root, "b/x.jpg")
    found, left = seen(f"{root}/*/x.jpg")
    assert found == ["b/x.jpg"]
    assert left["lost+found folder"] == 1
    touch(root, "a/@eaDir/t/x.jpg", "a/.h/2.jpg")
    assert seen(f"{root}/a*/@eaDir/*/*.jpg")[0] == ["a/@eaDir/t/x.jpg"]
    assert seen(f"{root}/a/.h*/*.jpg")[0] == [".h/2.jpg"]
    assert seen(f"{root}/._*.jpg")[0] == ["._1.jpg"]


def test_nothing_but_leftovers_says_what_there_was(tmp_path):
    with pytest.raises(UsageError, match="Left out: 1 @eaDir folder"):
        find_images(touch(tmp_path, "@eaDir/1.jpg"))


def test_the_note():
    left = LeftOut()
    assert not left
    assert left.note() == ""
    left.add("@eaDir folder", 2)
    left.add("folder of a camcli run")
    left.add("hidden file", 12)
    assert left.note() == (
        "Left out: 12 hidden files, 2 @eaDir folders, 1 folder of a camcli run "
        "(name one as the source to take it)."
    )


# -- camcli's own output -------------------------------------------------------------------------


def run_of(folder: Path, kind: str) -> Path:
    """What camcli writes, as far as it tells what it is."""
    touch(folder, "overlays/1.jpg", "contact_sheet.jpg", "report/thumbs/000/0.jpg")
    info = {"camcli": "1", "state": "finished", "config": {}, "counts": {}}
    page = '<!doctype html>\n<html>\n<head>\n<meta name="generator" content="camcli report">'
    header = "path,label,pred,prob,correct,target,method,layer\r\n"
    texts = {
        "batch": {"run.json": json.dumps(info), "predictions.csv": header},
        "shard": {"run.2-of-3.json": json.dumps(info), "predictions.2-of-3.csv": header},
        "no run.json": {"predictions.csv": header},
        "no table": {"run.json": json.dumps(info)},
        "train": {"run.json": json.dumps({"command": "train", "config": {}, "status": "x"})},
        "report": {"index.html": page},
    }
    for name, text in texts[kind].items():
        (folder / name).write_text(text)
    return folder


KINDS = ["batch", "shard", "no run.json", "no table", "train", "report"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", ["", "/**/*.jpg", "/*/*.jpg"])
def test_a_run_beside_the_pictures_is_none_of_them(tmp_path, kind, spec):
    root = touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    run_of(root / "run1", kind)
    found, left = seen(f"{root}{spec}")
    assert found == ["cat/1.jpg", "dog/1.jpg"]
    assert left == {"folder of a camcli run": 1}
    assert {ref.label for ref in find_images(root)} == {"cat", "dog"}
    # Named, it is taken.
    assert seen(root / "run1" / "overlays")[0] == ["1.jpg"]
    assert "overlays/1.jpg" in seen(root / "run1")[0]
    assert seen(f"{root}/run1/overlays/*.jpg")[0] == ["1.jpg"]


def test_a_run_behind_a_link(tmp_path):
    root = touch(tmp_path / "photos", "1.jpg")
    run_of(tmp_path / "elsewhere" / "run", "batch")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert seen(root)[0] == ["1.jpg"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", "{}"),
        ("run.json", '{"command": "train"}'),
        ("run.json", "[1"),
        ("predictions.csv", "path,label\n"),
        ("index.html", "<html>camcli report"),
        ("results.json", '{"rows": []}'),
    ],
)
def test_a_strangers_folder_is_walked(tmp_path, name, text):
    root = touch(tmp_path, "a/1.jpg", "a/results.png")
    (root / "a" / name).write_text(text)
    assert seen(root) == (["a/1.jpg", "a/results.png"], {})


def test_of_an_evaluation_and_an_audit_only_their_pictures_are_left_out(tmp_path):
    """They may have been put beside photographs."""
    root = touch(
        tmp_path, "1.jpg", "results.png", "confusion-2.png", "flagged.jpg", "a/results.png"
    )
    (root / "results.json").write_text('{"rows": [], "sanity": [], "verdicts": []}')
    assert seen(root) == (
        ["1.jpg", "flagged.jpg", "a/results.png"],
        {"picture that camcli made": 2},
    )
    (root / "audit.json").write_text('{"flagged": [], "clusters": {}}')
    assert seen(root)[0] == ["1.jpg", "a/results.png"]


def audit_of(root: Path, *pictures: str) -> None:
    touch(root, *pictures)
    record = {"kind": "audit", "files": ["audit.json", *pictures], "clusters": {}}
    (root / "audit.json").write_text(json.dumps(record))


def test_an_audits_cut_out_marks_are_left_out_and_nobodys_findings(tmp_path):
    root = touch(tmp_path, "a/1.jpg", "a/audit/findings/mine.png", "a/findings/x.png")
    audit_of(root / "a" / "audit", "clusters.jpg", "flagged.jpg", "findings/b-mark.png")
    assert seen(root) == (
        ["a/1.jpg", "a/audit/findings/mine.png", "a/findings/x.png"],
        {"picture that camcli made": 3},
    )


def test_an_audit_or_a_check_beside_classes_is_no_class(tmp_path):
    root = touch(tmp_path, *(f"{c}/{n}.jpg" for c in ("cat", "dog") for n in range(3)))
    audit_of(root / "audit", "clusters.jpg", "findings/b-mark.png")
    (root / "check").mkdir()
    record = {"kind": "check", "files": [], "findings": []}
    (root / "check" / "check.json").write_text(json.dumps(record))
    source = find_images(root)
    assert {ref.label for ref in source} == {"cat", "dog"}
    assert not any("audit" in note or "check" in note for note in source.notes)


@pytest.mark.posix
def test_a_marker_that_cannot_be_read_stops_nothing(tmp_path):
    root = touch(tmp_path, "a/1.jpg")
    os.mkfifo(root / "a" / "run.json")
    (root / "a" / "predictions.csv").symlink_to("/dev/zero")
    assert seen(root) == (["a/1.jpg"], {})


def test_a_tree_deeper_than_pythons_stack(tmp_path):
    folders = [tmp_path / "d"]
    while len(folders) < 1100:
        folders.append(folders[-1] / "d")
    for folder in folders:
        folder.mkdir()
    picture = touch(folders[-1], "1.jpg") / "1.jpg"
    assert seen(tmp_path)[0] == ["d/" * 1100 + "1.jpg"]
    picture.unlink()
    for folder in reversed(folders):  # pytest cannot
        folder.rmdir()


# -- brackets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["shots [2024]", "[ab]", "what?", "a*b", "x/[1]/y [2]"])
def test_a_folder_that_is_called_like_a_pattern(tmp_path, folder):
    root = touch(tmp_path, f"{folder}/1.jpg", f"{folder}/2.png", "a/1.jpg", "b/1.jpg")
    assert seen(f"{root}/{folder}/*.jpg")[0] == ["1.jpg"]
    assert seen(f"{root}/{folder}")[0] == ["1.jpg", "2.png"]
    assert Glob.parse(f"{root}/{folder}/*.jpg").root == str(root / folder)
    # Below a wildcard it is found as well.
    assert f"{folder}/1.jpg" in seen(f"{root}/**/{folder.split('/')[-1]}/*.jpg")[0]


def test_a_pattern_is_one_where_nothing_is_called_so(tmp_path):
    root = touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    assert seen(f"{root}/[ab]/*.jpg")[0] == ["a/1.jpg", "b/1.jpg"]
    touch(root, "x [1].jpg", "x 1.jpg")
    assert seen(f"{root}/x [1].jpg")[0] == ["x [1].jpg"]
    assert seen(f"{root}/x [[]*.jpg")[0] == ["x [1].jpg"]


def test_camera_raw_files_beside_their_jpegs_are_counted(tmp_path):
    for name in ("a/1.jpg", "a/1.NEF", "a/2.nef", "b/1.CR2", "b/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = find_images(tmp_path)
    assert [ref.rel for ref in source] == ["a/1.jpg", "b/2.jpg"]
    assert "2 camera raw files (.nef), 1 camera raw file (.cr2)" in source.left_out.note()
    # Named, it is wanted.
    assert [ref.rel for ref in find_images(tmp_path / "b/1.CR2")] == ["1.CR2"]
    assert [ref.rel for ref in find_images(str(tmp_path / "a/*.nef"))] == ["2.nef"]
    (tmp_path / "b/2.jpg").unlink()
    with pytest.raises(UsageError, match="1 camera raw file"):
        find_images(tmp_path / "b")


def test_pictures_that_are_not_read_are_counted(tmp_path):
    for name in ("a/1.jpg", "a/1.svg", "a/2.SVG", "b/1.dcm", "b/2.jpg", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = find_images(tmp_path)
    assert [ref.rel for ref in source] == ["a/1.jpg", "b/2.jpg"]
    assert (
        "2 pictures of a kind that is not read (.svg), 1 picture of a kind that is not read (.dcm)"
        in source.left_out.note()
    )
    assert not find_images(tmp_path / "a/*.jpg").left_out
    assert [ref.rel for ref in find_images(tmp_path / "b/1.dcm")] == ["1.dcm"]
