import pytest
from PIL import Image

from camcli.data import samples
from camcli.data.samples import sample_files, write_samples
from camcli.errors import CamcliError, UsageError


def test_photographs_with_their_credits_and_settings_are_written(tmp_path):
    folders = write_samples(tmp_path / "new" / "here")
    assert [folder.name for folder in folders] == ["sample_images", "configs"]
    photos = sorted(folders[0].glob("*.jpg"))
    assert len(photos) == 9
    credits = (folders[0] / "README.md").read_text("utf-8")
    for photo in photos:
        assert f"`{photo.name}`" in credits
        Image.open(photo).verify()
    assert "office31.toml" in {path.name for path in folders[1].iterdir()}
    assert not list(tmp_path.rglob(".camcli-*"))


def test_what_is_there_stays(tmp_path):
    write_samples(tmp_path)
    (tmp_path / "sample_images" / "cat.jpg").unlink()
    (tmp_path / "sample_images" / "mine.jpg").write_bytes(b"mine")
    before = (tmp_path / "sample_images" / "alp.jpg").stat().st_mtime_ns
    write_samples(tmp_path)
    assert (tmp_path / "sample_images" / "cat.jpg").is_file()
    assert (tmp_path / "sample_images" / "mine.jpg").read_bytes() == b"mine"
    assert (tmp_path / "sample_images" / "alp.jpg").stat().st_mtime_ns == before


def test_a_picture_of_ones_own_of_such_a_name_is_not_replaced(tmp_path):
    own = tmp_path / "sample_images" / "cat.jpg"
    own.parent.mkdir()
    own.write_bytes(b"my own cat")
    with pytest.raises(UsageError, match="holds something else"):
        write_samples(tmp_path)
    assert own.read_bytes() == b"my own cat"
    assert [path.name for path in tmp_path.rglob("*")] == ["sample_images", "cat.jpg"]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CamcliError, match="Cannot write samples"):
        write_samples(tmp_path / "file")


def test_an_installation_has_them_in_the_package(tmp_path, monkeypatch):
    there = tmp_path / "shipped"
    for folder in samples.FOLDERS:
        (there / folder).mkdir(parents=True)
        (there / folder / "one").write_bytes(b"1")
    monkeypatch.setattr(samples, "_INSTALLED", there)
    assert sample_files() == {f"{name}/one": there / name / "one" for name in samples.FOLDERS}
    monkeypatch.setattr(samples, "_INSTALLED", tmp_path / "gone")
    monkeypatch.setattr(samples, "_CHECKOUT", tmp_path / "gone")
    with pytest.raises(CamcliError, match="Install anew"):
        sample_files()
