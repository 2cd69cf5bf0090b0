"""What a record names as its user typed it is found from every folder."""

import hashlib

import pytest

from camcli.batch.run_files.recorded_paths import find_network_file, same_place
from camcli.errors import UsageError
from camcli.ours import folder_of, recorded_absolute


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A network, and a run beside it whose user was in the folder that holds both."""
    made = tmp_path / "project"
    (made / "nets").mkdir(parents=True)
    (made / "run").mkdir()
    (made / "nets" / "best.pth").write_bytes(b"tensors")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return made


DIGEST = hashlib.sha256(b"tensors").hexdigest()


def find(project, name="nets/best.pth", folder=None, run=None):
    info = {"folder": str(folder or project)}
    return find_network_file(name, info, run or project / "run", DIGEST)


def test_from_another_folder(project):
    assert find(project) == project / "nets" / "best.pth"
    assert find(project, str(project / "nets" / "best.pth")) == project / "nets" / "best.pth"


def test_of_two_files_of_that_name_the_one_with_the_bytes(project, tmp_path):
    other = tmp_path / "elsewhere" / "nets"
    other.mkdir()
    (other / "best.pth").write_bytes(b"others")
    gone = tmp_path / "gone"
    assert find(project, folder=gone) == project / "nets" / "best.pth"
    (project / "nets" / "best.pth").write_bytes(b"changed")
    (other / "best.pth").write_bytes(b"tensors")
    assert find(project) == other / "best.pth"


def test_a_project_that_was_moved_as_a_whole(project, tmp_path):
    moved = project.rename(tmp_path / "moved")
    assert find(project, run=moved / "run") == moved / "nets" / "best.pth"


def test_what_was_moved_and_was_typed_in_full_is_not_taken_but_told(project, tmp_path):
    full = str(project / "nets" / "best.pth")
    moved = project.rename(tmp_path / "moved")
    for run, near in (
        (moved / "run", moved / "nets" / "best.pth"),
        ((moved / "run").rename(moved / "nets" / "run"), moved / "nets" / "best.pth"),
    ):
        with pytest.raises(UsageError) as told:
            find(project, full, run=run)
        assert str(told.value).count(full) == 1
        assert str(told.value).endswith(f"--model {near}")


def test_one_that_is_nowhere(project):
    with pytest.raises(UsageError, match=r"other\.pth, is not where it was .*--model FILE"):
        find(project, "nets/other.pth")
    for odd in ("", "a\0b"):
        with pytest.raises(UsageError, match="is not where it was: say"):
            find(project, odd)


@pytest.mark.parametrize("folder", [None, 3, "", "relative", "/a\0b"])
def test_an_odd_record_says_no_folder(folder):
    assert folder_of({"folder": folder}) is None
    assert recorded_absolute("nets/best.pth", {"folder": folder}) == "nets/best.pth"


def test_a_recorded_name_as_a_command_can_have_it(tmp_path):
    info = {"folder": str(tmp_path)}
    assert recorded_absolute("nets/best.pth", info) == str(tmp_path / "nets" / "best.pth")
    assert recorded_absolute(str(tmp_path / "x"), info) == str(tmp_path / "x")


def test_an_address_is_no_path(tmp_path):
    where = tmp_path, tmp_path
    assert same_place("s3://b/x", "s3://b/x", where)
    assert not same_place("s3://b/x", "s3://b//x", where)
    assert not same_place("https://a/b/../c", "https://a/c", where)
