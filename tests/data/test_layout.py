import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.layout import Layout, Parent, Prefix, detect, labeller_for
from camcli.data.sources import find_images
from camcli.errors import UsageError


def tree(root: Path, *names: str) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return str(root)


def labels(root: str, **options) -> dict[str, str | None]:
    return {ref.rel: ref.label for ref in find_images(root, **options)}


def test_a_folder_for_each_class(tmp_path):
    root = tree(tmp_path, "apple red 1/31_100.jpg", "pear/r_1.jpg", "pear/notes.txt", "README.md")
    (tmp_path / "empty").mkdir()
    found = detect(root)
    assert isinstance(found, Layout)
    assert found.kind == "classes"
    assert found.trees[0][1].classes == ("apple red 1", "pear")
    assert labels(root) == {"apple red 1/31_100.jpg": "apple red 1", "pear/r_1.jpg": "pear"}
    assert find_images(root).labelled
    assert not find_images(root, labels="none").labelled


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "Test"), ("TRAIN", "valid")]
)
def test_splits(tmp_path, train, test):
    root = tree(
        tmp_path, f"{train}/a/1.jpg", f"{train}/b/1.jpg", f"{test}/a/1.jpg", f"{test}/b/1.jpg"
    )
    tree(tmp_path, "papers/figure.png")
    assert labels(root) == {
        f"{train}/a/1.jpg": "a",
        f"{train}/b/1.jpg": "b",
        f"{test}/a/1.jpg": "a",
        f"{test}/b/1.jpg": "b",
        "papers/figure.png": None,
    }


def test_an_unlabelled_test_split(tmp_path):
    root = tree(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg")
    assert labels(root) == {"test/1.jpg": None, "train/cat/1.jpg": "cat", "train/dog/1.jpg": "dog"}


DOMAINS = [f"{d}/images/{c}/frame_0001.jpg" for d in ("amazon", "dslr") for c in ("bike", "mug")]


@pytest.mark.parametrize("level", ["", "domain_adaptation_images/"])
def test_office31(tmp_path, level):
    root = tree(tmp_path, *(level + name for name in DOMAINS))
    found = detect(root)
    assert isinstance(found, Layout)
    assert found.kind == "domains"
    assert [name for name, _ in found.trees] == ["amazon", "dslr"]
    assert set(labels(root).values()) == {"bike", "mug"}
    # Not one class called "images":
    assert set(labels(f"{root}/{level}amazon").values()) == {"bike", "mug"}
    without = tree(tmp_path / "flat", *(name.replace("images/", "") for name in DOMAINS))
    assert set(labels(without).values()) == {"bike", "mug"}


@pytest.mark.parametrize(
    "names",
    [
        ["1.jpg", "2.jpg"],
        ["a/1.jpg"],
        ["a/1.jpg", "b/1.jpg", "stray.jpg"],
        ["trip/day one/1.jpg", "trip/day two/1.jpg", "home/1.jpg"],
        ["trip/day one/1.jpg", "trip/day two/1.jpg", "party/guests/1.jpg", "party/food/1.jpg"],
        ["2021/1.jpg", "2022/1.jpg"],
        ["2021-05-01 Rome/1.jpg", "2021-06/1.jpg"],
        ["20210501/1.jpg", "20210502/1.jpg"],
        ["100CANON/1.jpg", "101CANON/1.jpg"],
        ["images/1.jpg", "masks/1.png"],
        ["DCIM/100CANON/1.jpg", "DCIM/101_PANA/1.jpg"],
        ["a/1.jpg", "b/sub/1.jpg"],
        ["train/1.jpg", "test/1.jpg"],
        ["train/images/1.jpg", "train/labels/1.txt", "val/images/1.jpg"],
    ],
)
def test_when_in_doubt_there_are_no_labels(tmp_path, names):
    root = tree(tmp_path, *names)
    assert set(labels(root).values()) == {None}
    assert not find_images(root).labelled


def test_numbers_are_classes(tmp_path):
    """MNIST's digits; only dates are taken for albums."""
    root = tree(tmp_path, *(f"{digit}/1.png" for digit in range(10)))
    assert set(labels(root).values()) == set("0123456789")


def test_a_glob_below_a_labelled_folder(tmp_path):
    root = tree(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg")
    assert labels(f"{root}/*/1.jpg") == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}


def test_a_million_pictures_are_not_looked_at(tmp_path, monkeypatch):
    root = tree(tmp_path, *(f"{c}/{i}.jpg" for c in "ab" for i in range(1000)))
    seen = 0
    scandir = os.scandir

    class Counting:
        def __init__(self, path):
            self.entries = scandir(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            nonlocal seen
            for entry in self.entries:
                seen += 1
                yield entry

    monkeypatch.setattr(os, "scandir", Counting)
    assert detect(root)
    assert seen < 1000


def test_the_folder_that_holds_the_image():
    assert Parent()("x/y/1.jpg") == "y"
    assert Parent()("1.jpg") is None


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"),
        ("a/b/dog.1234.jpg", "dog"),
        ("american_bulldog_100.jpg", "american_bulldog"),
        ("Abyssinian_1 (2).jpg", "Abyssinian"),
        ("great-dane-0007.png", "great-dane"),
        ("cat12.jpg", "cat"),
        ("Äpfel_3.jpg", "Äpfel"),
        ("cat.jpg", None),
        ("0001.jpg", None),
        ("_1.jpg", None),
    ],
)
def test_prefix(name, label):
    assert Prefix()(name) == label


@given(st.text(max_size=60))
def test_prefix_ends_on_any_name(name):
    label = Prefix()(name)
    assert label is None or (label and label in name)


def test_regular_expressions():
    label = labeller_for(r"n\d+_(.*)\.JPEG", None)
    assert label is not None
    assert label("n01440764_tench.JPEG") == "tench"
    assert label("other.JPEG") is None
    label = labeller_for(r"(\d+)/(?P<label>\w+)-", None)
    assert label is not None
    assert label("12/cat-1.jpg") == "cat"


@pytest.mark.parametrize("text", ["folders", "(", "[a-", r"n\d+"])
def test_labels_that_mean_nothing(text):
    with pytest.raises(UsageError, match="auto, folder, prefix, none"):
        labeller_for(text, None)
