import os
import sys

import pytest

from camcli.files import whole_file, whole_folder, write_whole


def test_a_file_appears_whole_and_alone(tmp_path):
    path = tmp_path / ("é" * 120 + ".csv")  # 244 of the 255 bytes that a name may have
    write_whole(path, "ü\r\n")
    assert path.read_bytes() == "ü\r\n".encode()
    with whole_file(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == "ü\r\n".encode()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_was_not_finished_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "a.txt"
    write_whole(path, b"old")
    with pytest.raises(error), whole_file(path) as part:  # noqa: PT012
        part.write_bytes(b"ne")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_waits_in_another_folder(tmp_path):
    (tmp_path / "aside").mkdir()
    with whole_file(tmp_path / "a.txt", aside=tmp_path / "aside") as part:
        assert part.parent == tmp_path / "aside"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.txt", "aside"]
    assert not list((tmp_path / "aside").iterdir())


def test_what_cannot_be_written_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "a.txt", b"")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits")
def test_others_may_read_it_as_any_other_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "plain folder").mkdir()
    write_whole(tmp_path / "ours", b"")
    with whole_folder(tmp_path / "our folder"):
        pass
    modes = {name: os.stat(tmp_path / name).st_mode for name in os.listdir(tmp_path)}  # noqa: PTH116, PTH208
    assert modes["ours"] == modes["plain"]
    assert modes["our folder"] == modes["plain folder"]


def test_a_folder_takes_the_place_of_another(tmp_path):
    path = tmp_path / "new" / "page"
    for name in ("one", "two"):
        with whole_folder(path) as part:
            (part / name).touch()
    assert [p.name for p in path.iterdir()] == ["two"]
    with pytest.raises(ValueError, match="half"), whole_folder(path) as part:  # noqa: PT012
        (part / "three").touch()
        raise ValueError("half")
    assert [p.name for p in path.iterdir()] == ["two"]
    assert list(path.parent.iterdir()) == [path]
