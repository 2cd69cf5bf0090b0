"""Data sets in tar and zip files and behind URLs: read as the same folders are."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.datasets import registry
from camcli.data.datasets.dataset import Labelled
from camcli.data.datasets.describe import describe
from camcli.data.datasets.fetch import fetch
from camcli.data.datasets.kind import DatasetKind, Drawn, Found
from camcli.data.datasets.load import load_dataset
from camcli.data.datasets.registry import KINDS, NAMED
from camcli.errors import UnavailableError, UsageError


def jpeg(seed=0):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 9, 3), np.uint8)).save(
        data, "JPEG"
    )
    return data.getvalue()


def names(*folders, images=4):
    return [f"{folder}/{n}.jpg" for folder in folders for n in range(images)]


def files(members):
    return {name: jpeg(n) for n, name in enumerate(members)}


def packed(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w") as archive:
            for name, data in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def unpacked(folder, contents):
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


LAYOUTS = {
    "classes": names("cat", "dog"),
    "below": names("pets/cat", "pets/dog"),
    "splits": names("train/cat", "train/dog", "val/cat", "val/dog", "masks/cat"),
    "domains": names("amazon/images/bike", "amazon/images/lamp", "dslr/images/bike",
                     "dslr/images/lamp"),
    "fruits": [f"{split}/{fruit}/{frame}_100.jpg" for split in ("Training", "Test")
               for fruit in ("Apple 1", "Pear 1") for frame in (f"r_{n}" for n in range(12))],
    "names": [f"{pet}.{n}.jpg" for pet in ("cat", "dog") for n in range(4)],
}  # fmt: skip


@pytest.fixture
def memory(tmp_path):
    """A folder in memory, and how to fill it."""
    fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")
    system, root = fsspec.filesystem("memory"), f"/{tmp_path.name}"

    def fill(contents):
        for name, data in contents.items():
            system.pipe_file(f"{root}/set/{name}", data)
        return f"memory:/{root}/set"

    yield fill
    if system.exists(root):
        system.rm(root, recursive=True)


def said(data):
    """What does not depend on where it lies."""
    items = sorted(
        ("/".join(i.ref.rel.split("/")[-2:]), data.classes[i.target], i.split) for i in data.items
    )
    return data.layout, data.classes, data.counts(), [(c, s) for _, c, s in items], data.notes


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [".tar", ".zip", "url", "file"])
def test_a_set_is_understood_as_the_same_folder_is(tmp_path, memory, layout, kind):
    contents = files(LAYOUTS[layout])
    folder = unpacked(tmp_path / "set", contents)
    if kind == "url":
        where = memory(contents)
    elif kind == "file":
        where = folder.as_uri()
    else:
        where = packed(tmp_path / f"x/set{kind}", contents)
    expected, found = load_dataset(folder, val=0), load_dataset(where, val=0)
    assert said(found) == said(expected)
    assert found.place == (str(folder) if kind == "file" else str(where))
    described = describe(found)
    assert not described.unreadable
    assert described.to_dict()["root"] == found.place


def test_the_shards_of_a_set_are_pooled(tmp_path):
    for n, classes in enumerate((["cat", "dog"], ["cat", "dog"], ["cow"])):
        packed(tmp_path / f"s/s-{n:03}.tar", files(names(*classes)))
    for spec in (tmp_path / "s", str(tmp_path / "s/s-{000..002}.tar"), str(tmp_path / "s/*.tar")):
        data = load_dataset(spec, val=0)
        assert (data.layout, data.classes) == ("classes", ("cat", "cow", "dog"))
        assert len(data.items) == len({item.ref.rel for item in data.items}) == 20


def test_splits_and_classes_can_be_in_the_names_of_the_files(tmp_path):
    for split in ("train", "val"):
        for n in range(2):
            packed(tmp_path / f"a/{split}-{n:03}.zip", files(names("cat", "dog")))
    data = load_dataset(tmp_path / "a", val=0)
    assert data.layout == "splits"
    assert data.counts() == {"train": 16, "val": 16, "test": 0}
    for pet in ("cat", "dog"):
        packed(tmp_path / f"b/{pet}.zip", files(["1.jpg", "2.jpg"]))
    assert load_dataset(tmp_path / "b", val=0).classes == ("cat", "dog")


def test_labels_beside_the_pictures_win(tmp_path):
    for name, pets in (("train-0", "cat dog cat dog"), ("val-0", "dog cat")):
        contents = {}
        for n, pet in enumerate(pets.split()):
            contents |= {f"00{n % 2}/{n}.jpg": jpeg(n), f"00{n % 2}/{n}.cls": pet.encode()}
        packed(tmp_path / f"w/{name}.tar", contents)
    data = load_dataset(tmp_path / "w")
    assert (data.layout, data.classes) == ("webdataset", ("cat", "dog"))
    assert data.counts() == {"train": 4, "val": 2, "test": 0}
    assert load_dataset(tmp_path / "w", labels="folder", val=0).classes == ("000", "001")


def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, memory):
    photos = packed(tmp_path / "photos.zip", files(["a.jpg", "b.jpg"]))
    with pytest.raises(UsageError, match=r"labels in .*photos\.zip were not recognised"):
        load_dataset(photos)
    one = packed(tmp_path / "one.tar", files(names("cat")))
    with pytest.raises(UsageError, match="one class only"):
        load_dataset(one)
    with pytest.raises(UsageError, match="no folders that share classes"):
        load_dataset(packed(tmp_path / "c.zip", files(names("cat", "dog"))), domain="amazon")
    with pytest.raises(UsageError, match=r"No images found .*no\*\.tar"):
        load_dataset(str(tmp_path / "no*.tar"))
    with pytest.raises(UsageError, match="nothing at memory://"):
        load_dataset("memory://nowhere/at-all")
    with pytest.raises(UsageError, match="a table is read from this machine"):
        load_dataset("memory://bucket/labels.csv")
    with pytest.raises(UsageError, match="No data set"):
        load_dataset(str(tmp_path / "gone.zip"))


def test_half_a_container_is_a_problem_and_not_half_a_set(tmp_path):
    whole = packed(tmp_path / "whole.tar", files(names("cat", "dog"))).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut\.tar: the shard is damaged after"):
        load_dataset(tmp_path / "cut.tar")
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"no\.zip: the zip is cut short"):
        load_dataset(tmp_path / "no.zip", strict=False)
    data = load_dataset(tmp_path / "cut.tar", strict=False)
    assert "the shard is damaged after" in data.problems[0]


def test_bad_pictures_in_a_container_are_found(tmp_path):
    contents = files(names("cat", "dog"))
    contents["cat/0.jpg"] = contents["cat/0.jpg"][:100]
    contents["dog/0.jpg"] = contents["cat/1.jpg"]
    found = describe(load_dataset(packed(tmp_path / "set.zip", contents), val=0))
    ((path, error),) = found.unreadable
    assert path == "set/cat/0.jpg"
    assert "set.zip/cat/0.jpg: cut short" in error
    assert found.contradictions == (("set/cat/1.jpg", "set/dog/0.jpg"),)


def test_a_new_kind_is_read_named_and_fetched(monkeypatch, tmp_path):
    def read(place, domains):
        return Found([Labelled(ref, "train") for ref in place.images("folder")], "mine")

    def draw(folder):
        unpacked(folder, files(names("a", "b")))
        (folder / "mine.txt").touch()

    kind = DatasetKind(
        name="mine", title="Mine", what="mine.txt", note="It is small.", folders=("mine",),
        looks_like=lambda place: (place.root / "mine.txt").is_file(), read=read,
        get=Drawn(draw, command="fetch mine"),
    )  # fmt: skip
    monkeypatch.setattr(registry, "KINDS", (kind, *KINDS))
    monkeypatch.setitem(registry.NAMED, "mine", kind)
    with pytest.raises(UnavailableError, match="run `camcli data fetch mine`"):
        load_dataset("mine", data_dir=tmp_path)
    assert fetch("mine", tmp_path) == tmp_path / "mine"
    data = load_dataset("mine", data_dir=tmp_path, val=0)
    assert (data.layout, data.classes, data.notes) == ("mine", ("a", "b"), ("It is small.",))
    assert "mine (drawn on this machine)" in registry.ways_to_get()


def test_each_kind_has_a_name_of_its_own_and_can_be_had():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    folders = [folder for kind in KINDS for folder in kind.folders]
    assert len(set(folders)) == len(folders)
    assert all(kind.get is not None for kind in NAMED.values())
    assert all(kind.what and kind.title for kind in KINDS)
    assert all(kind.read is not None or kind.folders for kind in KINDS)
