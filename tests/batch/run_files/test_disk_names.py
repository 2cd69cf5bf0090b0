"""Names on disks that take fewer than this one: Windows', macOS's, a stick's."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.run_files import disk_names
from camcli.batch.run_files.disk_names import DiskNames, folded
from camcli.batch.run_files.overlay_names import Namer
from camcli.data.sources.refs import Blob, ImageRef
from camcli.result import Result

WINDOWS = DiskNames(folds=True, windows=True, text=True)


class Disk:
    """A folder of a disk with rules of its own."""

    def __init__(self, key=lambda name: name, refuses=""):
        self.files, self.key, self.refuses = {}, key, refuses

    def __truediv__(self, name):
        return File(self, name)

    def listing(self, folder):
        return list(self.files.values())


class File:
    def __init__(self, disk, name):
        self.disk, self.name = disk, name

    def touch(self):
        if any(c in self.name for c in self.disk.refuses):
            raise OSError(22, "Invalid argument")
        self.disk.files.setdefault(self.disk.key(self.name), self.name)

    def exists(self):
        return self.disk.key(self.name) in self.disk.files

    def unlink(self, missing_ok=False):
        self.disk.files.pop(self.disk.key(self.name), None)


def nfc(name):
    return unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (Disk(), DiskNames()),
        (Disk(str.lower), DiskNames(folds=True)),
        (Disk(nfc), DiskNames(folds=True)),
        (Disk(lambda name: nfc(name).casefold(), "\udce9"), DiskNames(folds=True, text=True)),
        (Disk(str.lower, ':?*"<>|\udce9'), DiskNames(folds=True, windows=True, text=True)),
        (Disk(refuses="?"), DiskNames(windows=True)),
    ],
    ids=["ext4", "case", "forms", "apfs", "exfat", "vfat"],
)
def test_a_disk_is_asked_what_it_takes(monkeypatch, tmp_path, disk, expected):
    if sys.platform == "win32":
        pytest.skip("there one answer is known")
    monkeypatch.setattr(disk_names.os, "listdir", disk.listing)
    assert DiskNames.of(disk, tmp_path) == expected
    assert not disk.files


def test_a_real_folder_is_asked_and_left_as_it_was(tmp_path):
    found = DiskNames.of(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())
    if sys.platform == "linux" and not found.folds:
        assert found == DiskNames()


def test_on_windows_a_path_has_a_length(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    found = DiskNames.of(tmp_path, tmp_path / "overlays")
    assert found.windows
    assert found.text
    assert found.longest + len(str(tmp_path / "overlays")) + 1 == 259
    assert DiskNames.of(tmp_path, Path("/" + "x" * 300)).longest == 40


@pytest.mark.parametrize(
    "name",
    ["a:b.jpg", "a/12:30?.jpg", "con.jpg", "CON/x.jpg", "nul.tar.jpg", "com1.jpg", "LPT³.jpg",
     "a./x.jpg", "a /x.jpg", "x\\y.jpg", "CONOUT$.jpg", "caf\udce9.jpg", "\x01.jpg",
     "con .jpg"],
)  # fmt: skip
def test_what_windows_refuses_gets_another_name(name):
    found = WINDOWS.name(name)
    assert found != name
    assert found.endswith(".jpg")
    for part in found.split("/"):
        assert not set(part) & set('\\:*?"<>|\0\udce9\x01')
        assert part == part.rstrip(". ")
        assert part.split(".")[0].upper() not in {"CON", "NUL", "COM1", "LPT³", "CONOUT$"}


@pytest.mark.parametrize("name", ["a.jpg", "a/b c/é.jpg", "console.jpg", "com10.jpg", "漢.jpg",
                                  ".hidden.jpg", "a.b.jpg", "[x] (1)~2.jpg"])  # fmt: skip
def test_other_names_stay(name):
    assert WINDOWS.name(name) == name
    assert DiskNames().name("a:b/con. ") == "a:b/con. "


def test_names_that_become_alike_stay_apart():
    names = ["a:b.jpg", "a_b.jpg", "a?b.jpg", "a*b.jpg", "caf\udce9.jpg", "caf\udce8.jpg",
             "x./y.jpg", "x/y.jpg", "x_/y.jpg"]  # fmt: skip
    assert len({folded(WINDOWS.name(name)) for name in names}) == len(names)


def test_a_path_that_is_too_long_keeps_its_begin_and_its_kind():
    disk = DiskNames(windows=True, longest=60)
    long = [f"{'folder/' * 20}photograph {n}.jpg" for n in range(3)]
    found = [disk.name(name) for name in long]
    assert len(set(found)) == 3
    for name in found:
        assert len(name) <= 60
        assert name.startswith("photograph ")
        assert name.endswith(".jpg")
    assert disk.name("a/b.jpg") == "a/b.jpg"


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=300))
def test_every_part_fits_and_is_stable(text):
    found = WINDOWS.name(text)
    assert WINDOWS.name(text) == found
    if found != text:
        assert len(found.encode("utf-8", "surrogatepass")) <= 255
        assert WINDOWS.name(found) == found


def named(rel, namer, blob=Blob("s.tar", 0, 1)):  # noqa: B008 - frozen
    return namer.name(Result(ref=ImageRef(Path("/s.tar") / rel, rel, blob=blob), pred="cat"))


@pytest.mark.parametrize("alone", [True, False])
def test_no_two_pictures_share_a_file_on_windows(alone):
    rels = ["IMG_1.jpg", "img_1.JPG", "img_1.jpg", "a:b.jpg", "a_b.jpg", "A:B.jpg", "con.jpg",
            "x./y.jpg", "X/y.jpg", "x/y.jpg", "e\u0301.jpg", "é.jpg", "É.jpg"]  # fmt: skip
    namer = Namer(disk=WINDOWS)
    found = [named(rel, namer if alone else Namer(disk=WINDOWS, alone=False)) for rel in rels]
    assert len({folded(name) for name in found}) == len(rels)
    again = Namer(disk=WINDOWS)
    if alone:
        assert found == [named(rel, again) for rel in rels]
    assert all(WINDOWS.name(name) == name for name in found)


def test_a_template_s_names_are_made_to_fit_too():
    namer = Namer("{parent}/{stem}_{pred}", disk=WINDOWS)
    found = named("a:b/con.jpg", namer)
    assert not set(found) & set(':?*"')
    assert os.path.basename(found).startswith("con_cat")  # noqa: PTH119
