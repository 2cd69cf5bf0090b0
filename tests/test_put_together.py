"""Files of one result: all of them or none, whatever the disk says in the middle."""

import errno
from pathlib import Path

import pytest

from camcli.ours import put_together

OLD = {"audit.json": "old", "images.csv": "old", "findings/a.png": b"old", "flagged.jpg": b"old"}
NEW = {"audit.json": "new", "images.csv": "new", "findings/b.png": b"new"}


def there(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.*")}


def test_a_new_result_takes_the_place_of_all_of_the_old_one(tmp_path):
    out = tmp_path / "a" / "out"
    put_together(out, OLD)
    (out / "mine.txt").write_text("mine")
    put_together(out, NEW, OLD)
    assert there(out) == {**dict.fromkeys(NEW, "new"), "mine.txt": "mine"}


@pytest.mark.parametrize("room", range(len(NEW)))
def test_where_the_disk_is_full_the_old_result_stays_whole(tmp_path, monkeypatch, room):
    out = tmp_path / "out"
    put_together(out, OLD)
    left, write = [room], Path.write_bytes

    def full(path, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        put_together(out, NEW, OLD)
    assert there(out) == dict.fromkeys(OLD, "old")
    with pytest.raises(OSError, match="No space"):
        put_together(tmp_path / "b" / "new", NEW)
    assert not (tmp_path / "b").exists()


def test_an_interrupt_leaves_the_old_result_whole(tmp_path, monkeypatch):
    out = tmp_path / "out"
    put_together(out, OLD)

    def stop(path, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        put_together(out, NEW, OLD)
    assert there(out) == dict.fromkeys(OLD, "old")
