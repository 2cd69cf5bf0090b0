"""Class folders in tar and zip files: judged as the same folders on a disk."""

import io
import pickle
import shutil
import zipfile

import pytest
from PIL import Image

from camcli.data.sources.find import find_images

TREES = {
    "classes": ("cat/1.png", "cat/2.png", "dog/1.png", "dog/in/3.png"),
    "below a folder": ("pets/cat/1.png", "pets/dog/1.png"),
    "splits": ("train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png"),
    "domains": tuple(f"{d}/{c}/1.png" for d in ("amazon", "dslr") for c in ("mug", "pen", "cup")),
    "numbers": ("0/1.png", "1/1.png", "2/1.png", "10/1.png"),
    "masks": ("images/1.png", "masks/1.png"),
    "images beside": ("1.png", "cat/1.png", "dog/1.png"),
    "one class": ("cat/1.png", "cat/2.png"),
    "too deep": ("a/b/c/1.png", "a/d/e/1.png", "f/g/h/1.png", "f/i/j/1.png"),
    "flat": ("1.png", "2.png"),
}


@pytest.fixture(params=TREES)
def tree(request, tmp_path):
    for name in TREES[request.param]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), "lime").save(path)
    return tmp_path / "tree"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_in_a_container_are_judged_as_on_the_disk(tree, tmp_path, kind):
    """The same pictures: the same labels, the same numbers of classes, the same line on them."""
    named = shutil.make_archive(str(tmp_path / "pets"), kind, tree)
    classes = tuple("abcdefghijk")
    there, here = find_images(tree), find_images(named)
    assert {f"pets/{ref.rel}": ref.label for ref in there} == {ref.rel: ref.label for ref in here}
    flat = all("/" in ref.rel for ref in there) or not any("/" in ref.rel for ref in there)
    if flat:  # images at the top end the look at a container, which may hold a million
        assert here.notes == there.notes
    numbered = {ref.rel: ref.label for ref in here.numbered(classes)}
    assert numbered == {f"pets/{ref.rel}": ref.label for ref in there.numbered(classes)}
    refs = list(here)
    assert {r.rel: r.label for r in here.renamed(refs, classes)} == numbered
    assert pickle.loads(pickle.dumps(here)).labelled == there.labelled
    none = find_images(named, labels="none")
    assert {ref.label for ref in none} == {None}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_shards_of_a_set_are_one_tree_and_sets_are_its_folders(tree, tmp_path, kind):
    """A folder, a glob, or several of them named; below folders, too."""
    first, *rest = sorted(path for path in tree.rglob("*.png"))
    for name, some in (("s/pets-000", [first]), ("s/pets-001", rest)):
        for path in some:
            to = tmp_path / name / path.relative_to(tree)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
        shutil.make_archive(str(tmp_path / name), kind, tmp_path / name)
        shutil.rmtree(tmp_path / name)
    wanted = sorted(str(ref.label) for ref in find_images(tree))
    every = str(tmp_path / "s" / f"*.{kind}")
    both = [str(tmp_path / "s" / f"pets-00{n}.{kind}") for n in range(2)]
    for spec in (tmp_path / "s", every, both):
        assert sorted(str(ref.label) for ref in find_images(spec)) == wanted


def test_a_container_for_each_class_or_split(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (5, 4), "lime").save(tmp_path / name / "1.png")
        shutil.make_archive(str(tmp_path / "zips" / name), "zip", tmp_path / name)
    source = find_images(tmp_path / "zips")
    assert [ref.label for ref in source] == ["cat", "dog"]
    for split in ("train", "val"):
        shutil.make_archive(str(tmp_path / "sets" / split), "tar", tmp_path, "cat")
        for name in ("cat", "dog"):
            to = tmp_path / "all" / split / name
            shutil.copytree(tmp_path / name, to)
        shutil.make_archive(str(tmp_path / "two" / split), "tar", tmp_path / "all" / split)
    assert [ref.label for ref in find_images(tmp_path / "two")] == ["cat", "dog"] * 2
    (note,) = find_images(tmp_path / "sets").notes
    assert "train, val hold no folders of two or more classes" in note


def test_labels_beside_the_pictures_count_more_than_folders(tmp_path):
    """WebDataset's; where few have one, the folders say it, as for training."""
    tree = tmp_path / "tree"
    for name in ("a/1", "a/2", "b/1", "b/2"):
        path = tree / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), "lime").save(path)
    (tree / "b" / "2.cls").write_text("fish")
    some = find_images(shutil.make_archive(str(tmp_path / "some"), "zip", tree))
    assert sorted(ref.label for ref in some) == ["a", "a", "b", "b"]
    for name in ("a/1", "a/2", "b/1"):
        (tree / f"{name}.cls").write_text("bird")
    full = find_images(shutil.make_archive(str(tmp_path / "full"), "tar", tree))
    assert sorted(ref.label for ref in full) == ["bird", "bird", "bird", "fish"]
    assert full.notes == ()


def test_of_a_container_elsewhere_folders_are_asked_for(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")
    system = fsspec.filesystem("memory")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in ("cat/1.png", "dog/1.png"):
            file.writestr(name, b"not looked at")
    system.pipe_file(f"/{tmp_path.name}/pets.zip", data.getvalue())
    source = find_images(f"memory://{tmp_path.name}/pets.zip")
    assert "--labels folder" in source.notes[0]
    assert [ref.label for ref in source] == [None, None]
    source = find_images(f"memory://{tmp_path.name}/pets.zip", labels="folder")
    assert ([ref.label for ref in source], source.notes) == (["cat", "dog"], ())
    # Of pictures elsewhere the list is there, and is judged.
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        system.pipe_file(f"/{tmp_path.name}/plain/{name}", b"not looked at")
    source = find_images(f"memory://{tmp_path.name}/plain")
    assert [ref.label for ref in source] == ["cat", "cat", "dog"]
