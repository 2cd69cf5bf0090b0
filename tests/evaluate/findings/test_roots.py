"""A photograph of a record is known again among those of a run, whatever its name is there."""

from pathlib import Path

import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.findings.roots import placed, root_of


def test_the_root_is_what_all_photographs_are_below(tmp_path):
    names = ["a/1.jpg", "b c/ä.jpg"]
    assert root_of((tmp_path / n, n) for n in names) == str(tmp_path.resolve())
    assert root_of((ImageRef(tmp_path / n, n), n) for n in names) == str(tmp_path.resolve())
    assert root_of([]) is None
    assert root_of([(Path("/x/1.jpg"), "1.jpg"), (Path("/y/2.jpg"), "2.jpg")]) is None
    assert root_of([(Path("/x/1.jpg"), "other.jpg")]) is None


@pytest.mark.parametrize(
    ("root", "source", "rel", "found"),
    [
        ("data", "data", "cat/1.jpg", "cat/1.jpg"),
        ("data/heldout", "data", "cat/1.jpg", "heldout/cat/1.jpg"),
        ("data", "data/heldout", "heldout/cat/1.jpg", "cat/1.jpg"),
        ("data", "data/heldout", "train/cat/1.jpg", None),
        ("data", "data/heldout", "heldout2/1.jpg", None),
        ("data", "other", "cat/1.jpg", None),
        ("data-2", "data", "cat/1.jpg", None),
    ],
)
def test_paths_of_another_root_are_matched_by_where_they_are(tmp_path, root, source, rel, found):
    assert placed(str(tmp_path / root), tmp_path / source)(rel) == found


def test_a_link_to_the_folder_is_the_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    assert placed(str(tmp_path / "link"), tmp_path / "data")("1.jpg") == "1.jpg"


@pytest.mark.parametrize("root", [None, "a\0b"])
def test_what_is_not_known_is_nowhere(tmp_path, root):
    assert placed(root, tmp_path)("1.jpg") is None
