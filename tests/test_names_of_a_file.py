"""One file under several names: a disk that does not tell A from a, and Windows' separators."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from camcli.batch.run_files import ownership
from camcli.errors import UsageError
from camcli.files import identity
from camcli.jobs import output_paths
from camcli.ours import Inside, below, remove


@pytest.fixture
def folding(monkeypatch, tmp_path):
    """As far as camcli asks what a path is, this folder's disk does not tell A from a."""

    def fold(path):
        root = str(tmp_path)
        path = os.fspath(path)
        return identity(root + path[len(root) :].lower() if path.startswith(root) else path)

    monkeypatch.setattr(ownership, "identity", fold)
    monkeypatch.setattr(output_paths, "identity", fold)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("run/overlays/a/x.jpg", True),
        ("RUN/Overlays/A/x.jpg", True),
        ("Run/report/thumbs/000001.jpg", True),
        ("RUN/Contact_Sheet.jpg", True),
        ("RUN/mine.jpg", False),
        ("Other/contact_sheet.jpg", False),
        ("other/overlays/x.jpg", False),
    ],
)
def test_a_run_s_own_pictures_are_known_by_any_name(folding, path, refused):
    for folder in ("run/overlays/a", "run/report/thumbs", "other/overlays"):
        (folding / folder).mkdir(parents=True)
    for name in ("run/contact_sheet.jpg", "run/mine.jpg", "other/contact_sheet.jpg"):
        (folding / name).touch()
    (folding / path.lower()).touch()

    def check():
        ownership.check_kept(
            folding / "run", "overlays", "report", ["contact_sheet.jpg"], [str(folding / path)]
        )

    if refused:
        with pytest.raises(UsageError, match="made by the run"):
            check()
    else:
        check()


def test_a_link_to_a_run_s_picture_is_one(tmp_path):
    (tmp_path / "run" / "overlays").mkdir(parents=True)
    for name in ("run/overlays/x.jpg", "run/contact_sheet.jpg"):
        (tmp_path / name).touch()
    for n, target in enumerate(("run/overlays/x.jpg", "run/contact_sheet.jpg")):
        link = tmp_path / f"{n}.jpg"
        link.symlink_to(tmp_path / target)
        with pytest.raises(UsageError, match="made by the run"):
            ownership.check_kept(
                tmp_path / "run", "overlays", "report", ["contact_sheet.jpg"], [str(link)]
            )


def test_a_photograph_is_never_written_over_by_any_name(folding):
    (folding / "cat.jpg").touch()
    with pytest.raises(UsageError, match="never written over"):
        output_paths.refuse_inputs([folding / "CAT.JPG"], [folding / "cat.jpg"])
    output_paths.refuse_inputs([folding / "CAT_gradcam.jpg"], [folding / "cat.jpg"])
    os.link(folding / "cat.jpg", folding / "dog.jpg")
    with pytest.raises(UsageError, match="never written over"):
        output_paths.refuse_inputs([folding / "dog.jpg"], [folding / "cat.jpg"])


@pytest.mark.parametrize(
    "rels",
    [
        ["img_1.jpg", "IMG_1.jpg"],
        ["img_1.jpg", "IMG_1.JPG", "img_1.png"],
        ["a/é.jpg", "a/e\u0301.jpg"],
        ["A/x.jpg", "a/x.jpg", "b/x.jpg"],
    ],
)
def test_two_pictures_of_explain_never_share_a_file(rels):
    files = output_paths.picture_files(rels, Path("out"), "gradcam")
    assert len({ownership_folded(file) for file in files}) == len(rels)
    assert output_paths.picture_files(["a/x.jpg", "b/x.jpg"], Path("o"), "cam") == [
        Path("o/a/x_cam.jpg"), Path("o/b/x_cam.jpg"),
    ]  # fmt: skip


def ownership_folded(path):
    from camcli.batch.run_files.disk_names import folded

    return folded(str(path))


@pytest.mark.parametrize("name", ["..\\victim.txt", "C:victim.txt", "a\\b.txt", "x.jpg:stream"])
def test_on_windows_a_record_names_nothing_elsewhere(monkeypatch, tmp_path, name):
    if sys.platform == "win32":
        pytest.skip("there no file is called so")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).touch()  # here a plain name
    assert list(below(folder, [name])) == [folder / name]
    assert Inside(folder).holds(name)
    monkeypatch.setattr(sys, "platform", "win32")
    assert not list(below(folder, [name]))
    assert not Inside(folder).holds(name)
    remove(folder, [name, f"sub/{name}"])
    assert (folder / name).exists()
