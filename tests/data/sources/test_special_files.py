"""A pipe, a device or a file of /proc where a picture, a list or a table is expected."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from camcli.data.datasets.describe import describe
from camcli.data.datasets.load import load_dataset
from camcli.data.datasets.tables import read_table
from camcli.data.decode.images import load_image
from camcli.data.sources import lists
from camcli.data.sources.find import find_images
from camcli.errors import ImageError, UsageError
from camcli.evaluate.measured.annotations import read_boxes, read_mask
from camcli.models.classes.names_file import read_class_names
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.train.config_file import read_toml
from camcli.train.feature_pass.features import hash_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such files")


def test_as_pictures_each_is_one_error(tmp_path, special_files):
    for name, path in special_files(tmp_path).items():
        path.rename(tmp_path / f"{name}.jpg")
    refs = list(find_images(tmp_path))
    assert len(refs) >= 3
    for ref in refs:
        with pytest.raises(ImageError, match="not opened, for it is"):
            load_image(ref)


def test_in_a_class_folder_they_are_unreadable_and_nothing_waits(tmp_path, special_files):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ok.jpg").write_bytes(b"x")
    for name, path in special_files(tmp_path / "cat").items():
        if name != "ok.jpg":
            path.rename(path.with_suffix(".jpg"))
    data = load_dataset(tmp_path, val=0.0)
    assert len(set(hash_files([item.ref.path for item in data.items]))) == len(data.items) - 1
    found = describe(data)
    assert len(found.unreadable) == len(data.items)
    assert sum("not opened" in error for _, error in found.unreadable) == len(data.items) - 2


@pytest.mark.parametrize(
    "read", [read_table, read_class_names, load_checkpoint, read_toml, read_boxes, read_mask]
)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".txt", ".xml"])
def test_as_anything_else_they_are_a_users_mistake(tmp_path, read, suffix, special_files):
    for path in special_files(tmp_path).values():
        named = path.rename(path.with_suffix(suffix))
        with pytest.raises((UsageError, Exception)) as raised:
            read(named)
        assert type(raised.value).__module__ == "camcli.errors"


def test_as_tar_and_list(tmp_path, monkeypatch, special_files):
    monkeypatch.setattr(lists, "_PIPE_SECONDS", 0.1)
    for path in special_files(tmp_path).values():
        with pytest.raises(UsageError, match="could not be read"):
            find_images(f"@{path}")
        (ref,) = find_images(path.rename(path.with_suffix(".tar")))
        with pytest.raises(ImageError, match=r"it is (a|made up)"):
            load_image(ref)


def test_a_list_comes_through_a_pipe_that_is_opened_late_and_written_slowly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        time.sleep(0.1)
        with pipe.open("w") as file:
            for name in ("a.jpg", "b.jpg"):
                time.sleep(0.1)
                file.write(f"{tmp_path}/{name}\n")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert [ref.rel for ref in find_images(f"@{pipe}")] == ["a.jpg", "b.jpg"]
    writer.join()


def test_what_never_ends_is_ended_hard(tmp_path):
    """SIGTERM, and a thread that waits for ever, as on a dead network disk."""
    import signal
    import subprocess

    script = tmp_path / "s.py"
    script.write_text(
        "import os, signal, threading\n"
        "from camcli.cli.terminal import console\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "console.end_hard.__defaults__ = (0.3,)\n"
        "with console._sigterm_raises():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        signal.pause()\n"
        "    finally:\n"
        "        threading.Event().wait()\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], timeout=20, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}, check=False,
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGTERM
    assert "Terminated" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_folders_that_the_system_makes_up_are_not_walked_into(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.jpg").write_bytes(b"x")
    for name in ("/proc", "/sys", "/proc/self/fd", "/proc/self"):
        (tmp_path / name[1:].replace("/", "_")).symlink_to(name)
    (tmp_path / "a/here").symlink_to(f"/proc/self/cwd/{os.path.relpath(tmp_path / 'b')}")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/2.jpg").write_bytes(b"x")
    for source in (find_images(tmp_path), find_images(f"{tmp_path}/**/*.jpg")):
        # A link through /proc to a real folder leads there.
        assert [ref.rel for ref in source] == ["a/1.jpg", "a/here/2.jpg", "b/2.jpg"]
        assert "4 folders that the system makes up" in source.left_out.note()
    with pytest.raises(UsageError, match="made up by the system"):
        find_images("/proc")
