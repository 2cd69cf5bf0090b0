import csv
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.measured.annotations import find_masks, read_boxes
from camcli.evaluate.measured.belonging import matched


def refs(*rels):
    return [ImageRef(Path("/x") / rel, rel) for rel in rels]


@pytest.mark.parametrize(
    "folder",
    [
        "images/",
        "/home/me/my set/images/",
        "C:\\Users\\me\\images\\",
        "http://images.org/val/",
        "./",
    ],
)
@pytest.mark.parametrize("rels", [("1.jpg", "2.jpg"), ("cat/1.jpg", "dog/1.jpg", "dog/old/1.jpg")])
def test_paths_of_the_machine_where_boxes_were_drawn(tmp_path, folder, rels):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "x0", "y0", "x1", "y1"])
        rows.writerows([folder + rel, 0, 0, n + 1, 1] for n, rel in enumerate(rels))
    found = read_boxes(tmp_path / "a.csv").match(refs(*rels))
    assert found == {rel: ((0, 0, n + 1, 1),) for n, rel in enumerate(rels)}


def test_the_folders_of_pascal_voc_itself(tmp_path):
    for place, form in (("Annotations", "xml"), ("SegmentationClass", "png")):
        (tmp_path / place).mkdir()
        for name in "12":
            (tmp_path / place / f"{name}.{form}").write_text(
                "<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
                "<ymax>9</ymax></bndbox></object></annotation>"
            )
    whole = refs("JPEGImages/1.jpg", "JPEGImages/2.jpg")
    assert read_boxes(tmp_path).match(whole).keys() == {ref.rel for ref in whole}
    assert find_masks(tmp_path, whole)["JPEGImages/2.jpg"].name == "2.png"
    assert read_boxes(tmp_path).match(refs("2.jpg")).keys() == {"2.jpg"}


def test_annotations_are_found_through_links_as_photographs_are(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "1.XML").write_text(
        "<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
        "<ymax>9</ymax></bndbox></object></annotation>"
    )
    (tmp_path / "set").mkdir()
    try:
        (tmp_path / "set" / "Annotations").symlink_to(tmp_path / "far")
        (tmp_path / "far" / "again").symlink_to(tmp_path / "set")
    except OSError:
        pytest.skip("links cannot be made here")
    assert read_boxes(tmp_path / "set").match(refs("1.jpg")) == {"1.jpg": ((0, 0, 9, 9),)}


def test_boxes_of_one_half_are_not_those_of_the_other():
    both = {"set/train/1.jpg": "a", "set/train/2.jpg": "b", "set/val/3.jpg": "c"}
    assert matched(both, refs("1.jpg", "2.jpg")) == {"1.jpg": "a", "2.jpg": "b"}
    with pytest.raises(UsageError, match=r"set/train/1\.jpg .* below set/val/ .* cannot be told"):
        matched(both, refs("1.jpg", "3.jpg"))
    with pytest.raises(UsageError, match="cannot be told"):
        matched({"train/1.jpg": "a", "val/1.jpg": "b"}, refs("1.jpg"))
    # Those of the whole set are known by their whole paths.
    assert matched(both, refs("train/1.jpg", "val/3.jpg")) == {"train/1.jpg": "a", "val/3.jpg": "c"}


def test_what_fits_nowhere_is_told_with_both_names(tmp_path):
    (tmp_path / "a.txt").write_text("x/1.jpg,0,0,1,1\n")
    with pytest.raises(UsageError, match=r"are of x/1\.jpg, the images are 7\.jpg, 8\.jpg\."):
        read_boxes(tmp_path / "a.txt").match(refs("7.jpg", "8.jpg"))


NAMES = st.lists(st.sampled_from(["a", "b", "1", "2"]), min_size=1, max_size=3)


@given(st.sets(NAMES.map("/".join), min_size=1, max_size=6), NAMES.map("/".join))
def test_one_more_folder_before_all_paths_changes_nothing(rels, folder):
    """What is found then is each photograph's own, or nothing is guessed."""
    rels = {f"{rel}.jpg" for rel in rels}
    deeper = {f"/{folder}/{rel}": rel for rel in rels}
    try:
        found = matched(deeper, refs(*sorted(rels)))
    except UsageError:
        return
    assert found
    assert all(PurePosixPath(rel).name == PurePosixPath(own).name for rel, own in found.items())
    if len({PurePosixPath(rel).name for rel in rels}) == len(rels):
        assert found == {rel: rel for rel in rels}
